package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cria-llm/cria/internal/generate"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"cria": func() { os.Exit(Main(os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})) },
	})
}

// tokenizerFile is a small SentencePiece model with Llama's layout.
const tokenizerFile = "../tokenizer/testdata/llama.model"

// The scripts run the program as a user does.
func TestScripts(t *testing.T) {
	tok, err := os.ReadFile(tokenizerFile)
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("CRIA_MODEL", "")
			return os.WriteFile(filepath.Join(e.WorkDir, "tokenizer.model"), tok, 0o600)
		},
	})
}

// call runs the command line in this process.
func call(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	code = Main(args, Streams{In: strings.NewReader(stdin), Out: &out, Err: &errOut})
	return code, out.String(), errOut.String()
}

func TestExitCodes(t *testing.T) {
	t.Setenv(modelEnv, "")
	missing := filepath.Join(t.TempDir(), "missing.gguf")
	for _, c := range []struct {
		args []string
		code int
		says string // on stderr
	}{
		{[]string{"version"}, exitOK, ""},
		{[]string{"nonsense"}, exitUsage, `no command "nonsense"`},
		{[]string{"run", "--nonsense"}, exitUsage, "nonsense"},
		{[]string{"run", "hello"}, exitUsage, "CRIA_MODEL"},
		{[]string{"run", "-m", missing, "hello"}, exitFailed, missing},
		{[]string{"run", "a", "b"}, exitUsage, `"b"`},
		{[]string{"run", "-m", missing, "--raw", "--chat", "x"}, exitUsage, "exclude"},
		{[]string{"run", "-m", missing, "--chat=nonsense", "x"}, exitUsage, "nonsense"},
		{[]string{"run", "-m", missing, "--top-p", "2", "x"}, exitUsage, "top-p"},
		{[]string{"run", "-m", missing, "--temp", "NaN", "x"}, exitUsage, "temperature"},
		{[]string{"run", "-m", missing, "--cache-type", "q3", "x"}, exitFailed, "q3"},
		{[]string{"show"}, exitUsage, "MODEL missing"},
		{[]string{"convert", "a"}, exitUsage, "missing"},
		{[]string{"convert", missing, "b.gguf", "--type", "q9"}, exitUsage, "q9"},
		{[]string{"quantize", missing, "b", "q4_0"}, exitUsage, ".gguf"},
		{[]string{"init", "--shape", "1m"}, exitUsage, "-o"},
		{[]string{"init", "--shape", "2m", "-o", "x.gguf"}, exitUsage, "2m"},
		{[]string{"tokenize", "-m", tokenizerFile, "--decode", "x"}, exitUsage, `"x"`},
		{[]string{"tokenize", "-m", tokenizerFile, "--decode", "99999"}, exitUsage, "99999"},
		{[]string{"bench", "-m", missing, "--shape", "1m"}, exitUsage, "exclude"},
	} {
		code, _, stderr := call("", c.args...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("cria %s: exit code %d, want %d; stderr %q should contain %q", strings.Join(c.args, " "), code, c.code, stderr, c.says)
		}
	}
}

// Every command has a help text with an example that begins with its name.
func TestHelp(t *testing.T) {
	root := newRoot(Streams{})
	for _, cmd := range root.Commands() {
		code, out, _ := call("", cmd.Name(), "--help")
		if code != exitOK || !strings.Contains(out, "Examples:") || !strings.Contains(out, "cria "+cmd.Name()) {
			t.Errorf("cria %s --help: exit code %d, or no example in\n%s", cmd.Name(), code, out)
		}
	}
}

// A conversation's settings are shown and changed by the names of the flags.
func TestSettings(t *testing.T) {
	d := &dialog{c: &runConfig{Sampling: generate.DefaultParams()}}
	if err := d.change("temp 0.25"); err != nil {
		t.Fatal(err)
	}
	if err := d.change("logit-bias 13=-inf"); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"temp -1", "temp", "nonsense 3", "top-p x"} {
		if err := d.change(bad); err == nil {
			t.Errorf("/set %s was taken", bad)
		}
	}
	text := settings(d.c.Sampling)
	for _, want := range []string{"temp               0.25\n", "logit-bias         13=-Inf\n", "top-k              40\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("settings are\n%swithout %q", text, want)
		}
	}
}
