package archtest

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cria-llm/cria"

// layer is one floor of the house (docs/architecture.md), from the top. A
// package may import packages of lower floors only.
type layer struct {
	name     string
	packages []string // paths below the module; "x/*" is everything below x; "." the root package
}

var layers = []layer{
	{"the door", []string{"cmd/cria"}},
	{"the command line", []string{"internal/cli"}},
	{"the library for Go programs", []string{"."}},
	{"the whole recipe", []string{"internal/pipeline"}},
	{"an application", []string{"internal/serve"}},
	{"an application", []string{"internal/annotate"}},
	{"an application", []string{"internal/recipe/*"}},
	{"an application", []string{"internal/eval"}},
	{"a benchmark of eval", []string{"internal/eval/task"}},
	{"an application", []string{"internal/bench", "internal/plan"}},
	{"loading of models", []string{"internal/engine"}},
	{"the embedded model", []string{"internal/embedded"}},
	{"scoring", []string{"internal/judge", "internal/score"}},
	{"records and reports", []string{"internal/prefs", "internal/world"}},
	{"the generation engine", []string{"internal/generate"}},
	{"the training engine", []string{"internal/train"}},
	{"the data pipeline", []string{"internal/data"}},
	{"a part of the data pipeline", []string{"internal/data/*"}},
	{"documents of the data pipeline", []string{"internal/data/doc"}},
	{"what the parts of the data pipeline share", []string{"internal/data/words", "internal/data/extsort"}},
	{"adapters", []string{"internal/lora"}},
	{"model files", []string{"internal/modelfile"}},
	{"the model", []string{"internal/llama"}},
	{"the chat encoder", []string{"internal/chat"}},
	{"pure maths of training", []string{"internal/rl", "internal/optim"}},
	{"the tokenizer", []string{"internal/tokenizer"}},
	{"a file format", []string{"internal/format/gguf", "internal/format/safetensors", "internal/format/pth", "internal/format/llama2c"}},
	{"the bad-file corpus and error type of the formats", []string{"internal/format/*"}},
	{"HTML reports", []string{"internal/report"}},
	{"figures", []string{"internal/plot"}},
	{"a device", []string{"internal/device/cpu", "internal/device/ref"}},
	{"the CPU kernels", []string{"internal/device/cpu/kernel"}},
	{"the device contract", []string{"internal/device"}},
	{"block formats", []string{"internal/quant"}},
	{"element types", []string{"internal/tensor"}},
	{"the ground", []string{"internal/sys/*"}},
}

// free packages stand outside of the house: they test or generate.
var free = []string{"internal/archtest"}

// bans are imports that go downward and are still wrong.
var bans = []struct{ from, to, why string }{
	{"internal/llama", "internal/device/cpu", "the model reaches compute through device.Device only: a second device must not touch it"},
	{"internal/llama", "internal/device/ref", "the model reaches compute through device.Device only: a second device must not touch it"},
	{"internal/lora", "internal/device/cpu", "adapters reach compute through device.Device only"},
	{"internal/train", "internal/device/cpu", "training reaches compute through device.Device only"},
	{"internal/generate", "internal/modelfile", "generation works on a loaded model, whatever file it came from"},
	{"internal/llama", "internal/tokenizer", "the model knows ids, not text"},
}

// testOnly packages are imported by tests alone.
var testOnly = []string{"internal/format/hostile", "internal/sys/mmaptest"}

// applications do not know each other; only the pipeline may import several.
const application = "an application"

// pkg is what `go list -json` says of a package, as far as it matters here.
type pkg struct {
	ImportPath string
	Imports    []string
	SFiles     []string
}

func TestImportsGoDownward(t *testing.T) {
	for _, goos := range []string{"linux", "darwin", "windows"} {
		t.Run(goos, func(t *testing.T) {
			for _, p := range list(t, goos) {
				for _, problem := range check(p) {
					t.Error(problem)
				}
			}
		})
	}
}

// list reads the module's packages as built for one system.
func list(t *testing.T, goos string) []pkg {
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Imports,SFiles", "./...")
	cmd.Dir = "../.."
	cmd.Env = append(os.Environ(), "GOOS="+goos, "GOARCH=amd64", "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var own []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatalf("go list: %v", err)
		}
		if p.ImportPath == module || strings.HasPrefix(p.ImportPath, module+"/") {
			own = append(own, p)
		}
	}
	if len(own) < 10 {
		t.Fatalf("go list found %d packages of the module; the whole of it was expected", len(own))
	}
	return own
}

