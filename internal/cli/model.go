package cli

import (
	"errors"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cria-llm/cria"
	"github.com/cria-llm/cria/internal/generate"
)

// modelEnv names the environment variable that --model falls back to.
const modelEnv = "CRIA_MODEL"

// modelConfig says which model a command loads and how.
type modelConfig struct {
	Path    string
	Options cria.Options
}

// modelFlags binds --model and what belongs to it.
func modelFlags(fs *pflag.FlagSet, c *modelConfig) {
	modelFlag(fs, c)
	fs.StringVar(&c.Options.Tokenizer, "tokenizer", "", "tokenizer file, or a model that has one, where the model has none beside it")
	deviceFlags(fs, c)
}

// modelFlag binds --model.
func modelFlag(fs *pflag.FlagSet, c *modelConfig) {
	fs.StringVarP(&c.Path, "model", "m", "", "model: GGUF file, Hugging Face or Meta directory, llama2.c file (default: $"+modelEnv+", else a small one that is in the program)")
}

// deviceFlags binds what says how a model computes.
func deviceFlags(fs *pflag.FlagSet, c *modelConfig) {
	fs.IntVarP(&c.Options.Context, "ctx", "c", 0, "tokens of prompt and answer together (default: what the model was trained for)")
	fs.BoolVar(&c.Options.ExtendContext, "extend-context", false, "allow a --ctx beyond what the model was trained for")
	fs.StringVar(&c.Options.CacheType, "cache-type", "f16", "element type of the KV cache: f16, f32 or q8_0")
	fs.IntVar(&c.Options.Threads, "threads", 0, "cores to use (default: all that this process may)")
}

// path returns the model's path, from the environment where no flag gives it; it
// is empty for the embedded model.
func (c *modelConfig) path() string {
	if c.Path == "" {
		c.Path = os.Getenv(modelEnv)
	}
	return c.Path
}

const embeddedNote = "cria: no model is named (-m MODEL), so the small one in the program answers: it knows nothing but its own small world"

// check refuses what no model can have.
func (c *modelConfig) check() error {
	if c.Options.Context < 0 {
		return usagef("--ctx %d; it must be 0 (the model's own) or more", c.Options.Context)
	}
	if _, err := generate.ParseCacheType(c.Options.CacheType); err != nil {
		return &UsageError{err}
	}
	return nil
}

const streamedNote = "cria: the model is larger than the memory that is free: its weights are read from the file for every token, which is slow"

// load loads the model with a progress bar. The time it took is returned too.
func (c *modelConfig) load(cmd *cobra.Command) (*cria.Model, time.Duration, error) {
	if err := c.check(); err != nil {
		return nil, 0, err
	}
	path := c.path()
	if path == "" {
		note(cmd, embeddedNote)
	}
	b := newBar(cmd, "loading", "tensors")
	c.Options.Progress = b.set
	start := time.Now()
	m, err := cria.LoadContext(cmd.Context(), path, &c.Options)
	b.done()
	var long *cria.ContextTooLongError
	if errors.As(err, &long) {
		err = &UsageError{err}
	}
	took := time.Since(start)
	if err == nil && m.Info().Streamed {
		note(cmd, streamedNote)
	}
	return m, took, err
}
