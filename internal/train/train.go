// Package train is the loop that every training stage shares: one optimiser
// step after the other, metrics, samples, validation, and checkpoints from which
// a run goes on bit for bit as if it had never stopped.
package train

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/optim"
	"github.com/cria-llm/cria/internal/sys/atomicfile"
)

// Sums is what a step trained on.
type Sums struct {
	Loss      llama.Loss
	Tokens    int   // rows computed, trained or not
	Sequences int64 // by which the data's position moves
	FLOPs     float64
}

// Stage is what one kind of training adds to the loop. What a step trains on
// must follow from the step's number alone: this makes a resumed run equal to
// one that was never interrupted.
type Stage interface {
	// Learn adds the gradients of a whole step, from 1, micro-batch by
	// micro-batch. When ctx ends it returns its error early, and the step is not
	// done.
	Learn(ctx context.Context, step int) (Sums, error)
	// Samples names what a step trains on, for a person who looks for the cause
	// of a failure.
	Samples(step int) []string
	// Validate measures the model, by names that metrics.jsonl takes up.
	Validate(ctx context.Context) (map[string]float64, error)
	// Sample writes texts.
	Sample(ctx context.Context) ([]Sample, error)
}

// Progress is what a person wants to see after each step.
type Progress struct {
	Step, Steps int
	Loss        float64
	TokensPerS  float64 // over about the last ten steps
	FLOPS       float64
	Left        time.Duration
}

// Run is one training run.
type Run struct {
	Dir     string
	Config  Config
	Model   *llama.TrainModel
	Opt     *optim.AdamW
	Like    *modelfile.Model // tokenizer and all else that written models need
	Stage   Stage
	Text    []byte // config.yaml
	State   State  // of the beginning; Restore sets it
	OnStep  func(Progress)
	Message func(format string, args ...any) // what happened, a line each

	metrics, samples *lines
	saved            string // last checkpoint
	pace             pace
}

// InterruptedError says that a run was stopped from outside and saved.
type InterruptedError struct {
	Step  int
	Saved string // "" where no step was done yet
	cause error
}

func (e *InterruptedError) Error() string {
	if e.Saved == "" {
		return "train: stopped before the first step; nothing is saved"
	}
	return fmt.Sprintf("train: stopped after step %d, which is saved in %s; --resume goes on from there", e.Step, e.Saved)
}

func (e *InterruptedError) Unwrap() error { return e.cause }

// Restore takes optimiser and state from a checkpoint that was verified; the
// model was loaded from it.
func (r *Run) Restore(c *Checkpoint) error {
	s, err := c.State()
	if err != nil {
		return err
	}
	if s.Data == "" {
		r.Message("The checkpoint does not say what data it was trained on; it is taken to be this.")
		s.Data = r.State.Data
	}
	if s.Data != r.State.Data {
		return fmt.Errorf("train: %s was trained on other data than this (sha256 of its description %s, now %s): the run cannot go on as it was begun", c.Dir, s.Data, r.State.Data)
	}
	if err := loadState(filepath.Join(c.Dir, optimizerFile), r.Model.Device(), r.Opt.State()); err != nil {
		return err
	}
	if s.Device != r.State.Device {
		r.Message("The checkpoint was made with %s, this is %s: the run goes on, with other roundings.", s.Device, r.State.Device)
		s.Device = r.State.Device
	}
	r.State, r.Opt.Steps, r.saved = s, s.Step, c.Dir
	return nil
}

