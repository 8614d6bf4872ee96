package bench

import (
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
)

// The formula of training by hand, for 15m: 6 layers of width 288, feed-forward
// 768, vocabulary 32,000, two sequences of 256 tokens.
func TestTrainFLOPs(t *testing.T) {
	c, err := llama.Shape("15m")
	if err != nil {
		t.Fatal(err)
	}
	const (
		matrices  = 6 * (4*288*288 + 3*288*768)
		head      = 32000 * 288
		attention = 6 * 2 * 288
		want      = 3 * 2 * 2 * (256*(matrices+head) + attention*256*257/2)
	)
	if got := c.TrainFLOPs([]device.Span{{N: 256}, {Row: 256, N: 256}}); got != want {
		t.Errorf("a step of 2 sequences of 256 tokens does %v operations, want %v", got, float64(want))
	}
}

// A measurement says how fast training is; its figures belong together.
func TestTrain(t *testing.T) {
	c, err := llama.Shape("0.3m")
	if err != nil {
		t.Fatal(err)
	}
	file, err := modelfile.Random(c, modelfile.InitOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	dev, err := cpu.New(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	res, err := Train(t.Context(), dev, file, TrainConfig{Batch: 2, Seq: 32, DType: "f32", Rounds: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := &res.Train
	perToken := c.TrainFLOPs([]device.Span{{N: 32}}) / 32 / 1e9
	if r := s.TokensPerS * perToken / s.GFLOPS; !(r > 0.999 && r < 1.001) || res.PeakRSSBytes == 0 || s.Limit != "f32" {
		t.Errorf("%+v, peak %d bytes; %v GFLOP per token", s, res.PeakRSSBytes, perToken)
	}
	if s.Fraction != nil && !(*s.Fraction > 0 && *s.Fraction <= maxFraction) {
		t.Errorf("%v of the limit", *s.Fraction)
	}
}

func TestTrainConfig(t *testing.T) {
	for want, change := range map[string]func(*TrainConfig){
		"batch of 0":           func(c *TrainConfig) { c.Batch = 0 },
		"sequences of 101":     func(c *TrainConfig) { c.Seq = 101 },
		"sequences of 1 token": func(c *TrainConfig) { c.Seq = 1 },
		`"f16"`:                func(c *TrainConfig) { c.DType = "f16" },
		"0 rounds":             func(c *TrainConfig) { c.Rounds = 0 },
	} {
		c := TrainConfig{Batch: 1, Seq: 100, DType: "bf16", Rounds: 1}
		if err := c.Validate(100); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if err := c.Validate(100); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q in it", err, want)
		}
	}
}
