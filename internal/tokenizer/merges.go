package tokenizer

import (
	"cmp"
	"math"
	"slices"
	"unicode/utf8"
)

// mergeTable answers the two questions of merging without looking at text:
// which symbol a character is, and what two neighbours become.
//
// A symbol is what stands between merges: the id of a piece, or, at ids from the
// vocabulary's size on, a character that only occurs inside of longer pieces.
type mergeTable struct {
	ascii  [utf8.RuneSelf]int32
	pages  [(utf8.MaxRune + 1) >> 8]*[256]int32 // symbols of all characters; nil pages hold none
	lone   []rune                               // characters of the symbols beyond the vocabulary
	slots  []mergeSlot                          // open addressing, a power of two long
	shift  uint
	joined [utf8.RuneSelf][utf8.RuneSelf]bool // see joins; a space stands for U+2581
	pairs  map[uint64]struct{}                // the same for all symbols
}

const noSymbol = -1

// never is the rank of two neighbours that do not merge.
const never = math.MaxUint32

// mergeSlot says that symbols left and right become id. Ranks order scores, the
// best being 0; equal scores have equal ranks.
type mergeSlot struct {
	left, right int32
	id          int32 // noSymbol in an empty slot
	rank        uint32
}

// buildMerges fills the table with every merge that can happen. Of a piece
// all ways to make it count, as in SentencePiece, not only the one it was
// trained with. A piece that no sequence of merges reaches is left out.
func (t *Tokenizer) buildMerges() {
	m := &t.merges
	m.pairs = map[uint64]struct{}{}
	for i := range m.ascii {
		m.ascii[i] = noSymbol
	}
	var long []int32 // pieces of two characters or more, short before long
	for id, p := range t.pieces {
		if p.Kind != Normal && p.Kind != Unused {
			continue
		}
		if r, n := utf8.DecodeRuneInString(p.Text); n == len(p.Text) {
			m.setSymbol(r, int32(id))
		} else {
			long = append(long, int32(id))
		}
	}
	slices.SortFunc(long, func(a, b int32) int {
		return cmp.Or(cmp.Compare(len(t.pieces[a].Text), len(t.pieces[b].Text)), cmp.Compare(a, b))
	})
	// All characters are symbols, those of unreachable pieces included.
	symbols := make(map[string]int32, len(t.pieces)) // reachable texts
	for _, id := range long {
		for _, r := range t.pieces[id].Text {
			if m.symbol(r) == noSymbol {
				m.setSymbol(r, int32(len(t.pieces)+len(m.lone)))
				m.lone = append(m.lone, r)
			}
		}
	}
	ranks := rankScores(t.pieces, long)
	var slots []mergeSlot
	for _, id := range long {
		text := t.pieces[id].Text
		before := len(slots)
		for i := range text {
			if i == 0 {
				continue
			}
			left := m.symbolOf(symbols, text[:i])
			if left == noSymbol {
				continue
			}
			if right := m.symbolOf(symbols, text[i:]); right != noSymbol {
				slots = append(slots, mergeSlot{left, right, id, ranks[id]})
			}
		}
		if len(slots) == before {
			continue
		}
		symbols[text] = id
		m.join(text)
		if t.pieces[id].Kind == Unused {
			t.global = true
		}
	}
	m.setSlots(slots)
}

// rankScores orders the scores of the given pieces.
func rankScores(pieces []Piece, ids []int32) map[int32]uint32 {
	order := slices.Clone(ids)
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(pieces[b].Score, pieces[a].Score) })
	ranks := make(map[int32]uint32, len(order))
	rank := uint32(0)
	for i, id := range order {
		if i > 0 && pieces[id].Score != pieces[order[i-1]].Score {
			rank++
		}
		ranks[id] = rank
	}
	return ranks
}

func (m *mergeTable) setSymbol(r rune, s int32) {
	if r < utf8.RuneSelf {
		m.ascii[r] = s
	}
	page := m.pages[r>>8]
	if page == nil {
		page = new([256]int32)
		for i := range page {
			page[i] = noSymbol
		}
		m.pages[r>>8] = page
	}
	page[r&0xFF] = s
}

// symbol returns the symbol of a character, noSymbol where no piece contains it.
func (m *mergeTable) symbol(r rune) int32 {
	if page := m.pages[r>>8]; page != nil {
		return page[r&0xFF]
	}
	return noSymbol
}

// symbolOf returns the symbol of a text: a character or a reachable piece.
func (m *mergeTable) symbolOf(reachable map[string]int32, text string) int32 {
	if r, n := utf8.DecodeRuneInString(text); n == len(text) {
		return m.symbol(r)
	}
	if id, ok := reachable[text]; ok {
		return id
	}
	return noSymbol
}

// join notes all neighbours inside of a piece.
func (m *mergeTable) join(text string) {
	last := rune(-1)
	for _, r := range text {
		if last >= 0 {
			m.pairs[pairKey(m.symbol(last), m.symbol(r))] = struct{}{}
			if a, b := asciiOf(last), asciiOf(r); a < utf8.RuneSelf && b < utf8.RuneSelf {
				m.joined[a][b] = true
			}
		}
		last = r
	}
}

// asciiOf maps a character of a piece to the character of the text it stands for.
func asciiOf(r rune) rune {
	switch r {
	case '\u2581':
		return ' '
	case ' ': // a space of the text is never this character
		return utf8.RuneSelf
	}
	return r
}

// joins says whether some reachable piece contains a and b next to each other.
// If none does, no merge ever reaches across a and b, so the text before and the
// text behind can be encoded each by itself. (A merge across would make a piece
// that contains them.)
func (m *mergeTable) joins(a, b int32) bool {
	if a == noSymbol || b == noSymbol {
		return false
	}
	_, ok := m.pairs[pairKey(a, b)]
	return ok
}

func pairKey(a, b int32) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }

// setSlots makes the hash table, half full at most.
func (m *mergeTable) setSlots(list []mergeSlot) {
	bits := uint(1)
	for 1<<bits < 2*len(list) {
		bits++
	}
	m.shift = 64 - bits
	m.slots = make([]mergeSlot, 1<<bits)
	for i := range m.slots {
		m.slots[i].id = noSymbol
	}
	for _, s := range list {
		i := m.slotOf(s.left, s.right)
		for m.slots[i].id != noSymbol {
			i = (i + 1) & uint64(len(m.slots)-1)
		}
		m.slots[i] = s
	}
}

func (m *mergeTable) slotOf(left, right int32) uint64 {
	return pairKey(left, right) * 0x9E3779B97F4A7C15 >> m.shift
}

// merge returns what two neighbours become and its rank, never for nothing.
func (m *mergeTable) merge(left, right int32) (id int32, rank uint32) {
	for i := m.slotOf(left, right); ; i = (i + 1) & uint64(len(m.slots)-1) {
		s := &m.slots[i]
		if s.id == noSymbol {
			return noSymbol, never
		}
		if s.left == left && s.right == right {
			return s.id, s.rank
		}
	}
}
