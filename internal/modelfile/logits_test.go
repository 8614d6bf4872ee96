package modelfile_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/tensor"
)

// logitBound is the largest difference from transformers in float32.
const logitBound = 1e-4

// hfRun is one forward that testdata/hf/gen.py did with transformers.
type hfRun struct {
	Context int     `json:"context"`
	IDs     []int32 `json:"ids"`
	Rows    []int32 `json:"rows"` // whose logits were kept
	want    []float32
}

// readRuns reads the goldens of one model.
func readRuns(t *testing.T, path string, vocab int) []hfRun {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var runs []hfRun
	if err := json.Unmarshal(text, &runs); err != nil || len(runs) == 0 {
		t.Fatalf("%s: %d runs, %v", path, len(runs), err)
	}
	raw, err := os.ReadFile(strings.TrimSuffix(path, ".json") + ".f32")
	if err != nil {
		t.Fatal(err)
	}
	for i := range runs {
		r := &runs[i]
		r.want = make([]float32, len(r.Rows)*vocab)
		if len(raw) < 4*len(r.want) {
			t.Fatalf("%s: run %d: %d bytes of logits are left, %d are needed", path, i, len(raw), 4*len(r.want))
		}
		for j := range r.want {
			r.want[j] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*j:]))
		}
		raw = raw[4*len(r.want):]
	}
	if len(raw) != 0 {
		t.Fatalf("%s: %d bytes of logits too many", path, len(raw))
	}
	return runs
}

// openModel opens a model's files and closes them with the test.
func openModel(t testing.TB, path string, opt modelfile.OpenOptions) *modelfile.Model {
	t.Helper()
	m, err := modelfile.Open(path, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// loaded is a model on a CPU device with the cache of one sequence.
type loaded struct {
	model *llama.Model
	kv    device.KV
	pages []int32
}

// load loads a model; kernels "" are the machine's best.
func load(t testing.TB, m *modelfile.Model, kernels string, context int, cache tensor.DType) loaded {
	t.Helper()
	d, err := cpu.New(cpu.Options{Workers: 2, Kernels: kernels})
	if err != nil {
		t.Fatal(err)
	}
	l := loaded{}
	t.Cleanup(func() {
		if l.kv != nil {
			if err := l.kv.Close(); err != nil {
				t.Error(err)
			}
		}
		if l.model != nil {
			if err := l.model.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	if l.model, err = llama.NewModel(d, m.Config, m, llama.Options{Context: context}, nil); err != nil {
		t.Fatal(err)
	}
	n := (l.model.Context + device.PageTokens - 1) / device.PageTokens
	if l.kv, err = l.model.NewKV(n, cache); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		l.pages = append(l.pages, int32(i))
	}
	return l
}

// forward computes ids from a position and returns the logits of some rows.
func (l loaded) forward(t testing.TB, ids []int32, pos int, rows []int32) []float32 {
	t.Helper()
	b := &llama.Batch{Tokens: ids, Spans: []device.Span{{N: len(ids), Pos: pos, Pages: l.pages}}, Outputs: rows}
	logits := make([]float32, len(rows)*l.model.Config.VocabSize)
	if err := l.model.Forward(b, l.kv, logits); err != nil {
		t.Fatal(err)
	}
	return logits
}

// Logits are those of transformers in float32, from a Hugging Face directory and
// from Meta's directory of the same weights in 1, 2 and 4 shards.
func TestLogitsOfTransformers(t *testing.T) {
	goldens, err := filepath.Glob("testdata/hf/*.json")
	if err != nil || len(goldens) < 8 {
		t.Fatalf("%d goldens, %v", len(goldens), err)
	}
	exports := 0
	for _, golden := range goldens {
		dir := strings.TrimSuffix(golden, ".json")
		shards, err := filepath.Glob(filepath.Join("testdata/hf/meta", filepath.Base(dir), "*"))
		if err != nil {
			t.Fatal(err)
		}
		exports += len(shards)
		for _, path := range append([]string{dir}, shards...) {
			name, _ := filepath.Rel("testdata/hf", path)
			t.Run(name, func(t *testing.T) { logitsOf(t, path, golden) })
		}
	}
	if exports < 6 {
		t.Errorf("%d of Meta's directories were tested", exports)
	}
}

func logitsOf(t *testing.T, path, golden string) {
	for i, run := range readRuns(t, golden, openModel(t, path, modelfile.OpenOptions{}).Config.VocabSize) {
		m := openModel(t, path, modelfile.OpenOptions{Context: run.Context})
		for _, set := range kernel.Sets() {
			if set.Name == "generic" && len(run.IDs) > 1000 {
				continue // it would take ten seconds
			}
			got := load(t, m, set.Name, run.Context, tensor.F32).forward(t, run.IDs, 0, run.Rows)
			worst, at := 0.0, 0
			for j, w := range run.want {
				if d := math.Abs(float64(got[j]) - float64(w)); !(d <= worst) {
					worst, at = d, j
				}
			}
			v := m.Config.VocabSize
			where := fmt.Sprintf("run %d, %s: position %d, logit %d: %v, transformers gives %v", i, set.Name, run.Rows[at/v], at%v, got[at], run.want[at])
			if !(worst < logitBound) {
				t.Errorf("%s: the difference is %.3g", where, worst)
			}
			t.Logf("%s (worst)", where)
		}
	}
}

// sharedData returns the path of a file of the shared data, or skips the test.
func sharedData(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("CRIA_TEST_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(root, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs shared data: %v", err)
	}
	return path
}

// story is what llama2.c prints with stories260K at temperature 0.
type story struct {
	IDs  []int32 `json:"ids"`
	Text string  `json:"text"`
}

func readStory(t testing.TB) story {
	t.Helper()
	b, err := os.ReadFile("../../testdata/stories260k/greedy.json")
	if err != nil {
		t.Fatal(err)
	}
	var s story
	if err := json.Unmarshal(b, &s); err != nil || len(s.IDs) != 200 {
		t.Fatalf("%d ids, %v", len(s.IDs), err)
	}
	return s
}

// greedy returns the most likely ids after <s>.
func greedy(t testing.TB, l loaded, n int) []int32 {
	t.Helper()
	ids, last := []int32{}, int32(1)
	for pos := range n {
		logits := l.forward(t, []int32{last}, pos, []int32{0})
		best := slices.Max(logits)
		last = int32(slices.Index(logits, best))
		ids = append(ids, last)
	}
	return ids
}

// stories260K tells llama2.c's story, token for token.
func TestStories260K(t *testing.T) {
	path := sharedData(t, "weights/stories260K/stories260K.bin")
	want := readStory(t)
	m := openModel(t, path, modelfile.OpenOptions{Tokenizer: sharedData(t, "weights/stories260K/tok512.bin")})
	for _, cache := range []tensor.DType{tensor.F32, tensor.F16} {
		checkStory(t, m, cache, want)
	}
}

func checkStory(t *testing.T, m *modelfile.Model, cache tensor.DType, want story) {
	t.Helper()
	got := greedy(t, load(t, m, "", 0, cache), len(want.IDs))
	for i := range want.IDs {
		if got[i] != want.IDs[i] {
			t.Fatalf("%s, cache %s: token %d is %d, llama2.c's is %d", m.Path, cache, i, got[i], want.IDs[i])
		}
	}
	if m.Tokenizer == nil {
		t.Fatalf("%s: no tokenizer", m.Path)
	}
	if text, err := m.Tokenizer.Decode(append([]int32{1}, got...)); err != nil || text != want.Text {
		t.Errorf("%s: the text is %q (%v)", m.Path, text, err)
	}
}
