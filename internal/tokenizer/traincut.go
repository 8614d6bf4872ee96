package tokenizer

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"
)

// Before anything is merged, a text is cut wherever no piece may reach across: at
// the ends of lines, in front of spaces, around digits, where the script changes,
// and around symbols with ids of their own. What is left is mostly words and marks,
// and a collection has few different ones: training works on the list of them and
// their counts. A word keeps one space in front of it; further spaces are a word of
// spaces (see trainer.placeSpaces).

// maxWordBytes bounds a word. Longer ones, of scripts that put no spaces, are cut
// once more at a border of characters: a piece is at most a few dozen bytes long, so
// one possible piece in hundreds is missed there.
const maxWordBytes = 1024

// cutter cuts texts into words and counts them.
type cutter struct {
	rules  cutRules
	table  *wordTable
	single [utf8.RuneSelf]int64 // words of one ASCII character, a break included
	full   func() error         // makes room in the table

	line []byte // a normalised line
}

// cutRules say where texts are cut; they are shared and only read.
type cutRules struct {
	ascii   [utf8.RuneSelf]charClass
	pages   *classPages
	prefix  bool   // each line begins with a space
	runs    bool   // pieces of spaces alone are allowed
	digits  bool   // digits stand alone
	reserve *trie  // texts of the symbols that have ids of their own; nil for none
	first   string // the bytes that begin those, where all are ASCII
}

// newCutRules takes the texts of the vocabulary's symbols.
func newCutRules(c *TrainConfig, symbols []string) cutRules {
	r := cutRules{pages: scriptClasses(), prefix: c.AddDummyPrefix, runs: c.AllowWhitespaceOnlyPieces, digits: c.SplitDigits}
	for i := range r.ascii {
		r.ascii[i] = r.pages.of(rune(i))
		if r.digits && '0' <= i && i <= '9' {
			r.ascii[i] = classDigit
		}
	}
	r.ascii[0], r.ascii['\n'], r.ascii[' '] = classBreak, classBreak, classSpace
	for _, s := range symbols {
		if strings.Contains(s, "\n") {
			continue // not inside of a line
		}
		if r.reserve == nil {
			r.reserve = newTrie()
		}
		r.reserve.add(s, 0)
		if !strings.Contains(r.first, s[:1]) {
			r.first += s[:1]
		}
	}
	return r
}

// class returns the class of the character that s begins with, and its size.
func (r *cutRules) class(s []byte) (charClass, int) {
	if c := s[0]; c < utf8.RuneSelf {
		return r.ascii[c], 1
	}
	c, n := utf8.DecodeRune(s)
	if r.digits && 0xFF10 <= c && c <= 0xFF19 {
		return classDigit, n
	}
	return r.pages.of(c), n
}

// text counts the words of whole lines, or of a part of a line that continues one.
// It writes to buf, whose first byte is free and behind which wordSlack bytes are.
func (c *cutter) text(buf []byte, continued bool) error {
	plain := utf8.Valid(buf[1:]) && !bytes.Contains(buf, []byte(space))
	for start := 1; start < len(buf); {
		end := bytes.IndexByte(buf[start:], '\n') + start
		if end < start {
			end = len(buf)
		}
		next := end + 1
		if end > start {
			if c.rules.prefix && !(continued && start == 1) {
				start--
				buf[start] = ' ' // over the end of the line before
			}
			line := buf[start:end]
			if !plain {
				line = c.normalise(line)
			}
			if err := c.parts(line); err != nil {
				return err
			}
		}
		start = next
	}
	return nil
}

// normalise gives a line the one spelling that words are counted in: U+2581 is a
// space, and each byte that is no UTF-8 is U+FFFD.
func (c *cutter) normalise(line []byte) []byte {
	out := c.line[:0]
	for len(line) > 0 {
		r, n := utf8.DecodeRune(line)
		if r == '\u2581' {
			r = ' '
		}
		out = utf8.AppendRune(out, r)
		line = line[n:]
	}
	c.line = slices.Grow(out, wordSlack)
	return c.line[:len(out)]
}

