package cli

import (
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
)

// showConfig is everything that `cria show` can be told.
type showConfig struct {
	Path      string
	Tokenizer string
	Tensors   bool
	Verify    bool
	JSON      bool
}

// description is what `cria show` prints.
type description struct {
	Path       string           `json:"path"`
	Arch       string           `json:"architecture"` // as GGUF names it
	Format     modelfile.Format `json:"format"`
	Detail     string           `json:"detail"`
	Files      []string         `json:"files"`
	Name       string           `json:"name"`
	License    string           `json:"license"`
	Parameters int              `json:"parameters"`
	Bytes      int64            `json:"bytes"`
	Config     configOutput     `json:"config"`
	Types      []typeOutput     `json:"types"`
	Tokenizer  *tokenizerOutput `json:"tokenizer"`
	Template   templateOutput   `json:"template"`
	StopIDs    []int32          `json:"stop_ids"`
	Notes      []string         `json:"notes"`
	Verified   bool             `json:"verified"`
	Tensors    []tensorOutput   `json:"tensors,omitempty"`
}

type configOutput struct {
	Dim         int     `json:"dim"`
	Layers      int     `json:"n_layers"`
	Heads       int     `json:"n_heads"`
	KVHeads     int     `json:"n_kv_heads"`
	HeadDim     int     `json:"head_dim"`
	HiddenDim   int     `json:"hidden_dim"`
	VocabSize   int     `json:"vocab_size"`
	MaxSeqLen   int     `json:"max_seq_len"`
	NormEps     float32 `json:"norm_eps"`
	RopeTheta   float64 `json:"rope_theta"`
	RopeScaling string  `json:"rope_scaling,omitempty"`
	RopeFactor  float64 `json:"rope_factor,omitempty"`
	Tied        bool    `json:"tied_embeddings"`
}

type typeOutput struct {
	Type    string `json:"type"`
	Tensors int    `json:"tensors"`
	Bytes   int64  `json:"bytes"`
}

type tokenizerOutput struct {
	From   string `json:"from"`
	Pieces int    `json:"pieces"`
	BOS    *int32 `json:"bos"`
	EOS    *int32 `json:"eos"`
	AddBOS bool   `json:"add_bos"`
}

type templateOutput struct {
	From  string `json:"from,omitempty"`
	Name  string `json:"name,omitempty"` // empty where there is none or it is not known
	Text  string `json:"text,omitempty"`
	Error string `json:"error,omitempty"`
}

type tensorOutput struct {
	Name   string `json:"name"`
	Source string `json:"source"`
	File   string `json:"file"`
	Type   string `json:"type"`
	Shape  [2]int `json:"shape"`
	Bytes  int64  `json:"bytes"`
}

