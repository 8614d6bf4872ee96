package train

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// jsonLines reads a file of JSON lines.
func jsonLines(t *testing.T, path string) (list []map[string]any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%s: %q: %v", path, line, err)
		}
		list = append(list, m)
	}
	return list
}

// A run writes what it should, when it should, and keeps the checkpoints that it
// should.
func TestRun(t *testing.T) {
	dir := t.TempDir()
	cfg := tinyRun(50)
	cfg.LogEvery, cfg.ValidateEvery, cfg.SampleEvery, cfg.SaveEvery, cfg.KeepLast, cfg.KeepEvery = 2, 20, 25, 10, 2, 20
	r, c := newRun(t, dir, cfg, nil)
	var steps []int
	r.OnStep = func(p Progress) { steps = append(steps, p.Step) }
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(steps) != 50 || steps[49] != 50 || len(c.asked) != 50 || c.checks != 3 {
		t.Errorf("%d steps shown, %d trained, %d validations; want 50, 50, 3", len(steps), len(c.asked), c.checks)
	}
	m := jsonLines(t, filepath.Join(dir, MetricsFile))
	if len(m) != 25 || m[0]["step"] != 2.0 || m[24]["step"] != 50.0 || m[24]["tokens"] != 400.0 {
		t.Fatalf("metrics: %d lines, the last %v; want those of the even steps to 50 with 400 tokens", len(m), m[len(m)-1])
	}
	for i, line := range m {
		for _, key := range []string{"time", "loss", "lr", "grad_norm", "tokens_per_s"} {
			if v, ok := line[key].(float64); !ok || v <= 0 {
				t.Errorf("metrics of step %v: %s is %v", line["step"], key, line[key])
			}
		}
		if _, ok := line["val_loss"]; ok != slices.Contains([]int{20, 40, 50}, 2*(i+1)) {
			t.Errorf("step %v has a validation loss: %v", line["step"], ok)
		}
	}
	if first, end := m[0]["loss"].(float64), m[24]["loss"].(float64); !(end < first/2) {
		t.Errorf("the loss went from %v to %v: nothing was learnt", first, end)
	}
	if s := jsonLines(t, filepath.Join(dir, SamplesFile)); len(s) != 2 || s[1]["step"] != 50.0 || s[1]["text"] != " 3" {
		t.Errorf("samples: %v", s)
	}
	list, err := Checkpoints(dir)
	if err != nil {
		t.Fatal(err)
	}
	var kept []int
	for _, p := range list {
		kept = append(kept, p.Step)
		if err := p.Verify(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if fmt.Sprint(kept) != "[20 40 50]" {
		t.Errorf("checkpoints of steps %v are kept; want the last two and every 20th", kept)
	}
}

// A run that was interrupted goes on as if it had not been: weights, moments,
// averages, state and metrics.
func TestResume(t *testing.T) {
	whole, parts := t.TempDir(), t.TempDir()
	r, _ := newRun(t, whole, tinyRun(30), nil)
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	var from *Checkpoint
	for _, until := range []int{7, 8, 21} {
		ctx, cancel := context.WithCancel(t.Context())
		r, c := newRun(t, parts, tinyRun(30), from)
		r.OnStep = func(p Progress) {
			if p.Step == until {
				cancel()
			}
		}
		err := r.Train(ctx)
		var stop *InterruptedError
		if !errors.As(err, &stop) || !errors.Is(err, context.Canceled) || stop.Step != until || !strings.Contains(err.Error(), fmt.Sprintf("step-%d", until)) {
			t.Fatalf("interrupted after step %d: %v", until, err)
		}
		if from != nil && c.asked[0] != from.Step+1 {
			t.Fatalf("after step %d, step %d was trained", from.Step, c.asked[0])
		}
		from = last(t, parts)
	}
	r, _ = newRun(t, parts, tinyRun(30), from)
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	a, b := last(t, whole), last(t, parts)
	sameFiles(t, a.Dir, b.Dir, "model/model.safetensors", optimizerFile)
	x, err := a.State()
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.State()
	if err != nil {
		t.Fatal(err)
	}
	x.Seconds, y.Seconds = 0, 0
	if x != y || x.Step != 30 || x.Position != 30 || x.Tokens != 240 {
		t.Errorf("the states are %+v and %+v", x, y)
	}
	m, n := jsonLines(t, filepath.Join(whole, MetricsFile)), jsonLines(t, filepath.Join(parts, MetricsFile))
	if len(m) != 30 || len(n) != 30 {
		t.Fatalf("%d and %d lines of metrics, want 30", len(m), len(n))
	}
	for i := range m {
		for _, key := range []string{"step", "tokens", "loss", "lr", "grad_norm"} {
			if m[i][key] != n[i][key] {
				t.Errorf("line %d: %s is %v and %v", i+1, key, m[i][key], n[i][key])
			}
		}
	}
}

// What lines later steps wrote before a crash goes, and so does a torn line.
func TestOpenLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.jsonl")
	long := `{"step":1,"a":"` + strings.Repeat("x", 100_000) + `"}` + "\n" // a sample of a long context
	if err := os.WriteFile(path, []byte(long+`{"step":2}`+"\n"+`{"step":3}`+"\n"+`{"step":2,"lo`), 0o666); err != nil {
		t.Fatal(err)
	}
	l, err := openLines(path, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.add(map[string]int{"step": 3}), l.close()); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); string(b) != long+`{"step":2}`+"\n"+`{"step":3}`+"\n" {
		t.Errorf("the file has %d bytes, %v: ends %q", len(b), err, b[max(0, len(b)-80):])
	}
}

