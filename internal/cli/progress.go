package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// bar shows how far a long job is, on stderr and only where that is a terminal.
// It appears once a job has taken showAfter and still has some way to go, so
// quick jobs stay silent. A nil bar shows nothing.
type bar struct {
	w     io.Writer
	fd    int
	label string
	unit  string // "B" is shown in MB
	start time.Time
	drawn time.Time
	shown bool
}

const (
	showAfter = time.Second
	drawEvery = 100 * time.Millisecond
)

// newBar makes a bar for amounts of the given unit: bytes ("B"), tokens, ….
func newBar(cmd *cobra.Command, label, unit string) *bar {
	fd, ok := terminal(cmd.ErrOrStderr())
	if !ok || !escapes(fd) {
		return nil
	}
	return &bar{w: cmd.ErrOrStderr(), fd: fd, label: label, unit: unit, start: time.Now()}
}

// set says that done of total is done.
func (b *bar) set(done, total int) {
	if b == nil || total <= 0 {
		return
	}
	now := time.Now()
	elapsed := now.Sub(b.start)
	if elapsed < showAfter || now.Sub(b.drawn) < drawEvery {
		return
	}
	b.drawn, b.shown = now, true
	width, _, err := term.GetSize(b.fd)
	if err != nil {
		width = 80
	}
	fmt.Fprintf(b.w, "\r\x1b[K%s", barLine(b.label, b.unit, done, total, elapsed, width-1))
}

// rename changes what the bar says it is about; rate and time left begin anew.
func (b *bar) rename(label string) {
	if b != nil && b.label != label {
		b.label, b.start = label, time.Now()
	}
}

// done removes the bar from the screen.
func (b *bar) done() {
	if b != nil && b.shown {
		fmt.Fprint(b.w, "\r\x1b[K")
		b.shown = false
	}
}

// barLine is the text of a bar in at most width columns.
func barLine(label, unit string, done, total int, elapsed time.Duration, width int) string {
	share := min(float64(done)/float64(total), 1)
	rate := float64(done) / elapsed.Seconds()
	tail := fmt.Sprintf(" %3.0f%% %s", share*100, rateText(rate, unit))
	if rate > 0 {
		left := time.Duration(float64(total-done) / rate * float64(time.Second))
		tail += fmt.Sprintf(", %s left", max(left, 0).Round(time.Second))
	}
	room := width - len(label) - len(tail) - 3
	if room < 5 {
		return (label + tail)[:max(0, min(width, len(label)+len(tail)))]
	}
	room = min(room, 40)
	full := int(share * float64(room))
	return label + " [" + strings.Repeat("=", full) + strings.Repeat(" ", room-full) + "]" + tail
}

func rateText(rate float64, unit string) string {
	if unit == "B" {
		return fmt.Sprintf("%.0f MB/s", rate/1e6)
	}
	return fmt.Sprintf("%.1f %s/s", rate, unit)
}
