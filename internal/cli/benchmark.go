package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cria-llm/cria/internal/bench"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/embedded"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/sys/cpufeat"
	"github.com/cria-llm/cria/internal/tensor"
)

// benchConfig is everything that `cria bench` can be told.
type benchConfig struct {
	Model   modelConfig
	Shape   string
	Type    string
	Untied  bool
	Measure bench.Config
	Train   bool
	Trained bench.TrainConfig
	JSON    bool
}

func newBench() *cobra.Command {
	var c benchConfig
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure speed as a fraction of what the machine can do",
		Long: `Measure prefill and decode in tokens/s and as a fraction of the machine's limit
that binds each, measured in the same run.

Decode runs against the read limit: 64-byte loads over 1 GiB on all workers. It
takes turns of 0.2 s of reading and 0.4 s of decoding, at least 20 rounds; the
fraction is the median of the rounds' ratios, with quartiles. One token at
position t reads

  bytes(t) = every matrix and norm once + one row of the embedding table
             + (t+1) * layers * 2 * KV heads * bytes of one head in the cache

Where the weights are less than four times the last-level cache, the fraction is
null: the model runs in cache.

Prefill runs against the int8 limit (block-quantised matrices) or the f32 limit
(F32, F16, BF16): 12 independent chains of the widest multiply-add, measured
before and after. A prompt of p tokens does

  flops(p) = 2 * (p * elements of all layers' matrices + elements of the output
             matrix + layers * 2 * heads * head dimension * p*(p+1)/2)

operations; looking up an embedding does none.

With --train, whole optimiser steps (forward, backward, clipping, AdamW) on a named
shape run against the f32 or bf16 limit, in turns of 0.1 and 0.5 s. A batch of b
sequences of t tokens does

  flops = 3 * b * 2 * (t * (elements of all layers' matrices + elements of the
          output matrix) + layers * 2 * heads * head dimension * t*(t+1)/2)

operations; what --checkpointing computes again does not count.

Load is the time from opening the file to the first token that could be computed;
with --shape the random weights are made in it. Memory is the most that the
process had in memory, the read limit's 1 GiB not counted.`,
		Example: `  cria bench -m llama-2-7b.Q4_0.gguf
  cria bench --shape tinyllama-1.1b --type q4_0 -p 512 -n 128
  cria bench --train --shape 15m --batch 8 --seq 256 --dtype f32
  CRIA_CPU=avx2 cria bench -m model.gguf --json`,
		Args: args(0, 0, "no argument; name the model with -m or --shape"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.checkKind(cmd.Flags()); err != nil {
				return err
			}
			if c.Train {
				return c.runTrain(cmd)
			}
			res, err := c.run(cmd)
			if err != nil {
				return err
			}
			if c.JSON {
				return printJSON(cmd, res)
			}
			return printBench(cmd.OutOrStdout(), res)
		},
	}
	fs := cmd.Flags()
	modelFlag(fs, &c.Model)
	deviceFlags(fs, &c.Model)
	fs.StringVar(&c.Shape, "shape", "", "random weights of a named shape instead of a model: "+strings.Join(llama.ShapeNames(), ", "))
	fs.StringVar(&c.Type, "type", "q4_0", "type of the random weights, as for convert")
	fs.BoolVar(&c.Untied, "untied", false, "an output matrix of its own, where the shape ties it")
	fs.IntVarP(&c.Measure.Prompt, "prompt", "p", 512, "tokens of the prompt")
	fs.IntVarP(&c.Measure.Tokens, "tokens", "n", 128, "tokens decoded before the context starts anew")
	fs.IntVarP(&c.Measure.Repeats, "repeat", "r", 5, "prompts measured; decode takes at least 20 rounds")
	fs.BoolVar(&c.Train, "train", false, "measure training of a named shape")
	fs.IntVar(&c.Trained.Batch, "batch", 8, "with --train: sequences of one step")
	fs.IntVar(&c.Trained.Seq, "seq", 256, "with --train: tokens of a sequence")
	fs.StringVar(&c.Trained.DType, "dtype", "f32", "with --train: products in f32 or bf16")
	fs.BoolVar(&c.Trained.Checkpointing, "checkpointing", false, "with --train: activation checkpointing by layer")
	fs.IntVar(&c.Trained.Rounds, "rounds", bench.MinRounds, "with --train: turns between limit and training")
	fs.BoolVar(&c.JSON, "json", false, "print one JSON object")
	return cmd
}

// checkKind refuses flags of training without --train, and flags that only
// inference knows with it.
func (c *benchConfig) checkKind(fs *pflag.FlagSet) error {
	names := []string{"batch", "seq", "dtype", "checkpointing", "rounds"}
	says := "needs --train"
	if c.Train {
		names = []string{"model", "ctx", "extend-context", "cache-type", "type", "prompt", "tokens", "repeat"}
		says = "says nothing of training (--train)"
	}
	for _, name := range names {
		if fs.Changed(name) {
			return usagef("--%s %s", name, says)
		}
	}
	return nil
}

