package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/cria-llm/cria"
	"github.com/cria-llm/cria/internal/generate"
)

const interactHelp = `/help             this list
/clear            forget the dialog
/system [TEXT]    set the system message (none without TEXT) and forget the dialog
/set NAME VALUE   change a setting, for example /set temp 0.2
/show             settings, and how full the context is
/exit             leave (so does Ctrl-D)
Ctrl-C stops an answer. A line that ends in \ goes on in the next one.`

// dialog is an interactive session at a terminal.
type dialog struct {
	c    *runConfig
	cmd  *cobra.Command
	m    *cria.Model
	s    *cria.Session
	conv *cria.Conversation // nil: prompts are continued
	out  io.Writer
	used int // tokens of the last prompt and answer
}

// interact reads messages from the terminal until the user leaves.
func (c *runConfig) interact(cmd *cobra.Command, m *cria.Model, s *cria.Session, asChat bool) error {
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok {
		return usagef("a conversation needs a terminal; give a PROMPT")
	}
	d := &dialog{c: c, cmd: cmd, m: m, s: s, out: cmd.OutOrStdout()}
	if asChat {
		if err := d.restart(c.System); err != nil {
			return chatUsage(err)
		}
	} else {
		note(cmd, "cria: no chat template: the model continues what you write")
	}
	note(cmd, "%s, context %d tokens. /help lists commands, Ctrl-D leaves.", modelTitle(m, c.Model.Path), m.Info().Context)
	// Ctrl-C between an answer's end and the next line must not end the program.
	interrupts := make(chan os.Signal, 1)
	signal.Notify(interrupts, os.Interrupt)
	defer signal.Stop(interrupts)
	edit := newLineEditor(in, cmd.ErrOrStderr())
	for {
		line, err := edit.ReadLine("> ")
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errInterrupt):
			note(cmd, "(Ctrl-D or /exit leaves)")
			continue
		case err != nil:
			return err
		case strings.TrimSpace(line) == "":
			continue
		}
		if strings.HasPrefix(line, "/") {
			if leave := d.command(line); leave {
				return nil
			}
			continue
		}
		if err := d.answer(line); err != nil {
			return err
		}
	}
}

func modelTitle(m *cria.Model, path string) string {
	if name := m.Info().Name; name != "" {
		return name
	}
	return path
}

// restart begins a dialog anew; where it cannot, the old one goes on.
func (d *dialog) restart(system string) error {
	conv, err := d.s.NewConversation(system)
	if err != nil {
		return err
	}
	d.conv, d.used, d.c.System = conv, 0, system
	return nil
}

// answer generates one answer; only a failure of the machine ends the program.
func (d *dialog) answer(line string) error {
	// The process's own context ends at the first Ctrl-C; this one stops only
	// the answer.
	ctx, stop := signal.NotifyContext(context.WithoutCancel(d.cmd.Context()), os.Interrupt)
	defer stop()
	p := cria.Params(d.c.Sampling)
	var g *cria.Generation
	if d.conv != nil {
		g = d.conv.Ask(ctx, line, p)
	} else {
		g = d.s.Generate(ctx, line, p)
	}
	b := newBar(d.cmd, "reading", "tokens")
	g.Progress = b.set
	for t, err := range g.Tokens() {
		b.done()
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			return d.explain(err)
		}
		if _, err := io.WriteString(d.out, t.Text); err != nil {
			return err
		}
	}
	b.done()
	r := g.Result()
	d.used = r.PromptTokens + r.CompletionTokens
	fmt.Fprintln(d.out)
	switch r.Finish {
	case cria.Cancelled:
		note(d.cmd, "(stopped)")
	case cria.Length:
		if d.used >= d.m.Info().Context {
			note(d.cmd, "(the context of %d tokens is full; /clear begins a new dialog)", d.m.Info().Context)
		} else {
			note(d.cmd, "(cut after %d tokens; /set tokens 0 lifts the limit)", r.CompletionTokens)
		}
	}
	return nil
}

// explain prints errors that another message mends, and returns all others.
func (d *dialog) explain(err error) error {
	var usage *UsageError
	if err = chatUsage(err); !errors.As(err, &usage) {
		return err
	}
	note(d.cmd, "%v", err)
	return nil
}

// command runs a line that begins with a slash.
func (d *dialog) command(line string) (leave bool) {
	name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	switch name {
	case "/help", "/?":
		note(d.cmd, "%s", interactHelp)
	case "/exit", "/quit", "/bye":
		return true
	case "/clear":
		d.tryRestart(d.c.System)
	case "/system":
		if d.conv == nil {
			note(d.cmd, "there is no chat: the model continues what you write")
			break
		}
		d.tryRestart(rest)
	case "/set":
		if err := d.change(rest); err != nil {
			note(d.cmd, "%v", err)
		}
	case "/show":
		note(d.cmd, "%s%d of %d tokens used", settings(d.c.Sampling), d.used, d.m.Info().Context)
	default:
		note(d.cmd, "no command %s; /help lists them (begin with a space to send a line that starts with /)", name)
	}
	return false
}

func (d *dialog) tryRestart(system string) {
	if d.conv == nil {
		return
	}
	if err := d.restart(system); err != nil {
		note(d.cmd, "%v", err)
		return
	}
	note(d.cmd, "(new dialog)")
}

// settings lists sampling parameters by the names of their flags.
func settings(p generate.Params) string {
	var bound generate.Params
	fs := pflag.NewFlagSet("show", pflag.ContinueOnError)
	fs.SortFlags = false
	samplingFlags(fs, &bound)
	bound = p // binding the flags has put their defaults there
	var b strings.Builder
	fs.VisitAll(func(f *pflag.Flag) { fmt.Fprintf(&b, "%-18s %s\n", f.Name, f.Value) })
	return b.String()
}

// change sets one sampling parameter by the name of its flag.
func (d *dialog) change(rest string) error {
	name, value, ok := strings.Cut(rest, " ")
	next := d.c.Sampling
	fs := pflag.NewFlagSet("set", pflag.ContinueOnError)
	samplingFlags(fs, &next)
	next = d.c.Sampling // binding the flags has put their defaults there
	next.LogitBias = maps.Clone(next.LogitBias)
	if !ok {
		var names []string
		fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		return fmt.Errorf("/set NAME VALUE; names: %s", strings.Join(names, " "))
	}
	if err := fs.Set(strings.TrimLeft(name, "-"), strings.TrimSpace(value)); err != nil {
		return err
	}
	if err := next.Validate(); err != nil {
		return err
	}
	if next.LogProbs >= 0 {
		return fmt.Errorf("log-probabilities are printed with a PROMPT and --json only")
	}
	d.c.Sampling = next
	return nil
}
