package tokenizer

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
	"unsafe"
)

// A text is cut wherever no piece of the vocabulary contains the two characters
// at the cut next to each other ([mergeTable.joins]): with Llama's vocabulary
// that is in front of most spaces, between digits and between unlike scripts.
// The segments are mostly words, and words repeat: their ids are remembered.

// scratch is what one call of Encode works with.
type scratch struct {
	window int    // characters, see encodeSegment
	text   []byte // a text with its dummy prefix
	memo   []memo // a power of two long
	miss   output // ids of a segment that memo does not have

	symbols         // of a segment
	other   symbols // of the window before, see encodeSegment
	joined  []int32 // per id: what it and the next one become
	ranks   []uint32
	links   []link
	heap    []uint64
}

// symbols are what is left of a text after merging, and where each begins in it.
type symbols struct{ ids, starts []int32 }

// memo remembers the ids of one segment of at most memoText bytes.
type memo struct {
	text [2]uint64 // zero-padded; texts are told apart from their padding by size
	size uint8
	n    uint8
	ids  [11]int32
}

const (
	memoText = 16
	memoBits = 13 // 8,192 entries of 64 bytes: about what an L2 cache holds
	bulkBits = 16 // 4 MiB: fetching an entry from there is cheaper than merging
)

// encodeSpan encodes a text that contains no user-defined symbol.
func (t *Tokenizer) encodeSpan(s *scratch, out *output, text string) {
	if s.memo == nil {
		s.memo = make([]memo, 1<<memoBits)
	}
	shift := bits.LeadingZeros64(uint64(len(s.memo) - 1))
	for i := 0; i < len(text); {
		end := t.segmentEnd(text, i)
		if end-i > memoText {
			t.encodeSegment(s, out, text[i:end])
			i = end
			continue
		}
		key := loadPadded(text, i, end-i)
		h := (key[0] ^ key[1]*0xFF51AFD7ED558CCD ^ uint64(end-i)) * 0x9E3779B97F4A7C15 >> shift
		m := &s.memo[h]
		ids := m.ids[:m.n]
		if m.text != key || int(m.size) != end-i {
			s.miss.ids, s.miss.unknown = s.miss.ids[:0], false
			t.encodeSegment(s, &s.miss, text[i:end])
			if ids = s.miss.ids; len(ids) <= len(m.ids) {
				m.text, m.size, m.n = key, uint8(end-i), uint8(len(ids))
				copy(m.ids[:], ids)
			}
		}
		out.addSegment(ids, t.unk)
		i = end
	}
}

// addSegment appends the ids of a segment, which are at least one.
func (o *output) addSegment(ids []int32, unk int32) {
	if o.unknown && ids[0] == unk {
		ids = ids[1:]
	}
	if len(ids) > 0 {
		o.ids = append(o.ids, ids...)
		o.unknown = ids[len(ids)-1] == unk
	}
}

