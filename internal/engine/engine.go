// Package engine puts an open model file on the machine's own cores: it checks
// what was asked for against what the model allows, decides whether its weights
// find a place in memory, and loads them.
package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/tensor"
)

// Options say how a model is loaded.
type Options struct {
	Context       int // tokens of a prompt and its answer; 0: what the model was trained for
	ExtendContext bool
	Cache         tensor.DType // element type of the KV cache
	Threads       int          // 0: all that this process may use
	Progress      func(done, total int)
}

// Model is a loaded model. It owns its file.
type Model struct {
	File     *modelfile.Model
	Dev      *cpu.Device
	Net      *llama.Model
	Cache    tensor.DType
	Streamed bool // larger than memory: weights are read from the file for every token
}

// ContextTooLongError says that a longer context was asked for than the model
// was trained for.
type ContextTooLongError struct{ Asked, Trained int }

func (e *ContextTooLongError) Error() string {
	return fmt.Sprintf("cria: a context of %d tokens, but the model was trained for %d; beyond that its answers get worse (Options.ExtendContext or --extend-context allow it)", e.Asked, e.Trained)
}

// Load loads an open file, and closes it on an error.
func Load(ctx context.Context, file *modelfile.Model, opt Options) (*Model, error) {
	m := &Model{File: file, Cache: opt.Cache}
	if err := m.load(ctx, &opt); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Model) load(ctx context.Context, opt *Options) (err error) {
	cfg := &m.File.Config
	switch most := cfg.MaxContext(); {
	case opt.Context > most && !opt.ExtendContext:
		return &ContextTooLongError{Asked: opt.Context, Trained: most}
	case m.Cache == tensor.Q8_0 && cfg.HeadDim%32 != 0:
		return fmt.Errorf("cria: %s: cache type q8_0 needs a head dimension that is a multiple of 32, this model's is %d; use f16 or f32", m.File.Path, cfg.HeadDim)
	}
	copied := m.File.CopiedBytes()
	if !cpu.Fits(copied) {
		return fmt.Errorf("cria: %s: %.1f GB of its weights must be put together in memory, which has less free; `cria convert` makes a GGUF file of it, which is read where it lies", m.File.Path, float64(copied)/1e9)
	}
	m.Streamed = !cpu.Fits(copied + m.File.QuantBytes())
	if m.Dev, err = cpu.New(cpu.Options{Workers: opt.Threads, Stream: m.Streamed}); err != nil {
		return err
	}
	m.Net, err = llama.NewModel(m.Dev, *cfg, m.File.Until(ctx), llama.Options{Context: opt.Context}, opt.Progress)
	return err
}

// Close frees the model's memory and closes its file.
func (m *Model) Close() error {
	var errs []error
	if m.Net != nil {
		errs = append(errs, m.Net.Close())
	}
	if m.Dev != nil {
		errs = append(errs, m.Dev.Close())
	}
	errs = append(errs, m.File.Close())
	m.Net, m.Dev = nil, nil
	return errors.Join(errs...)
}
