package cli

import (
	"fmt"
	"math"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cria-llm/cria/internal/embedded"
	"github.com/cria-llm/cria/internal/tokenizer"
)

func newTokenizer() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokenizer",
		Short: "Train a tokenizer, or compare two",
		Long: `Train a vocabulary on text, or measure how well tokenizers compress text.
(To turn text into ids: ` + "`cria tokenize`" + `.)`,
		Example: `  cria tokenizer train --vocab-size 4096 --input books/ -o tok
  cria tokenizer eval -m tok --against llama-2-7b/ test.txt`,
		Args: func(cmd *cobra.Command, given []string) error {
			if len(given) > 0 {
				return usagef("there is no command %q", cmd.CommandPath()+" "+given[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTokenizerTrain(), newTokenizerEval())
	for _, c := range cmd.Commands() {
		c.Flags().SortFlags = false
	}
	return cmd
}

// tokenizerTrainConfig is everything that `cria tokenizer train` can be told.
type tokenizerTrainConfig struct {
	Train     tokenizer.TrainConfig
	Input     []string
	Field     string
	Out       string
	Overwrite bool
	JSON      bool
}

func newTokenizerTrain() *cobra.Command {
	c := tokenizerTrainConfig{Train: tokenizer.DefaultTrainConfig()}
	cmd := &cobra.Command{
		Use:   "train --vocab-size N --input FILES -o DIR",
		Short: "Train a vocabulary on text",
		Long: `Train a BPE vocabulary as SentencePiece does, and write it as a directory that
Cria, SentencePiece and transformers read: tokenizer.model, tokenizer.json and
transformers' two configuration files. The settings are Llama 2's unless flags
say otherwise: text is taken as it is, each digit is a piece, characters that are
no pieces become bytes, <unk> <s> </s> are 0 1 2.

Input is UTF-8 text: .txt, .jsonl (one object a line), both also as .gz or .zst;
files of other names are read as plain text. Of a directory all such files are
taken. Each line of a text counts as a text of its own, as in SentencePiece, but
none is skipped for its length.

Text may be larger than memory: words are counted in at most --memory, on disk
where they are more. The same text and settings give the same bytes, on any
number of cores. Flags may be spelled with underscores, as SentencePiece has them.`,
		Example: `  cria tokenizer train --vocab-size 4096 --input book.txt -o tok
  cria tokenizer train --vocab-size 32000 --input corpus/ --json-field content --memory 8GB -o tok
  cria tokenizer train --vocab-size 8192 --input a.jsonl.zst,b.txt --control-symbols "<pad>" --user-defined-symbols "[INST],[/INST]" -o tok`,
		Args: args(0, 1<<20, "more FILES"),
		RunE: func(cmd *cobra.Command, given []string) error {
			c.Input = append(c.Input, given...)
			return c.run(cmd)
		},
	}
	fs := cmd.Flags()
	fs.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		return pflag.NormalizedName(strings.ReplaceAll(name, "_", "-"))
	})
	t := &c.Train
	fs.IntVar(&t.VocabSize, "vocab-size", 0, "number of ids, bytes and symbols included")
	fs.StringSliceVar(&c.Input, "input", nil, "files and directories; further ones may follow as arguments")
	fs.StringVarP(&c.Out, "out", "o", "", "directory to write")
	fs.StringVar(&c.Field, "json-field", "text", "field of the objects in .jsonl files that is the text, a string or messages with content; of several, divided by commas, the first that is there")
	fs.Float64Var(&t.CharacterCoverage, "character-coverage", t.CharacterCoverage, "share of the text whose characters become pieces")
	fs.StringVar(&t.RequiredChars, "required-chars", "", "characters that become pieces however rare they are")
	fs.IntVar(&t.MaxPieceLength, "max-sentencepiece-length", t.MaxPieceLength, "characters of a piece at most")
	fs.BoolVar(&t.ByteFallback, "byte-fallback", t.ByteFallback, "characters that are no pieces become bytes, not <unk>")
	fs.BoolVar(&t.SplitDigits, "split-digits", t.SplitDigits, "each digit is a piece of its own")
	fs.BoolVar(&t.AllowWhitespaceOnlyPieces, "allow-whitespace-only-pieces", t.AllowWhitespaceOnlyPieces, "runs of spaces can become pieces")
	fs.BoolVar(&t.AddDummyPrefix, "add-dummy-prefix", t.AddDummyPrefix, "a text begins with a space")
	fs.BoolVar(&t.HardVocabLimit, "hard-vocab-limit", t.HardVocabLimit, "a text that gives fewer pieces is an error")
	fs.StringSliceVar(&t.ControlSymbols, "control-symbols", nil, "symbols that have an id and that text never becomes")
	fs.StringSliceVar(&t.UserDefinedSymbols, "user-defined-symbols", nil, "symbols that are always one id in text (▁ is a space)")
	fs.Var((*byteSize)(&t.Memory), "memory", "memory to use, about")
	fs.StringVar(&t.TempDir, "temp-dir", "", "where counts go that do not fit into memory (default: beside DIR)")
	fs.IntVar(&t.Workers, "threads", 0, "cores to use (default: all that this process may)")
	fs.BoolVar(&c.Overwrite, "overwrite", false, "replace a tokenizer in DIR")
	fs.BoolVar(&c.JSON, "json", false, "print one JSON object")
	return cmd
}

