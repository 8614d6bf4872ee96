package tokenizer

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// merger finds the pieces: again and again the two neighbours whose joined text
// is most frequent become one, in every word at once (Sennrich et al., "Neural
// Machine Translation of Rare Words with Subword Units", 2016, section 3.2).
//
// What is counted is a text, not a pair: "abc" may arise from "ab" and "c" or
// from "a" and "bc", and encoding does not tell these apart. So the words are, after
// every step, exactly as the encoder would leave them with the pieces found so far.
//
// A step costs what it changes: each candidate knows the places where it may
// stand, and its count is kept up to date as its neighbours merge.
type merger struct {
	maxChars int // characters of a piece

	// All words stand one behind the other with a gap in front of each and at the
	// end. A symbol covers one place per character.
	sym    []int32  // at a symbol's first place its id; gap, or inside
	span   []uint16 // at a symbol's first and last place its characters
	wordOf []uint32 // per place
	counts []int64  // per word

	texts  []string // per symbol: characters first, then pieces in the order found
	hashes []uint64 // see joinHash
	chars  int      // symbols that are characters
	powers []uint64

	candidates candidates
	pairs      pairTable
	heap       []queued
	raised     []uint32 // candidates whose count rose in this step
}

const (
	gap    = -1 // between words, and where a character is outside of the alphabet
	inside = -2 // not the first place of its symbol
)

// mergeOf is a text that two neighbours make.
type mergeOf struct {
	hash        uint64
	prefix      uint64   // the first bytes of the text, for comparing
	count       int64    // how often it stands in the words now
	queued      int64    // the count it has in the heap; 0 for not there
	places      []uint32 // where it began at some time
	left, right int32    // one way to make it
	piece       int32    // the symbol it became; none until then
	chars       uint16
	sorted      bool // places are in order
	dirty       bool // it is in raised
}

const none = -1

// queued is an entry of the heap. It is out of date where the candidate's queued is
// another count.
type queued struct {
	count int64
	cand  uint32
}

// maxPlaces bounds the places, whose numbers have 32 bits.
const maxPlaces = math.MaxUint32

// newMerger makes a merger for an alphabet, in SentencePiece's spelling, and up to
// so many places and words.
func newMerger(alphabet []rune, maxChars int, places, words int64) (*merger, error) {
	if places >= maxPlaces {
		return nil, fmt.Errorf("tokenizer: the different words have %d characters: at most %d can be held; lower the memory that training may use", places, uint32(maxPlaces))
	}
	m := &merger{
		maxChars: maxChars, chars: len(alphabet),
		sym: append(make([]int32, 0, places+1), gap), span: append(make([]uint16, 0, places+1), 1),
		wordOf: append(make([]uint32, 0, places+1), 0), counts: make([]int64, 0, words),
		powers: make([]uint64, maxChars+1),
	}
	m.powers[0] = 1
	for i := range maxChars {
		m.powers[i+1] = m.powers[i] * hashBase
	}
	for _, r := range alphabet {
		m.texts = append(m.texts, string(r))
		m.hashes = append(m.hashes, (uint64(r)+1)*0x9E3779B97F4A7C15)
	}
	return m, nil
}

// hashBase is the base of a polynomial over characters, so that the hash of a
// joined text comes from those of its parts. Texts of one hash are still compared.
const hashBase = 0xD6E8FEB86659FD93

// load adds a word, whose characters are given as symbols; others are gaps.
func (m *merger) load(word []int32, count int64) {
	pair := false
	for i := 1; i < len(word); i++ {
		pair = pair || word[i-1] >= 0 && word[i] >= 0
	}
	if !pair {
		return
	}
	n := uint32(len(m.counts))
	m.counts = append(m.counts, count)
	for _, s := range word {
		m.sym, m.span, m.wordOf = append(m.sym, s), append(m.span, 1), append(m.wordOf, n)
	}
	m.sym, m.span, m.wordOf = append(m.sym, gap), append(m.span, 1), append(m.wordOf, n)
}

