package cli

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/quant"
)

// convertConfig is everything that `cria convert` and `cria quantize` can be told.
type convertConfig struct {
	In, Out   string
	Tokenizer string
	Context   int
	Options   modelfile.ConvertOptions
	JSON      bool
}

func newConvert() *cobra.Command {
	var c convertConfig
	cmd := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "Convert a model to GGUF or to a Hugging Face directory",
		Long: `Convert any model that Cria reads to GGUF (OUT ends in .gguf) or to a Hugging
Face directory, complete with tokenizer, chat template and end tokens; beside a
GGUF file goes a Modelfile for Ollama. Tensors keep their type unless --type
says otherwise, and stream one by one: memory stays at the largest tensor.`,
		Example: `  cria convert Llama-2-7b-chat-hf llama-2-7b-chat.gguf
  cria convert llama-2-7b/ llama-2-7b.gguf --type f16
  cria convert model.gguf model-hf --type bf16`,
		Args: args(2, 2, "IN and OUT"),
		RunE: func(cmd *cobra.Command, given []string) error {
			c.In, c.Out = given[0], given[1]
			return c.run(cmd)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&c.Options.Type, "type", "", "type of the matrices: f32, f16, bf16, or one of "+strings.Join(quant.Mixes(), ", ")+" (default: as they are)")
	convertFlags(cmd, &c)
	return cmd
}

func newQuantize() *cobra.Command {
	var c convertConfig
	cmd := &cobra.Command{
		Use:   "quantize IN OUT TYPE",
		Short: "Quantise a model to a smaller GGUF file",
		Long: `Quantise a model of any format to a GGUF file. TYPE is one of
` + strings.Join(quant.Mixes(), " ") + `.
The _s, _m and _l mixes give the tensors that matter most more bits, as
llama.cpp does; a tensor whose rows are no multiple of the type's block takes the
next type that fits, which is listed.`,
		Example: `  cria quantize llama-2-7b.gguf llama-2-7b.Q4_K_M.gguf q4_k_m
  cria quantize Llama-2-7b-hf llama-2-7b.Q8_0.gguf q8_0`,
		Args: args(3, 3, "IN, OUT and TYPE"),
		RunE: func(cmd *cobra.Command, given []string) error {
			c.In, c.Out, c.Options.Type = given[0], given[1], given[2]
			if !strings.HasSuffix(strings.ToLower(c.Out), ".gguf") {
				return usagef("OUT is %q; quantised models are GGUF files: give it a name that ends in .gguf", c.Out)
			}
			return c.run(cmd)
		},
	}
	convertFlags(cmd, &c)
	return cmd
}

func convertFlags(cmd *cobra.Command, c *convertConfig) {
	fs := cmd.Flags()
	fs.StringVar(&c.Tokenizer, "tokenizer", "", "tokenizer file, or a model that has one, where IN has none beside it")
	fs.IntVarP(&c.Context, "ctx", "c", 0, "context that fixes the base of dynamic RoPE scaling in a GGUF file (default: what the model was trained for)")
	fs.BoolVar(&c.Options.Overwrite, "overwrite", false, "replace OUT if it is there")
	fs.IntVar(&c.Options.Workers, "threads", 0, "cores to use (default: all that this process may)")
	fs.BoolVar(&c.JSON, "json", false, "print one JSON object")
}

func (c *convertConfig) run(cmd *cobra.Command) (err error) {
	if w := c.Options.Workers; w < 0 {
		return usagef("--threads %d; it must be 0 (all that this process may use) or more", w)
	}
	if c.Options.Type != "" {
		if err := checkType(c.Options.Type); err != nil {
			return err
		}
	}
	m, err := modelfile.Open(c.In, modelfile.OpenOptions{Tokenizer: c.Tokenizer, Context: c.Context})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	b := newBar(cmd, "converting", "B")
	c.Options.Progress = func(done, total int64) { b.set(int(done), int(total)) }
	rep, err := modelfile.Convert(cmd.Context(), m, c.Out, c.Options)
	b.done()
	if err != nil {
		return err
	}
	return printReport(cmd, rep, c.JSON)
}

// checkType refuses what is the name of no type and no mix.
func checkType(name string) error {
	if _, err := quant.ParseMix(name); err != nil {
		return &UsageError{err}
	}
	return nil
}

// printReport says what was written.
func printReport(cmd *cobra.Command, r *modelfile.Report, asJSON bool) error {
	if asJSON {
		return printJSON(cmd, r)
	}
	for _, t := range r.Tensors {
		if t.Wanted != t.To {
			note(cmd, "cria: %s is %s: its rows of %d are no multiple of %s's blocks", t.Name, t.To, t.Cols, t.Wanted)
		}
	}
	for _, n := range r.Notes {
		note(cmd, "cria: %s", n)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %d tensors, %s\n", r.Out, len(r.Tensors), sizeText(r.Bytes))
	return err
}

// sizeText is a size as people read it.
func sizeText(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%d kB", (n+999)/1000)
}
