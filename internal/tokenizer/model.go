package tokenizer

import (
	"slices"
	"strings"
)

// tokenizer.model is a ModelProto of sentencepiece_model.proto (SentencePiece
// 0.2.0). These are the fields that decide ids and texts; how the model was
// trained and its self-tests are skipped.
const (
	fieldPieces         = 1 // ModelProto
	fieldTrainerSpec    = 2
	fieldNormalizerSpec = 3
	fieldDenormalizer   = 5

	fieldPieceText  = 1 // ModelProto.SentencePiece
	fieldPieceScore = 2
	fieldPieceType  = 3

	fieldModelType    = 3 // TrainerSpec
	fieldVocabSize    = 4
	fieldSpaceSuffix  = 24
	fieldByteFallback = 35
	fieldUnkID        = 40 // and BOS, EOS, padding behind it
	fieldBOSID        = 41
	fieldEOSID        = 42
	fieldPadID        = 43
	fieldUnkSurface   = 44
	fieldUnkPiece     = 45 // and BOS, EOS, padding behind it
	fieldBOSPiece     = 46
	fieldEOSPiece     = 47
	fieldPadPiece     = 48

	fieldNormalizer   = 1 // NormalizerSpec
	fieldCharsMap     = 2
	fieldDummyPrefix  = 3
	fieldRemoveExtra  = 4
	fieldEscapeSpaces = 5

	modelTypeUnigram = 1 // TrainerSpec.ModelType
	modelTypeBPE     = 2
	modelTypeWord    = 3
	modelTypeChar    = 4
)

const maxModelBytes = 64 << 20

// Names of messages in errors.
const (
	modelProto          = "tokenizer.model"
	pieceMessage        = modelProto + ": piece"
	trainerMessage      = modelProto + ": trainer_spec"
	normalizerMessage   = modelProto + ": normalizer_spec"
	denormalizerMessage = modelProto + ": denormalizer_spec"
)

// trainerSpec and normalizerSpec hold proto2's defaults until a field is read.
type trainerSpec struct {
	modelType                              int64
	byteFallback, spaceSuffix              bool
	unkID, bosID, eosID, padID             int64
	unkSurface                             string
	unkPiece, bosPiece, eosPiece, padPiece string
}

type normalizerSpec struct {
	name                              string
	charsMap                          []byte
	dummyPrefix, removeExtra, escaped bool
}