// A loss or gradient that is no number, and a jump of the loss, stop a run
// before the weights change; the message says where to look.
func TestStops(t *testing.T) {
	for what, learn := range map[string]func(*Run) func(int, *Sums){
		"loss is NaN": func(*Run) func(int, *Sums) {
			return func(step int, s *Sums) {
				if step == 25 {
					s.Loss.NLL = nan
				}
			}
		},
		"norm is NaN": func(r *Run) func(int, *Sums) {
			return func(step int, s *Sums) {
				if step == 25 {
					p := r.Model.Params()[3]
					g := make([]float32, p.Rows*p.Cols)
					g[5] = float32(nan)
					r.Model.Device().Upload(p.Param.Grad(), g)
				}
			}
		},
		"the loss jumped": func(*Run) func(int, *Sums) {
			return func(step int, s *Sums) {
				if step == 25 {
					s.Loss.NLL *= 5
				}
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			cfg := tinyRun(40)
			cfg.SaveEvery = 10
			r, c := newRun(t, dir, cfg, nil)
			c.learn = learn(r)
			err := r.Train(t.Context())
			var stop *StopError
			if !errors.As(err, &stop) || stop.Step != 25 {
				t.Fatalf("the error is %v, want a stop at step 25", err)
			}
			for _, part := range []string{what, "step 25", "count 25", filepath.Join("checkpoints", "step-20")} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in the error: %v", part, err)
				}
			}
			if p := last(t, dir); p.Step != 20 {
				t.Errorf("the last checkpoint is of step %d, want 20", p.Step)
			}
		})
	}
}

// What fails after a step is an error, but the step is not lost; and an error is
// not hidden by an interruption at the same time.
func TestFailsAfterStep(t *testing.T) {
	dir := t.TempDir()
	cfg := tinyRun(40)
	cfg.SampleEvery = 7
	r, c := newRun(t, dir, cfg, nil)
	broken := errors.New("no sample")
	c.sample = func() error { return broken }
	if err := r.Train(t.Context()); !errors.Is(err, broken) {
		t.Errorf("the error is %v", err)
	}
	if p := last(t, dir); p.Step != 7 {
		t.Errorf("the last checkpoint is of step %d, want 7", p.Step)
	}
	r, c = newRun(t, t.TempDir(), cfg, nil)
	ctx, cancel := context.WithCancel(t.Context())
	c.learn = func(step int, s *Sums) {
		if step == 5 {
			s.Loss.NLL = nan
			cancel()
		}
	}
	var stop *StopError
	if err := r.Train(ctx); !errors.As(err, &stop) || stop.Step != 5 {
		t.Errorf("with an interruption, the error is %v", err)
	}
}

// A loss that rises slowly, or jumps near zero or early, stops nothing.
func TestDoesNotStop(t *testing.T) {
	s := State{}
	loss := 0.05
	for i := range 100 {
		next := loss * (1 + 0.03*float64(i%2))
		if i == 5 {
			next = 30
		}
		if i == 90 {
			next = 0.4
		}
		if p := s.judge(next, 1, 2); p != "" {
			t.Errorf("step %d: %s", i+1, p)
		}
		s.saw(next)
		s.Step++
		loss *= 1.01
	}
	if p := s.judge(10, 1, 0); p != "" {
		t.Errorf("without a factor: %s", p)
	}
}

func TestValidate(t *testing.T) {
	for field, change := range map[string]func(*Config){
		"steps":         func(c *Config) { c.Steps = 0 },
		"log_every":     func(c *Config) { c.LogEvery = 0 },
		"save_every":    func(c *Config) { c.SaveEvery = -1 },
		"keep_last":     func(c *Config) { c.KeepLast = 0 },
		"spike_factor":  func(c *Config) { c.SpikeFactor = 0.5 },
		"learning_rate": func(c *Config) { c.Optimizer.LR = nan },
		"beta2":         func(c *Config) { c.Optimizer.Beta2 = 1 },
		"ema":           func(c *Config) { c.Optimizer.EMA = 1 },
	} {
		c := tinyRun(10)
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: the error is %v", field, err)
		}
	}
}
