// Package lang tells what language a text is written in.
//
// It is a naive Bayes classifier over n-grams of one to four characters for 99
// languages (and Serbian and Chinese in two scripts), trained on the Universal Declaration of Human Rights
// (testdata/gen.py), in the manner of Cavnar and Trenkle ("N-Gram-Based Text
// Categorization", 1994). It looks at about 1 KB of a text, in pieces from all
// over it, so its cost hardly depends on the text's length.
package lang

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"sync"
	"unicode"
	"unicode/utf8"
)

//go:embed model.bin.gz
var modelFile []byte

// model is model.bin.gz in memory.
type model struct {
	codes   []string
	typical []float64 // score per character of text in the language
	slots   []slot    // open addressing
	shift   uint8
	weights []weight
}

type slot struct {
	key  uint64 // up to four characters of 16 bits; 0 is free
	from uint32 // in weights
	n    uint8
}

type weight struct{ lang, w uint8 }

var load = sync.OnceValue(func() *model {
	z, err := gzip.NewReader(bytes.NewReader(modelFile))
	if err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	b, err := io.ReadAll(z)
	if err != nil || string(b[:8]) != "CRIALANG" || b[8] != 1 {
		panic(fmt.Sprint("lang: model.bin.gz is not what gen.py writes: ", err))
	}
	m := &model{}
	n := int(b[9])
	b = b[10:]
	for range n {
		k := 1 + int(b[0])
		m.codes = append(m.codes, string(b[1:k]))
		m.typical = append(m.typical, float64(binary.LittleEndian.Uint16(b[k:])))
		b = b[k+2:]
	}
	grams := int(binary.LittleEndian.Uint32(b))
	b = b[4:]
	log := 1
	for 1<<log < grams*2 {
		log++
	}
	m.slots, m.shift = make([]slot, 1<<log), uint8(64-log)
	for range grams {
		chars := int(b[0])
		var key uint64
		for i := range chars {
			key = key<<16 | uint64(binary.LittleEndian.Uint16(b[1+2*i:]))
		}
		b = b[1+2*chars:]
		s := m.find(key)
		*s = slot{key, uint32(len(m.weights)), b[0]}
		for i := range int(b[0]) {
			m.weights = append(m.weights, weight{b[1+2*i], b[2+2*i]})
		}
		b = b[1+2*int(b[0]):]
	}
	return m
})

// find returns the slot of a key, or the free one where it would go.
func (m *model) find(key uint64) *slot {
	mask := len(m.slots) - 1
	for i := int(key * 0x9e3779b97f4a7c15 >> m.shift); ; i++ {
		s := &m.slots[i&mask]
		if s.key == key || s.key == 0 {
			return s
		}
	}
}

// Languages lists the ISO 639-1 codes that Detect knows.
func Languages() []string { return load().codes }

// Guess is what Detect says of a text.
type Guess struct {
	Lang       string  // ISO 639-1; "" if the text is like none of the languages
	Confidence float64 // 0 to 1: of this language against the others
}

const (
	sampleBytes  = 1024
	samplePieces = 4

	// The step of weights in the model is 1/16; overlapping n-grams of four lengths
	// say the same thing about four times, and neighbours are not independent.
	// Measured on texts of 100 to 1,000 bytes, this makes the confidence about as
	// large as the part of right answers.
	temperature = 16 * 12

	// A text whose n-grams fit its best language less than this part of how well the
	// language's own text does is in none that we know: code, numbers, other
	// languages.
	fit = 0.25

	// Half of the sample is enough where it fits so well and is so clear.
	clearFit, clearConfidence = 0.4, 0.99
)

// Detect tells the language of a text. It looks at the middle of a long text
// first, and at its ends only where that leaves a doubt.
func Detect(text string) Guess {
	m := load()
	var scores [256]int32
	if len(text) <= sampleBytes {
		g, _ := m.judge(&scores, m.add(&scores, text))
		return g
	}
	const piece = sampleBytes / samplePieces
	chars := 0
	look := func(i int) {
		chars += m.add(&scores, cut(text, (len(text)-piece)/(samplePieces-1)*i, piece))
	}
	look(1)
	look(2)
	if g, fits := m.judge(&scores, chars); fits > clearFit && g.Confidence > clearConfidence {
		return g
	}
	look(0)
	look(3)
	g, _ := m.judge(&scores, chars)
	return g
}

