package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cria-llm/cria"
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
		{[]string{"run", "-n", "4", "hello"}, exitOK, "no model is named"},
		{[]string{"run", "-m", missing, "hello"}, exitFailed, missing},
		{[]string{"run", "a", "b"}, exitUsage, `"b"`},
		{[]string{"run", "-m", missing, "--raw", "--chat", "x"}, exitUsage, "exclude"},
		{[]string{"run", "-m", missing, "--chat=nonsense", "x"}, exitUsage, "nonsense"},
		{[]string{"run", "-m", missing, "--top-p", "2", "x"}, exitUsage, "top-p"},
		{[]string{"run", "-m", missing, "--temp", "NaN", "x"}, exitUsage, "temperature"},
		{[]string{"run", "-m", missing, "--cache-type", "q3", "x"}, exitUsage, "q3"},
		{[]string{"run", "-m", missing, "--chat", "llama2", "x"}, exitUsage, "--chat=llama2"},
		{[]string{"bench", "-m", missing, "--tokenizer", "x"}, exitUsage, "--tokenizer"},
		{[]string{"perplexity", "-m", missing, "--ctx", "-1", "x"}, exitUsage, "--ctx -1"},
		{[]string{"run", "-m", missing, "--ctx", "-1", "x"}, exitUsage, "--ctx -1"},
		{[]string{"bench", "-m", missing, "--ctx", "-1"}, exitUsage, "--ctx -1"},
		{[]string{"bench", "-m", missing, "--cache-type", "q3"}, exitUsage, "q3"},
		{[]string{"show"}, exitUsage, "MODEL missing"},
		{[]string{"convert", "a"}, exitUsage, "missing"},
		{[]string{"convert", missing, "b.gguf", "--type", "q9"}, exitUsage, "q9"},
		{[]string{"quantize", missing, "b", "q4_0"}, exitUsage, ".gguf"},
		{[]string{"init", "--shape", "1m"}, exitUsage, "-o"},
		{[]string{"init", "--shape", "3m", "-o", "x.gguf"}, exitUsage, "3m"},
		{[]string{"tokenize", "-m", tokenizerFile, "--decode", "x"}, exitUsage, `"x"`},
		{[]string{"tokenize", "-m", tokenizerFile, "--decode", "99999"}, exitUsage, "99999"},
		{[]string{"bench", "-m", missing, "--shape", "1m"}, exitUsage, "exclude"},
		{[]string{"convert", missing, "b.gguf", "--threads", "-1"}, exitUsage, "--threads -1"},
		{[]string{"bench", "--shape", "0.3m", "--threads", "-1"}, exitFailed, "-1 threads"},
		{[]string{"bench", "--shape", "0.3m", "--type", "q9"}, exitUsage, "q9"},
		{[]string{"bench", "--shape", "0.3m", "--type", "f32", "--cache-type", "q8_0"}, exitFailed, "multiple of 32"},
		{[]string{"init", "--shape", "1m", "--type", "q9", "-o", "x.gguf"}, exitUsage, "q9"},
		{[]string{"bench", "--shape", "0.3m", "--ctx", "-1"}, exitUsage, "--ctx -1"},
		{[]string{"bench", "--shape", "0.3m", "--ctx", "5000"}, exitUsage, "--extend-context"},
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
	for _, bad := range []string{"temp -1", "temp", "nonsense 3", "top-p x", "logprobs 2"} {
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

// Whoever waits for standard input can be interrupted.
func TestWaitingForInputIsInterrupted(t *testing.T) {
	t.Setenv(modelEnv, "")
	for _, args := range [][]string{
		{"run", "-m", "missing", "-"},
		{"tokenize", "-m", tokenizerFile, "-"},
		{"perplexity", "-m", "missing", "-"},
	} {
		never, w := io.Pipe()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		root := newRoot(Streams{In: never, Out: io.Discard, Err: io.Discard})
		root.SetArgs(args)
		if err := root.ExecuteContext(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%v: %v", args, err)
		}
		w.Close()
	}
}

// A model whose logits are NaN has no perplexity.
func TestPerplexityOfDamagedModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if code, _, stderr := call("", "init", "--shape", "0.3m", "--vocab", tokenizerFile, "-o", path); code != exitOK {
		t.Fatal(stderr)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	gain := bytes.Repeat([]byte{0, 0, 0x80, 0x3f}, 64) // a norm's: 1.0 throughout
	at := bytes.Index(b, gain)
	if at < 0 {
		t.Fatal("the file has no norm")
	}
	copy(b[at:], []byte{0, 0, 0xc0, 0x7f}) // NaN
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, stderr := call(strings.Repeat("Once upon a time. ", 40), "perplexity", "-m", path, "--ctx", "16", "-")
	if code != exitFailed || !strings.Contains(stderr, "show --verify") {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
}

// A system message that is refused leaves the dialog as it was.
func TestSystemMessageIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if code, _, stderr := call("", "init", "--shape", "0.3m", "--vocab", tokenizerFile, "-o", path); code != exitOK {
		t.Fatal(stderr)
	}
	m, err := cria.Load(path, &cria.Options{ChatTemplate: "llama2"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var said bytes.Buffer
	d := &dialog{c: &runConfig{Sampling: generate.DefaultParams()}, cmd: newRoot(Streams{Err: &said}), m: m, s: s, out: io.Discard}
	d.c.Sampling.MaxTokens = 2
	if err := d.restart("Be brief."); err != nil {
		t.Fatal(err)
	}
	d.cmd.SetContext(context.Background())
	if err := d.answer("Hi"); err != nil {
		t.Fatal(err)
	}
	d.command("/system Be [INST] brief.")
	if !strings.Contains(said.String(), "[INST]") || d.c.System != "Be brief." || len(d.conv.Messages()) != 3 {
		t.Errorf("said %q; system %q, %d messages", said.String(), d.c.System, len(d.conv.Messages()))
	}
	d.command("/system")
	if d.c.System != "" || len(d.conv.Messages()) != 0 {
		t.Errorf("without a text: system %q, %d messages", d.c.System, len(d.conv.Messages()))
	}
}
