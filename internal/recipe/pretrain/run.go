package pretrain

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/data/shard"
	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/device/ref"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/optim"
	"github.com/cria-llm/cria/internal/sys/filelock"
	"github.com/cria-llm/cria/internal/sys/meminfo"
	"github.com/cria-llm/cria/internal/tensor"
	"github.com/cria-llm/cria/internal/train"
)

// The devices that Config names.
const (
	deviceCPU       = "cpu"
	deviceReference = "reference"
)

// lockFile keeps a second process out of a run's directory.
const lockFile = ".lock"

// averageDir is the finished model of the moving average, beside train.ModelDir.
const averageDir = "model-ema"

// UI is what a run tells a person.
type UI struct {
	Message func(format string, args ...any) // one line each
	// Step is called after each step; peak is the device's measured limit in
	// FLOP/s, 0 where it cannot be measured.
	Step func(p train.Progress, peak float64)
}

// Run trains a model. With resume it goes on from the last checkpoint of
// Config.Out, bit for bit as if it had not stopped. The finished model is in
// model/ of that directory.
func Run(ctx context.Context, c *Config, resume bool, ui UI) (err error) {
	if err := os.MkdirAll(c.Out, 0o777); err != nil {
		return err
	}
	lock, err := filelock.Try(filepath.Join(c.Out, lockFile))
	if err != nil {
		return fmt.Errorf("pretrain: another run works in %s: %w", c.Out, err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	from, err := c.start(ctx, resume, ui)
	if err != nil {
		return err
	}
	tok, _, err := modelfile.OpenTokenizer(c.Data.Tokenizer)
	if err != nil {
		return err
	}
	set, err := c.openData(ctx, tok, from != nil, ui.Message)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	dev, peak, err := c.openDevice(ui)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()

	r, done, err := c.assemble(ctx, dev, set, from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	r.Message = ui.Message
	if ui.Step != nil {
		r.OnStep = func(p train.Progress) { ui.Step(p, peak) }
	}
	if from != nil {
		if err := r.Restore(from); err != nil {
			return err
		}
	}
	c.announce(r, from, ui)
	if err := r.Train(ctx); err != nil {
		return err
	}
	return c.finishModel(r, ui)
}

// start looks at what the run's directory holds: the checkpoint to go on from,
// nil for a new run.
func (c *Config) start(ctx context.Context, resume bool, ui UI) (*train.Checkpoint, error) {
	list, err := train.Checkpoints(c.Out)
	if err != nil {
		return nil, err
	}
	if !resume {
		if len(list) > 0 {
			return nil, fmt.Errorf("pretrain: %s holds a run that came to step %d: go on with --resume, or give another directory", c.Out, list[len(list)-1].Step)
		}
		return nil, nil
	}
	if len(list) == 0 {
		ui.Message("There is no checkpoint in %s yet: the run begins anew.", c.Out)
		return nil, nil
	}
	last := &list[len(list)-1]
	if err := last.Verify(ctx); err != nil {
		return nil, err
	}
	return last, c.sameNumbers(last, ui)
}

// sameNumbers refuses to go on with a configuration that computes something
// else.
func (c *Config) sameNumbers(p *train.Checkpoint, ui UI) error {
	path := filepath.Join(p.Dir, train.ConfigFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	old, err := Load(path, text, Flags{})
	if err != nil {
		return err
	}
	// Shards that were given have their sums compared; those of the run's own stand
	// as they were made, so what they were made of must be the same.
	if old.Data.direct() && c.Data.direct() && !reflect.DeepEqual(old.Data.madeOf(), c.Data.madeOf()) {
		return fmt.Errorf("pretrain: the run in %s made its data when it began, and data was not the same then: go on with the old one (%s), or begin a run of your own with init", c.Out, path)
	}
	was, err := old.numbers()
	if err != nil {
		return err
	}
	is, err := c.numbers()
	if err != nil {
		return err
	}
	switch {
	case was == is:
		return nil
	case c.AcceptChanges:
		ui.Message("Going on with another configuration: %s.", differences(was, is))
		return nil
	default:
		return fmt.Errorf("pretrain: the run in %s was begun with another configuration: %s; go on with the old one (%s), accept the change (--accept-changes), or begin a run of your own with init", c.Out, differences(was, is), path)
	}
}

// openDevice makes the device and measures its limit for the products asked for.
func (c *Config) openDevice(ui UI) (dev device.Trainer, peak float64, err error) {
	if c.Device == deviceReference {
		return ref.New[float32](), 0, nil
	}
	d, err := cpu.New(cpu.Options{Workers: c.Threads})
	if err != nil {
		return nil, 0, err
	}
	limit := cpu.ComputeF32
	if c.DType == "bf16" {
		if _, ok := d.MeasureCompute(cpu.ComputeBF16, time.Millisecond); ok {
			limit = cpu.ComputeBF16
		} else {
			ui.Message("This processor has no bf16 products (AVX512-BF16): they are computed in f32.")
		}
	}
	if ui.Step != nil {
		peak, _ = d.MeasureCompute(limit, 200*time.Millisecond)
	}
	return d, peak, nil
}

// assemble makes model, optimiser and stage, with fresh weights, those of
// Config.Init, or those of a checkpoint. done frees them.
func (c *Config) assemble(ctx context.Context, dev device.Trainer, set *shard.Dataset, from *train.Checkpoint) (_ *train.Run, done func() error, err error) {
	var close []func() error
	free := func() (err error) {
		for i := len(close) - 1; i >= 0; i-- {
			err = errors.Join(err, close[i]())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, free())
		}
	}()
	like, source, err := c.weights(from)
	if err != nil {
		return nil, nil, err
	}
	close = append(close, like.Close, source.Close)
	opt := llama.TrainOptions{Rows: c.MicroBatch * c.Sequence, Context: c.Model.Context, Products: tensor.F32, Checkpointing: c.Checkpointing}
	if c.DType == "bf16" {
		opt.Products = tensor.BF16
	}
	if err := c.fits(&source.Config, opt, meminfo.Read()); err != nil {
		return nil, nil, err
	}
	model, err := llama.NewTrainModel(dev, source.Config, source.Until(ctx), opt, nil)
	if err != nil {
		return nil, nil, err
	}
	close = append(close, model.Close)
	var params []optim.Param
	for _, p := range model.Params() {
		params = append(params, optim.Param{Name: p.Name, Param: p.Param, Rows: p.Rows, Cols: p.Cols})
	}
	adam, err := optim.New(dev, c.Train.Optimizer, params)
	if err != nil {
		return nil, nil, err
	}
	close = append(close, adam.Close)
	s, err := newStage(c, model, like.Tokenizer, set)
	if err != nil {
		return nil, nil, err
	}
	close = append(close, s.close)
	text, err := c.Text()
	if err != nil {
		return nil, nil, err
	}
	numbers, err := c.numbers()
	if err != nil {
		return nil, nil, err
	}
	index, err := json.Marshal(set.Index())
	if err != nil {
		return nil, nil, err
	}
	sum := func(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }
	state := train.State{Seed: c.Seed, Config: sum([]byte(numbers)), Data: sum(index), Device: deviceName(dev)}
	return &train.Run{Dir: c.Out, Config: c.Train, Model: model, Opt: adam, Like: like, Stage: s, Text: text, State: state}, free, nil
}

// fits refuses a run that the system would end for want of memory: that comes
// without a message, and perhaps after hours.
func (c *Config) fits(model *llama.Config, opt llama.TrainOptions, m meminfo.Memory) error {
	moments := int64(2)
	if c.Train.Optimizer.EMA > 0 {
		moments++
	}
	need := llama.TrainBytes(model, opt) + 4*moments*int64(model.Parameters())
	if m.Available == 0 || uint64(need) <= m.Available {
		return nil
	}
	return fmt.Errorf("pretrain: this run needs %.1f GB of memory, and %.1f GB are free: a smaller micro_batch (%d now) or activation_checkpointing need less; `cria plan` says what takes how much",
		float64(need)/1e9, float64(m.Available)/1e9, c.MicroBatch)
}

// deviceName says whose arithmetic it is: instruction sets differ in roundings.
func deviceName(d device.Trainer) string {
	if c, ok := d.(*cpu.Device); ok {
		return "cpu/" + c.Kernels().Name
	}
	return d.Name()
}

// weights opens where the weights come from, and the model that the written ones
// are like in all but the weights.
func (c *Config) weights(from *train.Checkpoint) (like, source *modelfile.Model, err error) {
	open := func(path string) (*modelfile.Model, error) {
		return modelfile.Open(path, modelfile.OpenOptions{Tokenizer: c.Data.Tokenizer})
	}
	if c.Init != "" {
		if like, err = open(c.Init); err != nil {
			return nil, nil, err
		}
	} else if like, err = modelfile.Random(c.Model.llama(0), modelfile.InitOptions{Seed: c.Seed, Std: c.InitStd, Tokenizer: c.Data.Tokenizer}); err != nil {
		return nil, nil, err
	}
	if c.Data.ChatTemplate != "" {
		t, err := chat.Lookup(c.Data.ChatTemplate)
		if err != nil {
			return nil, nil, errors.Join(err, like.Close())
		}
		like.Template, like.TemplateFrom = t.Text(), "data.chat_template"
	}
	source = like
	switch {
	case from != nil:
		source, err = open(from.Model())
	case c.Init != "":
		source, err = open(c.Init)
	}
	if err != nil {
		return nil, nil, errors.Join(err, like.Close())
	}
	want := c.Model.llama(like.Config.VocabSize)
	want.RopeScale = like.Config.RopeScale
	got := source.Config
	got.MaxSeqLen = want.MaxSeqLen // the context may grow: rotary positions need no weights
	if got != want {
		return nil, nil, errors.Join(fmt.Errorf("pretrain: %s has the configuration %+v, but model says %+v; leave the model section out to train it as it is", source.Path, got, want), like.Close(), source.Close())
	}
	source.Config = want
	return like, source, nil
}

func (c *Config) announce(r *train.Run, from *train.Checkpoint, ui UI) {
	step := c.Batch * c.Sequence
	ui.Message("Model: %d parameters. %d steps of %d tokens (%d sequences of %d, %d at once).", r.Model.Config.Parameters(), c.Train.Steps, step, c.Batch, c.Sequence, c.MicroBatch)
	if from != nil {
		ui.Message("Going on after step %d (%s).", r.State.Step, from.Dir)
	}
}

// finishModel writes the finished model.
func (c *Config) finishModel(r *train.Run, ui UI) error {
	dir := filepath.Join(c.Out, train.ModelDir)
	if err := train.WriteModel(r.Model.Config, train.Weights(r.Model), r.Like, dir, c.SaveType); err != nil {
		return err
	}
	ui.Message("Done: the model is in %s.", dir)
	if c.Train.Optimizer.EMA == 0 {
		return nil
	}
	dir = filepath.Join(c.Out, averageDir)
	if err := train.WriteModel(r.Model.Config, train.Averages(r.Model, r.Opt), r.Like, dir, c.SaveType); err != nil {
		return err
	}
	ui.Message("The model with averaged weights is in %s.", dir)
	return nil
}
