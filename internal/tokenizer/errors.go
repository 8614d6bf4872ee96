package tokenizer

import "fmt"

// FormatError says that a file is malformed: no reader could make sense of it.
type FormatError struct{ Msg string }

func (e *FormatError) Error() string { return "tokenizer: " + e.Msg }

// UnsupportedError says that a file is well-formed and asks for something that
// this package does not do.
type UnsupportedError struct{ Msg string }

func (e *UnsupportedError) Error() string { return "tokenizer: unsupported: " + e.Msg }

func malformed(format string, args ...any) error { return &FormatError{fmt.Sprintf(format, args...)} }

func unsupported(format string, args ...any) error {
	return &UnsupportedError{fmt.Sprintf(format, args...)}
}
