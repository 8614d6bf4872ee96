package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
)

// initConfig is everything that `cria init` can be told.
type initConfig struct {
	Shape   string
	File    string
	Untied  bool
	Out     string
	Options modelfile.InitOptions
	JSON    bool
}

func newInit() *cobra.Command {
	var c initConfig
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a model with random weights, for training and benchmarks",
		Long: `Make a model with random weights: a GGUF file if OUT ends in .gguf, else a
Hugging Face directory. The shape has a name, or is a Hugging Face config.json.
The same seed gives the same weights.

Shapes: ` + strings.Join(llama.ShapeNames(), " ") + `.`,
		Example: `  cria init --shape 15m --vocab tokenizer.model -o m.gguf
  cria init --shape tinyllama-1.1b --type q4_0 -o bench.gguf
  cria init --config config.json --seed 7 -o start/`,
		Args: args(0, 0, "no argument; name the result with -o OUT"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	fs := cmd.Flags()
	fs.StringVar(&c.Shape, "shape", "", "name of a shape")
	fs.StringVar(&c.File, "config", "", "Hugging Face config.json with the shape")
	fs.BoolVar(&c.Untied, "untied", false, "an output matrix of its own, where the shape ties it to the embedding")
	fs.StringVar(&c.Options.Tokenizer, "vocab", "", "tokenizer, or a model that has one, to put into the model; the vocabulary takes its size")
	fs.StringVar(&c.Options.Type, "type", "f32", "type of the matrices, as for convert")
	fs.Uint64Var(&c.Options.Seed, "seed", 1, "seed of the weights")
	fs.StringVarP(&c.Out, "out", "o", "", "GGUF file or directory to make")
	fs.BoolVar(&c.Options.Overwrite, "overwrite", false, "replace OUT if it is there")
	fs.BoolVar(&c.JSON, "json", false, "print one JSON object")
	return cmd
}

// shape returns the configuration asked for.
func (c *initConfig) shape() (cfg llama.Config, err error) {
	switch {
	case (c.Shape == "") == (c.File == ""):
		return cfg, usagef("give either --shape NAME or --config FILE; names: %s", strings.Join(llama.ShapeNames(), ", "))
	case c.Shape != "":
		if cfg, err = llama.Shape(c.Shape); err != nil {
			return cfg, &UsageError{err}
		}
	default:
		if cfg, err = modelfile.ReadHFConfig(c.File); err != nil {
			return cfg, err
		}
	}
	if c.Untied {
		cfg.TiedEmbeddings = false
	}
	return cfg, nil
}

func (c *initConfig) run(cmd *cobra.Command) error {
	if c.Out == "" {
		return usagef("no -o OUT")
	}
	if err := checkType(c.Options.Type); err != nil {
		return err
	}
	cfg, err := c.shape()
	if err != nil {
		return err
	}
	b := newBar(cmd, "writing", "B")
	c.Options.Progress = func(done, total int64) { b.set(int(done), int(total)) }
	rep, err := modelfile.Init(cmd.Context(), cfg, c.Out, c.Options)
	b.done()
	if err != nil {
		return err
	}
	return printReport(cmd, rep, c.JSON)
}