// Parse reads a tokenizer.model: a SentencePiece model of type BPE.
func Parse(model []byte) (*Tokenizer, error) {
	if len(model) > maxModelBytes {
		return nil, malformed("tokenizer.model has %d bytes: at most %d are allowed", len(model), maxModelBytes)
	}
	tr := trainerSpec{
		modelType: modelTypeUnigram, unkID: -1, bosID: -1, eosID: -1, padID: -1, unkSurface: defaultUnkSurface,
		unkPiece: "<unk>", bosPiece: "<s>", eosPiece: "</s>", padPiece: "<pad>",
	}
	norm := normalizerSpec{dummyPrefix: true, removeExtra: true, escaped: true}
	denorm := norm
	count := 0
	trained, normalized := false, false
	err := fields(modelProto, model, func(f field) error {
		if f.num > fieldNormalizerSpec && f.num != fieldDenormalizer {
			return nil
		}
		if f.typ != wireBytes {
			return malformed("tokenizer.model: field %d has wire type %d, not %d", f.num, f.typ, wireBytes)
		}
		switch f.num {
		case fieldPieces:
			if count++; count > maxPieces {
				return malformed("tokenizer.model has more than %d pieces", maxPieces)
			}
		case fieldTrainerSpec:
			trained = true
			return tr.read(f.data)
		case fieldNormalizerSpec:
			normalized = true
			return norm.read(normalizerMessage, f.data)
		case fieldDenormalizer:
			return denorm.read(denormalizerMessage, f.data)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	// Both follow the pieces in every file; a file cut off at the border of a
	// field would else be read with the defaults of the rest.
	if !trained || !normalized {
		return nil, malformed("tokenizer.model: trainer_spec or normalizer_spec is missing: the file is cut off")
	}
	s, err := tr.settings(norm, denorm, count)
	if err != nil {
		return nil, err
	}
	pieces, err := readPieces(model, count)
	if err != nil {
		return nil, err
	}
	// SentencePiece finds BOS, EOS and padding by their texts; the ids in the
	// trainer's settings are where it put them.
	control := func(text string) optionalID {
		i := slices.IndexFunc(pieces, func(p Piece) bool { return p.Kind == Control && p.Text == text })
		return optionalID{int32(max(i, 0)), i >= 0}
	}
	s.bos, s.eos, s.pad = control(tr.bosPiece), control(tr.eosPiece), control(tr.padPiece)
	t, err := build(pieces, s)
	if err != nil {
		return nil, err
	}
	t.model = slices.Clone(model)
	return t, nil
}

// read reads a TrainerSpec.
func (tr *trainerSpec) read(b []byte) error {
	return message(trainerMessage, b, map[uint64]scalar{
		fieldModelType:    {"model_type", &tr.modelType},
		fieldSpaceSuffix:  {"treat_whitespace_as_suffix", &tr.spaceSuffix},
		fieldByteFallback: {"byte_fallback", &tr.byteFallback},
		fieldUnkID:        {"unk_id", &tr.unkID},
		fieldBOSID:        {"bos_id", &tr.bosID},
		fieldEOSID:        {"eos_id", &tr.eosID},
		fieldPadID:        {"pad_id", &tr.padID},
		fieldUnkSurface:   {"unk_surface", &tr.unkSurface},
		fieldUnkPiece:     {"unk_piece", &tr.unkPiece},
		fieldBOSPiece:     {"bos_piece", &tr.bosPiece},
		fieldEOSPiece:     {"eos_piece", &tr.eosPiece},
		fieldPadPiece:     {"pad_piece", &tr.padPiece},
	})
}

// read reads a NormalizerSpec.
func (n *normalizerSpec) read(name string, b []byte) error {
	return message(name, b, map[uint64]scalar{
		fieldNormalizer:   {"name", &n.name},
		fieldCharsMap:     {"precompiled_charsmap", &n.charsMap},
		fieldDummyPrefix:  {"add_dummy_prefix", &n.dummyPrefix},
		fieldRemoveExtra:  {"remove_extra_whitespaces", &n.removeExtra},
		fieldEscapeSpaces: {"escape_whitespaces", &n.escaped},
	})
}

// settings turns what the file says into rules, or refuses it.
func (tr *trainerSpec) settings(norm, denorm normalizerSpec, pieces int) (settings, error) {
	var s settings
	if tr.modelType != modelTypeBPE {
		names := map[int64]string{modelTypeUnigram: "UNIGRAM", modelTypeWord: "WORD", modelTypeChar: "CHAR"}
		return s, unsupported("tokenizer.model: trainer_spec.model_type is %d %s: only %d BPE is known", tr.modelType, names[tr.modelType], modelTypeBPE)
	}
	if len(norm.charsMap) > 0 {
		return s, unsupported("tokenizer.model: normalizer_spec.name is %q: only text that is taken as it is (identity) is known", norm.name)
	}
	if len(denorm.charsMap) > 0 {
		return s, unsupported("tokenizer.model: denormalizer_spec.name is %q: only text that is taken as it is (identity) is known", denorm.name)
	}
	if !norm.escaped {
		return s, unsupported("tokenizer.model: normalizer_spec.escape_whitespaces is false")
	}
	if tr.spaceSuffix {
		return s, unsupported("tokenizer.model: trainer_spec.treat_whitespace_as_suffix is true")
	}
	for _, id := range []struct {
		name string
		v    int64
	}{{"unk_id", tr.unkID}, {"bos_id", tr.bosID}, {"eos_id", tr.eosID}, {"pad_id", tr.padID}} {
		if id.v < -1 || id.v >= int64(max(pieces, 1)) {
			return s, malformed("tokenizer.model: trainer_spec.%s is %d, out of range: there are %d pieces", id.name, id.v, pieces)
		}
	}
	surface, _, _ := strings.Cut(tr.unkSurface, "\x00") // SentencePiece reads it as a C string
	return settings{
		dummyPrefix: norm.dummyPrefix, removeExtra: norm.removeExtra, prefixEach: true,
		byteFallback: tr.byteFallback, unkSurface: surface, addBOS: true,
	}, nil
}

// readPieces reads the count pieces of a file whose fields have been checked.
func readPieces(model []byte, count int) ([]Piece, error) {
	pieces := make([]Piece, 0, count)
	err := fields(modelProto, model, func(f field) error {
		if f.num != fieldPieces {
			return nil
		}
		var p Piece
		kind := int64(Normal)
		err := message(pieceMessage, f.data, map[uint64]scalar{
			fieldPieceText:  {"piece", &p.Text},
			fieldPieceScore: {"score", &p.Score},
			fieldPieceType:  {"type", &kind},
		})
		if err != nil {
			return err
		}
		if kind < int64(Normal) || kind > int64(Byte) {
			return malformed("tokenizer.model: piece %d (%q) has type %d: 1 to 6 are known", len(pieces), p.Text, kind)
		}
		p.Kind = Kind(kind)
		pieces = append(pieces, p)
		return nil
	})
	return pieces, err
}

// Model returns the tokenizer as a tokenizer.model that SentencePiece loads: the
// bytes that it was read from, where that was one.
func (t *Tokenizer) Model() []byte {
	if t.model != nil {
		return slices.Clone(t.model)
	}
	var b, m []byte
	for _, p := range t.pieces {
		m = appendPiece(m[:0], p)
		b = appendBytes(b, fieldPieces, m)
	}
	s := t.settings
	m = appendVarint(m[:0], fieldModelType, modelTypeBPE)
	m = appendVarint(m, fieldVocabSize, int64(len(t.pieces)))
	m = appendBool(m, fieldByteFallback, s.byteFallback)
	special := []optionalID{someID(t.unk), s.bos, s.eos, s.pad}
	for i, o := range special {
		if !o.ok {
			o.id = -1
		}
		m = appendVarint(m, fieldUnkID+uint64(i), int64(o.id))
	}
	m = appendBytes(m, fieldUnkSurface, s.unkSurface)
	for i, o := range special {
		if o.ok {
			m = appendBytes(m, fieldUnkPiece+uint64(i), t.pieces[o.id].Text)
		}
	}
	b = appendBytes(b, fieldTrainerSpec, m)
	m = appendBytes(m[:0], fieldNormalizer, "identity")
	m = appendBool(m, fieldDummyPrefix, s.dummyPrefix)
	m = appendBool(m, fieldRemoveExtra, s.removeExtra)
	m = appendBool(m, fieldEscapeSpaces, true)
	return appendBytes(b, fieldNormalizerSpec, m)
}

// appendPiece appends the fields of a ModelProto.SentencePiece.
func appendPiece(b []byte, p Piece) []byte {
	b = appendFloat(appendBytes(b, fieldPieceText, p.Text), fieldPieceScore, p.Score)
	if p.Kind != Normal {
		b = appendVarint(b, fieldPieceType, int64(p.Kind))
	}
	return b
}
