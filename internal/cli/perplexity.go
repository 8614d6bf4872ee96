package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria/internal/bench"
	"github.com/cria-llm/cria/internal/embedded"
	"github.com/cria-llm/cria/internal/engine"
	"github.com/cria-llm/cria/internal/generate"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/tokenizer"
)

func newPerplexity() *cobra.Command {
	var c modelConfig
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "perplexity FILE",
		Short: "Measure how well a model predicts a text",
		Long: `Measure how well a model predicts a text, with llama.cpp's windowing, so that
figures compare with llama-perplexity: the text is cut into windows of --ctx
tokens (default 512), a rest is left out, the first token of each becomes the
begin token, and the second half of each window is scored. FILE - is standard
input.`,
		Example: `  cria perplexity -m llama-2-7b.Q4_0.gguf wiki.test.raw
  cria perplexity -m m.gguf --ctx 256 --cache-type f32 --json book.txt`,
		Args: args(1, 1, "one FILE"),
		RunE: func(cmd *cobra.Command, given []string) error {
			res, err := measurePerplexity(cmd, &c, given[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, res)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "perplexity %.4f ± %.4f (mean negative log-likelihood %.6f ± %.6f nats, %d tokens scored in %d windows of %d)\n",
				res.PPL, res.PPLStdErr, res.NLL, res.NLLStdErr, res.Tokens, res.Chunks, res.Context)
			return err
		},
	}
	fs := cmd.Flags()
	modelFlags(fs, &c)
	fs.Lookup("ctx").Usage = "tokens of a window (default 512)"
	fs.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func measurePerplexity(cmd *cobra.Command, c *modelConfig, file string) (res bench.Perplexity, err error) {
	if err := c.check(); err != nil {
		return res, err
	}
	if c.Options.Context == 0 {
		c.Options.Context = 512
	}
	text, err := readText(cmd, file)
	if err != nil {
		return res, err
	}
	l, err := openLoaded(cmd, c)
	if err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	tok := l.File.Tokenizer
	if tok == nil {
		return res, fmt.Errorf("%s: the model has no tokenizer beside it; name one with --tokenizer", c.Path)
	}
	ids := tok.Encode(text, tokenizer.EncodeOptions{BOS: tok.AddBOS()})
	bos := int32(-1)
	if id, ok := tok.BOS(); ok && tok.AddBOS() {
		bos = id
	}
	b := newBar(cmd, "scoring", "windows")
	defer b.done()
	return bench.MeasurePerplexity(cmd.Context(), l.Net, ids, bos, c.Options.Context, l.Cache, func(done, total int, soFar bench.Perplexity) {
		b.set(done, total)
	})
}

func readText(cmd *cobra.Command, file string) (string, error) {
	if file == "-" {
		return readInput(cmd)
	}
	b, err := os.ReadFile(file)
	return string(b), err
}

// openLoaded opens and loads the model that a command names, below the library's
// interface, for commands that measure.
func openLoaded(cmd *cobra.Command, c *modelConfig) (*engine.Model, error) {
	file, err := embedded.Open(c.path(), modelfile.OpenOptions{Tokenizer: c.Options.Tokenizer, Context: c.Options.Context})
	if err != nil {
		return nil, err
	}
	return loadFile(cmd, c, file)
}

// loadFile loads an open model, which it closes on an error. The configuration has
// been checked.
func loadFile(cmd *cobra.Command, c *modelConfig, file *modelfile.Model) (*engine.Model, error) {
	o := &c.Options
	cache, err := generate.ParseCacheType(o.CacheType)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	b := newBar(cmd, "loading", "tensors")
	m, err := engine.Load(cmd.Context(), file, engine.Options{Context: o.Context, ExtendContext: o.ExtendContext, Cache: cache, Threads: o.Threads, Progress: b.set})
	b.done()
	var long *engine.ContextTooLongError
	switch {
	case errors.As(err, &long):
		return nil, usagef("--ctx %d, but the model was trained for %d tokens; take at most that, or allow more with --extend-context", long.Asked, long.Trained)
	case err != nil:
		return nil, err
	case m.Streamed:
		note(cmd, streamedNote)
	}
	return m, nil
}
