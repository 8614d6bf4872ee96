package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/recipe/pretrain"
	"github.com/cria-llm/cria/internal/train"
)

// pretrainConfig is everything that `cria pretrain` can be told on the command
// line; the rest is in its file.
type pretrainConfig struct {
	Flags   pretrain.Flags
	Threads int
	Resume  bool
	// AcceptChanges is Config's.
	AcceptChanges bool
	Print         bool
}

func newPretrain() *cobra.Command {
	var c pretrainConfig
	cmd := &cobra.Command{
		Use:   "pretrain [CONFIG.yaml]",
		Short: "Train a model on text",
		Long: `Train a model to predict the next token of documents, from fresh weights or
from a model that is there (init). The configuration is a YAML file; what it
leaves open follows from the shape: --print shows all of it and trains nothing.
Without a file the flags say enough.

The run's directory gets config.yaml, metrics.jsonl (for ` + "`cria plot`" + `), samples.jsonl,
checkpoints/step-N, and at the end model/, a Hugging Face directory that
` + "`cria run`, `cria convert`" + `, transformers and others read.

Ctrl-C or SIGTERM saves the last whole step and ends; --resume goes on bit for
bit as if the run had never stopped, also after a crash. A second Ctrl-C ends at
once. A loss or gradient that is no number, and a jump of the loss
(spike_factor), end the run before they touch the weights.

Shapes: ` + strings.Join(llama.ShapeNames(), " ") + `.`,
		Example: `  cria pretrain --shape 1m --text book.txt --tokenizer tokenizer.model -o runs/book
  cria pretrain examples/pretrain-gutenberg.yaml -o runs/gutenberg
  cria pretrain examples/pretrain-gutenberg.yaml -o runs/gutenberg --resume`,
		Args: args(0, 1, "one CONFIG.yaml"),
		RunE: func(cmd *cobra.Command, given []string) error { return c.run(cmd, given) },
	}
	fs := cmd.Flags()
	fs.StringVarP(&c.Flags.Out, "out", "o", "", "directory of the run")
	fs.BoolVar(&c.Resume, "resume", false, "go on from the last checkpoint in the run's directory")
	fs.BoolVar(&c.AcceptChanges, "accept-changes", false, "with --resume: go on although the configuration is another one, such as a lower learning rate")
	fs.StringVar(&c.Flags.Shape, "shape", "", "name of a shape")
	fs.StringArrayVar(&c.Flags.Text, "text", nil, "text file to learn from; may be repeated")
	fs.StringVar(&c.Flags.Tokenizer, "tokenizer", "", "tokenizer, or a model that has one")
	fs.IntVar(&c.Flags.Steps, "steps", 0, "optimiser steps; the shape says how many otherwise")
	fs.IntVarP(&c.Threads, "threads", "t", 0, "threads; 0: all that this process may use")
	fs.BoolVar(&c.Print, "print", false, "print the whole configuration and train nothing")
	return cmd
}

func (c *pretrainConfig) run(cmd *cobra.Command, given []string) error {
	path, text := "the flags", []byte(nil)
	if len(given) > 0 {
		var err error
		path = given[0]
		if text, err = os.ReadFile(path); err != nil {
			return err
		}
	}
	if cmd.Flags().Changed("steps") && c.Flags.Steps < 1 {
		return usagef("--steps %d; it must be 1 or more", c.Flags.Steps)
	}
	if cmd.Flags().Changed("threads") {
		c.Flags.Threads = &c.Threads
	}
	cfg, err := pretrain.Load(path, text, c.Flags)
	if err != nil {
		return &UsageError{err}
	}
	if c.AcceptChanges && !c.Resume {
		return usagef("--accept-changes needs --resume")
	}
	cfg.AcceptChanges = c.AcceptChanges
	if c.Print {
		text, err := cfg.Text()
		if err == nil {
			_, err = cmd.OutOrStdout().Write(text)
		}
		return err
	}
	// Job schedulers and service managers end programs by SIGTERM.
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	p := newTrainBar(cmd)
	err = pretrain.Run(ctx, cfg, c.Resume, pretrain.UI{
		Message: func(format string, args ...any) { p.clear(); note(cmd, format, args...) },
		Step:    p.step,
	})
	p.clear()
	var interrupted *train.InterruptedError
	if errors.As(err, &interrupted) && cmd.Context().Err() != nil { // Ctrl-C, of which Main says no more than that
		note(cmd, "%v", err)
	}
	return err
}

// trainBar shows how far a training run is, on stderr and only where that is a
// terminal.
type trainBar struct {
	w     io.Writer
	fd    int
	drawn time.Time
	shown bool
}

func newTrainBar(cmd *cobra.Command) *trainBar {
	fd, ok := terminal(cmd.ErrOrStderr())
	if !ok || !escapes(fd) {
		return nil
	}
	return &trainBar{w: cmd.ErrOrStderr(), fd: fd}
}

func (b *trainBar) step(p train.Progress, peak float64) {
	if b == nil || time.Since(b.drawn) < drawEvery {
		return
	}
	width, _, err := term.GetSize(b.fd)
	if err != nil {
		width = 80
	}
	b.drawn, b.shown = time.Now(), true
	fmt.Fprintf(b.w, "\r\x1b[K%s", trainLine(p, peak, width-1))
}

func (b *trainBar) clear() {
	if b != nil && b.shown {
		fmt.Fprint(b.w, "\r\x1b[K")
		b.shown = false
	}
}

// trainLine is the text of a trainBar in at most width columns: the bar itself
// goes first where there is no room.
func trainLine(p train.Progress, peak float64, width int) string {
	head := fmt.Sprintf("step %d/%d ", p.Step, p.Steps)
	tail := fmt.Sprintf("loss %.3f, %.0f tokens/s", p.Loss, p.TokensPerS)
	if peak > 0 {
		tail += fmt.Sprintf(" (%.0f%% of peak)", p.FLOPS/peak*100)
	}
	tail += fmt.Sprintf(", %s left", p.Left.Round(time.Second))
	if room := min(width-len(head)-len(tail)-3, 30); room >= 5 {
		full := p.Step * room / p.Steps
		return head + "[" + strings.Repeat("=", full) + strings.Repeat(" ", room-full) + "] " + tail
	}
	return (head + tail)[:max(0, min(width, len(head)+len(tail)))]
}