// judge picks the best language for scores of so many characters, and says how
// well they fit it.
func (m *model) judge(scores *[256]int32, chars int) (g Guess, fits float64) {
	best, total := 0, 0.0
	for i := range m.codes {
		if scores[i] > scores[best] {
			best = i
		}
	}
	if chars > 0 {
		fits = float64(scores[best]) / (m.typical[best] * float64(chars))
	}
	if fits < fit {
		return Guess{}, fits
	}
	same := 0.0 // of all rows with the best one's code: Serbian has two alphabets
	for i, code := range m.codes {
		d := scores[best] - scores[i]
		if d > 40*temperature {
			continue // less than a double can add
		}
		e := math.Exp(-float64(d) / temperature)
		total += e
		if code == m.codes[best] {
			same += e
		}
	}
	return Guess{m.codes[best], same / total}, fits
}

// cut returns about n bytes of a text from about at on, whole characters and,
// where a space is near, whole words.
func cut(text string, at, n int) string {
	end := min(at+n, len(text))
	for near := at; at > 0 && at < near+20 && text[at-1] > ' '; {
		at++
	}
	for at < len(text) && !utf8.RuneStart(text[at]) {
		at++
	}
	for end < len(text) && !utf8.RuneStart(text[end]) {
		end++
	}
	return text[at:max(at, end)]
}

// otherScripts is the first character for which n-grams of one and two are in
// the model.
const otherScripts = 0x530

// letter returns a letter or mark above ASCII in lower case, one that stands for
// its script where that has thousands, and a space for anything else.
func letter(r rune) rune {
	switch {
	case r >= 0x3400 && r <= 0x9fff || r >= 0xf900 && r <= 0xfaff || r >= 0x20000 && r <= 0x323af:
		return 0x4e00 // an ideograph
	case r >= 0x3041 && r <= 0x309f:
		return 0x3042 // hiragana
	case r >= 0x30a0 && r <= 0x30ff:
		return 0x30a2 // katakana
	case r >= 0xac00 && r <= 0xd7a3:
		return 0xac00 // a Hangul syllable
	case r > 0xffff || !unicode.IsLetter(r) && !unicode.IsMark(r):
		return ' '
	}
	return unicode.ToLower(r)
}

// add adds a text's n-grams to the scores and returns how many characters they
// are made of. N-grams are gathered first and then looked up, many at once: most
// of the time goes into waiting for the memory that holds the table.
func (m *model) add(scores *[256]int32, text string) int {
	const space = ' '
	var keys [512]uint64
	n := 0
	var window uint64 = space // the last four characters, the newest lowest
	length := 1               // how many of them belong to the word and the space before it
	chars := 0
	take := func(c uint64) {
		window = window<<16 | c
		length = min(length+1, 4)
		chars++
		from := 3
		if c >= otherScripts {
			from = 1
		}
		if n+4 > len(keys) {
			m.score(scores, keys[:n])
			n = 0
		}
		for k := from; k <= length; k++ {
			keys[n] = window & (1<<(16*k) - 1)
			n++
		}
	}
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		switch {
		case r >= utf8.RuneSelf:
			r, size = utf8.DecodeRuneInString(text[i:])
			r = letter(r)
		case r|0x20 >= 'a' && r|0x20 <= 'z':
			r |= 0x20
		default:
			r = space
		}
		i += size
		if r != space {
			take(uint64(r))
		} else if window&0xffff != space {
			take(space)
			window, length = space, 1
		}
	}
	if window&0xffff != space {
		take(space)
	}
	m.score(scores, keys[:n])
	return chars
}

// score adds what n-grams say. It overwrites keys.
func (m *model) score(scores *[256]int32, keys []uint64) {
	const places = 1<<32 - 1
	for i, key := range keys {
		// Reading the slot here, with no branch on what it holds, lets the
		// processor have several slots under way.
		s := &m.slots[key*0x9e3779b97f4a7c15>>m.shift]
		if s.key != key {
			s = m.find(key)
		}
		// The first weight is read for the same reason, and not used.
		keys[i] = uint64(m.weights[s.from].w)<<40 | uint64(s.n)<<32 | uint64(s.from)
	}
	for _, k := range keys {
		from := k & places
		for _, w := range m.weights[from : from+k>>32&0xff] {
			scores[w.lang] += int32(w.w)
		}
	}
}
