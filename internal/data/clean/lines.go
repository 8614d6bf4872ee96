package clean

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/data/words"
)

// line returns line i from its first to its last word.
func (r *run) line(i int) string {
	l := &r.text.Lines[i]
	return r.text.String[l.Start:l.End]
}

// javascriptLine: C4 removes any line with the word "Javascript", which tells
// readers to switch it on.
func javascriptLine(r *run, i int) bool {
	l := &r.text.Lines[i]
	return within(&r.scan.javascript, l.Start, l.End)
}

// policyLine: C4 removes lines with the phrases of policy notices.
func policyLine(r *run, i int) bool {
	l := &r.text.Lines[i]
	return within(&r.scan.policy, l.Start, l.End)
}

// unpunctuatedLine: C4 keeps only lines that end with a terminal punctuation
// mark: a period, exclamation mark, question mark or end quotation mark. As in
// its code, an ellipsis is none: it ends teasers.
func unpunctuatedLine(r *run, i int) bool { return !punctuated(r.line(i)) }

// punctuated reports whether a line ends a sentence.
func punctuated(line string) bool {
	switch line[len(line)-1] {
	case '.':
		return !strings.HasSuffix(line, "...")
	case '!', '?', '"', '\'':
		return true
	}
	last, _ := utf8.DecodeLastRuneInString(line)
	switch last {
	case '”', '’', '»', '“', '。', '！', '？', '」', '』', '۔', '؟', '।': // “ ends German quotations
		return true
	}
	return false
}

// shortLine: C4 keeps only lines with at least five words.
func shortLine(r *run, i int) bool {
	l := &r.text.Lines[i]
	return float64(l.Last-l.First) < r.set.config.C4.MinLineWords
}

// uppercaseLine: RefinedWeb removes lines that are mainly composed of uppercase
// characters.
func uppercaseLine(r *run, i int) bool {
	upper, letters := 0, 0
	for _, c := range r.line(i) {
		if c < utf8.RuneSelf {
			n := int(letterCase[c])
			letters += n & 1
			upper += n >> 1
		} else if unicode.IsLetter(c) {
			letters++
			if unicode.IsUpper(c) {
				upper++
			}
		}
	}
	return letters > 0 && float64(upper) > r.set.config.RefinedWeb.MaxUppercase*float64(letters)
}

// letterCase is 1 for a small letter and 3 for a capital.
var letterCase = func() (t [utf8.RuneSelf]uint8) {
	for i := range 26 {
		t['a'+i], t['A'+i] = 1, 3
	}
	return t
}()

// numericLine: RefinedWeb removes lines that are only composed of numerical
// characters.
func numericLine(r *run, i int) bool {
	l := &r.text.Lines[i]
	digits := false
	for _, w := range r.text.Words[l.First:l.Last] {
		if w.Flags&words.Letter != 0 {
			return false
		}
		digits = digits || w.Flags&words.Digit != 0
	}
	return digits
}

// counters are what RefinedWeb's counter lines count ("3 likes").
var counters = func() map[uint64]bool {
	m := map[uint64]bool{}
	for _, c := range strings.Fields("like likes share shares comment comments retweet retweets repost reposts quote quotes bookmark bookmarks upvote upvotes downvote downvotes download downloads view views follower followers reply replies") {
		m[hashOf(c)] = true
	}
	return m
}()

// counterLine: RefinedWeb removes lines that are counters.
func counterLine(r *run, i int) bool {
	l := &r.text.Lines[i]
	if l.Last-l.First != 2 {
		return false
	}
	n, what := &r.text.Words[l.First], &r.text.Words[l.First+1]
	return n.Flags&words.Digit != 0 && r.text.String[n.Core] <= '9' && counters[what.Hash]
}

// oneWordLine: RefinedWeb removes lines that contain one word.
func oneWordLine(r *run, i int) bool {
	l := &r.text.Lines[i]
	return l.Last-l.First == 1
}

// hashOf is the hash of one word.
func hashOf(word string) uint64 {
	var t words.Text
	t.Parse(word)
	return t.Words[0].Hash
}

// removeCitations: C4 removes Wikipedia's citation markers.
func removeCitations(text string) (string, int) {
	at := strings.IndexByte(text, '[')
	if at < 0 {
		return text, 0
	}
	var b strings.Builder
	n, done := 0, 0
	for i := at; i < len(text); {
		if end := citation(text[i:]); end > 0 {
			b.WriteString(text[done:i])
			n++
			i += end
			done = i
		} else {
			i++
		}
		next := strings.IndexByte(text[i:], '[')
		if next < 0 {
			break
		}
		i += next
	}
	if n == 0 {
		return text, 0
	}
	b.WriteString(text[done:])
	return b.String(), n
}

// citation returns the length of the marker that s begins with, 0 for none: [],
// [12], [edit] and [citation needed].
func citation(s string) int {
	for _, m := range [...]string{"[edit]", "[citation needed]"} {
		if strings.HasPrefix(s, m) {
			return len(m)
		}
	}
	i := 1
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	if i < len(s) && s[i] == ']' {
		return i + 1
	}
	return 0
}
