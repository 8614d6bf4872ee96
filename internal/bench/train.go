package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/optim"
	"github.com/cria-llm/cria/internal/sys/meminfo"
	"github.com/cria-llm/cria/internal/tensor"
)

const (
	trainWarmUp = 2                      // steps
	trainRound  = 500 * time.Millisecond // of training per round
	limitRound  = 100 * time.Millisecond // of the compute limit per round
)

// TrainConfig is what to measure of training: whole optimiser steps (forward,
// backward, clipping, AdamW) of one batch.
type TrainConfig struct {
	Batch         int    // sequences of a step
	Seq           int    // tokens of a sequence
	DType         string // of products: f32 or bf16
	Checkpointing bool
	Rounds        int // turns between limit and training
}

// Validate names the first field that makes no sense for the model's context.
func (c *TrainConfig) Validate(context int) error {
	switch {
	case c.Batch < 1:
		return fmt.Errorf("bench: a batch of %d sequences; at least 1 is needed", c.Batch)
	case c.Seq < 2 || c.Seq > context:
		return fmt.Errorf("bench: sequences of %d tokens; 2 to %d (the context) are possible", c.Seq, context)
	case c.DType != "f32" && c.DType != "bf16":
		return fmt.Errorf("bench: training in %q; f32 and bf16 are possible", c.DType)
	case c.Rounds < 1:
		return fmt.Errorf("bench: %d rounds; at least 1 is needed", c.Rounds)
	}
	return nil
}

// TrainSpeed is training's: the median of the rounds.
type TrainSpeed struct {
	Speed
	GFLOPS float64 `json:"gflops"`
}

// TrainResult is one benchmark of training.
type TrainResult struct {
	Machine      Machine    `json:"machine"`
	Train        TrainSpeed `json:"train"`
	PeakRSSBytes uint64     `json:"peak_rss_bytes"`
}

// trainer is a model in training on random tokens.
type trainer struct {
	cfg   TrainConfig
	dev   *cpu.Device
	model *llama.TrainModel
	opt   *optim.AdamW
	batch llama.TrainBatch
	flops float64 // of one step
}

// Train measures training of a model with fresh weights.
func Train(ctx context.Context, dev *cpu.Device, file *modelfile.Model, cfg TrainConfig, progress Progress) (res TrainResult, err error) {
	if err := cfg.Validate(file.Config.MaxSeqLen); err != nil {
		return res, err
	}
	t := &trainer{cfg: cfg, dev: dev}
	defer func() { err = errors.Join(err, t.close()) }()
	if err := t.prepare(ctx, file); err != nil {
		return res, err
	}
	for range trainWarmUp {
		if err := t.step(); err != nil {
			return res, err
		}
	}
	limits := measureLimits(dev)
	res.Machine = Machine{F32GFLOPS: giga(limits.f32, limits.f32), BF16GFLOPS: giga(limits.bf16, limits.bf16), Int8GOPS: giga(limits.int8, limits.int8)}
	kind, name := cpu.ComputeF32, "f32"
	if cfg.DType == "bf16" && limits.bf16 > 0 {
		kind, name = cpu.ComputeBF16, "bf16"
	}
	err = t.rounds(ctx, kind, name, &res, progress)
	res.PeakRSSBytes = meminfo.PeakRSS()
	return res, err
}

// rounds takes turns between the compute limit and training.
func (t *trainer) rounds(ctx context.Context, kind cpu.Compute, name string, res *TrainResult, progress Progress) error {
	s := &res.Train
	s.Limit = name
	tokens := float64(t.cfg.Batch * t.cfg.Seq)
	for s.Runs = 1; ; s.Runs++ {
		done, measured := 0, true
		turns, err := takeTurns(t.cfg.Rounds,
			func() (float64, error) {
				v, ok := t.dev.MeasureCompute(kind, limitRound)
				measured = measured && ok
				return v, ctx.Err()
			},
			func() (float64, error) {
				begin, steps := time.Now(), 0
				for ; steps == 0 || time.Since(begin) < trainRound; steps++ {
					if err := errors.Join(ctx.Err(), t.step()); err != nil {
						return 0, err
					}
				}
				if done++; progress != nil {
					progress("training", done, t.cfg.Rounds)
				}
				return t.flops * float64(steps) / time.Since(begin).Seconds(), nil
			})
		if err != nil {
			return err
		}
		s.GFLOPS = median(turns.works) / 1e9
		s.TokensPerS = median(turns.works) / t.flops * tokens
		if !measured {
			s.Reason = fmt.Sprintf("the kernels in use (%s) have no instruction to measure the %s limit with", t.dev.Kernels().Name, name)
			return nil
		}
		if limit := giga(median(turns.limits), median(turns.limits)); kind == cpu.ComputeBF16 {
			res.Machine.BF16GFLOPS = limit
		} else {
			res.Machine.F32GFLOPS = limit
		}
		q1, mid, q3 := quartiles(turns.ratios)
		s.Fraction, s.Quartiles, s.Reason = &mid, &[2]float64{q1, q3}, ""
		if q3-q1 <= maxSpread {
			return nil
		}
		s.Reason = fmt.Sprintf("not steady: the quartiles are more than %.1f apart after %d runs; the machine is busy with something else", maxSpread, s.Runs)
		if s.Runs == maxRuns {
			return nil
		}
	}
}

func (t *trainer) prepare(ctx context.Context, file *modelfile.Model) (err error) {
	c := &t.cfg
	opt := llama.TrainOptions{Rows: c.Batch * c.Seq, Context: c.Seq, Products: tensor.F32, Checkpointing: c.Checkpointing}
	if c.DType == "bf16" {
		opt.Products = tensor.BF16
	}
	if t.model, err = llama.NewTrainModel(t.dev, file.Config, file.Until(ctx), opt, nil); err != nil {
		return err
	}
	var params []optim.Param
	for _, p := range t.model.Params() {
		params = append(params, optim.Param(p))
	}
	oc := optim.Defaults()
	oc.LR = 1e-3
	if t.opt, err = optim.New(t.dev, oc, params); err != nil {
		return err
	}
	rng := rand.New(rand.NewPCG(1, 2)) // which tokens does not matter; the same ones each time
	for range opt.Rows {
		t.batch.Tokens = append(t.batch.Tokens, int32(rng.IntN(file.Config.VocabSize)))
		t.batch.Targets = append(t.batch.Targets, int32(rng.IntN(file.Config.VocabSize)))
	}
	for i := range c.Batch {
		t.batch.Spans = append(t.batch.Spans, device.Span{Row: i * c.Seq, N: c.Seq})
	}
	t.flops = file.Config.TrainFLOPs(t.batch.Spans)
	return nil
}

// step is one whole optimiser step.
func (t *trainer) step() error {
	l, err := t.model.Learn(&t.batch)
	if err != nil {
		return err
	}
	scale := 1 / float64(l.Tokens)
	norm, err := t.opt.GradNorm(scale)
	if err != nil {
		return err
	}
	return t.opt.Step(t.opt.Config.LR, scale, norm)
}

func (t *trainer) close() (err error) {
	if t.opt != nil {
		err = t.opt.Close()
	}
	if t.model != nil {
		err = errors.Join(err, t.model.Close())
	}
	return err
}