// check lists what is wrong with one package.
func check(p pkg) (problems []string) {
	name := short(p.ImportPath)
	for _, f := range free {
		if name == f {
			return nil
		}
	}
	if len(p.SFiles) > 0 && name != "internal/device/cpu/kernel" {
		problems = append(problems, fmt.Sprintf("%s has assembly (%s): all architecture-specific code lives in internal/device/cpu/kernel", name, p.SFiles[0]))
	}
	from := find(name)
	if from < 0 {
		return append(problems, fmt.Sprintf("%s has no layer: add it to docs/architecture.md and to this test's list", name))
	}
	for _, imp := range p.Imports {
		if imp == "C" {
			problems = append(problems, fmt.Sprintf("%s uses cgo: Cria is built without a C compiler, for every system from every system", name))
		}
		if imp != module && !strings.HasPrefix(imp, module+"/") {
			continue
		}
		target := short(imp)
		to := find(target)
		switch {
		case to < 0:
			problems = append(problems, fmt.Sprintf("%s imports %s, which has no layer", name, target))
		case to < from:
			problems = append(problems, fmt.Sprintf("%s (%s) imports %s (%s), which is above it: imports go downward only; move what both need below %s", name, layers[from].name, target, layers[to].name, name))
		case to == from:
			problems = append(problems, fmt.Sprintf("%s imports its neighbour %s (%s): packages of one layer do not know each other", name, target, layers[to].name))
		case layers[from].name == application && layers[to].name == application:
			problems = append(problems, fmt.Sprintf("%s imports %s: applications do not know each other; only internal/pipeline may use several", name, target))
		}
		if slices.Contains(testOnly, target) {
			problems = append(problems, fmt.Sprintf("%s imports %s: it is for tests alone", name, target))
		}
		for _, b := range bans {
			if b.from == name && b.to == target {
				problems = append(problems, fmt.Sprintf("%s imports %s: %s", name, target, b.why))
			}
		}
	}
	return problems
}

func short(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

// find returns the layer of a package, -1 for none: its own entry before a
// pattern.
func find(name string) int {
	pattern := -1
	for i, l := range layers {
		for _, p := range l.packages {
			if p == name {
				return i
			}
			if dir, ok := strings.CutSuffix(p, "/*"); ok && path.Dir(name) == dir {
				pattern = i
			}
		}
	}
	return pattern
}

// TestCheckFindsMistakes proves that the test above can fail.
func TestCheckFindsMistakes(t *testing.T) {
	at := func(s string) string { return module + "/internal/" + s }
	for _, c := range []struct {
		p    pkg
		want string
	}{
		{pkg{ImportPath: at("llama"), Imports: []string{at("generate")}}, "above it"},
		{pkg{ImportPath: at("llama"), Imports: []string{at("device/cpu")}}, "second device"},
		{pkg{ImportPath: at("serve"), Imports: []string{at("annotate")}}, "do not know each other"},
		{pkg{ImportPath: at("judge"), Imports: []string{at("score")}}, "neighbour"},
		{pkg{ImportPath: at("tensor"), SFiles: []string{"a.s"}}, "assembly"},
		{pkg{ImportPath: at("stuff")}, "no layer"},
		{pkg{ImportPath: at("cli"), Imports: []string{at("format/hostile")}}, "for tests alone"},
		{pkg{ImportPath: at("sys/numa"), Imports: []string{"C"}}, "cgo"},
		{pkg{ImportPath: at("tensor"), Imports: []string{module}}, "above it"},
	} {
		got := check(c.p)
		if len(got) != 1 || !strings.Contains(got[0], c.want) {
			t.Errorf("%s importing %v: got %q, want one problem with %q", c.p.ImportPath, c.p.Imports, got, c.want)
		}
	}
	if got := check(pkg{ImportPath: at("llama"), Imports: []string{at("device"), at("tensor"), "fmt"}}); got != nil {
		t.Errorf("a right package: %q", got)
	}
}

// TestDependenciesHaveReasons: every module that go.mod requires directly has a
// line in docs/dependencies.md, and no other has one in its first table.
func TestDependenciesHaveReasons(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	var required, explained []string
	for _, m := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllSubmatch(mod, -1) {
		required = append(required, string(m[1]))
	}
	table, _, _ := strings.Cut(string(doc), "\n## ")
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		explained = append(explained, m[1])
	}
	slices.Sort(required)
	slices.Sort(explained)
	if len(required) == 0 || !slices.Equal(required, explained) {
		t.Errorf("go.mod requires %q, docs/dependencies.md gives reasons for %q", required, explained)
	}
}
