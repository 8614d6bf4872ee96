package clean

import (
	"math/bits"

	"github.com/cria-llm/cria/internal/data/words"
)

// The n-grams of Gopher's table A1: the most frequent one of 2 to 4 words, all
// duplicate ones of 5 to 10.
const (
	topFirst, topLast = 2, 4
	dupFirst, dupLast = 5, 10
)

// lineRepetition are fractions of what occurred before in the same document.
type lineRepetition struct {
	lines, lineChars, paragraphs, paragraphChars float64
}

// lineRepetition measures duplicate lines and paragraphs. Lines are compared
// without the white space around them; the first of several is no duplicate.
func (r *run) lineRepetition() lineRepetition {
	if r.linesDone {
		return r.lines
	}
	t := r.text
	var dup, dupChars, chars, paragraphs, dupParagraphs, dupParagraphChars int
	lineTable, paragraphTable := &r.grams.a, &r.grams.b
	lineTable.reset(len(t.Lines))
	paragraphTable.reset(len(t.Lines))
	var h uint64
	from := 0 // first line of the paragraph
	for i := range t.Lines {
		l := &t.Lines[i]
		chars += int(l.Chars)
		if c := lineTable.count(l.Hash, int32(i)); c.n > 1 {
			dup++
			dupChars += int(l.Chars)
		}
		if l.Paragraph {
			h, from = 0, i
		}
		h = words.Mix(h, l.Hash)
		if i+1 == len(t.Lines) || t.Lines[i+1].Paragraph {
			paragraphs++
			if c := paragraphTable.count(h, int32(i)); c.n > 1 {
				dupParagraphs++
				for _, p := range t.Lines[from : i+1] {
					dupParagraphChars += int(p.Chars)
				}
			}
		}
	}
	r.lines = lineRepetition{
		lines: ratio(dup, len(t.Lines)), lineChars: ratio(dupChars, chars),
		paragraphs: ratio(dupParagraphs, paragraphs), paragraphChars: ratio(dupParagraphChars, chars),
	}
	r.linesDone = true
	return r.lines
}

// wordRepetition are fractions of the characters of all words.
type wordRepetition struct {
	top       [topLast - topFirst + 1]float64
	duplicate [dupLast - dupFirst + 1]float64
}

// wordRepetition measures repeated n-grams.
//
// Top: the characters of the n-gram that occurs most often, times how often it
// does; 0 where none occurs twice; among equally frequent ones the longest.
// Duplicate: the characters of words that lie in an n-gram which occurred
// before, each word counted once.
//
// An n-gram can only occur twice where its first n-1 words do. So all 2-grams
// are counted, and from then on only the places whose (n-1)-gram occurs twice;
// in ordinary text that leaves very few.
func (r *run) wordRepetition() wordRepetition {
	if r.wordsDone {
		return r.words
	}
	r.wordsDone = true
	r.words = wordRepetition{}
	all := r.text.Words
	total := r.wordStats().chars
	g := &r.grams
	g.places, g.hashes = g.places[:0], g.hashes[:0]
	for i := range len(all) - 1 {
		g.places = append(g.places, int32(i))
		g.hashes = append(g.hashes, words.Mix(0, all[i].Hash)) // mixed, as Mix of two plain hashes would not know their order
	}
	for n := 2; n <= dupLast && len(g.places) > 0; n++ {
		g.extend(all, n)
		switch {
		case n <= topLast:
			r.words.top[n-topFirst] = min(1, ratio(g.top(all, n), total))
		default:
			r.words.duplicate[n-dupFirst] = ratio(g.covered(all, n), total)
		}
		g.narrow()
	}
	return r.words
}

// gramTables holds the places in a document at which n-grams may repeat.
type gramTables struct {
	a, b   counter
	places []int32  // rising
	hashes []uint64 // of the words from each place on
	slots  []int32  // where the counter has them
}

// extend makes n-grams of (n-1)-grams and counts them.
func (g *gramTables) extend(all []words.Word, n int) {
	keep := len(g.places)
	for keep > 0 && int(g.places[keep-1])+n > len(all) {
		keep--
	}
	g.places, g.hashes = g.places[:keep], g.hashes[:keep]
	g.a.reset(keep)
	g.slots = g.slots[:0]
	for k, p := range g.places {
		h := words.Mix(g.hashes[k], all[int(p)+n-1].Hash)
		g.hashes[k] = h
		g.slots = append(g.slots, g.a.slot(h, p))
	}
}

// top returns count times characters of the most frequent n-gram.
func (g *gramTables) top(all []words.Word, n int) int {
	best, chars := uint32(1), 0
	for k, p := range g.places {
		c := &g.a.cells[g.slots[k]]
		if c.first != p || c.n < best || c.n == 1 {
			continue
		}
		size := 0
		for _, w := range all[p : int(p)+n] {
			size += int(w.Chars)
		}
		if c.n > best {
			best, chars = c.n, size
		} else {
			chars = max(chars, size)
		}
	}
	return int(best) * chars
}

// covered returns the characters of words in n-grams that occurred before.
func (g *gramTables) covered(all []words.Word, n int) int {
	chars, done := 0, 0 // words before done are counted
	for k, p := range g.places {
		if g.a.cells[g.slots[k]].first == p {
			continue
		}
		end := int(p) + n
		for i := max(done, int(p)); i < end; i++ {
			chars += int(all[i].Chars)
		}
		done = end
	}
	return chars
}

// narrow leaves the places whose n-gram occurs more than once.
func (g *gramTables) narrow() {
	n := 0
	for k, p := range g.places {
		if g.a.cells[g.slots[k]].n > 1 {
			g.places[n], g.hashes[n] = p, g.hashes[k]
			n++
		}
	}
	g.places, g.hashes = g.places[:n], g.hashes[:n]
}

// counter counts 64-bit hashes: open addressing, linear probing, at most half
// full.
type counter struct {
	cells []cell
	shift uint8
}

type cell struct {
	hash  uint64
	n     uint32 // 0: free
	first int32  // the place of the first one
}

// reset makes room for n different hashes.
func (c *counter) reset(n int) {
	log := max(4, bits.Len(uint(2*n)))
	size := 1 << log
	if cap(c.cells) < size {
		c.cells = make([]cell, size)
	} else {
		c.cells = c.cells[:size]
		clear(c.cells)
	}
	c.shift = uint8(64 - log)
}

// slot counts one more of a hash and returns where it is.
func (c *counter) slot(hash uint64, place int32) int32 {
	mask := len(c.cells) - 1
	for i := int(hash >> c.shift); ; i++ {
		e := &c.cells[i&mask]
		if e.n == 0 {
			*e = cell{hash: hash, n: 1, first: place}
			return int32(i & mask)
		}
		if e.hash == hash {
			e.n++
			return int32(i & mask)
		}
	}
}

func (c *counter) count(hash uint64, place int32) *cell {
	return &c.cells[c.slot(hash, place)]
}
