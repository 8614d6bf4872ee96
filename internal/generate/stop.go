package generate

import "strings"

// stopper finds stop texts in a stream of pieces, across their borders, and
// holds back only what may still become one.
type stopper struct {
	stops []string
	held  string
}

// push takes the next piece. It returns the text that is safe to emit; done
// says that a stop text was found, whose text and everything behind it is
// dropped. The stop that is complete first wins (the longest of those that end
// together), so the result does not depend on how the text was cut.
func (s *stopper) push(piece string) (out string, done bool) {
	text := s.held + piece
	first, end := 0, len(text)+1
	for _, stop := range s.stops {
		i := strings.Index(text, stop)
		if e := i + len(stop); i >= 0 && (e < end || e == end && i < first) {
			first, end = i, e
		}
	}
	if end <= len(text) {
		s.held = ""
		return text[:first], true
	}
	keep := 0
	for _, stop := range s.stops {
		for n := min(len(stop)-1, len(text)); n > keep; n-- {
			if strings.HasSuffix(text, stop[:n]) {
				keep = n
				break
			}
		}
	}
	s.held = text[len(text)-keep:]
	return text[:len(text)-keep], false
}

// flush returns what was held back, at the end of the stream.
func (s *stopper) flush() string {
	h := s.held
	s.held = ""
	return h
}
