package tokenizer

import (
	"sync"
	"unicode"
)

// charClass says which characters may stand next to each other in a piece, as
// SentencePiece's split_by_unicode_script, split_digits and split_by_whitespace do.
type charClass uint8

const (
	classBreak charClass = iota // never part of a piece: newline, NUL
	classSpace
	classDigit     // alone in its piece
	classInherited // takes the script of what it stands behind: accents
	classCommon    // punctuation and whatever has no script
	classScript    // and behind: one class per script
)

// classPages holds the class of every character; nil pages are all classCommon.
// Digits are classCommon there.
type classPages [(unicode.MaxRune + 1) >> 8]*[256]charClass

// scriptClasses is made from Go's Unicode tables at the first training. Kana and
// the long vowel mark count as Han: Japanese words mix them.
var scriptClasses = sync.OnceValue(func() *classPages {
	pages := new(classPages)
	next := classScript
	for name, table := range unicode.Scripts {
		class := next
		switch name {
		case "Common", "Han", "Hiragana", "Katakana":
			continue
		case "Inherited":
			class = classInherited
		default:
			next++
		}
		pages.set(table, class)
	}
	for _, name := range []string{"Han", "Hiragana", "Katakana"} {
		pages.set(unicode.Scripts[name], next)
	}
	pages.set(&unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x30FC, Hi: 0x30FC, Stride: 1}}}, next)
	return pages
})

func (p *classPages) set(table *unicode.RangeTable, class charClass) {
	for _, r := range table.R16 {
		for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
			p.setOne(c, class)
		}
	}
	for _, r := range table.R32 {
		for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
			p.setOne(c, class)
		}
	}
}

func (p *classPages) setOne(c rune, class charClass) {
	page := p[c>>8]
	if page == nil {
		page = new([256]charClass)
		for i := range page {
			page[i] = classCommon
		}
		p[c>>8] = page
	}
	page[c&0xFF] = class
}

func (p *classPages) of(c rune) charClass {
	if page := p[c>>8]; page != nil {
		return page[c&0xFF]
	}
	return classCommon
}
