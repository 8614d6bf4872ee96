package safetensors

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/format/ferr"
)

// scanner reads JSON where it lies in the mapped file. encoding/json would keep
// the last of two equal keys, replace broken surrogates, take 1e3 for a whole
// number and copy strings before their length is known to be sane; here each of
// these is an error that names the field.
type scanner struct {
	file string
	data []byte
	at   int
}

// maxSkipDepth bounds the nesting of values that are skipped.
const maxSkipDepth = 16

func (s *scanner) malformed(field string, value any, problem string, args ...any) *ferr.Error {
	return ferr.New(ferr.Malformed, s.file, field, value, problem, args...)
}

func (s *scanner) space() {
	for s.at < len(s.data) && strings.IndexByte(" \t\r\n", s.data[s.at]) >= 0 {
		s.at++
	}
}

// peek returns the next byte that is no white space, or 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.at == len(s.data) {
		return 0
	}
	return s.data[s.at]
}

// expect takes one given byte.
func (s *scanner) expect(c byte, field string) error {
	if got := s.peek(); got != c {
		return s.unexpected(field, "%q", c)
	}
	s.at++
	return nil
}

func (s *scanner) unexpected(field, want string, args ...any) error {
	if s.peek() == 0 {
		return s.malformed(field, nil, "the JSON text ends early: "+want+" is expected", args...)
	}
	return s.malformed(field, string(s.data[s.at:min(s.at+16, len(s.data))]), "at byte %d of the JSON text: "+want+" is expected", append([]any{s.at}, args...)...)
}

// object reads {"key": value, ...}; member reads a value. Keys are at most so
// long and differ.
func (s *scanner) object(field string, longest int, member func(key string) error) error {
	if err := s.expect('{', field); err != nil {
		return err
	}
	seen := map[string]bool{}
	for first := true; ; first = false {
		if s.peek() == '}' && first {
			s.at++
			return nil
		}
		key, err := s.str(field+": key", longest)
		if err != nil {
			return err
		}
		if seen[key] {
			return s.malformed(field+": key", key, "the key stands twice")
		}
		seen[key] = true
		if err := s.expect(':', field+": "+ferr.Quote(key)); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
		if s.peek() == '}' {
			s.at++
			return nil
		}
		if err := s.expect(',', field); err != nil {
			return err
		}
	}
}

// array reads [element, ...].
func (s *scanner) array(field string, element func(i int) error) error {
	if err := s.expect('[', field); err != nil {
		return err
	}
	for i := 0; ; i++ {
		if s.peek() == ']' && i == 0 {
			s.at++
			return nil
		}
		if err := element(i); err != nil {
			return err
		}
		if s.peek() == ']' {
			s.at++
			return nil
		}
		if err := s.expect(',', field); err != nil {
			return err
		}
	}
}

// str reads a string of at most so many bytes between its quotes.
func (s *scanner) str(field string, longest int) (string, error) {
	if s.peek() != '"' {
		return "", s.unexpected(field, "a string")
	}
	start, escaped := s.at, false
	for s.at++; ; s.at++ {
		if s.at == len(s.data) {
			return "", s.malformed(field, nil, "a string has no end")
		}
		if s.at-start > longest {
			return "", s.malformed(field, string(s.data[start+1:s.at]), "the string is longer than %d bytes", longest)
		}
		switch c := s.data[s.at]; {
		case c == '"':
			raw := s.data[start+1 : s.at]
			s.at++
			if !utf8.Valid(raw) {
				return "", s.malformed(field, string(raw), "a string that is no UTF-8")
			}
			if !escaped {
				return string(raw), nil
			}
			return s.unescape(field, raw)
		case c == '\\':
			escaped = true
			s.at++ // an escaped quote ends nothing
			if s.at == len(s.data) {
				return "", s.malformed(field, nil, "a string has no end")
			}
		case c < ' ':
			return "", s.malformed(field, string(s.data[start+1:s.at]), "a string with the control character %#02x", c)
		}
	}
}

func (s *scanner) unescape(field string, raw []byte) (string, error) {
	var out string
	quoted := append(append([]byte{'"'}, raw...), '"')
	if err := json.Unmarshal(quoted, &out); err != nil {
		return "", s.malformed(field, string(raw), "a string with a bad escape")
	}
	// encoding/json puts U+FFFD in place of half a surrogate pair.
	if strings.ContainsRune(out, utf8.RuneError) && !bytes.ContainsRune(raw, utf8.RuneError) {
		return "", s.malformed(field, string(raw), "a string with half a surrogate pair")
	}
	return out, nil
}

// whole reads a whole number from 0 to the largest int.
func (s *scanner) whole(field string) (int, error) {
	s.space()
	start := s.at
	for s.at < len(s.data) && strings.IndexByte("+-.0123456789eE", s.data[s.at]) >= 0 {
		s.at++
	}
	text := s.data[start:s.at]
	if len(text) == 0 {
		return 0, s.unexpected(field, "a whole number")
	}
	n := uint64(0)
	for _, c := range text {
		d := uint64(c - '0')
		if c < '0' || c > '9' || n > (math.MaxInt64-d)/10 {
			return 0, s.malformed(field, string(text), "a whole number from 0 to %d is expected", math.MaxInt64)
		}
		n = n*10 + d
	}
	if len(text) > 1 && text[0] == '0' {
		return 0, s.malformed(field, string(text), "a number with a leading zero")
	}
	return int(n), nil
}

// skip reads any value and forgets it.
func (s *scanner) skip(field string, depth int) error {
	if depth > maxSkipDepth {
		return s.malformed(field, nil, "values are nested more than %d deep", maxSkipDepth)
	}
	switch c := s.peek(); c {
	case '{':
		return s.object(field, maxName, func(string) error { return s.skip(field, depth+1) })
	case '[':
		return s.array(field, func(int) error { return s.skip(field, depth+1) })
	case '"':
		_, err := s.str(field, maxText)
		return err
	}
	start := s.at
	for s.at < len(s.data) && strings.IndexByte(",]} \t\r\n", s.data[s.at]) < 0 {
		s.at++
	}
	if !json.Valid(s.data[start:s.at]) {
		s.at = start
		return s.unexpected(field, "a value")
	}
	return nil
}

// end checks that nothing but white space is left.
func (s *scanner) end(field string) error {
	if s.space(); s.at != len(s.data) {
		return s.unexpected(field, "the end of the text")
	}
	return nil
}
