package tokenizer

import (
	"math"
	"strings"
	"unicode/utf8"
)

// Limits of what is taken for a vocabulary. The largest published one has 256
// Ki pieces, the longest piece of Llama's has 48 bytes.
const (
	maxPieces     = 1 << 20
	maxPieceBytes = 1024
)

// build checks a vocabulary and indexes it. It keeps pieces.
func build(pieces []Piece, s settings) (*Tokenizer, error) {
	if len(pieces) == 0 {
		return nil, malformed("the vocabulary is empty")
	}
	if len(pieces) > maxPieces {
		return nil, malformed("%d pieces: at most %d are allowed", len(pieces), maxPieces)
	}
	s.prefixEach = s.prefixEach && s.dummyPrefix
	t := &Tokenizer{pieces: pieces, settings: s, normal: make(map[string]int32, len(pieces)), reserved: map[string]int32{}, unk: -1}
	var bytes [256]bool
	for i := range pieces {
		if err := t.index(int32(i), &bytes); err != nil {
			return nil, err
		}
	}
	if t.unk < 0 {
		return nil, malformed("no piece is of kind unknown")
	}
	if s.byteFallback {
		for b, found := range bytes {
			if !found {
				return nil, malformed("byte fallback needs 256 byte pieces, and %s is missing", bytePiece(byte(b)))
			}
		}
	}
	for _, o := range []struct {
		name string
		id   optionalID
	}{{"bos", s.bos}, {"eos", s.eos}, {"pad", s.pad}} {
		if o.id.ok && (o.id.id < 0 || int(o.id.id) >= len(pieces)) {
			return nil, malformed("%s id %d is out of range: there are %d pieces", o.name, o.id.id, len(pieces))
		}
	}
	t.buildMerges()
	t.buildTries()
	t.buildSurfaces()
	t.scratch.New = func() any { return &scratch{window: defaultWindow} }
	return t, nil
}

// index checks one piece and enters it under its text.
func (t *Tokenizer) index(id int32, bytes *[256]bool) error {
	p := t.pieces[id]
	switch {
	case p.Text == "":
		return malformed("piece %d is empty", id)
	case len(p.Text) > maxPieceBytes:
		return malformed("piece %d has %d bytes: at most %d are allowed", id, len(p.Text), maxPieceBytes)
	case !utf8.ValidString(p.Text):
		return malformed("piece %d (%q) is not UTF-8", id, p.Text)
	case math.IsNaN(float64(p.Score)):
		return malformed("piece %d (%q): its score is NaN", id, p.Text)
	}
	table := t.normal
	switch p.Kind {
	case Normal, UserDefined, Unused:
	case Unknown:
		if t.unk >= 0 {
			return malformed("pieces %d and %d are both of kind unknown", t.unk, id)
		}
		t.unk = id
		table = t.reserved
	case Control:
		table = t.reserved
	case Byte:
		b, ok := byteOfPiece(p.Text)
		if !ok {
			return malformed("piece %d (%q) is of kind byte and is not spelled <0x00> to <0xFF>", id, p.Text)
		}
		if !t.settings.byteFallback {
			return malformed("piece %d (%s) is of kind byte, and byte fallback is off", id, p.Text)
		}
		t.byteID[b], bytes[b] = id, true
		table = t.reserved
	default:
		return malformed("piece %d (%q) is of %v", id, p.Text, p.Kind)
	}
	if first, ok := t.ID(p.Text); ok {
		return malformed("pieces %d and %d are both %q", first, id, p.Text)
	}
	table[p.Text] = id
	return nil
}

// buildSurfaces spells the pieces' spaces out.
func (t *Tokenizer) buildSurfaces() {
	t.surfaces = make([]string, len(t.pieces))
	for id, p := range t.pieces {
		switch p.Kind {
		case Control, Byte:
		case Unknown:
			t.surfaces[id] = t.settings.unkSurface
		default:
			t.surfaces[id] = strings.ReplaceAll(p.Text, space, " ")
		}
	}
}

// buildTries indexes what is found in text before anything is merged.
func (t *Tokenizer) buildTries() {
	for id, p := range t.pieces {
		switch p.Kind {
		case UserDefined:
			if t.user == nil {
				t.user = newTrie()
			}
			t.user.add(p.Text, int32(id))
		case Control, Unknown:
			if t.special == nil {
				t.special = newTrie()
			}
			t.special.add(p.Text, int32(id))
		}
	}
}

// trie finds the longest of some texts at the beginning of another. Texts are in
// SentencePiece's spelling; a space in the searched text counts as "▁".
type trie struct {
	first [utf8.RuneSelf]bool // runes that begin a text, where those are ASCII
	other bool                // some text begins with another rune
	next  map[uint64]int32    // node<<32 | rune -> node; the root is 0
	id    []int32             // per node; -1 where no text ends
}

func newTrie() *trie { return &trie{next: map[uint64]int32{}, id: []int32{-1}} }

func (t *trie) add(text string, id int32) {
	node := int32(0)
	for i, r := range text {
		if i == 0 {
			if r < utf8.RuneSelf {
				t.first[r] = true
			} else {
				t.other = true
			}
		}
		key := uint64(node)<<32 | uint64(r)
		to, ok := t.next[key]
		if !ok {
			to = int32(len(t.id))
			t.id = append(t.id, -1)
			t.next[key] = to
		}
		node = to
	}
	t.id[node] = id
}

// match returns the id of the longest text that s begins with and how many bytes
// of s it covers, 0 for none.
func (t *trie) match(s string) (id int32, n int) {
	if c := s[0]; c < utf8.RuneSelf && c != ' ' && !t.first[c] || (c >= utf8.RuneSelf || c == ' ') && !t.other {
		return 0, 0
	}
	node := int32(0)
	for i := 0; i < len(s); {
		r, size := decodeRune(s[i:])
		to, ok := t.next[uint64(node)<<32|uint64(r)]
		if !ok {
			break
		}
		i += size
		if node = to; t.id[node] >= 0 {
			id, n = t.id[node], i
		}
	}
	return id, n
}

// find returns the first place in s from i on where a text begins, its id and
// its length; len(s) for none.
func (t *trie) find(s string, i int) (at int, id int32, n int) {
	for i < len(s) {
		if id, n := t.match(s[i:]); n > 0 {
			return i, id, n
		}
		_, size := decodeRune(s[i:])
		i += size
	}
	return i, 0, 0
}

// decodeRune reads one character as SentencePiece's identity normaliser does:
// a byte that begins no valid UTF-8 becomes U+FFFD by itself, a space U+2581.
func decodeRune(s string) (r rune, size int) {
	if c := s[0]; c < utf8.RuneSelf {
		if c == ' ' {
			return '\u2581', 1
		}
		return rune(c), 1
	}
	return utf8.DecodeRuneInString(s)
}