// trainOutput is what `cria tokenizer train --json` prints.
type trainOutput struct {
	*tokenizer.TrainReport
	Files   []string `json:"files"`
	Skipped []string `json:"skipped_files"`
}

func (c *tokenizerTrainConfig) run(cmd *cobra.Command) error {
	switch {
	case c.Train.VocabSize <= 0:
		return usagef("--vocab-size %d; say how many ids there shall be, such as 32000", c.Train.VocabSize)
	case len(c.Input) == 0:
		return usagef("--input is missing: the text to train on")
	case c.Out == "":
		return usagef("-o is missing: the directory to write")
	}
	if err := c.Train.Check(); err != nil {
		return &UsageError{err}
	}
	if err := tokenizer.CheckDir(c.Out, c.Overwrite); err != nil {
		return err
	}
	sources, skipped, err := tokenizer.FileSources(c.Input, c.Field)
	if err != nil {
		return err
	}
	for _, s := range skipped {
		note(cmd, "cria: %s is no .txt or .jsonl file and is not read", s)
	}
	if c.Train.TempDir == "" {
		c.Train.TempDir = filepath.Dir(filepath.Clean(c.Out)) // where there will be room for large things
	}
	// The collector works harder before the memory that was asked for is used up.
	debug.SetMemoryLimit(min(c.Train.Memory, debug.SetMemoryLimit(-1)))
	b := newBar(cmd, "counting", "B")
	c.Train.Progress = func(stage tokenizer.TrainStage, done, total int64) {
		if b != nil && stage == tokenizer.StageMerge {
			b.unit = "pieces"
		}
		b.rename(string(stage))
		b.set(int(done), int(total))
	}
	tok, report, err := tokenizer.Train(cmd.Context(), c.Train, sources...)
	b.done()
	if err != nil {
		return err
	}
	files, why, err := tok.SaveDir(c.Out, c.Overwrite)
	if err != nil {
		return err
	}
	if why != "" {
		note(cmd, "cria: %s", why)
	}
	if report.DroppedUnique > 0 {
		note(cmd, "cria: %d of %d different words, %.3g%% of the text's words, were left out of merging because of --memory", report.DroppedUnique, report.UniqueWords, 100*report.DroppedShare)
	}
	if c.JSON {
		return printJSON(cmd, trainOutput{report, files, append([]string{}, skipped...)})
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d pieces, %d of them characters (%.4f%% of the text), from %s of text with %d different words\n",
		c.Out, report.VocabSize, report.Alphabet, 100*report.Coverage, sizeText(report.Bytes), report.UniqueWords)
	return err
}

// tokenizerEvalConfig is everything that `cria tokenizer eval` can be told.
type tokenizerEvalConfig struct {
	Model, Against string
	Input          []string
	Field          string
	Threads        int
	JSON           bool
}

func newTokenizerEval() *cobra.Command {
	var c tokenizerEvalConfig
	cmd := &cobra.Command{
		Use:   "eval -m TOKENIZER [--against TOKENIZER] FILE…",
		Short: "Measure how well tokenizers compress text",
		Long: `Print for each file how many bytes a token holds and how many tokens a word has
(fertility; words are what white space divides), and the share of tokens that are
single bytes, for one tokenizer or beside a second one. More bytes per token
means shorter sequences: less compute per text and more text in a context.

A tokenizer is any model or tokenizer file that Cria reads, or its directory. A
file is one text; each object of a .jsonl file is one. Files may be compressed
(.gz, .zst).`,
		Example: `  cria tokenizer eval -m tok test.txt
  cria tokenizer eval -m tok --against llama-2-7b.gguf books/ news.jsonl.zst`,
		Args: args(1, 1<<20, "FILES to measure on"),
		RunE: func(cmd *cobra.Command, given []string) error {
			c.Input = given
			return c.run(cmd)
		},
	}
	fs := cmd.Flags()
	fs.StringVarP(&c.Model, "model", "m", "", "model or tokenizer (default: $"+modelEnv+")")
	fs.StringVar(&c.Against, "against", "", "second model or tokenizer to compare with")
	fs.StringVar(&c.Field, "json-field", "text", "field of the objects in .jsonl files that is the text, a string or messages with content; of several, divided by commas, the first that is there")
	fs.IntVar(&c.Threads, "threads", 0, "cores to use (default: all that this process may)")
	fs.BoolVar(&c.JSON, "json", false, "print one JSON object")
	return cmd
}

