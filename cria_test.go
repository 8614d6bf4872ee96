package cria_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cria-llm/cria"
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
