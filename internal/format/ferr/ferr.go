// Package ferr is the one error type of the file formats. Every refusal names
// the file, the field, its value, what is wrong with it and, where there is
// something to do, what to do; and it says whether the file is broken
// (Malformed) or asks for something that Cria does not do (Unsupported).
package ferr

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Kind separates broken files from those that no one here can read.
type Kind uint8

const (
	// Malformed: no reader could make sense of the file.
	Malformed Kind = iota + 1
	// Unsupported: the file is in order and asks for what Cria does not do.
	Unsupported
)

func (k Kind) String() string {
	switch k {
	case Malformed:
		return "malformed"
	case Unsupported:
		return "unsupported"
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// ErrMalformed and ErrUnsupported are what errors.Is finds in an Error of
// that kind.
var (
	ErrMalformed   = errors.New("malformed file")
	ErrUnsupported = errors.New("unsupported file")
)

// Error is a refusal of a file.
type Error struct {
	Kind    Kind
	File    string // path as the user gave it
	Field   string // what in the file, in the format's own words; may be empty
	Value   string // what the field holds, cut to a readable length; may be empty
	Problem string // what is wrong
	Hint    string // what to do; may be empty
}

// New makes an Error. value is printed with %v, strings quoted and cut; nil
// means that there is no one value to show.
func New(kind Kind, file, field string, value any, problem string, args ...any) *Error {
	return &Error{Kind: kind, File: file, Field: field, Value: show(value), Problem: fmt.Sprintf(problem, args...)}
}

// WithHint adds what to do.
func (e *Error) WithHint(hint string) *Error {
	e.Hint = hint
	return e
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Kind == Unsupported {
		b.WriteString(": unsupported")
	}
	if e.Field != "" {
		b.WriteString(": " + e.Field)
		if e.Value != "" {
			b.WriteString(" is " + e.Value)
		}
	} else if e.Value != "" {
		b.WriteString(": " + e.Value)
	}
	b.WriteString(": " + e.Problem)
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Is makes errors.Is(err, ErrMalformed) and errors.Is(err, ErrUnsupported) work.
func (e *Error) Is(target error) bool {
	return target == ErrMalformed && e.Kind == Malformed || target == ErrUnsupported && e.Kind == Unsupported
}

// longest is how much of a hostile name or value an error repeats.
const longest = 80

// Quote returns s quoted and cut to a readable length: what a file says may be
// megabytes long or hold terminal control characters.
func Quote(s string) string {
	if len(s) > longest {
		return strconv.QuoteToASCII(s[:longest]) + "…"
	}
	q := strconv.Quote(s)
	return q
}

func show(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return Quote(v)
	case []byte:
		return Quote(string(v))
	}
	s := fmt.Sprintf("%v", v)
	if len(s) > longest {
		s = s[:longest] + "…"
	}
	return s
}
