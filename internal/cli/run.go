package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria"
	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/generate"
)

// runConfig is everything that `cria run` can be told.
type runConfig struct {
	Model    modelConfig
	Sampling generate.Params
	Chat     string // "": as the file says; templateOfFile, or a template's name
	Raw      bool
	System   string
	Prompt   string
	JSON     bool
	Tokens   bool
}

// templateOfFile is the value of a --chat without a name.
const templateOfFile = "file"

func newRun() *cobra.Command {
	var c runConfig
	cmd := &cobra.Command{
		Use:   "run [PROMPT]",
		Short: "Generate text, or chat",
		Long: `Generate text from a prompt, or chat where there is none.

A model that carries a known chat template answers the prompt as a message;
others continue it. --chat and --raw say which. PROMPT - reads the prompt from
standard input, and so does a command without PROMPT whose standard input is no
terminal. The text goes to stdout and everything else to stderr.`,
		Example: `  cria run -m llama-2-7b-chat.Q4_K_M.gguf "Why is the sky blue?"
  cria run -m llama-2-7b.Q4_0.gguf --raw --temp 0 -n 50 "Once upon a time"
  cria run -m stories15M.bin --tokenizer tokenizer.bin "One day"
  cria run -m llama-2-7b-chat.Q4_K_M.gguf --system "Answer in French."`,
		Args: func(cmd *cobra.Command, given []string) error {
			if c.Chat == templateOfFile && len(given) > 0 {
				if _, err := chat.Lookup(given[0]); err == nil {
					return usagef("--chat %[1]s: the name of a template comes behind an equals sign: --chat=%[1]s", given[0])
				}
			}
			return args(0, 1, "one PROMPT (quote it)")(cmd, given)
		},
		RunE: func(cmd *cobra.Command, given []string) error {
			if !cmd.Flags().Changed("seed") {
				c.Sampling.Seed = newSeed()
			}
			if err := c.validate(); err != nil {
				return err
			}
			return c.run(cmd, given)
		},
	}
	fs := cmd.Flags()
	modelFlags(fs, &c.Model)
	fs.StringVar(&c.Chat, "chat", "", "answer by the chat template of the file, or with =`NAME` by one of "+strings.Join(chat.Names(), ", "))
	fs.Lookup("chat").NoOptDefVal = templateOfFile
	fs.BoolVar(&c.Raw, "raw", false, "continue the prompt, whatever template the file carries")
	fs.StringVar(&c.System, "system", "", "system message of the chat")
	fs.BoolVar(&c.Model.Options.BreakTags, "break-tags", false, "put U+200B into tags of the chat format that a message contains, instead of refusing it")
	samplingFlags(fs, &c.Sampling)
	fs.BoolVar(&c.JSON, "json", false, "print one JSON object")
	return cmd
}

func (c *runConfig) validate() error {
	switch {
	case c.Raw && c.Chat != "":
		return usagef("--raw and --chat exclude each other")
	case c.Raw && c.System != "":
		return usagef("--system needs a chat; drop --raw")
	case c.Sampling.LogProbs >= 0 && !c.JSON:
		return usagef("--logprobs needs --json")
	}
	if err := c.Sampling.Validate(); err != nil {
		return &UsageError{err}
	}
	if err := c.Model.check(); err != nil {
		return err
	}
	if c.Chat != "" && c.Chat != templateOfFile {
		if _, err := chat.Lookup(c.Chat); err != nil {
			return &UsageError{err}
		}
		c.Model.Options.ChatTemplate = c.Chat
	}
	return nil
}

func (c *runConfig) run(cmd *cobra.Command, given []string) (err error) {
	interactive, err := c.takePrompt(cmd, given)
	if err != nil {
		return err
	}
	m, loadTime, err := c.Model.load(cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Close()) }()
	asChat, err := c.decideChat(cmd, m)
	if err != nil {
		return err
	}
	s, err := m.NewSession()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if interactive {
		return c.interact(cmd, m, s, asChat)
	}
	return c.once(cmd, m, s, asChat, loadTime)
}

// takePrompt finds the prompt; without one there is a conversation.
func (c *runConfig) takePrompt(cmd *cobra.Command, given []string) (interactive bool, err error) {
	if len(given) == 1 && given[0] != "-" {
		c.Prompt = given[0]
		return false, nil
	}
	if _, tty := terminal(cmd.InOrStdin()); tty && len(given) == 0 {
		if c.JSON {
			return false, usagef("--json needs a PROMPT")
		}
		return true, nil
	}
	if c.Prompt, err = readInput(cmd); err != nil {
		return false, err
	}
	if c.Prompt == "" {
		return false, usagef("no PROMPT, and standard input is empty")
	}
	return false, nil
}

