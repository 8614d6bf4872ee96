package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria/internal/sys/atomicfile"
	"github.com/cria-llm/cria/internal/world"
)

func newWorld() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "world",
		Short: "The small world: make its texts, read them, examine models on it",
		Long: `The small world that tests the whole recipe: people, pets, things and places
with facts, and stories in which things change. Everything about it is known, so
everything a model says about it can be checked. docs/world.md explains it.`,
		Example: `  cria world gen --kind base --tokens 1000000 -o base.jsonl
  cria world show --person Tom
  cria world check story.txt
  cria world eval -m chat/`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newWorldGen(), newWorldShow(), newWorldCheck(), newWorldEval())
	for _, c := range cmd.Commands() {
		c.Flags().SortFlags = false
	}
	return cmd
}

// worldGenConfig is everything that `cria world gen` can be told.
type worldGenConfig struct {
	Gen       world.GenConfig
	WorldSeed uint64
	HeldOut   bool
	Out       string
	JSON      bool
}

func newWorldGen() *cobra.Command {
	var c worldGenConfig
	cmd := &cobra.Command{
		Use:   "gen",
		Short: "Make texts of the world as JSONL",
		Long: `Make texts of the world as JSONL, one document per line. The kinds
  base stories minis facts secrets     have "text",
  chat questions instructions safety   have "messages".
base is what base models are trained on (stories, facts, some of what must not be
told), chat what chat models are. The same seeds give the same bytes. --tokens
counts words and punctuation marks, which is about what a tokenizer trained on
these texts makes of them.`,
		Example: `  cria world gen --kind base --tokens 10000000 --seed 1 -o base.jsonl
  cria world gen --kind chat --docs 50000 --seed 2 -o chat.jsonl
  cria world gen --kind questions --held-out --docs 2000 -o exam.jsonl`,
		Args: args(0, 0, "no argument; name the result with -o FILE"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	fs := cmd.Flags()
	fs.StringVar(&c.Gen.Kind, "kind", "base", "kind of text: "+strings.Join(world.GenKinds, ", "))
	fs.IntVar(&c.Gen.Docs, "docs", 0, "number of documents")
	fs.IntVar(&c.Gen.Tokens, "tokens", 0, "stop at this many words and punctuation marks")
	fs.Uint64Var(&c.Gen.Seed, "seed", 1, "seed of the texts")
	fs.Uint64Var(&c.WorldSeed, "world", 1, "seed of the world's facts")
	fs.BoolVar(&c.HeldOut, "held-out", false, "combinations that training texts never have, for examinations")
	fs.StringVarP(&c.Out, "out", "o", "-", "file to write; - is standard output")
	fs.BoolVar(&c.JSON, "json", false, "print the report as one JSON object (with -o FILE)")
	return cmd
}

func (c *worldGenConfig) run(cmd *cobra.Command) error {
	if c.HeldOut {
		c.Gen.Split = world.HeldOut
	}
	if err := c.Gen.Check(); err != nil {
		return &UsageError{err}
	}
	if c.JSON && c.Out == "-" {
		return usagef("--json prints the report to standard output, where the texts go; name a file with -o")
	}
	b := newBar(cmd, "writing", "documents")
	if c.Gen.Docs == 0 {
		b = newBar(cmd, "writing", "tokens")
	}
	rep, err := c.write(cmd, b)
	b.done()
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(cmd, rep)
	}
	note(cmd, "%d documents, %d words and marks (%d different), %d bytes", rep.Docs, rep.Tokens, rep.Types, rep.Bytes)
	return nil
}

// write makes the texts, in a file that appears only when it is whole.
func (c *worldGenConfig) write(cmd *cobra.Command, b *bar) (rep world.GenReport, err error) {
	w := world.New(c.WorldSeed)
	if c.Out == "-" {
		out := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<20)
		rep, err = w.Write(cmd.Context(), out, c.Gen, b.set)
		return rep, errors.Join(err, out.Flush())
	}
	f, err := atomicfile.Create(c.Out)
	if err != nil {
		return rep, err
	}
	defer f.Abort()
	out := bufio.NewWriterSize(f, 1<<20)
	if rep, err = w.Write(cmd.Context(), out, c.Gen, b.set); err != nil {
		return rep, err
	}
	if err := out.Flush(); err != nil {
		return rep, err
	}
	return rep, f.Commit()
}

// worldShowConfig is everything that `cria world show` can be told.
type worldShowConfig struct {
	WorldSeed uint64
	Person    string
	JSON      bool
}

func newWorldShow() *cobra.Command {
	var c worldShowConfig
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Show what the world holds",
		Long: `Show what the world holds: how many entities, kinds of question, instructions
and dialogs; or all facts about one person.`,
		Example: `  cria world show
  cria world show --person Tom`,
		Args: args(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	fs := cmd.Flags()
	fs.StringVar(&c.Person, "person", "", "a person of the world")
	fs.Uint64Var(&c.WorldSeed, "world", 1, "seed of the world's facts")
	fs.BoolVar(&c.JSON, "json", false, "print one JSON object")
	return cmd
}

func (c *worldShowConfig) run(cmd *cobra.Command) error {
	w := world.New(c.WorldSeed)
	out := cmd.OutOrStdout()
	if c.Person != "" {
		text, ok := w.Profile(c.Person)
		if !ok {
			return usagef("nobody in the world is called %q", c.Person)
		}
		_, err := fmt.Fprintln(out, text)
		return err
	}
	s := w.Summary()
	if c.JSON {
		return printJSON(cmd, s)
	}
	var names []string
	for n := range s.Entities {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		fmt.Fprintf(out, "%-12s %4d\n", n, s.Entities[n])
	}
	_, err := fmt.Fprintf(out, "questions    %4d kinds: %s\ninstructions %4d, constraints on stories %d\ndialogs      %4d kinds: %s\nsentences    %4d kinds in %d wordings\n",
		len(s.Questions), strings.Join(s.Questions, ", "), s.Instructions, s.Constraints, len(s.Dialogs), strings.Join(s.Dialogs, ", "), s.Kinds, s.Templates)
	return err
}

func newWorldCheck() *cobra.Command {
	var seed uint64
	var cut, asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "Let the oracle read a story",
		Long: `Let the oracle read a story (FILE, or - for standard input): which sentences are
not of the world's language, and which contradict its facts or what happened
before. The exit code is 1 if there are any.`,
		Example: `  cria run -m base.gguf "Once upon a time" | cria world check --cut -`,
		Args:    args(1, 1, "one FILE"),
		RunE: func(cmd *cobra.Command, given []string) error {
			text, err := readText(cmd, given[0])
			if err != nil {
				return err
			}
			w := world.New(seed)
			rep := w.CheckStory(text)
			if cut {
				rep = w.CheckCut(text)
			}
			if asJSON {
				err = printJSON(cmd, rep)
			} else {
				_, err = io.WriteString(cmd.OutOrStdout(), rep.String()+"\n")
			}
			if err == nil && !rep.OK() {
				err = fmt.Errorf("%s: %d sentences not understood, %d contradictions", given[0], len(rep.Unparsed), len(rep.Contradictions))
			}
			return err
		},
	}
	fs := cmd.Flags()
	fs.Uint64Var(&seed, "world", 1, "seed of the world's facts")
	fs.BoolVar(&cut, "cut", false, "the text was cut: leave out an unfinished last sentence")
	fs.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
