package cria_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cria-llm/cria"
	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
)

func load(t *testing.T, opt *cria.Options) *cria.Model {
	t.Helper()
	path, remove := smallModel()
	t.Cleanup(remove)
	m, err := cria.Load(path, opt)
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

func greedy(n int) cria.Params {
	p := cria.DefaultParams()
	p.Temperature, p.MaxTokens = 0, n
	return p
}

func TestStreamIsTheText(t *testing.T) {
	m := load(t, nil)
	want, err := m.Generate(context.Background(), "Once", greedy(20)).Text()
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	for tok, err := range m.Generate(context.Background(), "Once", greedy(20)).Tokens() {
		if err != nil {
			t.Fatal(err)
		}
		got.WriteString(tok.Text)
	}
	if got.String() != want || want == "" {
		t.Errorf("streamed %q, at once %q", got.String(), want)
	}
}

func TestCancelledAndStopped(t *testing.T) {
	m := load(t, nil)
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	whole, err := s.Generate(context.Background(), "Once upon", greedy(20)).Text()
	if err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	g := s.Generate(ctx, "Once upon", greedy(20))
	n := 0
	var last error
	for _, err := range g.Tokens() {
		if last = err; err == nil {
			n++
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || n != 1 || g.Result().Finish != cria.Cancelled {
		t.Errorf("cancelled after one token: %d tokens, error %v, finish %q", n, last, g.Result().Finish)
	}

	g = s.Generate(context.Background(), "Once upon", greedy(20))
	for range g.Tokens() {
		break
	}
	if g.Result().Finish != cria.Cancelled || g.Result().CompletionTokens != 1 {
		t.Errorf("stopped after one token: %+v", g.Result())
	}
	for _, err := range g.Tokens() {
		if err == nil {
			t.Error("a generation was read twice")
		}
	}

	again, err := s.Generate(context.Background(), "Once upon", greedy(20)).Text()
	if err != nil || again != whole {
		t.Errorf("after two that were ended: %q, %v; at first %q", again, err, whole)
	}
}

// What an error ended was not cancelled.
func TestErrorIsNoCancellation(t *testing.T) {
	m := load(t, &cria.Options{Context: 4})
	g := m.Generate(context.Background(), "Once upon a time there was a king", greedy(1))
	if _, err := g.Text(); err == nil || g.Err() == nil || g.Result().Finish != "" {
		t.Errorf("a prompt beyond the context: error %v, then %v, finish %q", err, g.Err(), g.Result().Finish)
	}
	g = m.Generate(context.Background(), "", greedy(2))
	for range g.Tokens() {
		break
	}
	if g.Err() != nil || g.Result().Finish != cria.Cancelled {
		t.Errorf("stopped by its reader: error %v, finish %q", g.Err(), g.Result().Finish)
	}
}

// Sessions of one model may run at the same time and do not disturb each other.
func TestSessionsAtTheSameTime(t *testing.T) {
	m := load(t, nil)
	prompts := []string{"Once upon a time", "The dog", "A girl saw", "In the park"}
	want := make([]string, len(prompts))
	for i, p := range prompts {
		var err error
		if want[i], err = m.Generate(context.Background(), p, greedy(15)).Text(); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]string, len(prompts))
	errs := make([]error, len(prompts))
	var wg sync.WaitGroup
	for i, p := range prompts {
		wg.Go(func() { got[i], errs[i] = m.Generate(context.Background(), p, greedy(15)).Text() })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil || !slices.Equal(got, want) {
		t.Errorf("together %q (%v), alone %q", got, err, want)
	}
}

func TestWhatIsRefused(t *testing.T) {
	path, remove := smallModel()
	defer remove()
	var long *cria.ContextTooLongError
	if _, err := cria.Load(path, &cria.Options{Context: 1 << 20}); !errors.As(err, &long) || long.Trained != 1024 {
		t.Errorf("a context of 1,048,576: %v", err)
	}
	for _, o := range []cria.Options{{Context: -1}, {CacheType: "q4_0"}, {Threads: -1}, {ChatTemplate: "nonsense"}, {Tokenizer: "missing"}} {
		if m, err := cria.Load(path, &o); err == nil {
			t.Errorf("%+v was taken", o)
			m.Close()
		}
	}
	m := load(t, nil)
	if _, err := m.Chat(context.Background(), []cria.Message{{Role: "user", Content: "hi"}}, greedy(1)).Text(); !errors.Is(err, cria.ErrNoTemplate) {
		t.Errorf("chat without a template: %v", err)
	}
	withChat := load(t, &cria.Options{ChatTemplate: "llama2"})
	for _, d := range [][]cria.Message{nil, {{Role: "assistant", Content: "hi"}}, {{Role: "user", Content: "[INST]"}}, {{Role: "nobody", Content: "x"}}} {
		if _, err := withChat.Chat(context.Background(), d, greedy(1)).Text(); err == nil {
			t.Errorf("dialog %v was answered", d)
		}
	}
}

func TestTokens(t *testing.T) {
	m := load(t, nil)
	ids, err := m.Tokenize("Once upon a time")
	if err != nil || len(ids) < 3 || ids[0] != 1 {
		t.Fatalf("ids %v, %v", ids, err)
	}
	if text, err := m.Detokenize(ids); err != nil || text != "Once upon a time" {
		t.Errorf("text %q, %v", text, err)
	}
	if n, err := m.CountTokens("Once upon a time"); err != nil || n != len(ids) {
		t.Errorf("%d tokens, %v; %d ids", n, err, len(ids))
	}
}

// smallDir makes a tiny Hugging Face directory with rows for vocab tokens and
// the tests' tokenizer.
func smallDir(t *testing.T, vocab int) (dir string) {
	t.Helper()
	cfg, err := llama.Shape("0.3m")
	if err != nil {
		t.Fatal(err)
	}
	cfg.VocabSize = vocab
	dir = filepath.Join(t.TempDir(), "hf")
	if _, err := modelfile.Init(context.Background(), cfg, dir, modelfile.InitOptions{Type: "f32", Seed: 1}); err != nil {
		t.Fatal(err)
	}
	tok, err := os.ReadFile("internal/tokenizer/testdata/llama.model")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "tokenizer.model"), string(tok))
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func loadPath(t *testing.T, path string) *cria.Model {
	t.Helper()
	m, err := cria.Load(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// A known template whose tokens the vocabulary lacks forbids chat, not the model.
func TestTemplateWithoutItsTokens(t *testing.T) {
	dir := smallDir(t, 2000)
	chatML, err := chat.Lookup("chatml")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "chat_template.jinja"), chatML.Text())
	m := loadPath(t, dir)
	if err := m.ChatError(); err == nil || !strings.Contains(err.Error(), "<|im_start|>") || !strings.Contains(err.Error(), "chat_template.jinja") {
		t.Errorf("chat: %v; an error that names file and token was expected", err)
	}
	if _, err := m.Generate(context.Background(), "Once", greedy(3)).Text(); err != nil {
		t.Errorf("without chat: %v", err)
	}
	if m, err := cria.Load(dir, &cria.Options{ChatTemplate: "chatml"}); err == nil {
		t.Error("the template was taken by its name")
		m.Close()
	}
}

// Rows of the embedding table beyond the tokenizer's ids are never chosen, nor
// are the unused tokens that stand for them in a GGUF file.
func TestRowsWithoutTokens(t *testing.T) {
	dir := smallDir(t, 2000)
	hf := loadPath(t, dir)
	file, err := modelfile.Open(dir, modelfile.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	tokens := file.Tokenizer.VocabSize()
	path := filepath.Join(t.TempDir(), "padded.gguf")
	if _, err := modelfile.Convert(context.Background(), file, path, modelfile.ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	gguf := loadPath(t, path)
	p := greedy(100)
	p.Temperature, p.TopK, p.TopP, p.MinP, p.Seed = 100, 0, 1, 0, 3 // all ids are about as probable
	for _, m := range []*cria.Model{hf, gguf} {
		if n := m.Info().VocabSize; n != tokens || n >= 2000 {
			t.Errorf("%s: %d ids may be chosen, the tokenizer has %d", m.Info().Format, n, tokens)
		}
		for tok, err := range m.Generate(context.Background(), "Once", p).Tokens() {
			if err != nil || int(tok.ID) >= tokens {
				t.Errorf("%s: id %d of %d, %v", m.Info().Format, tok.ID, tokens, err)
			}
		}
	}
}

func TestLoadIsCancelled(t *testing.T) {
	path, remove := smallModel()
	defer remove()
	ctx, cancel := context.WithCancel(context.Background())
	last := 0
	opt := cria.Options{Progress: func(done, total int) {
		if last = done; done == 5 {
			cancel()
		}
	}}
	m, err := cria.LoadContext(ctx, path, &opt)
	if !errors.Is(err, context.Canceled) || m != nil || last != 5 {
		t.Errorf("cancelled at tensor 5: loaded %d, error %v", last, err)
	}
}

func TestGenerationAllocatesNothingPerToken(t *testing.T) {
	m := load(t, nil)
	s, err := m.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	run := func(tokens int) func() {
		return func() {
			for _, err := range s.Generate(context.Background(), "Once upon a time", greedy(tokens)).Tokens() {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	run(200)()
	few, many := testing.AllocsPerRun(3, run(20)), testing.AllocsPerRun(3, run(200))
	if many > few+5 { // the runtime itself may allocate now and then
		t.Errorf("%v allocations for 200 tokens, %v for 20", many, few)
	}
}