// decideChat says whether the prompt is a message, and says so on stderr where
// the model's files decided it.
func (c *runConfig) decideChat(cmd *cobra.Command, m *cria.Model) (bool, error) {
	why := m.ChatError()
	switch {
	case c.Raw:
		return false, nil
	case c.Chat != "" || c.System != "":
		return true, why
	case why == nil:
		note(cmd, "cria: answering by the model's chat template %q; --raw continues the prompt instead", m.Info().ChatTemplate)
		return true, nil
	case errors.Is(why, cria.ErrNoTemplate) || errors.Is(why, cria.ErrNoTokenizer):
		return false, nil
	default: // a template that is not known
		return false, why
	}
}

// runOutput is the object that --json prints.
type runOutput struct {
	Text             string     `json:"text"`
	PromptTokens     int        `json:"prompt_tokens"`
	CompletionTokens int        `json:"completion_tokens"`
	FinishReason     string     `json:"finish_reason"`
	Seed             uint64     `json:"seed"`
	Timings          timings    `json:"timings"`
	Tokens           []outToken `json:"tokens,omitempty"` // with --logprobs
}

type timings struct {
	LoadS            float64 `json:"load_s"`
	PromptS          float64 `json:"prompt_s"`
	PromptPerS       float64 `json:"prompt_tokens_per_s"`
	CompletionS      float64 `json:"completion_s"`
	CompletionPerSec float64 `json:"completion_tokens_per_s"`
}

type outToken struct {
	ID      int32       `json:"id"`
	Text    string      `json:"text"`
	LogProb float64     `json:"logprob"`
	Top     []outChoice `json:"top"`
}

type outChoice struct {
	ID      int32   `json:"id"`
	LogProb float64 `json:"logprob"`
}

func (c *runConfig) begin(ctx context.Context, s *cria.Session, asChat bool) *cria.Generation {
	p := cria.Params(c.Sampling)
	if !asChat {
		return s.Generate(ctx, c.Prompt, p)
	}
	var d []cria.Message
	if c.System != "" {
		d = append(d, cria.Message{Role: "system", Content: c.System})
	}
	return s.Chat(ctx, append(d, cria.Message{Role: "user", Content: c.Prompt}), p)
}

// once answers one prompt.
func (c *runConfig) once(cmd *cobra.Command, m *cria.Model, s *cria.Session, asChat bool, loadTime time.Duration) error {
	g := c.begin(cmd.Context(), s, asChat)
	prompt := newBar(cmd, "reading the prompt", "tokens")
	g.Progress = prompt.set
	out := runOutput{Seed: c.Sampling.Seed}
	var text strings.Builder
	w := cmd.OutOrStdout()
	var failed error
	for t, err := range g.Tokens() {
		prompt.done()
		if err != nil {
			failed = err
			break
		}
		text.WriteString(t.Text)
		if c.JSON {
			out.addToken(c, t)
		} else if _, err := io.WriteString(w, t.Text); err != nil {
			return err
		}
	}
	prompt.done()
	if !c.JSON && text.Len() > 0 {
		if _, err := io.WriteString(w, "\n"); err != nil {
			return err
		}
	}
	if failed != nil {
		return chatUsage(failed)
	}
	r := g.Result()
	if !c.JSON {
		if _, tty := terminal(cmd.ErrOrStderr()); tty {
			note(cmd, "%s", speedLine(r))
		}
		return nil
	}
	out.Text, out.PromptTokens, out.CompletionTokens, out.FinishReason = text.String(), r.PromptTokens, r.CompletionTokens, string(r.Finish)
	out.Timings = timings{LoadS: loadTime.Seconds(), PromptS: r.PromptTime.Seconds(), PromptPerS: rate(r.PromptTokens-r.CachedTokens, r.PromptTime),
		CompletionS: r.DecodeTime.Seconds(), CompletionPerSec: rate(r.CompletionTokens, r.DecodeTime)}
	return printJSON(cmd, out)
}

func (o *runOutput) addToken(c *runConfig, t cria.Token) {
	if c.Sampling.LogProbs < 0 {
		return
	}
	tok := outToken{ID: t.ID, Text: t.Text, LogProb: t.LogProb, Top: []outChoice{}}
	for _, a := range t.Top {
		tok.Top = append(tok.Top, outChoice(a))
	}
	o.Tokens = append(o.Tokens, tok)
}

// chatUsage makes usage errors of what only another message would mend.
func chatUsage(err error) error {
	var tag *chat.TagError
	var order *chat.OrderError
	var long *generate.ContextError
	switch {
	case errors.As(err, &tag):
		return usagef("%w; --break-tags sends it with a zero-width space in the tag", err)
	case errors.As(err, &order), errors.As(err, &long):
		return &UsageError{err}
	}
	return err
}

func speedLine(r cria.Result) string {
	return fmt.Sprintf("[%d prompt tokens at %.1f/s, %d generated at %.1f/s, %s]", r.PromptTokens,
		rate(r.PromptTokens-r.CachedTokens, r.PromptTime), r.CompletionTokens, rate(r.CompletionTokens, r.DecodeTime), r.Finish)
}

func rate(n int, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}