// start makes the candidates of the loaded words.
func (m *merger) start() {
	var sizes []uint32
	total := 0
	for p := 1; p+1 < len(m.sym); p++ {
		if m.sym[p] < 0 || m.sym[p+1] < 0 || m.maxChars < 2 {
			continue
		}
		i := m.candidate(m.sym[p], m.sym[p+1])
		for int(i) >= len(sizes) {
			sizes = append(sizes, 0)
		}
		sizes[i]++
		total++
		m.candidates.at(i).count += m.counts[m.wordOf[p]]
	}
	all := make([]uint32, total)
	for i, n := range sizes {
		m.candidates.at(uint32(i)).places = all[:0:n]
		all = all[n:]
	}
	for p := 1; p+1 < len(m.sym); p++ {
		if m.sym[p] < 0 || m.sym[p+1] < 0 || m.maxChars < 2 {
			continue
		}
		c := m.candidates.at(m.candidate(m.sym[p], m.sym[p+1]))
		c.places = append(c.places, uint32(p))
	}
	for i := range sizes {
		c := m.candidates.at(uint32(i))
		c.queued = c.count
		m.heap = append(m.heap, queued{c.count, uint32(i)})
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
}

// run finds up to n pieces, best first; fewer only where the words have no more.
func (m *merger) run(ctx context.Context, n int, progress func(done int)) error {
	for done := 0; done < n; done++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		progress(done)
		best, ok := m.best()
		if !ok {
			return nil
		}
		if err := m.step(ctx, best); err != nil {
			return err
		}
	}
	return nil
}

// best takes the most frequent candidate off the heap; of equal ones the shorter,
// of those the first by its bytes.
func (m *merger) best() (uint32, bool) {
	for len(m.heap) > 0 {
		e := m.pop()
		c := m.candidates.at(e.cand)
		switch {
		case c.piece != none || e.count != c.queued:
		case c.count == e.count:
			return e.cand, true
		default: // it has become rarer since
			if c.queued = c.count; c.count > 0 {
				m.push(queued{c.count, e.cand})
			} else {
				c.places = nil
			}
		}
	}
	return 0, false
}

// step makes a candidate a piece and merges it wherever it stands, from left to
// right as the encoder does.
func (m *merger) step(ctx context.Context, best uint32) error {
	c := m.candidates.at(best)
	piece := int32(len(m.texts))
	c.piece = piece
	m.texts = append(m.texts, m.texts[c.left]+m.texts[c.right])
	m.hashes = append(m.hashes, c.hash)
	places, chars := c.places, c.chars
	c.places = nil
	if !c.sorted {
		slices.Sort(places)
	}
	for i, p := range places {
		if i&0xFFFF == 0xFFFF && ctx.Err() != nil {
			return ctx.Err()
		}
		// The text stands here still; the question is whether two symbols make it.
		if m.sym[p] < 0 {
			continue
		}
		q := p + uint32(m.span[p])
		if m.sym[q] >= 0 && m.span[p]+m.span[q] == chars {
			m.mergeAt(p, piece)
		}
	}
	for _, i := range m.raised {
		c := m.candidates.at(i)
		if c.dirty = false; c.count > c.queued {
			c.queued = c.count
			m.push(queued{c.count, i})
		}
	}
	m.raised = m.raised[:0]
	return nil
}

// mergeAt joins the symbol at p and the next one. Where the result and a neighbour
// make an older piece, they merge at once, as they would in encoding: the older
// piece has the better score.
func (m *merger) mergeAt(p uint32, piece int32) {
	w := m.counts[m.wordOf[p]]
	for {
		left, right := m.sym[p], m.sym[p+uint32(m.span[p])]
		q := p + uint32(m.span[p])
		end := q + uint32(m.span[q])
		prev := p - uint32(m.span[p-1])
		if m.sym[prev] >= 0 {
			m.lose(prev, p, m.sym[prev], left, w)
		}
		if m.sym[end] >= 0 {
			m.lose(q, end, right, m.sym[end], w)
		}
		m.sym[p], m.sym[q] = piece, inside
		m.span[p] = uint16(end - p)
		m.span[end-1] = m.span[p]
		before, behind := int32(none), int32(none)
		if m.sym[prev] >= 0 {
			before = m.gain(prev, p, w)
		}
		if m.sym[end] >= 0 {
			behind = m.gain(p, end, w)
		}
		switch {
		case before != none && (behind == none || before <= behind):
			p, piece = prev, before
		case behind != none:
			piece = behind
		default:
			return
		}
	}
}

