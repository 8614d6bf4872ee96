package generate

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/tensor"
)

// newSession makes a session of a tiny random model with the given context.
func newSession(t *testing.T, context int) *Session {
	t.Helper()
	cfg, err := llama.Shape("0.3m")
	if err != nil {
		t.Fatal(err)
	}
	file, err := modelfile.Random(cfg, modelfile.InitOptions{Type: "q8_0", Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	dev, err := cpu.New(cpu.Options{Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	m, err := llama.NewModel(dev, cfg, file, llama.Options{Context: context}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSession(m, tensor.F16)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Close(), m.Close(), dev.Close(), file.Close()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// letters decodes an id to one of two letters.
type letters struct{}

func (letters) Push(id int32) (string, error) { return "ab"[id&1 : id&1+1], nil }
func (letters) Flush() string                 { return "" }

func TestSessionAllocatesNothingPerToken(t *testing.T) {
	s := newSession(t, 256)
	p := DefaultParams()
	p.RepeatPenalty, p.LogProbs, p.Stop = 1.1, 3, []string{"c"}
	run := func(tokens int) func() {
		return func() {
			p.MaxTokens = tokens
			r := Request{Prompt: []int32{1, 2, 3}, Params: p, Decoder: letters{}}
			if _, err := s.Generate(context.Background(), r, func(Token) bool { return true }); err != nil {
				t.Fatal(err)
			}
		}
	}
	run(200)() // what grows has grown
	few, many := testing.AllocsPerRun(3, run(20)), testing.AllocsPerRun(3, run(200))
	if many > few+5 { // the runtime itself may allocate now and then
		t.Errorf("%v allocations for 200 tokens, %v for 20", many, few)
	}
}

// A generation ends where it is told to, and the reason and counts say so.
func TestHowGenerationEnds(t *testing.T) {
	s := newSession(t, 16)
	p := DefaultParams()
	p.Temperature = 0
	prompt := []int32{1, 5, 9, 20}
	generate := func(p Params, prompt []int32) (ids []int32, res Result, err error) {
		r := Request{Prompt: prompt, Params: p, Decoder: letters{}}
		res, err = s.Generate(context.Background(), r, func(tok Token) bool {
			ids = append(ids, tok.ID)
			return true
		})
		return ids, res, err
	}
	all, res, err := generate(p, prompt)
	if err != nil || res.Finish != FinishLength || len(all) != 16-4 || res.CompletionTokens != 12 {
		t.Fatalf("to the end of a context of 16: %d tokens, %+v, %v", len(all), res, err)
	}
	p.MaxTokens = 5
	if ids, res, err := generate(p, prompt); err != nil || res.Finish != FinishLength || !slices.Equal(ids, all[:5]) || res.CachedTokens != 3 {
		t.Errorf("5 tokens: %v, %+v, %v; without a limit %v", ids, res, err, all)
	}
	end := all[2]
	p.StopIDs = []int32{end}
	first := slices.Index(all, end)
	if ids, res, err := generate(p, prompt); err != nil || res.Finish != FinishStop || !res.HasStopID || res.StopID != end || !slices.Equal(ids, all[:first+1]) {
		t.Errorf("end token %d: %v, %+v, %v; without it %v", end, ids, res, err, all)
	}
	var long *ContextError
	if _, _, err := generate(p, make([]int32, 16)); !errors.As(err, &long) || long.Prompt != 16 || long.Context != 16 {
		t.Errorf("a prompt of 16 tokens in a context of 16: %v", err)
	}
	if _, _, err := generate(p, make([]int32, 15)); err != nil {
		t.Errorf("a prompt of 15 tokens in a context of 16: %v", err)
	}
	if _, _, err := generate(p, nil); err == nil {
		t.Error("a prompt of no tokens was taken")
	}
	if _, _, err := generate(p, []int32{int32(s.model.Config.VocabSize)}); err == nil {
		t.Error("a token beyond the vocabulary was taken")
	}
}

// A cancelled prompt leaves a session that goes on as if nothing had been.
func TestCancelledPrompt(t *testing.T) {
	s := newSession(t, 1024)
	p := DefaultParams()
	p.Temperature, p.MaxTokens = 0, 4
	prompt := make([]int32, 700)
	for i := range prompt {
		prompt[i] = int32(i*7+1) % 100
	}
	generate := func(ctx context.Context, progress func(done, total int)) (ids []int32, res Result, err error) {
		r := Request{Prompt: prompt, Params: p, Progress: progress}
		res, err = s.Generate(ctx, r, func(tok Token) bool {
			ids = append(ids, tok.ID)
			return true
		})
		return ids, res, err
	}
	want, _, err := generate(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s.Reset()
	ctx, cancel := context.WithCancel(context.Background())
	ids, res, err := generate(ctx, func(done, total int) { cancel() })
	if !errors.Is(err, context.Canceled) || len(ids) != 0 || res.CompletionTokens != 0 || res.Finish != "" {
		t.Errorf("cancelled in the prompt: %v, %+v, %v", ids, res, err)
	}
	got, res, err := generate(context.Background(), nil)
	if err != nil || !slices.Equal(got, want) || res.CachedTokens != prefillStep {
		t.Errorf("after that: %v, %+v, %v; at first %v", got, res, err, want)
	}
}
