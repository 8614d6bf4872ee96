package cli

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria"
	"github.com/cria-llm/cria/internal/bench"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/generate"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/tensor"
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
	defer func() { err = errors.Join(err, l.close()) }()
	tok := l.file.Tokenizer
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
	return bench.MeasurePerplexity(cmd.Context(), l.net, ids, bos, c.Options.Context, l.cache, func(done, total int, soFar bench.Perplexity) {
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

// loaded is a model below the library's interface, for commands that measure.
type loaded struct {
	file  *modelfile.Model
	dev   *cpu.Device
	net   *llama.Model
	cache tensor.DType
}

// openLoaded opens and loads the model that a command names.
func openLoaded(cmd *cobra.Command, c *modelConfig) (*loaded, error) {
	path, err := c.path()
	if err != nil {
		return nil, err
	}
	file, err := modelfile.Open(path, modelfile.OpenOptions{Tokenizer: c.Options.Tokenizer, Context: c.Options.Context})
	if err != nil {
		return nil, err
	}
	return loadFile(cmd, c, file)
}

// loadFile loads an open model, which it closes on an error.
func loadFile(cmd *cobra.Command, c *modelConfig, file *modelfile.Model) (*loaded, error) {
	l := &loaded{file: file}
	if err := l.load(cmd, &c.Options); err != nil {
		return nil, errors.Join(err, l.close())
	}
	return l, nil
}

func (l *loaded) load(cmd *cobra.Command, o *cria.Options) (err error) {
	if l.cache, err = generate.ParseCacheType(o.CacheType); err != nil {
		return &UsageError{err}
	}
	if o.Context < 0 {
		return usagef("--ctx %d; it must be 0 (the model's own) or more", o.Context)
	}
	if most := l.file.Config.MaxContext(); o.Context > most && !o.ExtendContext {
		return usagef("--ctx %d, but the model was trained for %d tokens; take at most that, or allow more with --extend-context", o.Context, most)
	}
	stream := cpu.MustStream(l.file.QuantBytes())
	if l.dev, err = cpu.New(cpu.Options{Workers: o.Threads, Stream: stream}); err != nil {
		return err
	}
	if stream {
		note(cmd, streamedNote)
	}
	b := newBar(cmd, "loading", "tensors")
	defer b.done()
	l.net, err = llama.NewModel(l.dev, l.file.Config, l.file.Until(cmd.Context()), llama.Options{Context: o.Context}, b.set)
	return err
}

func (l *loaded) close() error {
	var errs []error
	if l.net != nil {
		errs = append(errs, l.net.Close())
	}
	if l.dev != nil {
		errs = append(errs, l.dev.Close())
	}
	return errors.Join(append(errs, l.file.Close())...)
}