// lose takes two symbols that are about to part, at p and q, off the count of what
// they make.
func (m *merger) lose(p, q uint32, left, right int32, w int64) {
	if int(m.span[p])+int(m.span[q]) > m.maxChars {
		return
	}
	if c := m.candidates.at(m.candidate(left, right)); c.piece == none {
		c.count -= w
	}
}

// gain notes that the symbols at p and q have become neighbours, or returns the
// piece that they make.
func (m *merger) gain(p, q uint32, w int64) (piece int32) {
	if int(m.span[p])+int(m.span[q]) > m.maxChars {
		return none
	}
	i := m.candidate(m.sym[p], m.sym[q])
	c := m.candidates.at(i)
	if c.piece != none {
		return c.piece
	}
	c.count += w
	if n := len(c.places); n > 0 && c.places[n-1] > p {
		c.sorted = false
	}
	c.places = append(c.places, p)
	if !c.dirty {
		c.dirty = true
		m.raised = append(m.raised, i)
	}
	return none
}

// candidate returns the candidate that two symbols make, a new one if need be.
func (m *merger) candidate(left, right int32) uint32 {
	slot := m.pairs.find(pairKey(left, right))
	if slot.index > 0 {
		return slot.index - 1
	}
	i := m.byText(left, right)
	slot.key, slot.index = pairKey(left, right), i+1
	m.pairs.added()
	return i
}

// byText finds a candidate by its text.
func (m *merger) byText(left, right int32) uint32 {
	chars := utf8.RuneCountInString(m.texts[right])
	h := m.hashes[left]*m.powers[chars] + m.hashes[right]
	t := &m.candidates
	for i := t.slot(h); ; i = (i + 1) & (len(t.index) - 1) {
		n := t.index[i]
		if n == 0 {
			c := mergeOf{hash: h, left: left, right: right, piece: none, sorted: true,
				chars: uint16(chars + utf8.RuneCountInString(m.texts[left]))}
			var b [8]byte
			copy(b[copy(b[:], m.texts[left]):], m.texts[right])
			c.prefix = binary.BigEndian.Uint64(b[:])
			return t.add(i, c)
		}
		if c := t.at(n - 1); c.hash == h && m.compareTexts(c.left, c.right, left, right) == 0 {
			return n - 1
		}
	}
}

// compareTexts compares the text that one pair makes with that of another.
func (m *merger) compareTexts(l1, r1, l2, r2 int32) int {
	var b1, b2 [128]byte
	return bytes.Compare(append(append(b1[:0], m.texts[l1]...), m.texts[r1]...), append(append(b2[:0], m.texts[l2]...), m.texts[r2]...))
}

// pieces returns the texts found, in their order. Those of spaces alone go behind
// all others, so that a word keeps the space in front of it when it stands behind a
// run of them. (Llama's own vocabulary gives them the score -1e9 for that; here ids
// and scores have one order, which converters that order merges by id need.)
func (m *merger) pieces() []string {
	found := m.texts[m.chars:]
	blank := func(s string) bool { return strings.Trim(s, space) == "" }
	out := make([]string, 0, len(found))
	for _, last := range []bool{false, true} {
		for _, s := range found {
			if blank(s) == last {
				out = append(out, s)
			}
		}
	}
	return out
}

// The heap of candidates, best first.

