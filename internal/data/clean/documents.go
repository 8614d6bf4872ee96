package clean

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/data/words"
)

// ratio is a/b, and 0 where there is nothing.
func ratio(a, b int) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// wordStats are sums over a document's words.
type wordStats struct {
	content      int // words with a letter or digit: others are punctuation that stands alone
	contentChars int
	alphabetic   int // words with a letter
	chars        int // of all words
}

// wordStats goes through the words once for all rules.
func (r *run) wordStats() wordStats {
	if r.statsDone {
		return r.stats
	}
	var s wordStats
	for i := range r.text.Words {
		w := &r.text.Words[i]
		s.chars += int(w.Chars)
		if w.Flags&(words.Letter|words.Digit) != 0 {
			s.content++
			s.contentChars += int(w.Chars)
		}
		if w.Flags&words.Letter != 0 {
			s.alphabetic++
		}
	}
	r.stats, r.statsDone = s, true
	return s
}

// wordCount counts words; punctuation that stands alone is none.
func wordCount(r *run) float64 { return float64(r.wordStats().content) }

// webLinesRemoved: RefinedWeb drops a document if its line filters take more
// than 5% of its words.
func webLinesRemoved(r *run) float64 { return ratio(r.webRemoved, r.wordsAll) }

// meanWordLength is in characters, without the punctuation around words.
func meanWordLength(r *run) float64 {
	s := r.wordStats()
	return ratio(s.contentChars, s.content)
}

// hashRatio and ellipsisRatio are Gopher's symbol-to-word ratios.
func hashRatio(r *run) float64     { return ratio(r.scan.hashes, len(r.text.Words)) }
func ellipsisRatio(r *run) float64 { return ratio(r.scan.ellipses, len(r.text.Words)) }

// lineRatio is the fraction of lines for which f holds.
func lineRatio(r *run, f func(line string) bool) float64 {
	n := 0
	for i := range r.text.Lines {
		if f(r.line(i)) {
			n++
		}
	}
	return ratio(n, len(r.text.Lines))
}

func bulletLines(r *run) float64   { return lineRatio(r, bulleted) }
func ellipsisLines(r *run) float64 { return lineRatio(r, trailsOff) }

// punctuatedLines: FineWeb drops a document if less than 12% of its lines end
// with punctuation.
func punctuatedLines(r *run) float64 { return lineRatio(r, punctuated) }

// shortLines: FineWeb drops a document if more than 67% of its lines are shorter
// than 30 characters.
func shortLines(r *run) float64 {
	n := 0
	for i := range r.text.Lines {
		if float64(r.text.Lines[i].Chars) < r.set.config.FineWeb.ShortLine {
			n++
		}
	}
	return ratio(n, len(r.text.Lines))
}

// bulleted reports whether a line begins with a bullet point.
func bulleted(line string) bool {
	switch c := line[0]; {
	case c == '-' || c == '*':
		return true
	case c < utf8.RuneSelf:
		return false
	}
	first, _ := utf8.DecodeRuneInString(line)
	switch first {
	case '•', '‣', '●', '○', '▪', '■', '◦', '⁃', '∙', '·':
		return true
	}
	return false
}

func trailsOff(line string) bool {
	return strings.HasSuffix(line, "...") || strings.HasSuffix(line, "…")
}

func alphabeticWords(r *run) float64 { return ratio(r.wordStats().alphabetic, len(r.text.Words)) }

// stopWords counts which of the list's words occur at all. In a language that
// the list is not made for it says that all do.
func stopWords(r *run) float64 {
	g := &r.set.config.Gopher
	if r.lang != "" && !slices.Contains(g.StopWordLanguages, r.lang) {
		return float64(len(g.StopWords))
	}
	seen := make([]bool, len(g.StopWords))
	n := 0
	for i := range r.text.Words {
		w := &r.text.Words[i]
		if k, ok := r.set.stop[w.Hash]; ok && !seen[k] {
			seen[k] = true
			if n++; n == len(r.set.stop) {
				break
			}
		}
	}
	return float64(n)
}

