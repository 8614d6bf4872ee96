package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria/internal/embedded"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// tokenizeConfig is everything that `cria tokenize` can be told.
type tokenizeConfig struct {
	Path    string
	BOS     bool
	EOS     bool
	Special bool
	Decode  bool
	Pieces  bool
	JSON    bool
}

// pieceOutput is one of the objects that --json prints with --pieces.
type pieceOutput struct {
	ID    int32  `json:"id"`
	Piece string `json:"piece"`
}

func newTokenize() *cobra.Command {
	var c tokenizeConfig
	cmd := &cobra.Command{
		Use:   "tokenize [TEXT|-]",
		Short: "Turn text into token ids, or ids into text",
		Long: `Turn text into token ids exactly as SentencePiece does, or ids into text.

The tokenizer comes from any model, a tokenizer.model, tokenizer.json or
tokenizer.bin, or a GGUF file with a vocabulary only. Without TEXT, or with -,
the text is read from standard input, as it is. Text never becomes a control
token unless --special is given.`,
		Example: `  cria tokenize -m tokenizer.model "Hello, world"
  cria tokenize -m model.gguf --bos --json - <story.txt
  cria tokenize -m tokenizer.model --decode "15043 29892 3186"`,
		Args: args(0, 1, "one TEXT (quote it)"),
		RunE: func(cmd *cobra.Command, given []string) error { return c.run(cmd, given) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&c.Path, "model", "m", "", "model or tokenizer (default: $"+modelEnv+")")
	fs.BoolVar(&c.BOS, "bos", false, "put the begin token in front")
	fs.BoolVar(&c.EOS, "eos", false, "put the end token behind")
	fs.BoolVar(&c.Special, "special", false, "the text of a control token becomes its id")
	fs.BoolVar(&c.Decode, "decode", false, "TEXT is ids, separated by spaces or commas, or a JSON array")
	fs.BoolVar(&c.Pieces, "pieces", false, "print each id with its piece, one a line")
	fs.BoolVar(&c.JSON, "json", false, "print one JSON array of ids, or one JSON string with --decode")
	return cmd
}

func (c *tokenizeConfig) run(cmd *cobra.Command, given []string) error {
	if c.Decode && (c.BOS || c.EOS || c.Special || c.Pieces) {
		return usagef("--decode takes ids; --bos, --eos, --special and --pieces are for text")
	}
	m := modelConfig{Path: c.Path}
	tok, path, err := embedded.Tokenizer(m.path())
	if err != nil {
		return err
	}
	text, err := textOrInput(cmd, given)
	if err != nil {
		return err
	}
	if c.Decode {
		return c.decode(cmd, tok, text)
	}
	if _, ok := tok.BOS(); c.BOS && !ok {
		return fmt.Errorf("%s: the vocabulary has no begin token for --bos", path)
	}
	if _, ok := tok.EOS(); c.EOS && !ok {
		return fmt.Errorf("%s: the vocabulary has no end token for --eos", path)
	}
	return c.print(cmd, tok, tok.Encode(text, tokenizer.EncodeOptions{BOS: c.BOS, EOS: c.EOS, Special: c.Special}))
}

func (c *tokenizeConfig) print(cmd *cobra.Command, tok *tokenizer.Tokenizer, ids []int32) error {
	w := cmd.OutOrStdout()
	switch {
	case c.Pieces && c.JSON:
		out := make([]pieceOutput, len(ids))
		for i, id := range ids {
			out[i] = pieceOutput{id, tok.Piece(id).Text}
		}
		return printJSON(cmd, out)
	case c.Pieces:
		for _, id := range ids {
			if _, err := fmt.Fprintf(w, "%6d %s\n", id, strconv.Quote(tok.Piece(id).Text)); err != nil {
				return err
			}
		}
		return nil
	}
	var b []byte
	open, sep, end := "", " ", "\n"
	if c.JSON {
		open, sep, end = "[", ",", "]\n"
	}
	b = append(b, open...)
	for i, id := range ids {
		if i > 0 {
			b = append(b, sep...)
		}
		b = strconv.AppendInt(b, int64(id), 10)
	}
	_, err := w.Write(append(b, end...))
	return err
}

func (c *tokenizeConfig) decode(cmd *cobra.Command, tok *tokenizer.Tokenizer, text string) error {
	var ids []int32
	for _, f := range strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \t\r\n,[]", r) }) {
		n, err := strconv.ParseInt(f, 10, 32)
		if err != nil {
			return usagef("%q is no token id", f)
		}
		ids = append(ids, int32(n))
	}
	out, err := tok.Decode(ids)
	if err != nil {
		return &UsageError{err}
	}
	if c.JSON {
		return printJSON(cmd, out)
	}
	_, err = io.WriteString(cmd.OutOrStdout(), out+"\n")
	return err
}

// textOrInput returns the one argument, or all of standard input where there is
// none or it is "-".
func textOrInput(cmd *cobra.Command, given []string) (string, error) {
	if len(given) == 1 && given[0] != "-" {
		return given[0], nil
	}
	if _, tty := terminal(cmd.InOrStdin()); tty && len(given) == 0 {
		return "", usagef("no TEXT")
	}
	return readInput(cmd)
}
