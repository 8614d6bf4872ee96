package tokenizer

import (
	"slices"
	"strings"
)

// GGUF is a tokenizer as it stands in a GGUF file's metadata, under
// "tokenizer.ggml." and the name given with each field. A nil field is a key that
// the file does not have.
type GGUF struct {
	Model  string    // model
	Tokens []string  // tokens
	Scores []float32 // scores
	Types  []int32   // token_type

	BOS, EOS, UNK, PAD *uint32 // bos_token_id, eos_token_id, unknown_token_id, padding_token_id

	AddBOS, AddEOS, AddSpacePrefix *bool // add_bos_token, add_eos_token, add_space_prefix
	RemoveExtraWhitespaces         *bool // remove_extra_whitespaces
}

// FromGGUF makes a tokenizer of GGUF metadata. What the file leaves open is as in
// llama.cpp: BOS, EOS and unknown are ids 1, 2 and 0, BOS is added and EOS is
// not, and texts begin with a space.
func FromGGUF(g GGUF) (*Tokenizer, error) {
	if g.Model != "llama" {
		return nil, unsupported(`tokenizer.ggml.model is %q: only "llama" (SentencePiece BPE) is known`, g.Model)
	}
	n := len(g.Tokens)
	if n > maxPieces {
		return nil, malformed("tokenizer.ggml.tokens has %d entries: at most %d are allowed", n, maxPieces)
	}
	if len(g.Scores) != n {
		return nil, malformed("tokenizer.ggml.scores has %d entries and tokens %d", len(g.Scores), n)
	}
	if g.Types != nil && len(g.Types) != n {
		return nil, malformed("tokenizer.ggml.token_type has %d entries and tokens %d", len(g.Types), n)
	}
	s := settings{
		dummyPrefix: valueOr(g.AddSpacePrefix, true), prefixEach: true,
		removeExtra: valueOr(g.RemoveExtraWhitespaces, false),
		addBOS:      valueOr(g.AddBOS, true), addEOS: valueOr(g.AddEOS, false),
		unkSurface: defaultUnkSurface,
	}
	unk, err := ggufID("unknown_token_id", g.UNK, 0, n)
	if err != nil {
		return nil, err
	}
	if s.bos, err = ggufID("bos_token_id", g.BOS, 1, n); err != nil {
		return nil, err
	}
	if s.eos, err = ggufID("eos_token_id", g.EOS, 2, n); err != nil {
		return nil, err
	}
	if g.PAD != nil {
		if s.pad, err = ggufID("padding_token_id", g.PAD, 0, n); err != nil {
			return nil, err
		}
	}
	pieces := make([]Piece, n)
	for i, text := range g.Tokens {
		p := Piece{Text: text, Score: g.Scores[i], Kind: Normal}
		if g.Types != nil {
			if k := g.Types[i]; k < int32(Normal) || k > int32(Byte) {
				return nil, malformed("tokenizer.ggml.token_type[%d] is %d: 1 to 6 are known", i, k)
			}
			p.Kind = Kind(g.Types[i])
		} else if id := someID(int32(i)); id == s.bos || id == s.eos {
			p.Kind = Control
		}
		// Converters write the spaces of user-defined symbols as spaces.
		if p.Kind == UserDefined {
			p.Text = strings.ReplaceAll(p.Text, " ", space)
		}
		pieces[i] = p
	}
	s.byteFallback = markBytes(pieces)
	// Converters of Hugging Face models call the unknown token a control token.
	if unk.ok && !hasKind(pieces, Unknown) {
		pieces[unk.id].Kind = Unknown
	}
	return build(pieces, s)
}

// markBytes finds the byte pieces, which some converters call normal ones, and
// says whether there are any.
func markBytes(pieces []Piece) bool {
	if hasKind(pieces, Byte) {
		return true
	}
	var spelled []int
	for i, p := range pieces {
		if _, ok := byteOfPiece(p.Text); ok && p.Kind == Normal {
			spelled = append(spelled, i)
		}
	}
	if len(spelled) != 256 {
		return false
	}
	for _, i := range spelled {
		pieces[i].Kind = Byte
	}
	return true
}

func hasKind(pieces []Piece, k Kind) bool {
	return slices.ContainsFunc(pieces, func(p Piece) bool { return p.Kind == k })
}

// ggufID checks an id of the file. A default that the vocabulary is too small for
// is no id.
func ggufID(key string, id *uint32, def int32, n int) (optionalID, error) {
	switch {
	case id == nil && int(def) < n:
		return someID(def), nil
	case id == nil:
		return optionalID{}, nil
	case uint64(*id) >= uint64(n):
		return optionalID{}, malformed("tokenizer.ggml.%s is %d: the vocabulary has %d tokens", key, *id, n)
	}
	return someID(int32(*id)), nil
}

func valueOr[T any](p *T, def T) T {
	if p != nil {
		return *p
	}
	return def
}

// GGUF returns the metadata to write.
func (t *Tokenizer) GGUF() GGUF {
	s := t.settings
	id := func(o optionalID) *uint32 {
		if !o.ok {
			return nil
		}
		return new(uint32(o.id))
	}
	g := GGUF{
		Model: "llama", Tokens: make([]string, len(t.pieces)), Scores: make([]float32, len(t.pieces)), Types: make([]int32, len(t.pieces)),
		BOS: id(s.bos), EOS: id(s.eos), UNK: id(someID(t.unk)), PAD: id(s.pad),
		AddBOS: new(s.addBOS), AddEOS: new(s.addEOS), AddSpacePrefix: new(s.dummyPrefix),
	}
	if s.removeExtra {
		g.RemoveExtraWhitespaces = new(true)
	}
	for i, p := range t.pieces {
		g.Tokens[i], g.Scores[i], g.Types[i] = p.Text, p.Score, int32(p.Kind)
		if p.Kind == UserDefined {
			g.Tokens[i] = strings.ReplaceAll(p.Text, space, " ")
		}
	}
	return g
}
