// Package words cuts a text into lines and words once, with hashes, for all the
// rules that look at them.
//
// A word is what stands between white space (the papers of the filtering rules
// count words so), but that each ideograph and kana is a word of its own, as
// UAX #29 has it: such text has no spaces. A word's core is the word without the
// punctuation around it. Hashes are of the lower-cased core with a straight
// apostrophe, so that "Don’t" and "don't," are the same word; they are the same
// on every machine.
package words

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// Flags of a word.
const (
	Letter uint8 = 1 << iota // has at least one letter
	Digit                    // has at least one digit
	Punct                    // has at least one character that is neither letter, digit nor mark
	wide                     // has at least one byte above 0x7F
	brk                      // of a byte: white space
)

// Word is one word of a text.
type Word struct {
	Hash       uint64 // of the lower-cased core; of the word itself where it is all punctuation
	Start, End uint32 // the word in the text, with its punctuation
	Core       uint32 // where the core begins
	Chars      uint32 // characters of the core; of the word where it is all punctuation
	CoreEnd    uint32 // where the core ends
	Flags      uint8
}

// Line is a line that holds at least one word.
type Line struct {
	Hash       uint64 // of the bytes Start to End
	Begin      uint32 // where the line begins, with its indentation
	Start, End uint32 // from its first word to its last
	First      int    // its first word
	Last       int    // the word after its last one
	Chars      uint32 // characters from Start to End
	Paragraph  bool   // begins a paragraph: the first line, or a blank line is above it
}

// Text is a text in pieces. Parse may be called again; memory is reused.
type Text struct {
	String string
	Lines  []Line
	Words  []Word

	buf []byte
}

// MaxBytes is the longest text that Parse takes; positions are 32-bit.
const MaxBytes = 1<<32 - 1

// class says what an ASCII byte is; bytes above are wide.
var class = func() (c [256]uint8) {
	for i := range c {
		switch b := byte(i); {
		case b >= utf8.RuneSelf:
			c[i] = wide
		case b == ' ' || b >= '\t' && b <= '\r':
			c[i] = brk
		case b|0x20 >= 'a' && b|0x20 <= 'z':
			c[i] = Letter
		case b >= '0' && b <= '9':
			c[i] = Digit
		default:
			c[i] = Punct
		}
	}
	return c
}()

// Parse cuts a text. Its length must be at most MaxBytes.
func (t *Text) Parse(s string) {
	if uint64(len(s)) > MaxBytes {
		panic("words: text of more than 4 GiB")
	}
	t.String = s
	t.Words = slices.Grow(t.Words[:0], len(s)/6+16) // what English prose comes to
	t.Lines = t.Lines[:0]
	line := Line{Paragraph: true}
	for i := 0; i < len(s); {
		c := class[s[i]]
		if c == brk {
			if s[i] == '\n' {
				line = t.endLine(line, i+1)
			}
			i++
			continue
		}
		start := i
		flags := c
		if c != wide {
			for i++; i < len(s); i++ {
				c = class[s[i]]
				if c&(brk|wide) != 0 {
					break
				}
				flags |= c
			}
			if i == len(s) || c == brk {
				t.addASCII(start, i, flags)
				continue
			}
		}
		i = t.wideWord(start, i, flags)
	}
	t.endLine(line, len(s))
}

// endLine stores the line that is under way, if it has words, and returns the
// next one, which begins at begin.
func (t *Text) endLine(line Line, begin int) Line {
	line.Last = len(t.Words)
	if line.First == line.Last {
		return Line{Begin: uint32(begin), First: line.Last, Paragraph: true}
	}
	line.Start, line.End = t.Words[line.First].Start, t.Words[line.Last-1].End
	content := t.String[line.Start:line.End]
	line.Chars = uint32(len(content))
	for _, w := range t.Words[line.First:] {
		if w.Flags&wide != 0 {
			line.Chars = uint32(utf8.RuneCountInString(content))
			break
		}
	}
	line.Hash = Hash(content)
	t.Lines = append(t.Lines, line)
	return Line{Begin: uint32(begin), First: line.Last}
}

// addASCII adds the word s[start:end], which is all ASCII.
func (t *Text) addASCII(start, end int, flags uint8) {
	s := t.String
	w := Word{Start: uint32(start), End: uint32(end), Flags: flags}
	if flags&Punct != 0 && flags&(Letter|Digit) != 0 {
		for class[s[start]] == Punct {
			start++
		}
		for class[s[end-1]] == Punct {
			end--
		}
	}
	w.Core, w.CoreEnd, w.Chars = uint32(start), uint32(end), uint32(end-start)
	if n := end - start; n < 8 && start+8 <= len(s) { // most words: hashLower without its loop and call
		w.Hash = Mix(uint64(n), lower(load(s, start)&(1<<(8*n)-1)))
	} else {
		w.Hash = hashLower(s, start, end)
	}
	t.Words = append(t.Words, w)
}

