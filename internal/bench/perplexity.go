package bench

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tensor"
)

// Perplexity is how well a model predicts a text.
type Perplexity struct {
	Tokens     int     `json:"tokens"`      // tokens scored
	TextTokens int     `json:"text_tokens"` // tokens of the text, the begin token included
	Chunks     int     `json:"chunks"`      // windows of Context tokens
	Context    int     `json:"context"`     //
	NLL        float64 `json:"nll"`         // mean negative log-likelihood per scored token, in nats
	NLLStdErr  float64 `json:"nll_stderr"`  // standard error of that mean
	PPL        float64 `json:"perplexity"`  // exp(NLL)
	PPLStdErr  float64 `json:"ppl_stderr"`  // NLLStdErr * PPL
}

// scoreRows bounds the logits held at once.
const scoreRows = 64

// nll gathers negative log-likelihoods.
type nll struct {
	n            int
	sum, squares float64
}

func (s *nll) add(v float64) {
	s.n++
	s.sum += v
	s.squares += v * v
}

func (s *nll) result(r *Perplexity) {
	n := float64(s.n)
	r.Tokens = s.n
	r.NLL = s.sum / n
	if v := s.squares/n - r.NLL*r.NLL; v > 0 && s.n > 1 {
		r.NLLStdErr = math.Sqrt(v / (n - 1))
	}
	r.PPL = math.Exp(r.NLL)
	r.PPLStdErr = r.NLLStdErr * r.PPL
}

// MeasurePerplexity scores a text with llama.cpp's windowing (llama-perplexity
// without a stride), so that figures compare: the ids, which begin with the
// begin token, are cut into windows of window tokens, a rest is left out; the
// first token of each window is replaced by the begin token (bos; none where it
// is negative); tokens in the second half of a window are scored, each from
// what stands before it in its window. progress gets the running result.
func MeasurePerplexity(ctx context.Context, m *llama.Model, ids []int32, bos int32, window int, cache tensor.DType, progress func(done, total int, soFar Perplexity)) (res Perplexity, err error) {
	if window < 4 || window > m.Context {
		return res, fmt.Errorf("bench: a window of %d tokens; 4 to %d (the context) are possible", window, m.Context)
	}
	if len(ids) < 2*window {
		return res, fmt.Errorf("bench: the text has %d tokens; windows of %d tokens need at least %d: take a longer text or a smaller window", len(ids), window, 2*window)
	}
	pages := make([]int32, (window+device.PageTokens-1)/device.PageTokens)
	for i := range pages {
		pages[i] = int32(i)
	}
	kv, err := m.NewKV(len(pages), cache)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, kv.Close()) }()

	res = Perplexity{TextTokens: len(ids), Chunks: len(ids) / window, Context: window}
	chunk := make([]int32, window)
	logits := make([]float32, min(scoreRows, window)*m.Config.VocabSize)
	var score nll
	for c := range res.Chunks {
		copy(chunk, ids[c*window:])
		if bos >= 0 {
			chunk[0] = bos
		}
		if err := scoreChunk(ctx, m, kv, pages, chunk, logits, &score); err != nil {
			return res, err
		}
		if math.IsNaN(score.sum) || math.IsInf(score.sum, 0) {
			return res, fmt.Errorf("bench: window %d: the model gives logits that are no finite numbers; the model file may be damaged: try `cria show --verify`", c+1)
		}
		score.result(&res)
		if progress != nil {
			progress(c+1, res.Chunks, res)
		}
	}
	return res, nil
}

// scoreChunk scores the second half of one window.
func scoreChunk(ctx context.Context, m *llama.Model, kv device.KV, pages, chunk []int32, logits []float32, score *nll) error {
	half := len(chunk) / 2
	vocab := m.Config.VocabSize
	rows := len(logits) / vocab
	outputs := make([]int32, 0, rows)
	for lo := 0; lo < len(chunk)-1; {
		if err := ctx.Err(); err != nil {
			return err
		}
		hi := half // the first half only fills the cache
		outputs = outputs[:0]
		if lo >= half {
			hi = min(lo+rows, len(chunk)-1) // the last position's prediction lies outside of the window
			for i := range hi - lo {
				outputs = append(outputs, int32(i))
			}
		}
		b := llama.Batch{Tokens: chunk[lo:hi], Spans: []device.Span{{N: hi - lo, Pos: lo, Pages: pages}}, Outputs: outputs}
		if err := m.Forward(&b, kv, logits[:len(outputs)*vocab]); err != nil {
			return err
		}
		for i := range outputs {
			score.add(negLogProb(logits[i*vocab:(i+1)*vocab], chunk[lo+i+1]))
		}
		lo = hi
	}
	return nil
}

// negLogProb is -log softmax(logits)[id], in float64.
func negLogProb(logits []float32, id int32) float64 {
	top := float64(logits[0])
	for _, l := range logits {
		top = max(top, float64(l))
	}
	sum := 0.0
	for _, l := range logits {
		sum += math.Exp(float64(l) - top)
	}
	return top + math.Log(sum) - float64(logits[id])
}
