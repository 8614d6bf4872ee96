package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// errInterrupt is Ctrl-C at the prompt.
var errInterrupt = errors.New("interrupted")

// lineEditor reads lines from a terminal with editing and history. The
// terminal is raw only while a line is edited, so that Ctrl-C during an answer
// is an ordinary interrupt.
type lineEditor struct {
	in      *os.File
	out     io.Writer
	keys    *keyReader
	term    *term.Terminal
	history lineHistory
}

func newLineEditor(in *os.File, out io.Writer) *lineEditor {
	if fd, ok := terminal(out); ok {
		escapes(fd) // editing needs them, and works after a fashion without
	}
	e := &lineEditor{in: in, out: out, keys: &keyReader{r: in}}
	e.fresh()
	return e
}

// fresh makes the editor anew, without what was typed so far.
func (e *lineEditor) fresh() {
	e.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e.keys, e.out}, "")
	e.term.History = &e.history
}

// ReadLine shows the prompt and returns what the user wrote: one line, or
// several where a line ends in a backslash or lines were pasted together. It
// returns io.EOF at Ctrl-D and errInterrupt at Ctrl-C.
func (e *lineEditor) ReadLine(prompt string) (string, error) {
	state, err := term.MakeRaw(int(e.in.Fd()))
	if err != nil {
		return "", err
	}
	e.term.SetBracketedPasteMode(true)
	if w, h, err := term.GetSize(int(e.in.Fd())); err == nil && w > 0 {
		// The size only places the cursor; one that is refused changes nothing.
		if err := e.term.SetSize(w, h); err != nil {
			return "", errors.Join(err, term.Restore(int(e.in.Fd()), state))
		}
	}
	text, err := e.readLines(prompt)
	e.term.SetBracketedPasteMode(false)
	return text, errors.Join(err, term.Restore(int(e.in.Fd()), state))
}

func (e *lineEditor) readLines(prompt string) (string, error) {
	var lines []string
	for {
		e.term.SetPrompt(prompt)
		line, err := e.term.ReadLine()
		switch {
		case err == nil:
			if more, ok := strings.CutSuffix(line, `\`); ok {
				lines = append(lines, more)
				break
			}
			lines = append(lines, line)
			return strings.Join(lines, "\n"), nil
		case errors.Is(err, term.ErrPasteIndicator):
			lines = append(lines, line)
		case errors.Is(err, io.EOF) && e.keys.interrupted:
			e.keys.interrupted = false
			e.fresh()
			return "", errInterrupt
		default:
			return "", err
		}
		prompt = strings.Repeat(".", max(len(strings.TrimRight(prompt, " ")), 1)) + " "
	}
}

// keyReader notes Ctrl-C, which the terminal package reports as the end of
// input like Ctrl-D.
type keyReader struct {
	r           io.Reader
	interrupted bool
}

func (k *keyReader) Read(p []byte) (int, error) {
	n, err := k.r.Read(p)
	const ctrlC = 3
	k.interrupted = bytes.IndexByte(p[:n], ctrlC) >= 0
	return n, err
}

// lineHistory keeps the session's lines in memory: what people write to a
// model is not put on disk unasked.
type lineHistory struct{ lines []string }

func (h *lineHistory) Add(line string) {
	if strings.TrimSpace(line) == "" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line {
		return
	}
	h.lines = append(h.lines, line)
}

func (h *lineHistory) Len() int { return len(h.lines) }

// At returns the line that was entered idx lines before the last one.
func (h *lineHistory) At(idx int) string { return h.lines[len(h.lines)-1-idx] }