// curlyBrackets: C4 drops pages with a curly bracket, which are code.
func curlyBrackets(r *run) float64 { return float64(r.scan.curly) }

// loremIpsum: C4 drops pages with this placeholder text.
func loremIpsum(r *run) float64 { return float64(r.scan.lorem) }

// badWords: C4 drops pages with any word of a list.
func badWords(r *run) float64 {
	n := 0
	for i := range r.text.Words {
		if r.set.bad.at(r.text.Words, i) {
			n++
		}
	}
	return float64(n)
}

// wordList holds words and phrases by the hash of their first word.
type wordList struct {
	size  int
	maybe [1 << 10]uint64 // one bit for each first word, to look into the map rarely
	of    map[uint64][][]uint64
}

// newWordList takes one word or phrase a line.
func newWordList(lines []string) *wordList {
	l := &wordList{of: map[uint64][][]uint64{}}
	var t words.Text
	for _, line := range lines {
		t.Parse(line)
		if len(t.Words) == 0 {
			continue
		}
		var rest []uint64
		for _, w := range t.Words[1:] {
			rest = append(rest, w.Hash)
		}
		first := t.Words[0].Hash
		l.maybe[first>>6&(1<<10-1)] |= 1 << (first & 63)
		l.of[first] = append(l.of[first], rest)
		l.size++
	}
	return l
}

// at reports whether a phrase of the list begins at word i.
func (l *wordList) at(all []words.Word, i int) bool {
	h := all[i].Hash
	if l.maybe[h>>6&(1<<10-1)]>>(h&63)&1 == 0 {
		return false
	}
next:
	for _, rest := range l.of[h] {
		if i+len(rest) >= len(all) {
			continue
		}
		for k, want := range rest {
			if all[i+1+k].Hash != want {
				continue next
			}
		}
		return true
	}
	return false
}

// abbreviations end with a period that ends no sentence.
var abbreviations = func() map[uint64]bool {
	m := map[uint64]bool{}
	for _, a := range strings.Fields("mr mrs ms dr st prof rev gen col capt lt sgt hon messrs mme mlle vs etc e.g i.e cf no vol fig jr sr inc ltd co corp dept est approx jan feb mar apr jun jul aug sep sept oct nov dec u.s u.k a.m p.m") {
		m[hashOf(a)] = true
	}
	return m
}()

// sentences counts the ends of sentences, and a last piece that has no end: a
// word with . ! or ? behind it, if a line ends there or a word follows that does
// not begin in lower case; but not behind abbreviations and initials.
func sentences(r *run) float64 {
	t := r.text
	n, open := 0, false
	for li := range t.Lines {
		l := &t.Lines[li]
		for i := l.First; i < l.Last; i++ {
			open = true
			w := &t.Words[i]
			c := closing(t.String[w.CoreEnd:w.End])
			if c == 0 && w.Flags&(words.Letter|words.Digit) == 0 {
				c = closing(t.String[w.Start:w.End])
			}
			if c == 0 {
				continue
			}
			if i+1 < l.Last {
				next := &t.Words[i+1]
				if b := t.String[next.Core]; b >= 'a' && b <= 'z' {
					continue
				}
				if c == '.' && (w.Chars == 1 && t.String[w.Core] >= 'A' && t.String[w.Core] <= 'Z' && t.String[w.Core] != 'I' || abbreviations[w.Hash]) {
					continue
				}
			}
			n++
			open = false
		}
	}
	if open {
		n++
	}
	return float64(n)
}

// closing returns the mark that ends a sentence in the punctuation behind a
// word, 0 for none.
func closing(marks string) rune {
	if marks == "" {
		return 0
	}
	for _, c := range marks {
		switch c {
		case '.', '!', '?', '。', '！', '？', '…', '۔', '؟', '।':
			return c
		}
	}
	return 0
}