// wideWord adds the word or words from start on where at i a byte above 0x7F
// comes; flags are those of s[start:i]. It returns where it ends.
func (t *Text) wideWord(start, i int, flags uint8) int {
	s := t.String
	for i < len(s) {
		if s[i] < utf8.RuneSelf {
			c := class[s[i]]
			if c == brk {
				break
			}
			flags |= c
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		c := runeClass(r)
		if c == brk {
			if start == i {
				return i + n
			}
			break
		}
		if ideograph(r) {
			if start < i {
				break
			}
			t.addWide(i, i+n, Letter|wide)
			return i + n
		}
		flags |= c | wide
		i += n
	}
	t.addWide(start, i, flags)
	return i
}

// addWide adds a word that is not all ASCII.
func (t *Text) addWide(start, end int, flags uint8) {
	s := t.String
	w := Word{Start: uint32(start), End: uint32(end), Flags: flags}
	if flags&Punct != 0 && flags&(Letter|Digit) != 0 {
		for {
			r, n := utf8.DecodeRuneInString(s[start:end])
			if runeClass(r) != Punct {
				break
			}
			start += n
		}
		for {
			r, n := utf8.DecodeLastRuneInString(s[start:end])
			if runeClass(r) != Punct {
				break
			}
			end -= n
		}
	}
	w.Core, w.CoreEnd = uint32(start), uint32(end)
	t.buf = t.buf[:0]
	for i := start; i < end; w.Chars++ {
		if b := s[i]; b < utf8.RuneSelf {
			if b >= 'A' && b <= 'Z' {
				b |= 0x20
			}
			t.buf = append(t.buf, b)
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:end])
		i += n
		switch {
		case r == '’':
			r = '\''
		case r >= 'À':
			r = unicode.ToLower(r)
		}
		t.buf = utf8.AppendRune(t.buf, r)
	}
	w.Hash = hashBytes(t.buf)
	t.Words = append(t.Words, w)
}

// runeClass says what a character above ASCII is, in the terms of class.
func runeClass(r rune) uint8 {
	switch {
	case r < utf8.RuneSelf:
		return class[r]
	case r >= 0x2010 && r <= 0x2027 || r == '«' || r == '»':
		return Punct // dashes, quotation marks, bullets, the ellipsis: most of what English text has
	case unicode.IsLetter(r):
		return Letter
	case unicode.IsDigit(r):
		return Digit
	case unicode.IsMark(r):
		return 0
	case unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff':
		return brk
	}
	return Punct
}

// ideograph reports whether a character is a word of its own.
func ideograph(r rune) bool {
	return r >= 0x3041 && (r <= 0x30ff && r != '・' && r != 'ー' || // kana
		r >= 0x3400 && r <= 0x9fff || r >= 0xf900 && r <= 0xfaff || r >= 0x20000 && r <= 0x323af)
}

// Keep drops the lines for which keep is false: the text is put together again
// from the others, and lines and words move with it. keep has one element for
// each line.
func (t *Text) Keep(keep []bool) {
	t.buf = t.buf[:0]
	lines, words := t.Lines[:0], t.Words[:0]
	paragraph := true // a blank line goes with the line below it, or with the next that is kept
	for i, l := range t.Lines {
		paragraph = paragraph || l.Paragraph
		if !keep[i] {
			continue
		}
		if len(lines) > 0 {
			t.buf = append(t.buf, '\n')
			if paragraph {
				t.buf = append(t.buf, '\n')
			}
		}
		back := l.Begin - uint32(len(t.buf)) // wraps where the text has grown by a blank line; sums wrap back
		t.buf = append(t.buf, t.String[l.Begin:l.End]...)
		first := len(words)
		for _, w := range t.Words[l.First:l.Last] {
			w.Start, w.End, w.Core, w.CoreEnd = w.Start-back, w.End-back, w.Core-back, w.CoreEnd-back
			words = append(words, w)
		}
		l.Begin, l.Start, l.End, l.First, l.Last = l.Begin-back, l.Start-back, l.End-back, first, len(words)
		l.Paragraph = paragraph
		lines = append(lines, l)
		paragraph = false
	}
	t.Lines, t.Words, t.String = lines, words, string(t.buf)
}
