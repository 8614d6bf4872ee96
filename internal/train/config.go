package train

import (
	"fmt"
	"math"

	"github.com/cria-llm/cria/internal/optim"
)

// Config is how long a run is and what it leaves behind on the way.
type Config struct {
	Steps     int          `yaml:"steps"`
	Optimizer optim.Config `yaml:"optimizer"`

	LogEvery      int `yaml:"log_every"`      // steps between two lines of metrics.jsonl
	ValidateEvery int `yaml:"validate_every"` // 0 is at the end only
	SampleEvery   int `yaml:"sample_every"`   // 0 is at the end only
	SaveEvery     int `yaml:"save_every"`     // 0 is at the end only
	KeepLast      int `yaml:"keep_last"`      // checkpoints kept
	KeepEvery     int `yaml:"keep_every"`     // steps at which a checkpoint is kept for good; 0 is none

	// SpikeFactor stops a run whose loss is this many times its running mean, and
	// half a nat above it; 0 never does.
	SpikeFactor float64 `yaml:"spike_factor"`
}

// Defaults leave Steps and the learning rate open.
func Defaults() Config {
	return Config{Optimizer: optim.Defaults(), LogEvery: 1, KeepLast: 2, SpikeFactor: 2}
}

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	for _, f := range []struct {
		name  string
		value int
		least int
	}{
		{"steps", c.Steps, 1}, {"log_every", c.LogEvery, 1}, {"validate_every", c.ValidateEvery, 0}, {"sample_every", c.SampleEvery, 0},
		{"save_every", c.SaveEvery, 0}, {"keep_last", c.KeepLast, 1}, {"keep_every", c.KeepEvery, 0},
	} {
		if f.value < f.least {
			return fmt.Errorf("train: %s is %d; it must be %d or more", f.name, f.value, f.least)
		}
	}
	if !(c.SpikeFactor == 0 || c.SpikeFactor > 1 && !math.IsInf(c.SpikeFactor, 0)) {
		return fmt.Errorf("train: spike_factor is %v; it must be above 1, or 0 for none", c.SpikeFactor)
	}
	return c.Optimizer.Validate()
}

// due says whether something that happens every so many steps happens after this
// one; the last step is always one.
func (c *Config) due(step, every int) bool {
	return step == c.Steps || every > 0 && step%every == 0
}
