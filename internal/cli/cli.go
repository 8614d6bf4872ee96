// Package cli is the command line: one file per subcommand. A command turns
// flags and arguments into one configuration struct, validates it once, calls
// the package that does the work, and prints. Results go to stdout, everything
// else to stderr; `--json` prints one object.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// Exit codes.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2   // flags, arguments, or a message that must not be sent
	exitInterrupted = 130 // Ctrl-C: 128 + SIGINT, as shells have it
)

// Streams are what a command reads and writes.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// UsageError is a mistake in how a command was called. Main exits with 2.
type UsageError struct{ Err error }

func (e *UsageError) Error() string { return e.Err.Error() }
func (e *UsageError) Unwrap() error { return e.Err }

// usagef makes a UsageError.
func usagef(format string, args ...any) error {
	return &UsageError{fmt.Errorf(format, args...)}
}

// Main runs the command line and returns the exit code.
func Main(args []string, s Streams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	root := newRoot(s)
	root.SetArgs(args)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		fmt.Fprintln(s.Err, "cria: interrupted")
		return exitInterrupted
	}
	fmt.Fprintf(s.Err, "%s: %v\n", cmd.CommandPath(), err)
	var usage *UsageError
	if errors.As(err, &usage) {
		fmt.Fprintf(s.Err, "See `%s --help`.\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailed
}

func newRoot(s Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "cria",
		Short: "Run, convert and measure Llama 2 models",
		Long: `Cria runs any Llama 2 checkpoint: GGUF files, Hugging Face and Meta
directories, llama2.c files. One program, no Python, no GPU needed.`,
		Example: `  cria run -m llama-2-7b-chat.Q4_K_M.gguf "Why is the sky blue?"
  cria convert Llama-2-7b-hf llama-2-7b.gguf --type f16
  cria quantize llama-2-7b.gguf llama-2-7b.Q4_K_M.gguf q4_k_m`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q", args[0])
			}
			return nil
		},
		RunE:              func(cmd *cobra.Command, args []string) error { return cmd.Help() },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &UsageError{err} })
	root.AddCommand(newRun(), newShow(), newTokenize(), newConvert(), newQuantize(), newInit(), newTokenizer(), newPerplexity(), newBench(), newData(), newPretrain(), newPlot(), newPlan(), newWorld(), newDoctor(), newVersion())
	for _, c := range root.Commands() {
		c.Flags().SortFlags = false
	}
	return root
}

// args makes a check of the number of arguments whose failure is a usage error.
func args(min, max int, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, given []string) error {
		switch {
		case len(given) < min:
			return usagef("%s missing", what)
		case len(given) > max:
			return usagef("unexpected argument %q; wanted %s", given[max], what)
		}
		return nil
	}
}

// printJSON writes one indented object to stdout.
func printJSON(cmd *cobra.Command, v any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// note writes one line to stderr.
func note(cmd *cobra.Command, format string, args ...any) {
	fmt.Fprintf(cmd.ErrOrStderr(), format+"\n", args...)
}

// readInput reads all of standard input, or gives up at Ctrl-C.
func readInput(cmd *cobra.Command) (string, error) {
	type input struct {
		text []byte
		err  error
	}
	done := make(chan input, 1)
	go func() { // a read cannot be interrupted; the process ends soon after
		b, err := io.ReadAll(cmd.InOrStdin())
		done <- input{b, err}
	}()
	select {
	case in := <-done:
		if in.err != nil {
			return "", fmt.Errorf("reading standard input: %w", in.err)
		}
		return string(in.text), nil
	case <-cmd.Context().Done():
		return "", cmd.Context().Err()
	}
}

// terminal returns the file descriptor behind a stream where that is a terminal.
func terminal(stream any) (fd int, ok bool) {
	f, ok := stream.(*os.File)
	if !ok {
		return 0, false
	}
	fd = int(f.Fd())
	return fd, term.IsTerminal(fd)
}
