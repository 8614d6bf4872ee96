package clean

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The width of hard-wrapped text in characters, and the part of its line breaks
// inside of paragraphs that must come from wrapping.
const (
	minWidth, maxWidth = 40, 100
	wrappedFraction    = 0.75
	minBreaks          = 3 // fewer are no evidence
)

// unwrap joins the lines of hard-wrapped text. A break comes from wrapping if
// the next line's first word would not have had room; so the lines of a poem
// inside of a wrapped book stay. Lines that are indented begin something new.
// Unless always is set, a text is left alone in which most breaks are of
// another kind.
func unwrap(s string, always bool) string {
	if strings.IndexByte(s, '\n') < 0 {
		return s
	}
	breaks, width := innerBreaks(s)
	if width == 0 || !always && (len(breaks) < minBreaks || width < minWidth || width > maxWidth) {
		return s
	}
	// Editors broke at slightly different widths, hence the tenth.
	least := width * 9 / 10
	soft := 0
	for i := range breaks {
		if b := &breaks[i]; b.chars+1+b.word >= least {
			b.soft = true
			soft++
		}
	}
	if soft == 0 || !always && float64(soft) < wrappedFraction*float64(len(breaks)) {
		return s
	}
	var out strings.Builder
	out.Grow(len(s))
	done := 0
	for _, b := range breaks {
		if !b.soft {
			continue
		}
		line := trimRight(s[done:b.at])
		out.WriteString(line)
		if !joinsDirectly(line, s[b.at+1:]) {
			out.WriteByte(' ')
		}
		done = b.at + 1
	}
	out.WriteString(s[done:])
	return out.String()
}

// lineBreak is a line break between two lines of one paragraph.
type lineBreak struct {
	at    int // of the \n
	chars int // of the line before it
	word  int // characters of the first word after it
	soft  bool
}

// innerBreaks lists the breaks before lines that are neither empty nor indented,
// and the width that almost all lines keep: one in 50 may be longer.
func innerBreaks(s string) ([]lineBreak, int) {
	n := strings.Count(s, "\n")
	breaks, lengths := make([]lineBreak, 0, n), make([]int, 0, n)
	for start := 0; start < len(s); {
		end := strings.IndexByte(s[start:], '\n')
		if end < 0 {
			break
		}
		end += start
		line := trimRight(s[start:end])
		start = end + 1
		next := s[start:]
		if line == "" || next == "" || next[0] <= ' ' {
			continue
		}
		n := 0 // bytes of the next line's first word
		for n < min(len(next), maxWidth) && next[n] != ' ' && next[n] != '\n' && next[n] != '\t' && next[n] != '\r' {
			n++
		}
		b := lineBreak{at: end, chars: utf8.RuneCountInString(line), word: utf8.RuneCountInString(next[:n])}
		breaks = append(breaks, b)
		lengths = append(lengths, b.chars)
	}
	if len(lengths) == 0 {
		return nil, 0
	}
	slices.Sort(lengths)
	return breaks, lengths[(len(lengths)-1)*49/50]
}

// trimRight cuts off the spaces at a line's end.
func trimRight(line string) string {
	n := len(line)
	for n > 0 && (line[n-1] == ' ' || line[n-1] == '\t' || line[n-1] == '\r') {
		n--
	}
	return line[:n]
}

// joinsDirectly reports whether two parts belong together without a space: at a
// hyphen or dash, and between ideographs.
func joinsDirectly(line, next string) bool {
	a, n := utf8.DecodeLastRuneInString(line)
	b, _ := utf8.DecodeRuneInString(next)
	switch a {
	case '-':
		before, _ := utf8.DecodeLastRuneInString(line[:len(line)-n])
		return before != ' '
	case '—':
		return true
	}
	wide := func(r rune) bool {
		return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r >= 0x3001 && r <= 0x303f || r >= 0xff01 && r <= 0xff60
	}
	return wide(a) && wide(b)
}
