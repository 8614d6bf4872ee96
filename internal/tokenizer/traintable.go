package tokenizer

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// wordTable counts words. Words of up to 16 bytes, which are nearly all, stand in
// the slot itself, so that counting one touches one cache line.
type wordTable struct {
	slots []wordSlot // open addressing, a power of two long
	used  int
	arena arena
	limit int // slots at most
}

// wordSlot is one word and how often it occurred. size 0 marks an empty slot.
type wordSlot struct {
	a, b  uint64 // the word, padded with zeros; or its hash and its place in the arena
	count int64
	size  uint32
}

const (
	slotBytes = 32
	minSlots  = 1 << 10
	inlined   = 16 // bytes of a word that fit into a slot
	// wordSlack is how many bytes must be readable behind a word.
	wordSlack = inlined
)

// newWordTable makes a table that takes at most that many bytes, those that it
// moves between while it grows included.
func newWordTable(budget int64) *wordTable {
	limit := minSlots
	for int64(limit)*2*slotBytes*3/2 <= budget*3/4 { // the rest is for long words
		limit *= 2
	}
	return &wordTable{slots: make([]wordSlot, minSlots), limit: limit, arena: arena{limit: budget / 4}}
}

// add counts a word n more times, or reports that the table is full. At least
// wordSlack bytes must be readable behind it: cap(word)-len(word).
func (t *wordTable) add(word []byte, n int64) bool {
	a, b := wordKey(word)
	h := (a ^ bits.RotateLeft64(b, 29)*0xFF51AFD7ED558CCD ^ uint64(len(word))) * 0x9E3779B97F4A7C15
	mask := uint64(len(t.slots) - 1)
	for i := (h ^ h>>32) & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.size == uint32(len(word)) && s.a == a {
			if len(word) <= inlined && s.b == b || len(word) > inlined && bytes.Equal(t.arena.get(s.b, s.size), word) {
				s.count += n
				return true
			}
		}
		if s.size == 0 {
			if t.used >= len(t.slots)/4*3 {
				return t.grow() && t.add(word, n)
			}
			if len(word) > inlined {
				if !t.arena.room(len(word)) {
					return false
				}
				b = t.arena.put(word)
			}
			*s = wordSlot{a, b, n, uint32(len(word))}
			t.used++
			return true
		}
	}
}

// wordKey is what a slot holds of a word: the word, or its hash.
func wordKey(word []byte) (a, b uint64) {
	n := len(word)
	if n <= inlined {
		w := word[:inlined] // into the slack
		a, b = binary.LittleEndian.Uint64(w), binary.LittleEndian.Uint64(w[8:])
		if n <= 8 {
			return a & (1<<(8*n) - 1), 0 // n = 8 shifts everything out, leaving all ones
		}
		return a, b & (1<<(8*(n-8)) - 1)
	}
	h := uint64(n)
	for i := 0; i < n; i += 8 {
		x := binary.LittleEndian.Uint64(word[i : i+8])
		if n-i < 8 {
			x &= 1<<(8*(n-i)) - 1
		}
		h = (bits.RotateLeft64(h, 23) ^ x) * 0x9E3779B97F4A7C15
		h ^= h >> 32
	}
	return h, 0
}

// grow doubles the table, or reports that it must not.
func (t *wordTable) grow() bool {
	if len(t.slots)*2 > t.limit {
		return false
	}
	old := t.slots
	t.slots = make([]wordSlot, 2*len(old))
	mask := uint64(len(t.slots) - 1)
	for _, s := range old {
		if s.size == 0 {
			continue
		}
		b := s.b
		if s.size > inlined {
			b = 0
		}
		h := (s.a ^ bits.RotateLeft64(b, 29)*0xFF51AFD7ED558CCD ^ uint64(s.size)) * 0x9E3779B97F4A7C15
		i := (h ^ h>>32) & mask
		for t.slots[i].size != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = s
	}
	return true
}

// reserve makes room for so many words in all, or reports that there is none.
func (t *wordTable) reserve(words int) bool {
	for words > len(t.slots)/4*3 {
		if !t.grow() {
			return false
		}
	}
	return true
}

// word returns the bytes of a slot's word; those of a short one are in buf.
func (t *wordTable) word(s *wordSlot, buf *[inlined + wordSlack]byte) []byte {
	if s.size > inlined {
		return t.arena.get(s.b, s.size)
	}
	binary.LittleEndian.PutUint64(buf[:], s.a)
	binary.LittleEndian.PutUint64(buf[8:], s.b)
	return buf[:s.size]
}

// each calls visit for all words, in no particular order.
func (t *wordTable) each(visit func(word []byte, count int64) error) error {
	var buf [inlined + wordSlack]byte
	for i := range t.slots {
		if s := &t.slots[i]; s.size > 0 {
			if err := visit(t.word(s, &buf), s.count); err != nil {
				return err
			}
		}
	}
	return nil
}

// sorted moves the words to the front, ordered by their bytes, and returns them.
// Until reset the table can only be read.
func (t *wordTable) sorted() []wordSlot {
	n := 0
	for _, s := range t.slots {
		if s.size > 0 {
			t.slots[n] = s
			n++
		}
	}
	list := t.slots[:n]
	slices.SortFunc(list, func(x, y wordSlot) int {
		var bx, by [inlined + wordSlack]byte
		return bytes.Compare(t.word(&x, &bx), t.word(&y, &by))
	})
	return list
}

// reset empties the table and keeps its memory.
func (t *wordTable) reset() {
	clear(t.slots)
	t.used = 0
	t.arena.reset()
}

// arena holds the bytes of long words in blocks that never move.
type arena struct {
	blocks [][]byte // all but the last one are full
	spare  [][]byte
	limit  int64
}

const arenaBlock = 1 << 18

// room says whether n more bytes may be put.
func (a *arena) room(n int) bool {
	if k := len(a.blocks); k > 0 && len(a.blocks[k-1])+n+wordSlack <= arenaBlock {
		return true
	}
	return int64(len(a.blocks)+1)*arenaBlock <= max(a.limit, arenaBlock)
}

func (a *arena) put(word []byte) (ref uint64) {
	k := len(a.blocks) - 1
	if k < 0 || len(a.blocks[k])+len(word)+wordSlack > arenaBlock {
		block := make([]byte, 0, arenaBlock)
		if n := len(a.spare); n > 0 {
			block, a.spare = a.spare[n-1], a.spare[:n-1]
		}
		a.blocks = append(a.blocks, block)
		k++
	}
	at := len(a.blocks[k])
	a.blocks[k] = append(a.blocks[k], word...)
	return uint64(k)<<32 | uint64(at)
}

// get returns a word with wordSlack readable bytes behind it.
func (a *arena) get(ref uint64, size uint32) []byte {
	at := uint32(ref)
	return a.blocks[ref>>32][at : at+size : arenaBlock]
}

func (a *arena) reset() {
	for _, b := range a.blocks {
		a.spare = append(a.spare, b[:0])
	}
	a.blocks = a.blocks[:0]
}
