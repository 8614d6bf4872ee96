package optim

import (
	"fmt"
	"math"
)

// Config is an optimiser's settings. The defaults are those of Llama 2's
// pretraining (arXiv 2307.09288, section 2.2).
type Config struct {
	LR           float64 `yaml:"learning_rate"` // peak
	Warmup       int     `yaml:"warmup_steps"`  // steps of linear warm-up
	FinalRate    float64 `yaml:"final_rate"`    // of the peak, where the cosine ends; 1 is a constant rate
	Beta1        float64 `yaml:"beta1"`
	Beta2        float64 `yaml:"beta2"`
	Eps          float64 `yaml:"eps"`
	WeightDecay  float64 `yaml:"weight_decay"`  // of matrices; norm gains never decay
	GradientClip float64 `yaml:"gradient_clip"` // largest global norm of the gradient; 0 is any
	EMA          float64 `yaml:"ema"`           // decay of a moving average of the weights per step; 0 is none
}

// Defaults are the paper's, with no peak rate and no warm-up yet.
func Defaults() Config {
	return Config{FinalRate: 0.1, Beta1: 0.9, Beta2: 0.95, Eps: 1e-5, WeightDecay: 0.1, GradientClip: 1}
}

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	for _, f := range []struct {
		name   string
		value  float64
		ok     bool
		wanted string
	}{
		{"learning_rate", c.LR, c.LR > 0 && c.LR <= 1, "above 0 and at most 1"},
		{"warmup_steps", float64(c.Warmup), c.Warmup >= 0, "0 or more"},
		{"final_rate", c.FinalRate, c.FinalRate >= 0 && c.FinalRate <= 1, "from 0 to 1"},
		{"beta1", c.Beta1, c.Beta1 >= 0 && c.Beta1 < 1, "from 0 to below 1"},
		{"beta2", c.Beta2, c.Beta2 >= 0 && c.Beta2 < 1, "from 0 to below 1"},
		{"eps", c.Eps, c.Eps > 0 && c.Eps < 1, "above 0 and below 1"},
		{"weight_decay", c.WeightDecay, c.WeightDecay >= 0 && c.WeightDecay < 1, "from 0 to below 1"},
		{"gradient_clip", c.GradientClip, c.GradientClip >= 0 && !math.IsInf(c.GradientClip, 0), "0 (none) or more"},
		{"ema", c.EMA, c.EMA >= 0 && c.EMA < 1, "0 (none) to below 1"},
	} {
		if !f.ok { // NaN is never ok
			return fmt.Errorf("optim: %s is %v; it must be %s", f.name, f.value, f.wanted)
		}
	}
	return nil
}

// Rate is the learning rate of a step, counted from 1: linear warm-up, then a
// half cosine that reaches FinalRate of the peak at the last step (arXiv
// 1608.03983, equation 5, without restarts).
func (c *Config) Rate(step, steps int) float64 {
	if step < c.Warmup {
		return c.LR * float64(step) / float64(c.Warmup)
	}
	if steps <= c.Warmup {
		return c.LR
	}
	progress := min(float64(step-c.Warmup)/float64(steps-c.Warmup), 1)
	return c.LR * (c.FinalRate + (1-c.FinalRate)*0.5*(1+math.Cos(math.Pi*progress)))
}
