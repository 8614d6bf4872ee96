// Package mix decides how many tokens of each source a training run sees:
// weights, up-sampling, epoch caps and a budget. It is pure arithmetic; the
// pipeline (internal/data) draws the documents.
package mix

import (
	"fmt"
	"math"
)

// Config is the pipeline's section "mix".
type Config struct {
	Tokens    int64   `yaml:"tokens"`     // the budget; 0: as much as weights and epoch caps allow
	MaxEpochs float64 `yaml:"max_epochs"` // of sources that name no cap of their own
}

// Default caps epochs at 4: up to there repeated data is nearly as good as new
// (Muennighoff et al., "Scaling data-constrained language models", 2023).
func Default() Config { return Config{MaxEpochs: 4} }

// Check validates the settings.
func (c *Config) Check() error {
	switch {
	case c.Tokens < 0:
		return fmt.Errorf("tokens: %d; it must not be negative", c.Tokens)
	case !(c.MaxEpochs > 0) || math.IsInf(c.MaxEpochs, 0):
		return fmt.Errorf("max_epochs: %g; it must be above 0", c.MaxEpochs)
	}
	return nil
}

// Source is what the plan needs to know of a source.
type Source struct {
	Name      string
	Tokens    int64   // there are
	Weight    float64 // share of the mix, relative to the other sources' weights; 0: none is given
	Upsample  float64 // where no source has a weight: how often compared with its natural share
	MaxEpochs float64 // 0: the configuration's
}

// Share is a source's part of the mix.
type Share struct {
	Name   string  `json:"name"`
	Tokens int64   `json:"tokens"` // to be drawn
	Epochs float64 `json:"epochs"` // Tokens over those that there are
	Share  float64 `json:"share"`  // of the mix
	Wanted float64 `json:"wanted"` // share by weights alone
	Capped bool    `json:"capped"` // the epoch cap holds it below its wanted share
}

// Plan divides the budget. Sources take part by weight, or by their number of
// tokens times Upsample where none has a weight. What an epoch cap keeps from a
// source goes to the others by their weights. Without a budget the mix is the
// largest with the wanted shares in which no cap is met; without weights either,
// each source is seen Upsample times, up to its cap.
func Plan(c Config, sources []Source) (shares []Share, notes []string, err error) {
	weights, caps, err := weigh(c, sources)
	if err != nil {
		return nil, nil, err
	}
	var sum, most float64
	for i := range weights {
		sum += weights[i]
		most += caps[i]
	}
	if sum == 0 {
		return nil, nil, fmt.Errorf("mix: no tokens are left in any source")
	}
	budget := float64(c.Tokens)
	want := make([]float64, len(sources))
	switch {
	case c.Tokens == 0 && !weighted(sources):
		for i, s := range sources {
			want[i] = min(s.Upsample*float64(s.Tokens), caps[i])
		}
	case c.Tokens == 0:
		budget = math.Inf(1)
		for i, w := range weights {
			if w > 0 {
				budget = min(budget, caps[i]*sum/w)
			}
		}
		fallthrough
	default:
		want = fill(weights, caps, budget)
		if budget > most {
			notes = append(notes, fmt.Sprintf("mix.tokens: %d are wanted, the sources give at most %.0f with their epoch caps", c.Tokens, most))
		}
	}
	var all float64
	for _, w := range want {
		all += w
	}
	for i, s := range sources {
		sh := Share{Name: s.Name, Tokens: int64(math.Round(want[i])), Wanted: weights[i] / sum}
		if s.Tokens > 0 {
			sh.Epochs = want[i] / float64(s.Tokens)
		}
		if all > 0 {
			sh.Share = want[i] / all
		}
		sh.Capped = want[i] >= caps[i]*(1-1e-12) && sh.Share < sh.Wanted*(1-1e-9)
		if s.Weight > 0 && s.Tokens == 0 {
			notes = append(notes, fmt.Sprintf("source %s has a weight of %g and no tokens left", s.Name, s.Weight))
		}
		shares = append(shares, sh)
	}
	return shares, notes, nil
}

func weighted(sources []Source) bool {
	for _, s := range sources {
		if s.Weight > 0 {
			return true
		}
	}
	return false
}

// weigh returns each source's weight and the most tokens it may give.
func weigh(c Config, sources []Source) (weights, caps []float64, err error) {
	byWeight := weighted(sources)
	for _, s := range sources {
		w := s.Weight
		switch {
		case byWeight && s.Upsample != 1:
			return nil, nil, fmt.Errorf("source %s: upsample %g has no meaning where sources have weights; change its weight", s.Name, s.Upsample)
		case byWeight && w == 0:
			return nil, nil, fmt.Errorf("source %s: weight is missing; other sources have one", s.Name)
		case !byWeight:
			w = s.Upsample * float64(s.Tokens)
		}
		epochs := s.MaxEpochs
		if epochs == 0 {
			epochs = c.MaxEpochs
		}
		if s.Tokens == 0 {
			w = 0
		}
		weights = append(weights, w)
		caps = append(caps, epochs*float64(s.Tokens))
	}
	return weights, caps, nil
}

// fill divides the budget by weight among the sources that are below their cap,
// until nothing is left or all are full.
func fill(weights, caps []float64, budget float64) []float64 {
	got := make([]float64, len(weights))
	full := make([]bool, len(weights))
	left := budget
	for {
		var sum float64
		for i, w := range weights {
			if !full[i] {
				sum += w
			}
		}
		if sum == 0 {
			return got
		}
		// Fill those whose part is more than their cap; what they leave is divided anew.
		met := false
		rest := left
		for i, w := range weights {
			if !full[i] && w > 0 && left*w/sum >= caps[i] {
				got[i], full[i], met = caps[i], true, true
				rest -= caps[i]
			}
		}
		if !met {
			for i, w := range weights {
				if !full[i] {
					got[i] = left * w / sum
				}
			}
			return got
		}
		left = rest
	}
}
