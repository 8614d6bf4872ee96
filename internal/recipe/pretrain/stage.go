package pretrain

import (
	"context"
	"errors"
	"fmt"

	"github.com/cria-llm/cria/internal/data/shard"
	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/generate"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tensor"
	"github.com/cria-llm/cria/internal/tokenizer"
	"github.com/cria-llm/cria/internal/train"
)

// stage is pretraining's part of the loop.
type stage struct {
	c     *Config
	model *llama.TrainModel
	tok   *tokenizer.Tokenizer
	split *shard.Split
	order *shard.Sequences
	valid *shard.Sequences // nil where there is no validation

	seq   shard.Sequence
	batch llama.TrainBatch

	// For samples, made when they are first wanted.
	infer   *llama.Model
	session *generate.Session
}

func newStage(c *Config, model *llama.TrainModel, tok *tokenizer.Tokenizer, set *shard.Dataset) (*stage, error) {
	s := &stage{c: c, model: model, tok: tok}
	for i, prompt := range c.Samples.Prompts { // the first sample may be hours away
		if n := len(s.encode(prompt)); n < 1 || n >= c.Model.Context {
			return nil, fmt.Errorf("pretrain: samples.prompts[%d], %q, has %d tokens; 1 to %d are possible with a context of %d", i, prompt, n, c.Model.Context-1, c.Model.Context)
		}
	}
	var err error
	if s.split, err = set.Split(shard.Train); err != nil {
		return nil, err
	}
	if s.order, err = s.split.Shuffled(c.Seed, c.Sequence); err != nil {
		return nil, err
	}
	valid, err := set.Split(shard.Valid)
	if err != nil {
		return nil, err
	}
	if valid.Tokens() > 1 && c.ValidateTokens > 0 {
		s.valid, err = valid.InOrder(c.Sequence)
	}
	return s, err
}

func (s *stage) close() error {
	if s.session == nil {
		return nil
	}
	return errors.Join(s.session.Close(), s.infer.Close())
}

// fill makes a micro-batch of the sequences [lo, hi) of a stream.
func (s *stage) fill(from *shard.Sequences, lo, hi int64) error {
	b := &s.batch
	b.Tokens, b.Targets, b.Spans, b.ZLoss = b.Tokens[:0], b.Targets[:0], b.Spans[:0], float32(s.c.ZLoss)
	for k := lo; k < hi; k++ {
		if err := from.At(k, &s.seq); err != nil {
			return err
		}
		row, n := len(b.Tokens), len(s.seq.Tokens)-1
		b.Tokens = append(b.Tokens, s.seq.Tokens[:n]...)
		b.Targets = append(b.Targets, s.seq.Tokens[1:]...)
		for i, learn := range s.seq.Learn[1:] {
			if !learn {
				b.Targets[row+i] = -1
			}
		}
		if !s.c.Isolate {
			b.Spans = append(b.Spans, device.Span{Row: row, N: n})
			continue
		}
		for i, p := range s.seq.Parts {
			end := n
			if i+1 < len(s.seq.Parts) { // what the next document begins with cannot be known
				end = s.seq.Parts[i+1].Start
				b.Targets[row+end-1] = -1
			}
			if end > p.Start {
				b.Spans = append(b.Spans, device.Span{Row: row + p.Start, N: end - p.Start})
			}
		}
	}
	return nil
}

// Learn adds the gradients of one optimiser step.
func (s *stage) Learn(ctx context.Context, step int) (sums train.Sums, err error) {
	first := int64(step-1) * int64(s.c.Batch)
	last := first + int64(s.c.Batch)
	for k := first; k < last; k += int64(s.c.MicroBatch) {
		if err := ctx.Err(); err != nil {
			return sums, err
		}
		if err := s.fill(s.order, k, min(k+int64(s.c.MicroBatch), last)); err != nil {
			return sums, err
		}
		l, err := s.model.Learn(&s.batch)
		if err != nil {
			return sums, err
		}
		sums.Loss.Add(l)
		sums.Tokens += len(s.batch.Tokens)
		sums.FLOPs += s.model.Config.TrainFLOPs(s.batch.Spans)
	}
	sums.Sequences = int64(s.c.Batch)
	return sums, nil
}

// Samples names the documents of a step's sequences.
func (s *stage) Samples(step int) []string {
	first := int64(step-1) * int64(s.c.Batch)
	var list []string
	for k := first; k < first+int64(s.c.Batch); k++ {
		name := fmt.Sprintf("sequence %d", k)
		if err := s.order.At(k, &s.seq); err != nil {
			list = append(list, fmt.Sprintf("%s (%v)", name, err))
			continue
		}
		for _, p := range s.seq.Parts {
			id, err := s.split.ID(p.Document)
			if err != nil {
				id = err.Error()
			}
			name += fmt.Sprintf(" [%s from token %d]", id, p.Offset)
		}
		list = append(list, name)
	}
	return list
}

// Validate is the mean loss of the validation split's beginning.
func (s *stage) Validate(ctx context.Context) (map[string]float64, error) {
	if s.valid == nil {
		return nil, nil
	}
	most := min(s.valid.PerEpoch(), max(1, s.c.ValidateTokens/int64(s.c.Sequence)))
	var sum llama.Loss
	for k := int64(0); k < most; k += int64(s.c.MicroBatch) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.fill(s.valid, k, min(k+int64(s.c.MicroBatch), most)); err != nil {
			return nil, err
		}
		l, err := s.model.Loss(&s.batch)
		if err != nil {
			return nil, err
		}
		sum.Add(l)
	}
	return map[string]float64{"val_loss": sum.Mean()}, nil
}

func (s *stage) encode(prompt string) []int32 {
	return s.tok.Encode(prompt, tokenizer.EncodeOptions{BOS: true})
}

// Sample continues the configured prompts.
func (s *stage) Sample(ctx context.Context) (list []train.Sample, err error) {
	if s.session == nil && len(s.c.Samples.Prompts) > 0 {
		if s.infer, err = s.model.Inference(llama.Options{MaxRows: 64, MaxLogits: 1}); err != nil {
			return nil, err
		}
		if s.session, err = generate.NewSession(s.infer, tensor.F32); err != nil {
			return nil, errors.Join(err, s.infer.Close())
		}
	}
	for _, prompt := range s.c.Samples.Prompts {
		s.session.Reset() // the weights have changed since
		p := generate.DefaultParams()
		p.MaxTokens, p.Temperature, p.Seed = s.c.Samples.Tokens, s.c.Samples.Temperature, s.c.Seed
		if id, ok := s.tok.EOS(); ok {
			p.StopIDs = []int32{id}
		}
		var text []byte
		_, err := s.session.Generate(ctx, generate.Request{Prompt: s.encode(prompt), Params: p, Vocab: s.tok.VocabSize(), Decoder: s.tok.NewDecoder(false)}, func(t generate.Token) bool {
			text = append(text, t.Text...)
			return true
		})
		if err != nil {
			return nil, err
		}
		list = append(list, train.Sample{Prompt: prompt, Text: string(text)})
	}
	return list, nil
}
