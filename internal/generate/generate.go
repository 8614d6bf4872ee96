// Package generate turns a model into text: it keeps the KV cache, samples,
// detokenises and stops.
package generate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tensor"
)

// Decoder turns ids into text as they come, whole UTF-8 characters only.
type Decoder interface {
	// Push returns the text that id completes, often empty.
	Push(id int32) (string, error)
	// Flush returns what an unfinished character leaves at the end.
	Flush() string
}

// FinishReason says why generation ended.
type FinishReason string

// The reasons, spelled as OpenAI's API spells them.
const (
	FinishStop   FinishReason = "stop"   // an end token or a stop text
	FinishLength FinishReason = "length" // MaxTokens or the context
)

// Token is one generated token.
type Token struct {
	ID      int32
	Text    string   // text that this token releases, possibly of earlier ones; may be empty
	End     bool     // an end token (Params.StopIDs): it has no text of its own
	LogProb float64  // only with Params.LogProbs >= 0
	Top     []Choice // the most probable alternatives; valid until the next token
}

// Result sums a generation up.
type Result struct {
	Finish           FinishReason
	StopID           int32 // the end token, where Finish is stop and HasStopID
	HasStopID        bool
	PromptTokens     int
	CachedTokens     int // of the prompt, found in the cache
	CompletionTokens int // the end token included
	PromptTime       time.Duration
	DecodeTime       time.Duration
}

// ParseCacheType returns the element type of a KV cache by its name; "" is f16.
func ParseCacheType(name string) (tensor.DType, error) {
	switch name {
	case "", "f16":
		return tensor.F16, nil
	case "f32":
		return tensor.F32, nil
	case "q8_0":
		return tensor.Q8_0, nil
	}
	return tensor.Invalid, fmt.Errorf("generate: cache type %q; f16, f32 and q8_0 are possible", name)
}

// Session is one sequence with its cache. A prompt that begins as the last
// sequence did costs only its new tokens; equal bits make that exact.
type Session struct {
	model  *llama.Model
	kv     device.KV
	pages  []int32
	past   []int32 // ids whose keys and values are in the cache
	logits []float32
	batch  llama.Batch
	tokens [1]int32
	spans  [1]device.Span
	out    [1]int32
}

// NewSession makes a session with room for the model's whole context.
func NewSession(m *llama.Model, cache tensor.DType) (*Session, error) {
	pages := (m.Context + device.PageTokens - 1) / device.PageTokens
	kv, err := m.NewKV(pages, cache)
	if err != nil {
		return nil, err
	}
	s := &Session{model: m, kv: kv, pages: make([]int32, pages), logits: make([]float32, m.Config.VocabSize),
		past: make([]int32, 0, m.Context)}
	for i := range s.pages {
		s.pages[i] = int32(i)
	}
	return s, nil
}

// Close frees the cache.
func (s *Session) Close() error { return s.kv.Close() }

// Reset forgets the sequence.
func (s *Session) Reset() { s.past = s.past[:0] }

// prefillStep is how many prompt tokens are computed between two looks at the
// context: one micro-batch.
const prefillStep = device.MicroBatch

// prefill brings the cache to hold exactly ids and leaves the last one's logits
// in s.logits. It returns how many ids were there before.
func (s *Session) prefill(ctx context.Context, ids []int32, progress func(done, total int)) (cached int, err error) {
	for cached < len(ids)-1 && cached < len(s.past) && s.past[cached] == ids[cached] {
		cached++
	}
	s.past = s.past[:cached]
	for lo := cached; lo < len(ids); {
		if err := ctx.Err(); err != nil {
			return cached, err
		}
		hi := min(lo+prefillStep, len(ids))
		s.spans[0] = device.Span{Row: 0, N: hi - lo, Pos: lo, Pages: s.pages}
		s.batch = llama.Batch{Tokens: ids[lo:hi], Spans: s.spans[:]}
		var logits []float32
		if hi == len(ids) {
			s.out[0] = int32(hi - lo - 1)
			s.batch.Outputs, logits = s.out[:], s.logits
		}
		if err := s.model.Forward(&s.batch, s.kv, logits); err != nil {
			s.Reset()
			return cached, err
		}
		s.past = append(s.past, ids[lo:hi]...)
		lo = hi
		if progress != nil {
			progress(hi, len(ids))
		}
	}
	return cached, nil
}

