// Package optim is the optimiser: AdamW on a device's parameters, its schedule,
// clipping by the global norm, and a moving average of the weights.
package optim

import (
	"errors"
	"math"

	"github.com/cria-llm/cria/internal/device"
)

// Param is a parameter with its name. One with more than one row is a matrix and
// decays.
type Param struct {
	Name       string
	Param      device.Param
	Rows, Cols int
}

// AdamW is the optimiser's state on a device (arXiv 1711.05101).
type AdamW struct {
	Config Config
	Steps  int // done so far: the corrections of the moments depend on it

	dev    device.Trainer
	params []Param
	m, v   []device.Tensor // moments, of the parameters' shapes
	ema    []device.Tensor // nil without a moving average
}

// New makes zero moments. A moving average begins as the parameters are.
func New(dev device.Trainer, cfg Config, params []Param) (*AdamW, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &AdamW{Config: cfg, dev: dev, params: params}
	if err := a.allocate(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *AdamW) allocate() error {
	lists := []*[]device.Tensor{&a.m, &a.v}
	if a.Config.EMA > 0 {
		lists = append(lists, &a.ema)
	}
	for _, p := range a.params {
		for _, list := range lists {
			t, err := a.dev.Tensor(p.Rows, p.Cols)
			if err != nil {
				return err
			}
			*list = append(*list, t)
		}
	}
	if a.ema == nil {
		return nil
	}
	a.dev.Begin()
	for i, p := range a.params {
		a.dev.Copy(a.ema[i], p.Param.Value())
	}
	return a.dev.End()
}

// Close frees the moments.
func (a *AdamW) Close() error {
	for _, list := range []*[]device.Tensor{&a.m, &a.v, &a.ema} {
		for _, t := range *list {
			a.dev.Free(t)
		}
		*list = nil
	}
	return nil
}

// State is one tensor of the optimiser's state.
type State struct {
	Name   string // "m." "v." or "ema." and the parameter's name
	Tensor device.Tensor
}

// State lists all tensors that a checkpoint must hold beside the parameters.
func (a *AdamW) State() []State {
	var list []State
	for i, p := range a.params {
		list = append(list, State{"m." + p.Name, a.m[i]}, State{"v." + p.Name, a.v[i]})
		if a.ema != nil {
			list = append(list, State{"ema." + p.Name, a.ema[i]})
		}
	}
	return list
}

// Average returns the moving average of a parameter; ok is false where none is
// kept.
func (a *AdamW) Average(name string) (t device.Tensor, ok bool) {
	for i, p := range a.params {
		if p.Name == name && a.ema != nil {
			return a.ema[i], true
		}
	}
	return device.Tensor{}, false
}

// GradNorm is the Euclidean norm of all gradients together, each multiplied by
// scale.
func (a *AdamW) GradNorm(scale float64) (float64, error) {
	a.dev.Begin()
	var sum float64
	for _, p := range a.params {
		sum += a.dev.SumSquares(p.Param.Grad())
	}
	return math.Sqrt(sum) * scale, a.dev.End()
}

// Step updates all parameters with the given learning rate and zeroes their
// gradients. scale is what GradNorm was called with and norm what it returned:
// where the norm is above Config.GradientClip, gradients are made smaller by
// their ratio (arXiv 1211.5063, algorithm 1).
func (a *AdamW) Step(rate, scale, norm float64) error {
	c := &a.Config
	if c.GradientClip > 0 && norm > c.GradientClip {
		scale *= c.GradientClip / norm
	}
	a.Steps++
	t := float64(a.Steps)
	s := device.AdamWStep{
		LR: float32(rate), Beta1: float32(c.Beta1), Beta2: float32(c.Beta2), Eps: float32(c.Eps),
		Correction1: float32(1 - math.Pow(c.Beta1, t)), Correction2: float32(1 - math.Pow(c.Beta2, t)),
		GradScale: float32(scale),
	}
	a.dev.Begin()
	for i, p := range a.params {
		s.WeightDecay = 0
		if p.Rows > 1 {
			s.WeightDecay = float32(c.WeightDecay)
		}
		a.dev.AdamW(p.Param, a.m[i], a.v[i], s)
		if a.ema != nil {
			a.dev.Lerp(a.ema[i], p.Param.Value(), float32(1-c.EMA))
		}
	}
	return a.dev.End()
}