// parts cuts a line around the texts of symbols.
func (c *cutter) parts(line []byte) error {
	for c.rules.reserve != nil {
		at, n := c.rules.symbol(line)
		if n == 0 {
			break
		}
		if err := c.words(line[:at]); err != nil {
			return err
		}
		line = line[at+n:]
	}
	return c.words(line)
}

// symbol finds the first text of a symbol in a line; n is 0 for none.
func (r *cutRules) symbol(line []byte) (at, n int) {
	text := unsafe.String(unsafe.SliceData(line), len(line))
	if r.reserve.other {
		at, _, n = r.reserve.find(text, 0)
		return at, n
	}
	for {
		next := indexAny(text[at:], r.first)
		if next < 0 {
			return len(line), 0
		}
		at += next
		if _, n = r.reserve.match(text[at:]); n > 0 {
			return at, n
		}
		at++
	}
}

func indexAny(s, chars string) int {
	if len(chars) == 1 {
		return strings.IndexByte(s, chars[0])
	}
	return strings.IndexAny(s, chars)
}

// words cuts what stands between symbols. It is valid UTF-8, with ' ' for spaces.
func (c *cutter) words(b []byte) error {
	for i := 0; i < len(b); {
		start := i
		for i < len(b) && b[i] == ' ' {
			i++
		}
		if spaces := i - start; spaces > 0 {
			// The last space belongs to what follows, if that can have one.
			if i < len(b) {
				if class, _ := c.rules.class(b[i:]); class > classDigit {
					spaces--
				}
			}
			if err := c.spaces(b[start : start+spaces]); err != nil {
				return err
			}
			start += spaces
			if start == i {
				continue
			}
		}
		i = c.rules.wordEnd(b, start, i)
		if err := c.count(b[start:i]); err != nil {
			return err
		}
	}
	return nil
}

// wordEnd returns where the word ends that begins at start and whose first
// character that is no space stands at i.
func (r *cutRules) wordEnd(b []byte, start, i int) int {
	class, n := r.class(b[i:])
	i += n
	if class <= classDigit {
		return i
	}
	for i < len(b) {
		next := classCommon
		if c := b[i]; c < utf8.RuneSelf {
			next, n = r.ascii[c], 1
		} else {
			next, n = r.class(b[i:])
		}
		if next != class {
			switch {
			case next <= classDigit || next != classInherited && class != classInherited:
				return i
			case next != classInherited:
				class = next // until now there were accents alone
			}
		}
		if i+n-start > maxWordBytes {
			return i
		}
		i += n
	}
	return i
}

// spaces counts a run of spaces.
func (c *cutter) spaces(run []byte) error {
	if !c.rules.runs {
		c.single[' '] += int64(len(run))
		return nil
	}
	for len(run) > maxWordBytes {
		if err := c.count(run[:maxWordBytes]); err != nil {
			return err
		}
		run = run[maxWordBytes:]
	}
	return c.count(run)
}

// count counts one word.
func (c *cutter) count(word []byte) error {
	switch {
	case len(word) == 0:
		return nil
	case len(word) == 1:
		c.single[word[0]]++
		return nil
	}
	if c.table.add(word, 1) {
		return nil
	}
	if err := c.full(); err != nil {
		return err
	}
	if !c.table.add(word, 1) {
		panic("tokenizer: an empty table has no room for a word")
	}
	return nil
}

// flush puts the words of one character into the table, too.
func (c *cutter) flush() error {
	for i, n := range c.single {
		if n == 0 {
			continue
		}
		word := make([]byte, 1, 1+wordSlack)
		word[0] = byte(i)
		if !c.table.add(word, n) {
			if err := c.full(); err != nil {
				return err
			}
			c.table.add(word, n)
		}
		c.single[i] = 0
	}
	return nil
}
