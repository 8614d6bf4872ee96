package ferr

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestText(t *testing.T) {
	for _, c := range []struct {
		err  *Error
		want string
	}{
		{New(Malformed, "m.gguf", "version", 7, "2 and %d are read", 3), "m.gguf: version is 7: 2 and 3 are read"},
		{New(Unsupported, "m.gguf", "tensor t", nil, "its type is Q9").WithHint("use another"), "m.gguf: unsupported: tensor t: its type is Q9; use another"},
		{New(Malformed, "m.gguf", "", "a\x1b[2J\n", "no magic"), `m.gguf: "a\x1b[2J\n": no magic`},
		{New(Malformed, "m.gguf", "", nil, "is empty"), "m.gguf: is empty"},
		{New(Malformed, "m.gguf", "key", []byte("\xff"), "no UTF-8"), `m.gguf: key is "\xff": no UTF-8`},
		// Per cent signs of the file are not a format.
		{New(Malformed, "m%d", "k%s", "%v", "x"), `m%d: k%s is "%v": x`},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

// TestLong: what a file says is cut, wherever the cut falls.
func TestLong(t *testing.T) {
	for _, value := range []any{strings.Repeat("é", 1<<20), "x" + strings.Repeat("é", 1<<20), []byte(strings.Repeat("\x00", 1<<20)), make([]int, 1<<10)} {
		text := New(Malformed, "f", "k", value, "long").Error()
		if len(text) > 700 || !strings.Contains(text, "…") {
			t.Errorf("%d bytes: %.100s", len(text), text)
		}
	}
}

func TestIs(t *testing.T) {
	wrapped := fmt.Errorf("opening: %w", New(Unsupported, "f", "k", nil, "x"))
	if !errors.Is(wrapped, ErrUnsupported) || errors.Is(wrapped, ErrMalformed) {
		t.Error("an unsupported file is not told apart")
	}
	if !errors.Is(New(Malformed, "f", "k", nil, "x"), ErrMalformed) {
		t.Error("a malformed file is none")
	}
	var e *Error
	if !errors.As(wrapped, &e) || e.Field != "k" || e.Kind.String() != "unsupported" {
		t.Errorf("errors.As finds %+v", e)
	}
}
