package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria"
	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/world"
)

// worldEvalConfig is everything that `cria world eval` can be told.
type worldEvalConfig struct {
	Model       modelConfig
	WorldSeed   uint64
	Seed        uint64
	Questions   int
	AnswerLen   int
	Stories     int
	StoryLen    int
	Temperature float32
	TopP        float32
	Prompt      string
	Tell        string
	Train       bool
	Dialogs     int
	Statements  bool
	Mistakes    bool
	JSON        bool
}

func newWorldEval() *cobra.Command {
	var c worldEvalConfig
	cmd := &cobra.Command{
		Use:   "eval",
		Short: "Examine a model on held-out questions and on its stories",
		Long: `Examine a model: held-out questions of every kind, answered greedily in the
model's chat format and compared letter by letter, beside the score of the best
single answer per kind; and stories, sampled and read by the oracle. A story is
good if every sentence is of the world's language and none contradicts the facts
or what happened before; an unfinished last sentence does not count.

A model without a chat template needs --chat NAME, or --questions 0. For base
models there is --statements: all facts, as sentences whose end is to be found.`,
		Example: `  cria world eval -m chat/
  cria world eval -m base.gguf --questions 0 --stories 0 --statements
  cria world eval -m untrained.gguf --chat llama2 --questions 500 --json`,
		Args: args(0, 0, "no argument; name the model with -m MODEL"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	fs := cmd.Flags()
	modelFlags(fs, &c.Model)
	fs.StringVar(&c.Model.Options.ChatTemplate, "chat", "", "chat template, where the model has none: "+strings.Join(cria.ChatTemplates(), ", "))
	fs.IntVar(&c.Questions, "questions", 2000, "number of questions")
	fs.IntVar(&c.AnswerLen, "answer-tokens", 32, "most tokens of an answer")
	fs.BoolVar(&c.Train, "train", false, "questions of the training split instead of held-out ones")
	fs.IntVar(&c.Stories, "stories", 100, "number of stories")
	fs.IntVar(&c.StoryLen, "story-tokens", 200, "most tokens of a story")
	fs.Float32Var(&c.Temperature, "temp", 0.7, "temperature of stories")
	fs.Float32Var(&c.TopP, "top-p", 1, "top-p of stories")
	fs.StringVar(&c.Tell, "tell", "", "how stories are asked for: continue --prompt as text, answer it as a message, or request (messages about held-out pairs of a person and a thing); default: answer with a chat template, else continue")
	fs.StringVar(&c.Prompt, "prompt", "Once upon a time", "beginning of stories")
	fs.IntVar(&c.Dialogs, "dialogs", 0, "number of held-out dialogs to lead, every answer scored by the world's judge (answers of at most --story-tokens)")
	fs.BoolVar(&c.Statements, "statements", false, "begin the statement of every fact and let the model end it")
	fs.Uint64Var(&c.Seed, "seed", 1, "seed of questions and samples")
	fs.Uint64Var(&c.WorldSeed, "world", 1, "seed of the world's facts")
	fs.BoolVar(&c.Mistakes, "mistakes", false, "print some wrong answers of each kind")
	fs.BoolVar(&c.JSON, "json", false, "print one JSON object")
	return cmd
}

// How stories are asked for.
const (
	tellContinue = "continue"
	tellAnswer   = "answer"
	tellRequest  = "request"
)

// worldScores is what `cria world eval --json` prints.
type worldScores struct {
	Model      string                `json:"model"`
	Params     int                   `json:"parameters"`
	Split      string                `json:"split"`
	Questions  *world.QuestionScores `json:"questions,omitempty"`
	Stories    *world.StoryScores    `json:"stories,omitempty"`
	Dialogs    *world.DialogScores   `json:"dialogs,omitempty"`
	Statements *world.QuestionScores `json:"statements,omitempty"`
}

func (c *worldEvalConfig) check() error {
	switch {
	case c.Questions < 0 || c.Stories < 0 || c.Dialogs < 0:
		return usagef("a number of questions, stories or dialogs is negative")
	case c.Questions == 0 && c.Stories == 0 && c.Dialogs == 0 && !c.Statements:
		return usagef("nothing to do: --questions, --stories and --dialogs are 0, --statements is not given")
	case c.AnswerLen < 1 || c.StoryLen < 1:
		return usagef("--answer-tokens and --story-tokens must be 1 or more")
	case c.Tell != "" && c.Tell != tellContinue && c.Tell != tellAnswer && c.Tell != tellRequest:
		return usagef("--tell %q; it must be %s, %s or %s", c.Tell, tellContinue, tellAnswer, tellRequest)
	case c.Temperature < 0:
		return usagef("--temp %g; it must be 0 or more", c.Temperature)
	}
	return nil
}

func (c *worldEvalConfig) run(cmd *cobra.Command) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	m, _, err := c.Model.load(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	if c.Tell == "" {
		c.Tell = tellContinue
		if m.ChatError() == nil {
			c.Tell = tellAnswer
		}
	}
	if err := m.ChatError(); err != nil && (c.Questions > 0 || c.Dialogs > 0 || c.Stories > 0 && c.Tell != tellContinue) {
		return usagef("%w; for stories alone: --questions 0", err)
	}
	s, err := m.NewSession()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	info := m.Info()
	out := worldScores{Model: c.Model.Path, Params: info.Parameters, Split: world.HeldOut.String()}
	w := world.New(c.WorldSeed)
	if c.Questions > 0 {
		if out.Questions, err = c.examine(cmd, w, s, &out); err != nil {
			return err
		}
	}
	if c.Stories > 0 {
		if out.Stories, err = c.tellStories(cmd, w, s); err != nil {
			return err
		}
	}
	if c.Dialogs > 0 {
		if out.Dialogs, err = c.leadDialogs(cmd, w, s); err != nil {
			return err
		}
	}
	if c.Statements {
		if out.Statements, err = c.endStatements(cmd, w, s); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(cmd, out)
	}
	return c.print(cmd, &out)
}

func (c *worldEvalConfig) print(cmd *cobra.Command, out *worldScores) error {
	w := cmd.OutOrStdout()
	for _, s := range []*world.QuestionScores{out.Questions, out.Statements} {
		if s == nil {
			continue
		}
		fmt.Fprint(w, s.Text())
		if !c.Mistakes {
			continue
		}
		for _, m := range s.Mistakes {
			fmt.Fprintf(w, "%s: %s\n  wanted %q, got %q\n", m.Kind, m.Prompt, m.Want, m.Got)
		}
	}
	if out.Stories != nil {
		fmt.Fprint(w, out.Stories.Text())
	}
	if out.Dialogs != nil {
		fmt.Fprint(w, out.Dialogs.Text())
	}
	return nil
}

func (c *worldEvalConfig) examine(cmd *cobra.Command, w *world.World, s *cria.Session, out *worldScores) (*world.QuestionScores, error) {
	split := world.HeldOut
	if c.Train {
		split = world.Train
	}
	out.Split = split.String()
	p := cria.DefaultParams()
	p.Temperature, p.MaxTokens, p.Seed = 0, c.AnswerLen, c.Seed
	b := newBar(cmd, "answering", "questions")
	defer b.done()
	scores, err := world.EvalQuestions(cmd.Context(), &modelAnswerer{s, p}, w.Exam(c.Seed, split, c.Questions), b.set)
	return &scores, err
}

func (c *worldEvalConfig) endStatements(cmd *cobra.Command, w *world.World, s *cria.Session) (*world.QuestionScores, error) {
	p := cria.DefaultParams()
	p.Temperature, p.MaxTokens, p.Seed, p.Stop = 0, c.AnswerLen, c.Seed, []string{"."}
	b := newBar(cmd, "stating", "facts")
	defer b.done()
	scores, err := world.EvalQuestions(cmd.Context(), &modelCompleter{s, p}, w.Statements(), b.set)
	return &scores, err
}

func (c *worldEvalConfig) tellStories(cmd *cobra.Command, w *world.World, s *cria.Session) (*world.StoryScores, error) {
	p := cria.DefaultParams()
	p.Temperature, p.TopK, p.TopP, p.MinP, p.MaxTokens = c.Temperature, 0, c.TopP, 0, c.StoryLen
	requests := w.StoryRequests(c.Seed, world.HeldOut, c.Stories)
	b := newBar(cmd, "telling", "stories")
	defer b.done()
	scores, err := w.EvalStories(cmd.Context(), c.Stories, func(ctx context.Context, i int) (string, error) {
		p.Seed = c.Seed + uint64(i)
		message := c.Prompt
		switch c.Tell {
		case tellContinue:
			text, err := s.Generate(ctx, c.Prompt, p).Text()
			return c.Prompt + text, err
		case tellRequest:
			message = requests[i]
		}
		a := modelAnswerer{s, p}
		return a.Answer(ctx, chat.Dialog{{Role: chat.User, Content: message}})
	}, b.set)
	return &scores, err
}

func (c *worldEvalConfig) leadDialogs(cmd *cobra.Command, w *world.World, s *cria.Session) (*world.DialogScores, error) {
	p := cria.DefaultParams()
	p.Temperature, p.MaxTokens, p.Seed = 0, c.StoryLen, c.Seed
	var dialogs []world.Dialog
	for d := range w.Dialogs(c.Seed, world.HeldOut) {
		if dialogs = append(dialogs, d); len(dialogs) == c.Dialogs {
			break
		}
	}
	b := newBar(cmd, "talking", "dialogs")
	defer b.done()
	scores, err := w.EvalDialogs(cmd.Context(), &modelAnswerer{s, p}, dialogs, b.set)
	return &scores, err
}

// modelAnswerer answers dialogs with a model.
type modelAnswerer struct {
	s *cria.Session
	p cria.Params
}

func (a *modelAnswerer) Answer(ctx context.Context, dialog chat.Dialog) (string, error) {
	messages := make([]cria.Message, len(dialog))
	for i, m := range dialog {
		messages[i] = cria.Message{Role: string(m.Role), Content: m.Content}
	}
	return a.s.Chat(ctx, messages, a.p).Text()
}

// modelCompleter ends the sentence that the last message begins.
type modelCompleter struct {
	s *cria.Session
	p cria.Params
}

func (c *modelCompleter) Answer(ctx context.Context, dialog chat.Dialog) (string, error) {
	g := c.s.Generate(ctx, dialog[len(dialog)-1].Content, c.p)
	text, err := g.Text()
	if err == nil && g.Result().Finish == cria.Stop { // not where the number of tokens cut it
		text += "."
	}
	return text, err
}
