package optim_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/device/ref"
	"github.com/cria-llm/cria/internal/optim"
	"github.com/cria-llm/cria/internal/tensor"
)

// The schedule at steps that can be computed by hand: half of the way down the
// cosine is the mean of its ends.
func TestRate(t *testing.T) {
	c := optim.Defaults()
	c.LR, c.Warmup = 0.02, 10
	for _, s := range []struct {
		step, steps int
		want        float64
	}{
		{1, 110, 0.002}, {5, 110, 0.01}, {10, 110, 0.02}, {60, 110, 0.011}, {110, 110, 0.002}, {500, 110, 0.002},
		{10, 10, 0.02}, {10, 5, 0.02}, {3, 5, 0.006},
	} {
		if got := c.Rate(s.step, s.steps); math.Abs(got-s.want) > 1e-12 {
			t.Errorf("step %d of %d: %v, want %v", s.step, s.steps, got, s.want)
		}
	}
	c.FinalRate, c.Warmup = 1, 0
	if got := c.Rate(70, 100); got != 0.02 {
		t.Errorf("a constant rate is %v", got)
	}
}

// newOne makes an optimiser of a matrix and a vector of ones on the float64
// reference device.
func newOne(t *testing.T, cfg optim.Config) (*ref.Device[float64], *optim.AdamW, []optim.Param) {
	t.Helper()
	d := ref.New[float64]()
	var params []optim.Param
	for _, rows := range []int{2, 1} {
		p, err := d.NewParam(rows, 2, tensor.F32)
		if err != nil {
			t.Fatal(err)
		}
		d.UploadParam(p, []float32{1, 1, 1, 1}[:2*rows])
		params = append(params, optim.Param{Name: fmt.Sprint("p", rows), Param: p, Rows: rows, Cols: 2})
	}
	a, err := optim.New(d, cfg, params)
	if err != nil {
		t.Fatal(err)
	}
	return d, a, params
}

// Without gradients only decay moves anything, and it moves matrices only; the
// average follows by 1-EMA of the way.
func TestDecayAndAverage(t *testing.T) {
	cfg := optim.Defaults()
	cfg.LR, cfg.EMA = 0.5, 0.75
	_, a, params := newOne(t, cfg)
	value, average := 1.0, 1.0
	for range 3 {
		norm, err := a.GradNorm(1)
		if err != nil || norm != 0 {
			t.Fatalf("the norm is %v, %v", norm, err)
		}
		if err := a.Step(0.5, 1, norm); err != nil {
			t.Fatal(err)
		}
		value *= 1 - 0.5*0.1
		average += 0.25 * (value - average)
	}
	got := ref.Data[float64](params[0].Param.Value())[3]
	if math.Abs(got-value) > 1e-7 { // the decay is given in f32
		t.Errorf("the matrix is %v, want %v", got, value)
	}
	if got := ref.Data[float64](params[1].Param.Value())[1]; got != 1 {
		t.Errorf("the vector is %v, want 1", got)
	}
	avg, ok := a.Average("p2")
	if got := ref.Data[float64](avg)[3]; !ok || math.Abs(got-average) > 1e-7 {
		t.Errorf("the average is %v, want %v", got, average)
	}
	var names []string
	for _, s := range a.State() {
		names = append(names, s.Name)
	}
	if got := strings.Join(names, " "); got != "m.p2 v.p2 ema.p2 m.p1 v.p1 ema.p1" {
		t.Errorf("the state is %s", got)
	}
}

// Gradients above the largest norm are scaled to it: the first moment after one
// step is (1-beta1) of what is left.
func TestClip(t *testing.T) {
	for _, c := range []struct{ clip, want float64 }{{1, 0.1 * 3 / 5}, {10, 0.1 * 3}, {0, 0.1 * 3}} {
		cfg := optim.Defaults()
		cfg.LR, cfg.GradientClip = 0.1, c.clip
		d, a, params := newOne(t, cfg)
		d.Upload(params[0].Param.Grad(), []float32{6, 0, 0, 0}) // scaled by a half: 3
		d.Upload(params[1].Param.Grad(), []float32{0, 8})       // 4
		norm, err := a.GradNorm(0.5)
		if err != nil || norm != 5 {
			t.Fatalf("the norm is %v, %v; want 5", norm, err)
		}
		if err := a.Step(0.1, 0.5, norm); err != nil {
			t.Fatal(err)
		}
		if got := ref.Data[float64](a.State()[0].Tensor)[0]; math.Abs(got-c.want) > 1e-6 {
			t.Errorf("clipped at %v, the first moment is %v, want %v", c.clip, got, c.want)
		}
		if g := ref.Data[float64](params[0].Param.Grad())[0]; g != 0 {
			t.Errorf("after the step the gradient is %v", g)
		}
	}
}