// runTrain measures training.
func (c *benchConfig) runTrain(cmd *cobra.Command) (err error) {
	if c.Shape == "" {
		return usagef("--train needs --shape NAME")
	}
	cfg, err := llama.Shape(c.Shape)
	if err != nil {
		return &UsageError{err}
	}
	if c.Untied {
		cfg.TiedEmbeddings = false
	}
	if err := c.Trained.Validate(cfg.MaxSeqLen); err != nil {
		return &UsageError{err}
	}
	file, err := modelfile.Random(cfg, modelfile.InitOptions{Seed: 1})
	if err != nil {
		return err
	}
	dev, err := cpu.New(cpu.Options{Workers: c.Model.Options.Threads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	b := newBar(cmd, "measuring", "rounds")
	defer b.done()
	res, err := bench.Train(cmd.Context(), dev, file, c.Trained, func(stage string, done, total int) { b.rename(stage); b.set(done, total) })
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(cmd, res)
	}
	b.done()
	return printTrainBench(cmd.OutOrStdout(), &res)
}

func printTrainBench(w io.Writer, r *bench.TrainResult) error {
	var b strings.Builder
	m, s := &r.Machine, &r.Train
	fmt.Fprintf(&b, "machine   f32 %s, bf16 %s, int8 %s\n", gauge(m.F32GFLOPS, "GFLOP/s"), gauge(m.BF16GFLOPS, "GFLOP/s"), gauge(m.Int8GOPS, "GOP/s"))
	fmt.Fprintf(&b, "training  %.0f tokens/s, %.1f GFLOP/s", s.TokensPerS, s.GFLOPS)
	if s.Fraction != nil {
		fmt.Fprintf(&b, ", %.1f%% of the %s limit (quartiles %.1f to %.1f%%)", *s.Fraction*100, s.Limit, s.Quartiles[0]*100, s.Quartiles[1]*100)
	}
	if s.Reason != "" {
		fmt.Fprintf(&b, " (%s)", s.Reason)
	}
	fmt.Fprintf(&b, "\nmemory    %s at most\n", gb(r.PeakRSSBytes))
	_, err := io.WriteString(w, b.String())
	return err
}

// open opens the model, or makes one of the named shape.
func (c *benchConfig) open() (*modelfile.Model, error) {
	if err := c.Model.check(); err != nil {
		return nil, err
	}
	if c.Shape == "" {
		return embedded.Open(c.Model.path(), modelfile.OpenOptions{Context: c.Model.Options.Context})
	}
	if c.Model.Path != "" {
		return nil, usagef("--model and --shape exclude each other")
	}
	if err := checkType(c.Type); err != nil {
		return nil, err
	}
	cfg, err := llama.Shape(c.Shape)
	if err != nil {
		return nil, &UsageError{err}
	}
	if c.Untied {
		cfg.TiedEmbeddings = false
	}
	return modelfile.Random(cfg, modelfile.InitOptions{Type: c.Type, Seed: 1})
}

func (c *benchConfig) run(cmd *cobra.Command) (res bench.Result, err error) {
	start := time.Now()
	file, err := c.open()
	if err != nil {
		return res, err
	}
	l, err := loadFile(cmd, &c.Model, file)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	load := time.Since(start)
	c.Measure.LLC = cpufeat.CacheSizes().LLC
	if err := c.Measure.Validate(l.Net.Context); err != nil {
		return res, &UsageError{err}
	}
	b := newBar(cmd, "measuring", "rounds")
	defer b.done()
	r := bench.Runner{Device: l.Dev, Model: l.Net, Cache: l.Cache, Matrices: matrixType(file), Config: c.Measure,
		Progress: func(stage string, done, total int) { b.rename(stage); b.set(done, total) }}
	if res, err = r.Run(cmd.Context()); err != nil {
		return res, err
	}
	res.LoadS = load.Seconds()
	return res, nil
}

// matrixType is the type that most of the layers' matrix elements have.
func matrixType(m *modelfile.Model) tensor.DType {
	count := map[tensor.DType]int{}
	best := tensor.F32
	for _, t := range m.Tensors() {
		if t.Rows > 1 && strings.HasPrefix(t.Name, "blk.") {
			if count[t.Type] += t.Rows * t.Cols; count[t.Type] > count[best] {
				best = t.Type
			}
		}
	}
	return best
}

func printBench(w io.Writer, r bench.Result) error {
	var b strings.Builder
	m := &r.Machine
	fmt.Fprintf(&b, "machine   read %s (one worker %s), f32 %s, bf16 %s, int8 %s\n", gauge(m.ReadGBps, "GB/s"), gauge(m.ReadOneGBps, "GB/s"),
		gauge(m.F32GFLOPS, "GFLOP/s"), gauge(m.BF16GFLOPS, "GFLOP/s"), gauge(m.Int8GOPS, "GOP/s"))
	speed := func(name string, s *bench.Speed) {
		fmt.Fprintf(&b, "%-9s %.2f tokens/s", name, s.TokensPerS)
		if s.Fraction != nil {
			fmt.Fprintf(&b, ", %.1f%% of the %s limit", *s.Fraction*100, s.Limit)
		}
		if q := s.Quartiles; q != nil {
			fmt.Fprintf(&b, " (quartiles %.1f to %.1f%%)", q[0]*100, q[1]*100)
		}
		if s.Reason != "" {
			fmt.Fprintf(&b, " (%s)", s.Reason)
		}
		b.WriteByte('\n')
	}
	speed("prefill", &r.Prefill)
	speed("decode", &r.Decode)
	fmt.Fprintf(&b, "load      %.2f s\nmemory    %s at most\n", r.LoadS, gb(r.PeakRSSBytes))
	_, err := io.WriteString(w, b.String())
	return err
}
