package tokenizer

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// A tokenizer.json lists merges of two pieces, best first, where SentencePiece has
// a score per piece and allows every merge that makes one. Converters write all
// those merges, ordered by score, so scores can be found again: pieces whose
// merges come earlier score higher.

// llamaPieces is the SHA-256 of the 32,000 pieces of Llama 1, Llama 2 and
// TinyLlama, each followed by a zero byte. Their scores are known: minus the
// piece's place behind the byte pieces, but -1e9 for pieces of spaces alone. They
// cannot be found in every file: transformers 5 orders merges by id, so that
// pieces of spaces come before their time and "a  b" gets ids that no Llama was
// trained with.
const llamaPieces = "07c89855ee83600407b5ba5467e56ec1ca42c8f8fca361b5827422f6602f0546"

const (
	llamaVocab  = 32000
	llamaNormal = 3 + 256 // first piece behind unknown, BOS, EOS and bytes
	llamaSpaces = -1e9
)

// score gives the pieces the scores that the order of merges means.
func (m *bpe) score(pieces []Piece) error {
	if isLlama(pieces) {
		for id := llamaNormal; id < llamaVocab; id++ {
			pieces[id].Score = float32(llamaNormal - id)
			if strings.Trim(pieces[id].Text, space) == "" {
				pieces[id].Score = llamaSpaces
			}
		}
		return nil
	}
	type span struct{ id, first, last int }
	byID := map[int]*span{}
	for rank, pair := range m.merges {
		id := int(m.vocab[pair[0]+pair[1]])
		if !m.normal(pieces, pair) {
			continue
		}
		if s := byID[id]; s != nil {
			s.last = rank
		} else {
			byID[id] = &span{id, rank, rank}
		}
	}
	spans := make([]*span, 0, len(byID))
	for _, s := range byID {
		spans = append(spans, s)
	}
	slices.SortFunc(spans, func(a, b *span) int { return cmp.Compare(a.first, b.first) })
	// Pieces whose merges are mixed are one group, of one score.
	score := float32(0)
	for i := 0; i < len(spans); {
		first, last, n := spans[i].first, spans[i].last, 0
		for ; i < len(spans) && spans[i].first <= last; i++ {
			pieces[spans[i].id].Score = score
			last = max(last, spans[i].last)
			n++
		}
		if n > 1 {
			if err := m.checkTie(first, last); err != nil {
				return err
			}
		}
		score--
	}
	for id := range pieces {
		if byID[id] == nil && pieces[id].Kind == Normal {
			pieces[id].Score = score
		}
	}
	return nil
}

// normal says whether SentencePiece would know a merge: a tokenizer.json may also
// list such as make the text of a special token.
func (m *bpe) normal(pieces []Piece, pair [2]string) bool {
	for _, text := range []string{pair[0], pair[1], pair[0] + pair[1]} {
		if pieces[m.vocab[text]].Kind != Normal {
			return false
		}
	}
	return true
}

// checkTie accepts merges of several pieces in one row only in the order in which
// converters write those of equal score: long left parts first, then long right
// parts.
func (m *bpe) checkTie(first, last int) error {
	for i := first; i < last; i++ {
		a, b := m.merges[i], m.merges[i+1]
		if c := cmp.Or(runes(a[0])-runes(b[0]), runes(a[1])-runes(b[1])); c < 0 {
			return unsupported("tokenizer.json: model.merges[%d] (%q %q) is not ordered by piece: no SentencePiece model has such merges; use the tokenizer.model, if there is one", i+1, b[0], b[1])
		}
	}
	return nil
}

func runes(s string) int { return utf8.RuneCountInString(s) }

// checkMerges refuses files that leave out a merge which SentencePiece would do.
func (m *bpe) checkMerges(t *Tokenizer) error {
	listed := make(map[uint64]struct{}, len(m.merges))
	for _, pair := range m.merges {
		listed[pairKey(int32(m.vocab[pair[0]]), int32(m.vocab[pair[1]]))] = struct{}{}
	}
	for _, s := range t.merges.slots {
		if s.id == noSymbol {
			continue
		}
		if _, ok := listed[pairKey(s.left, s.right)]; !ok {
			return unsupported("tokenizer.json: model.merges has no way to make piece %d (%q) of %q and %q, but SentencePiece does; use the tokenizer.model, if there is one",
				s.id, t.pieces[s.id].Text, t.symbolText(s.left), t.symbolText(s.right))
		}
	}
	return nil
}

// symbolText is the text of a symbol (see mergeTable).
func (t *Tokenizer) symbolText(s int32) string {
	if int(s) < len(t.pieces) {
		return t.pieces[s].Text
	}
	return string(t.merges.lone[int(s)-len(t.pieces)])
}

// isLlama says whether the vocabulary is Llama's, possibly with pieces appended.
func isLlama(pieces []Piece) bool {
	if len(pieces) < llamaVocab {
		return false
	}
	h := sha256.New()
	for _, p := range pieces[:llamaVocab] {
		h.Write([]byte(p.Text))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)) == llamaPieces
}