func newShow() *cobra.Command {
	var c showConfig
	cmd := &cobra.Command{
		Use:   "show MODEL",
		Short: "Say what a model is: architecture, sizes, types, template, licence",
		Long: `Say what a model is: architecture, sizes, types, tokenizer, chat template and
licence. --verify reads every byte and checks that all weights are finite.`,
		Example: `  cria show llama-2-7b-chat.Q4_K_M.gguf
  cria show Llama-2-7b-hf --tensors
  cria show model.gguf --verify --json`,
		Args: args(1, 1, "one MODEL"),
		RunE: func(cmd *cobra.Command, given []string) error {
			c.Path = given[0]
			return c.run(cmd)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&c.Tokenizer, "tokenizer", "", "tokenizer file, or a model that has one, where the model has none beside it")
	fs.BoolVar(&c.Tensors, "tensors", false, "list all tensors")
	fs.BoolVar(&c.Verify, "verify", false, "read everything and check every weight")
	fs.BoolVar(&c.JSON, "json", false, "print one JSON object")
	return cmd
}

func (c *showConfig) run(cmd *cobra.Command) (err error) {
	m, err := modelfile.Open(c.Path, modelfile.OpenOptions{Tokenizer: c.Tokenizer})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	d := describe(m, c.Tensors)
	if c.Verify {
		b := newBar(cmd, "verifying", "B")
		err := m.Verify(cmd.Context(), func(done, total int64) { b.set(int(done), int(total)) })
		b.done()
		if err != nil {
			return err
		}
		d.Verified = true
	}
	if c.JSON {
		return printJSON(cmd, d)
	}
	return d.print(cmd.OutOrStdout())
}

func describe(m *modelfile.Model, tensors bool) *description {
	d := &description{Path: m.Path, Arch: "llama", Format: m.Format, Detail: m.Detail, Files: m.Files, Name: m.Name, License: m.License,
		Parameters: m.Config.Parameters(), Config: describeConfig(&m.Config), StopIDs: m.StopIDs, Notes: m.Notes}
	types := map[string]*typeOutput{}
	for _, t := range m.Tensors() {
		name := t.Type.String()
		if types[name] == nil {
			types[name] = &typeOutput{Type: name}
		}
		types[name].Tensors++
		types[name].Bytes += t.Bytes
		d.Bytes += t.Bytes
		if tensors {
			d.Tensors = append(d.Tensors, tensorOutput{t.Name, t.SourceName, t.File, name, [2]int{t.Rows, t.Cols}, t.Bytes})
		}
	}
	for _, t := range types {
		d.Types = append(d.Types, *t)
	}
	sort.Slice(d.Types, func(i, j int) bool { return d.Types[i].Bytes > d.Types[j].Bytes })
	if t := m.Tokenizer; t != nil {
		o := &tokenizerOutput{From: m.TokenizerFrom, Pieces: t.VocabSize(), AddBOS: t.AddBOS()}
		if id, ok := t.BOS(); ok {
			o.BOS = &id
		}
		if id, ok := t.EOS(); ok {
			o.EOS = &id
		}
		d.Tokenizer = o
	}
	d.Template = templateOutput{From: m.TemplateFrom, Text: m.Template}
	if m.Template != "" {
		if t, err := chat.Match(m.Template); err == nil {
			d.Template.Name = t.Name()
		} else {
			d.Template.Error = err.Error()
		}
	}
	return d
}

func describeConfig(c *llama.Config) configOutput {
	o := configOutput{Dim: c.Dim, Layers: c.NLayers, Heads: c.NHeads, KVHeads: c.NKVHeads, HeadDim: c.HeadDim, HiddenDim: c.HiddenDim,
		VocabSize: c.VocabSize, MaxSeqLen: c.MaxSeqLen, NormEps: c.NormEps, RopeTheta: c.RopeTheta, Tied: c.TiedEmbeddings}
	if c.RopeScale.Kind != llama.RopeNone {
		o.RopeScaling, o.RopeFactor = string(c.RopeScale.Kind), c.RopeScale.Factor
	}
	return o
}

func (d *description) print(w io.Writer) error {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	c := &d.Config
	if d.Name != "" {
		row("name", "%s", d.Name)
	}
	row("format", "%s", d.Detail)
	row("architecture", "%s", d.Arch)
	row("parameters", "%s in %s", countText(d.Parameters), sizeText(d.Bytes))
	row("layers", "%d of width %d, feed-forward %d", c.Layers, c.Dim, c.HiddenDim)
	row("attention", "%d heads of %d, %d KV heads", c.Heads, c.HeadDim, c.KVHeads)
	scaling := ""
	if c.RopeScaling != "" {
		scaling = fmt.Sprintf(", %s scaling by %g", c.RopeScaling, c.RopeFactor)
	}
	row("context", "%d, RoPE base %g%s", c.MaxSeqLen, c.RopeTheta, scaling)
	tied := "its own output matrix"
	if c.Tied {
		tied = "tied output matrix"
	}
	row("vocabulary", "%d, %s", c.VocabSize, tied)
	row("norm eps", "%g", c.NormEps)
	var types []string
	for _, t := range d.Types {
		types = append(types, fmt.Sprintf("%s %d (%s)", t.Type, t.Tensors, sizeText(t.Bytes)))
	}
	row("types", "%s", strings.Join(types, ", "))
	switch t := d.Tokenizer; {
	case t == nil:
		row("tokenizer", "none; name one with --tokenizer")
	default:
		row("tokenizer", "%d pieces, begin %s, end %s, from %s", t.Pieces, idText(t.BOS), idText(t.EOS), t.From)
	}
	switch t := &d.Template; {
	case t.Name != "":
		row("template", "%s, from %s", t.Name, t.From)
	case t.Text != "":
		row("template", "unknown, from %s: %s", t.From, t.Error)
	default:
		row("template", "none")
	}
	if d.License != "" {
		row("licence", "%s", firstLine(d.License))
	}
	for _, n := range d.Notes {
		row("note", "%s", n)
	}
	if d.Verified {
		row("verified", "all weights were read and are finite")
	}
	for _, t := range d.Tensors {
		fmt.Fprintf(&b, "  %-32s %-7s %8d x %-8d %12d bytes  %s\n", t.Name, t.Type, t.Shape[0], t.Shape[1], t.Bytes, t.Source)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func idText(id *int32) string {
	if id == nil {
		return "none"
	}
	return fmt.Sprint(*id)
}

// firstLine is the beginning of a text that may be pages long.
func firstLine(s string) string {
	line, rest, _ := strings.Cut(strings.TrimSpace(s), "\n")
	if len(line) > 100 {
		return line[:100] + "…"
	}
	if rest != "" {
		return line + " …"
	}
	return line
}

// countText is a number of parameters as people say it.
func countText(n int) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f billion", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f million", float64(n)/1e6)
	}
	return fmt.Sprint(n)
}