func (m *merger) better(a, b queued) bool {
	if a.count != b.count {
		return a.count > b.count
	}
	x, y := m.candidates.at(a.cand), m.candidates.at(b.cand)
	if c := cmp.Or(cmp.Compare(x.chars, y.chars), cmp.Compare(x.prefix, y.prefix)); c != 0 {
		return c < 0
	}
	return m.compareTexts(x.left, x.right, y.left, y.right) < 0
}

func (m *merger) push(e queued) {
	m.heap = append(m.heap, e)
	for i := len(m.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !m.better(m.heap[i], m.heap[up]) {
			break
		}
		m.heap[up], m.heap[i] = m.heap[i], m.heap[up]
		i = up
	}
}

func (m *merger) pop() queued {
	top, last := m.heap[0], len(m.heap)-1
	m.heap[0] = m.heap[last]
	m.heap = m.heap[:last]
	m.down(0)
	return top
}

func (m *merger) down(i int) {
	h := m.heap
	for {
		c := 2*i + 1
		if c >= len(h) {
			return
		}
		if c+1 < len(h) && m.better(h[c+1], h[c]) {
			c++
		}
		if !m.better(h[c], h[i]) {
			return
		}
		h[i], h[c] = h[c], h[i]
		i = c
	}
}

// candidates are found by number and by the hash of their text. They never move.
type candidates struct {
	blocks [][]mergeOf
	n      int
	index  []uint32 // open addressing, a power of two long: number + 1, or 0
}

const candidateBlock = 1 << 12

func (t *candidates) at(i uint32) *mergeOf { return &t.blocks[i/candidateBlock][i%candidateBlock] }

// slot returns where a hash belongs. It makes the table, and makes room in it.
func (t *candidates) slot(hash uint64) int {
	if t.n >= len(t.index)/2 {
		t.index = make([]uint32, max(1<<10, 2*len(t.index)))
		for i := range uint32(t.n) {
			k := t.home(t.at(i).hash)
			for t.index[k] != 0 {
				k = (k + 1) & (len(t.index) - 1)
			}
			t.index[k] = i + 1
		}
	}
	return t.home(hash)
}

func (t *candidates) home(hash uint64) int {
	return int((hash ^ hash>>32) & uint64(len(t.index)-1))
}

// add appends a candidate and enters it at a free slot.
func (t *candidates) add(slot int, c mergeOf) uint32 {
	if t.n%candidateBlock == 0 {
		t.blocks = append(t.blocks, make([]mergeOf, candidateBlock))
	}
	i := uint32(t.n)
	t.n++
	t.index[slot] = i + 1
	*t.at(i) = c
	return i
}

// pairTable finds the candidate of two symbols.
type pairTable struct {
	slots []pairSlot // open addressing, a power of two long
	used  int
}

type pairSlot struct {
	key   uint64
	index uint32 // of the candidate + 1; 0 in an empty slot
}

// find returns a pair's slot, or the empty one for it: who fills that must call
// added next.
func (t *pairTable) find(key uint64) *pairSlot {
	if len(t.slots) == 0 {
		t.slots = make([]pairSlot, 1<<10)
	}
	mask := uint64(len(t.slots) - 1)
	for i := t.home(key); ; i = (i + 1) & mask {
		if s := &t.slots[i]; s.index == 0 || s.key == key {
			return s
		}
	}
}

func (t *pairTable) home(key uint64) uint64 {
	h := key * 0x9E3779B97F4A7C15
	return (h ^ h>>32) & uint64(len(t.slots)-1)
}

// added counts a slot that was filled, and makes room.
func (t *pairTable) added() {
	if t.used++; t.used < len(t.slots)/2 {
		return
	}
	old := t.slots
	t.slots = make([]pairSlot, 2*len(old))
	mask := uint64(len(t.slots) - 1)
	for _, s := range old {
		if s.index > 0 {
			i := t.home(s.key)
			for t.slots[i].index != 0 {
				i = (i + 1) & mask
			}
			t.slots[i] = s
		}
	}
}