// Train runs to the last step and saves it. When ctx ends, it saves the last
// whole step and returns an *InterruptedError; where a step fails, a *StopError.
// Where something fails after a step, such as a validation, the step is saved.
func (r *Run) Train(ctx context.Context) (err error) {
	if err := r.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.metrics.close(), r.samples.close()) }()
	for r.State.Step < r.Config.Steps {
		err := r.step(ctx)
		if cause := ctx.Err(); cause != nil && (err == nil || errors.Is(err, cause)) {
			return r.interrupted(cause)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// step trains one step and does what is due after it.
func (r *Run) step(ctx context.Context) error {
	start, c := time.Now(), &r.Config
	n := r.State.Step + 1
	sums, err := r.Stage.Learn(ctx, n)
	if err != nil {
		return err
	}
	m, err := r.apply(n, sums, start)
	if err != nil {
		return err
	}
	var failed error
	log := n%c.LogEvery == 0
	if c.due(n, c.ValidateEvery) {
		log, failed = true, r.validate(ctx, &m)
	}
	if log { // also where the validation was interrupted: the step is done
		failed = errors.Join(failed, r.metrics.add(m))
	}
	if failed == nil && c.due(n, c.SampleEvery) {
		failed = r.sample(ctx)
	}
	// A step after which something failed is done all the same.
	if failed == nil && c.due(n, c.SaveEvery) || failed != nil && ctx.Err() == nil {
		failed = errors.Join(failed, r.Save())
	}
	return failed
}

// open prepares the run's directory.
func (r *Run) open() (err error) {
	if err := os.MkdirAll(r.Dir, 0o777); err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(r.Dir, ConfigFile), r.Text); err != nil {
		return err
	}
	if r.metrics, err = openLines(filepath.Join(r.Dir, MetricsFile), r.State.Step); err != nil {
		return err
	}
	r.samples, err = openLines(filepath.Join(r.Dir, SamplesFile), r.State.Step)
	if err != nil {
		err = errors.Join(err, r.metrics.close())
	}
	return err
}

// apply judges a step's loss and gradient, and updates the weights.
func (r *Run) apply(step int, sums Sums, start time.Time) (m Metrics, err error) {
	if sums.Loss.Tokens == 0 {
		return m, fmt.Errorf("train: step %d: none of its %d tokens is trained: %v", step, sums.Tokens, r.Stage.Samples(step))
	}
	scale := 1 / float64(sums.Loss.Tokens)
	norm, err := r.Opt.GradNorm(scale)
	if err != nil {
		return m, err
	}
	loss := sums.Loss.Mean()
	if problem := r.State.judge(loss+sums.Loss.Z*scale, norm, r.Config.SpikeFactor); problem != "" {
		return m, &StopError{Step: step, Problem: problem, Samples: r.Stage.Samples(step), Last: r.saved}
	}
	rate := r.Config.Optimizer.Rate(step, r.Config.Steps)
	if err := r.Opt.Step(rate, scale, norm); err != nil {
		return m, err
	}
	took := time.Since(start)
	s := &r.State
	s.saw(loss)
	s.Step = step
	s.Position += sums.Sequences
	s.Tokens += int64(sums.Tokens)
	s.Seconds += took.Seconds()
	r.pace.add(float64(sums.Tokens), sums.FLOPs, took)
	m = Metrics{Step: step, Tokens: s.Tokens, Time: s.Seconds, Loss: loss, LR: rate, GradNorm: norm, TokensPerS: r.pace.tokensPerS()}
	if sums.Loss.Z != 0 {
		m.More = map[string]float64{"z_loss": sums.Loss.Z * scale}
	}
	if r.OnStep != nil {
		r.OnStep(Progress{Step: step, Steps: r.Config.Steps, Loss: loss, TokensPerS: r.pace.tokensPerS(), FLOPS: r.pace.flops(), Left: r.pace.left(r.Config.Steps - step)})
	}
	return m, nil
}

func (r *Run) validate(ctx context.Context, m *Metrics) error {
	got, err := r.Stage.Validate(ctx)
	if err != nil {
		return err
	}
	if m.More == nil {
		m.More = map[string]float64{}
	}
	maps.Copy(m.More, got)
	if v, ok := got["val_loss"]; ok {
		r.Message("Step %d: validation loss %.4f.", m.Step, v)
	}
	return nil
}

func (r *Run) sample(ctx context.Context) error {
	list, err := r.Stage.Sample(ctx)
	if err != nil {
		return err
	}
	for _, s := range list {
		s.Step = r.State.Step
		r.Message("Step %d: %s%s", s.Step, s.Prompt, s.Text)
		if err := r.samples.add(s); err != nil {
			return err
		}
	}
	return nil
}

// interrupted saves the last whole step.
func (r *Run) interrupted(cause error) error {
	if r.State.Step == 0 {
		return &InterruptedError{cause: cause}
	}
	if err := r.Save(); err != nil {
		return err
	}
	return &InterruptedError{Step: r.State.Step, Saved: r.saved, cause: cause}
}

// Save writes a checkpoint of the last step and deletes those that need not be
// kept.
func (r *Run) Save() error {
	if err := errors.Join(r.metrics.f.Sync(), r.samples.f.Sync()); err != nil {
		return err
	}
	dir, err := writeCheckpoint(r.Dir, r.State.Step, func(dir string) error {
		if err := WriteModel(r.Model.Config, Weights(r.Model), r.Like, filepath.Join(dir, ModelDir), "f32"); err != nil {
			return err
		}
		if err := saveState(filepath.Join(dir, optimizerFile), r.Model.Device(), r.Opt.State()); err != nil {
			return err
		}
		if err := atomicfile.WriteFile(filepath.Join(dir, ConfigFile), r.Text); err != nil {
			return err
		}
		return writeJSON(filepath.Join(dir, stateFile), &r.State)
	})
	if err != nil {
		return err
	}
	r.saved = dir
	return prune(r.Dir, r.Config.KeepLast, r.Config.KeepEvery)
}

// WriteModel writes weights as a Hugging Face directory; what stands there is
// replaced. typ is f32, f16 or bf16. It is not interrupted: a save that was begun
// because of Ctrl-C must end.
func WriteModel(cfg llama.Config, weights llama.Source, like *modelfile.Model, dir, typ string) error {
	m, err := modelfile.Of("the model in training", cfg, weights, like)
	if err != nil {
		return err
	}
	_, err = modelfile.Convert(context.Background(), m, dir, modelfile.ConvertOptions{Type: typ, Overwrite: true})
	return err
}