// evalOutput is what `cria tokenizer eval --json` prints; results stand in the
// order of tokenizers.
type evalOutput struct {
	Tokenizers []evalTokenizer         `json:"tokenizers"`
	Files      []tokenizer.TextMeasure `json:"files"`
	Total      *tokenizer.TextMeasure  `json:"total"`
	Skipped    []string                `json:"skipped_files"`
}

type evalTokenizer struct {
	Path      string `json:"path"`
	VocabSize int    `json:"vocab_size"`
}

func (c *tokenizerEvalConfig) run(cmd *cobra.Command) error {
	if c.Threads < 0 {
		return usagef("--threads %d; it must be 0 (all that this process may use) or more", c.Threads)
	}
	m := modelConfig{Path: c.Model}
	paths := []string{m.path()}
	if c.Against != "" {
		paths = append(paths, c.Against)
	}
	out := evalOutput{Total: &tokenizer.TextMeasure{Name: "total"}}
	var toks []*tokenizer.Tokenizer
	for _, p := range paths {
		tok, _, err := embedded.Tokenizer(p)
		if err != nil {
			return err
		}
		toks = append(toks, tok)
		out.Tokenizers = append(out.Tokenizers, evalTokenizer{p, tok.VocabSize()})
	}
	sources, skipped, err := tokenizer.FileSources(c.Input, c.Field)
	if err != nil {
		return err
	}
	out.Skipped = append([]string{}, skipped...)
	for _, s := range skipped {
		note(cmd, "cria: %s is no .txt or .jsonl file and is not read", s)
	}
	b := newBar(cmd, "tokenising", "B")
	out.Files, err = tokenizer.MeasureTexts(cmd.Context(), toks, sources, c.Threads, func(done, total int64) { b.set(int(done), int(total)) })
	b.done()
	if err != nil {
		return err
	}
	for i := range out.Files {
		out.Total.Add(&out.Files[i])
	}
	if c.JSON {
		return printJSON(cmd, out)
	}
	return printEval(cmd, &out)
}

// printEval prints a row per file, and figures per tokenizer side by side.
func printEval(cmd *cobra.Command, out *evalOutput) error {
	for i, t := range out.Tokenizers {
		if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%c: %s (%d ids)\n", 'A'+i, t.Path, t.VocabSize); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "bytes\twords\t")
	for i := range out.Tokenizers {
		fmt.Fprintf(w, "%[1]c tokens\t%[1]c bytes/token\t%[1]c tokens/word\t%[1]c byte tokens\t", 'A'+i)
	}
	if len(out.Tokenizers) == 2 {
		fmt.Fprint(w, "A/B bytes/token\t")
	}
	fmt.Fprint(w, "  file\n")
	rows := out.Files
	if len(rows) > 1 {
		rows = append(rows[:len(rows):len(rows)], *out.Total)
	}
	for i := range rows {
		m := &rows[i]
		fmt.Fprintf(w, "%d\t%d\t", m.Bytes, m.Words)
		for k, r := range m.Results {
			fmt.Fprintf(w, "%d\t%.3f\t%.3f\t%.2f%%\t", r.Tokens, m.BytesPerToken(k), m.Fertility(k), 100*float64(r.ByteTokens)/math.Max(1, float64(r.Tokens)))
		}
		if len(m.Results) == 2 {
			fmt.Fprintf(w, "%.4f\t", m.BytesPerToken(0)/m.BytesPerToken(1))
		}
		fmt.Fprintf(w, "  %s\n", m.Name)
	}
	return w.Flush()
}

// byteSize is a flag for an amount of bytes: 2GB, 512MiB, 1000000.
type byteSize int64

var byteUnits = []struct {
	name string
	size float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12}, {"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"t", 1e12}, {"b", 1},
}

func (b *byteSize) Set(s string) error {
	number, unit := strings.ToLower(strings.TrimSpace(s)), 1.0
	for _, u := range byteUnits {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, unit = strings.TrimSpace(n), u.size
			break
		}
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil || !(f >= 0 && f*unit < 1<<62) {
		return fmt.Errorf("%q is no size such as 2GB or 512MiB", s)
	}
	*b = byteSize(f * unit)
	return nil
}

func (b *byteSize) String() string { return strings.ReplaceAll(sizeText(int64(*b)), " ", "") }

func (b *byteSize) Type() string { return "size" }