// loadPadded returns n bytes of text from i on, n at most memoText, padded with
// zeros.
func loadPadded(text string, i, n int) (key [2]uint64) {
	if len(text)-i < memoText {
		var b [memoText]byte
		copy(b[:], text[i:i+n])
		return [2]uint64{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
	}
	b := unsafe.Slice(unsafe.StringData(text), len(text))[i : i+memoText]
	key[0], key[1] = binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
	if n <= 8 {
		key[0] &= 1<<(8*n) - 1 // n = 8 shifts everything out, leaving all ones
		key[1] = 0
	} else {
		key[1] &= 1<<(8*(n-8)) - 1
	}
	return key
}

// segmentEnd returns where the segment that begins at i ends.
func (t *Tokenizer) segmentEnd(text string, i int) int {
	m := &t.merges
	for {
		// As long as both characters are ASCII, one table says it.
		c := text[i]
		for c < utf8.RuneSelf {
			i++
			if i == len(text) {
				return i
			}
			d := text[i]
			if d >= utf8.RuneSelf {
				i--
				break
			}
			if !m.joined[c][d] {
				return i
			}
			c = d
		}
		r, n := decodeRune(text[i:])
		left := m.symbol(r)
		for {
			i += n
			if i == len(text) {
				return i
			}
			r, n = decodeRune(text[i:])
			right := m.symbol(r)
			if !m.joins(left, right) {
				return i
			}
			if text[i] < utf8.RuneSelf {
				break
			}
			left = right
		}
	}
}

// defaultWindow is how many characters are merged at a time, where a segment is
// longer: it bounds the memory of a text without any place to cut.
const defaultWindow = 1 << 14

// encodeSegment encodes a text across whose ends nothing merges.
//
// A segment longer than a window is encoded by windows that overlap. Let one
// window, encoded by itself, give ... a b c ..., and let the window from the
// beginning of b on, encoded by itself, begin with b again. Then ... a and the
// second encoding are the encoding of both together, as if it had been made at
// once: a sequence of tokens is the encoding of its text if and only if each two
// neighbours are the encoding of theirs. (If they are and it is not, take the
// first merge that reaches across a border. Until then every merge was within a
// token, and the same merges come in the same order when only the two tokens at
// that border are encoded; so this merge comes next there, too.)
func (t *Tokenizer) encodeSegment(s *scratch, out *output, text string) {
	n, unknown := len(out.ids), out.unknown
	for size := s.window; !t.encodeWindows(s, out, text, size); size *= 4 {
		out.ids, out.unknown = out.ids[:n], unknown
	}
}

// encodeWindows does that with windows of a size in characters. It fails where
// two windows have no such token b.
func (t *Tokenizer) encodeWindows(s *scratch, out *output, text string, size int) bool {
	end := prefixOf(text, size)
	t.mergeText(s, text[:end])
	for end < len(text) {
		cut := t.overlap(s, text, size)
		if cut == 0 {
			return false
		}
		t.flush(out, text, s.other.ids[:cut], s.other.starts)
		text = text[s.other.starts[cut]:]
		end = prefixOf(text, size)
	}
	t.flush(out, text, s.ids, s.starts)
	return true
}

// overlap takes the encoding of a window of text, which is in s, and looks for a
// token of it with which the window that begins there begins too. It returns its
// index, 0 for none, and leaves the new encoding in s, the old one in s.other.
func (t *Tokenizer) overlap(s *scratch, text string, size int) int {
	s.symbols, s.other = s.other, s.symbols
	n := len(s.other.ids)
	// Tokens at the end of a window may come out otherwise with more text behind.
	for eighths := 1; eighths <= 4; eighths++ {
		at := n - 1 - n*eighths/8
		if at <= 0 {
			break
		}
		rest := text[s.other.starts[at]:]
		t.mergeText(s, rest[:prefixOf(rest, size)])
		if s.ids[0] == s.other.ids[at] {
			return at
		}
	}
	return 0
}

// prefixOf returns how many bytes of text n characters are, or all of it.
func prefixOf(text string, n int) int {
	i := 0
	for ; n > 0 && i < len(text); n-- {
		_, size := decodeRune(text[i:])
		i += size
	}
	return i
}

// flush outputs symbols of text; those beyond the vocabulary are single
// characters.
func (t *Tokenizer) flush(out *output, text string, ids, starts []int32) {
	for i, id := range ids {
		if 0 <= id && int(id) < len(t.pieces) {
			out.add(id)
			continue
		}
		r, _ := decodeRune(text[starts[i]:])
		t.addUnknown(out, r)
	}
}

// mergeText leaves the symbols of a text and where they begin in s.
func (t *Tokenizer) mergeText(s *scratch, text string) {
	s.ids, s.starts = s.ids[:0], s.starts[:0]
	for i := 0; i < len(text); {
		s.starts = append(s.starts, int32(i))
		if c := text[i]; c < utf8.RuneSelf && c != ' ' {
			s.ids = append(s.ids, t.merges.ascii[c])
			i++
			continue
		}
		r, n := decodeRune(text[i:])
		s.ids = append(s.ids, t.merges.symbol(r))
		i += n
	}
	const short = 48 // up to here looking at all pairs is cheaper than a heap
	if len(s.ids) <= short {
		s.mergeShort(&t.merges)
	} else {
		s.mergeLong(&t.merges)
	}
}

// mergeShort merges s.ids in place, looking for the best pair each time.
func (s *scratch) mergeShort(m *mergeTable) {
	n := len(s.ids)
	s.joined, s.ranks = grow(s.joined, n), grow(s.ranks, n)
	ids, starts, joined, ranks := s.ids, s.starts, s.joined[:n], s.ranks[:n]
	for i := range n - 1 {
		joined[i], ranks[i] = m.merge(ids[i], ids[i+1])
	}
	for n > 1 {
		best, at := uint32(never), 0
		for i, r := range ranks[:n-1] {
			if r < best {
				best, at = r, i
			}
		}
		if best == never {
			break
		}
		ids[at] = joined[at]
		copy(ids[at+1:n], ids[at+2:n])
		copy(starts[at+1:n], starts[at+2:n])
		copy(joined[at:n], joined[at+1:n])
		copy(ranks[at:n], ranks[at+1:n])
		n--
		if at > 0 {
			joined[at-1], ranks[at-1] = m.merge(ids[at-1], ids[at])
		}
		if at < n-1 {
			joined[at], ranks[at] = m.merge(ids[at], ids[at+1])
		}
	}
	s.ids, s.starts = ids[:n], starts[:n]
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// link chains the symbols that are left.
type link struct{ prev, next int32 } // -1 at the ends; next is dead where merged away

const dead = -2

// mergeLong does the same with a heap of (rank, position), best first. An entry
// is out of date where the pair that begins there has another rank by now; one of
// the same rank is as good as the entry that the new pair pushed itself.
func (s *scratch) mergeLong(m *mergeTable) {
	n := len(s.ids)
	s.joined, s.ranks, s.links = grow(s.joined, n), grow(s.ranks, n), grow(s.links, n)
	s.heap = s.heap[:0]
	for i := range n {
		s.links[i] = link{int32(i - 1), int32(i + 1)}
		s.ranks[i] = never
		if i+1 < n {
			s.joined[i], s.ranks[i] = m.merge(s.ids[i], s.ids[i+1])
		}
		if s.ranks[i] != never {
			s.heap = append(s.heap, uint64(s.ranks[i])<<32|uint64(i))
		}
	}
	s.links[n-1].next = -1
	for i := len(s.heap)/2 - 1; i >= 0; i-- {
		s.down(i)
	}
	for len(s.heap) > 0 {
		top := s.heap[0]
		last := len(s.heap) - 1
		s.heap[0] = s.heap[last]
		s.heap = s.heap[:last]
		if last > 0 {
			s.down(0)
		}
		at := int32(uint32(top))
		l := &s.links[at]
		if l.next == dead || s.ranks[at] != uint32(top>>32) {
			continue
		}
		right := l.next
		s.ids[at] = s.joined[at]
		l.next = s.links[right].next
		if l.next >= 0 {
			s.links[l.next].prev = at
		}
		s.links[right].next, s.ranks[right] = dead, never
		s.offer(m, at)
		if l.prev >= 0 {
			s.offer(m, l.prev)
		}
	}
	kept := 0
	for i := int32(0); i >= 0; i = s.links[i].next {
		s.ids[kept], s.starts[kept] = s.ids[i], s.starts[i]
		kept++
	}
	s.ids, s.starts = s.ids[:kept], s.starts[:kept]
}

// offer looks the pair up that begins at a symbol.
func (s *scratch) offer(m *mergeTable, at int32) {
	s.ranks[at] = never
	next := s.links[at].next
	if next < 0 {
		return
	}
	s.joined[at], s.ranks[at] = m.merge(s.ids[at], s.ids[next])
	if s.ranks[at] == never {
		return
	}
	s.heap = append(s.heap, uint64(s.ranks[at])<<32|uint64(at))
	for i := len(s.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if s.heap[up] <= s.heap[i] {
			break
		}
		s.heap[up], s.heap[i] = s.heap[i], s.heap[up]
		i = up
	}
}

// down restores the heap below i.
func (s *scratch) down(i int) {
	h := s.heap
	x := h[i]
	for {
		c := 2*i + 1
		if c >= len(h) {
			break
		}
		if c+1 < len(h) && h[c+1] < h[c] {
			c++
		}
		if x <= h[c] {
			break
		}
		h[i] = h[c]
		i = c
	}
	h[i] = x
}