// step appends one token and computes the next logits.
func (s *Session) step(id int32) error {
	s.tokens[0], s.out[0] = id, 0
	s.spans[0] = device.Span{Row: 0, N: 1, Pos: len(s.past), Pages: s.pages}
	s.batch = llama.Batch{Tokens: s.tokens[:], Spans: s.spans[:], Outputs: s.out[:]}
	if err := s.model.Forward(&s.batch, s.kv, s.logits); err != nil {
		s.Reset()
		return err
	}
	s.past = append(s.past, id)
	return nil
}

// ContextError says that a prompt does not fit.
type ContextError struct{ Prompt, Context int }

func (e *ContextError) Error() string {
	return fmt.Sprintf("generate: the prompt has %d tokens and the context holds %d (one place is needed for the answer); shorten the prompt or ask for a longer context with --ctx", e.Prompt, e.Context)
}

// Request is one generation.
type Request struct {
	Prompt   []int32
	Params   Params
	Vocab    int                   // ids from here on are never chosen
	Decoder  Decoder               // fresh, or nil: then tokens carry no text and stop texts are refused
	Progress func(done, total int) // of the prompt; may be nil
}

// Generate runs a request. yield gets every token in order and may end the
// generation by returning false. When ctx is cancelled Generate returns the
// result so far and the context's error; the session stays usable.
func (s *Session) Generate(ctx context.Context, r Request, yield func(Token) bool) (Result, error) {
	res := Result{PromptTokens: len(r.Prompt)}
	if len(r.Prompt) == 0 {
		return res, fmt.Errorf("generate: the prompt has no tokens; give at least a begin token")
	}
	if len(r.Prompt) >= s.model.Context {
		return res, &ContextError{len(r.Prompt), s.model.Context}
	}
	if r.Decoder == nil && len(r.Params.Stop) > 0 {
		return res, fmt.Errorf("generate: stop texts need a tokenizer")
	}
	vocab := r.Vocab
	if vocab == 0 {
		vocab = s.model.Config.VocabSize
	}
	sampler, err := NewSampler(r.Params, min(vocab, s.model.Config.VocabSize))
	if err != nil {
		return res, err
	}
	for _, id := range r.Prompt {
		sampler.Accept(id)
	}
	start := time.Now()
	res.CachedTokens, err = s.prefill(ctx, r.Prompt, r.Progress)
	res.PromptTime = time.Since(start)
	if err != nil {
		return res, err
	}
	start = time.Now()
	err = s.decode(ctx, &r, sampler, &res, yield)
	res.DecodeTime = time.Since(start)
	return res, err
}

// decode generates until something ends it.
func (s *Session) decode(ctx context.Context, r *Request, sampler *Sampler, res *Result, yield func(Token) bool) error {
	stop := stopper{stops: r.Params.Stop}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		id, err := sampler.Sample(s.logits)
		if err != nil {
			return err
		}
		res.CompletionTokens++
		tok := Token{ID: id}
		if r.Params.LogProbs >= 0 {
			tok.LogProb, tok.Top = sampler.LogProbs(s.logits, id)
		}
		if slices.Contains(r.Params.StopIDs, id) {
			res.Finish, res.StopID, res.HasStopID = FinishStop, id, true
			tok.End, tok.Text = true, tail(r.Decoder, &stop)
			yield(tok)
			return nil
		}
		sampler.Accept(id)
		done := false
		if r.Decoder != nil {
			text, err := r.Decoder.Push(id)
			if err != nil {
				return err
			}
			tok.Text, done = stop.push(text)
		}
		last := !done && (res.CompletionTokens == r.Params.MaxTokens || len(s.past)+1 >= s.model.Context)
		if last {
			tok.Text += tail(r.Decoder, &stop)
		}
		more := yield(tok)
		switch {
		case done:
			res.Finish = FinishStop
			return nil
		case last:
			res.Finish = FinishLength
			return nil
		case !more:
			return nil
		}
		if err := s.step(id); err != nil {
			return err
		}
	}
}

// tail is the text still held back at the end. A stop text completed only by
// the decoder's last bytes still counts.
func tail(d Decoder, stop *stopper) string {
	if d == nil {
		return ""
	}
	out, done := stop.push(d.Flush())
	if done {
		return out
	}
	return out + stop.flush()
}
