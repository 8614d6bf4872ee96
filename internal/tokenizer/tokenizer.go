// Package tokenizer turns text into token ids and back exactly as Google's
// SentencePiece does with a BPE model: the tokenizer of Llama 1 and 2 and of
// their relatives. A wrong id is silent damage to every later stage, so there is
// one implementation, checked id by id against SentencePiece itself.
//
// A Tokenizer is read from tokenizer.model ([Parse]), from GGUF metadata
// ([FromGGUF]), from Hugging Face's tokenizer.json ([ParseJSON]) or from
// llama2.c's tokenizer.bin ([ParseLlama2C]), and written as tokenizer.model
// ([Tokenizer.Model]) and as GGUF metadata ([Tokenizer.GGUF]).
package tokenizer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Kind is what a piece is for. The values are those of SentencePiece's ModelProto
// and of GGUF's tokenizer.ggml.token_type.
type Kind uint8

// The kinds of pieces.
const (
	Normal      Kind = 1
	Unknown     Kind = 2 // stands for text that no piece covers
	Control     Kind = 3 // <s>, </s>: has no text, is never made from text
	UserDefined Kind = 4 // always one token, found before anything is merged
	Unused      Kind = 5
	Byte        Kind = 6 // <0x00> to <0xFF>: text that no piece covers, byte by byte
)

var kindNames = [...]string{Normal: "normal", Unknown: "unknown", Control: "control", UserDefined: "user-defined", Unused: "unused", Byte: "byte"}

func (k Kind) String() string {
	if k >= Normal && k <= Byte {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Piece is one entry of the vocabulary; its index is the token's id.
type Piece struct {
	Text  string // in SentencePiece's spelling: "▁" (U+2581) for a space
	Score float32
	Kind  Kind
}

// space is U+2581, which stands for ' ' inside of pieces.
const space = "\u2581"

// Tokenizer is an immutable vocabulary with its rules. It may be used by any
// number of goroutines.
type Tokenizer struct {
	pieces   []Piece
	surfaces []string // what each piece stands for inside of a text; not of byte pieces
	settings settings
	model    []byte // the file it came from, if that was a tokenizer.model

	normal   map[string]int32 // pieces that text can become
	reserved map[string]int32 // unknown, control and byte pieces
	byteID   [256]int32       // ids of the byte pieces; valid with byteFallback
	unk      int32

	merges  mergeTable
	user    *trie // user-defined symbols; nil without
	special *trie // what EncodeOptions.Special recognises
	global  bool  // unused pieces can arise: merging looks at the whole text (encodeGlobal)
	scratch sync.Pool
}

// settings are the rules beside the vocabulary.
type settings struct {
	dummyPrefix bool // a space is put before the text
	removeExtra bool // leading, trailing and repeated spaces are dropped
	// prefixEach puts the dummy prefix behind every special token found in text
	// too, as Hugging Face's Prepend normaliser and llama.cpp do.
	prefixEach   bool
	byteFallback bool
	unkSurface   string // what decoding the unknown token gives
	addBOS       bool   // what the file asks for in front of a prompt
	addEOS       bool

	bos, eos, pad optionalID
}

type optionalID struct {
	id int32
	ok bool
}

func someID(id int32) optionalID { return optionalID{id, true} }

// defaultUnkSurface is SentencePiece's: U+2047 between spaces.
const defaultUnkSurface = " \u2047 "

// VocabSize is the number of ids.
func (t *Tokenizer) VocabSize() int { return len(t.pieces) }

// Piece returns the entry of an id, which must be in range.
func (t *Tokenizer) Piece(id int32) Piece { return t.pieces[id] }

// ID returns the id of a piece by its text, in SentencePiece's spelling.
// Control, unknown and byte pieces are found before others, as in SentencePiece.
func (t *Tokenizer) ID(text string) (int32, bool) {
	if id, ok := t.reserved[text]; ok {
		return id, true
	}
	id, ok := t.normal[text]
	return id, ok
}

// BOS returns the id that begins a text; ok says whether there is one.
func (t *Tokenizer) BOS() (id int32, ok bool) { return t.settings.bos.id, t.settings.bos.ok }

// EOS returns the id that ends a text; ok says whether there is one.
func (t *Tokenizer) EOS() (id int32, ok bool) { return t.settings.eos.id, t.settings.eos.ok }

// PAD returns the padding id; Llama's own vocabularies have none.
func (t *Tokenizer) PAD() (id int32, ok bool) { return t.settings.pad.id, t.settings.pad.ok }

// UNK returns the id of the unknown token, which every vocabulary has.
func (t *Tokenizer) UNK() int32 { return t.unk }

// AddBOS says whether the file asks for BOS in front of a prompt.
func (t *Tokenizer) AddBOS() bool { return t.settings.addBOS }

// AddEOS says whether the file asks for EOS behind a prompt.
func (t *Tokenizer) AddEOS() bool { return t.settings.addEOS }

// PrefixAfterSpecial says whether text behind a special token begins with the
// dummy prefix as the beginning of a text does. Meta's code never meets the case;
// files of Hugging Face say it one way or the other.
func (t *Tokenizer) PrefixAfterSpecial() bool { return t.settings.prefixEach }

// ByteFallback says whether text that no piece covers becomes byte tokens rather
// than the unknown token.
func (t *Tokenizer) ByteFallback() bool { return t.settings.byteFallback }

// Equal says whether two tokenizers have the same pieces, scores and rules, so
// that they give the same ids and texts.
func (t *Tokenizer) Equal(o *Tokenizer) bool {
	return t.settings == o.settings && slices.Equal(t.pieces, o.pieces)
}

// ParseFile reads a tokenizer file of any of the three kinds that are files of
// their own; their first bytes tell them apart.
func ParseFile(data []byte) (*Tokenizer, error) {
	const firstPiece = fieldPieces<<3 | byte(wireBytes)
	text := bytes.TrimLeft(data, " \t\r\n")
	switch {
	case len(text) > 0 && text[0] == '{':
		return ParseJSON(data)
	case len(data) > 1 && data[0] == firstPiece && data[1] != 0: // else a tokenizer.bin whose longest piece has ten bytes
		return Parse(data)
	case len(data) > 3 && data[2] == 0 && data[3] == 0:
		return ParseLlama2C(data)
	}
	return nil, malformed("the file is neither a tokenizer.model nor a tokenizer.json nor llama2.c's tokenizer.bin")
}

// Changes are what a model's own files may say on top of its tokenizer file,
// such as Hugging Face's tokenizer_config.json. A nil field changes nothing.
type Changes struct {
	AddBOS, AddEOS     *bool
	PrefixAfterSpecial *bool
	BOS, EOS, PAD      *int32
	Append             []Piece // further pieces, at the ids behind the last
}

// With returns a tokenizer with some rules changed or pieces appended.
func (t *Tokenizer) With(c Changes) (*Tokenizer, error) {
	s := t.settings
	for _, b := range []struct {
		to   *bool
		from *bool
	}{{&s.addBOS, c.AddBOS}, {&s.addEOS, c.AddEOS}, {&s.prefixEach, c.PrefixAfterSpecial}} {
		if b.from != nil {
			*b.to = *b.from
		}
	}
	for _, o := range []struct {
		to   *optionalID
		from *int32
	}{{&s.bos, c.BOS}, {&s.eos, c.EOS}, {&s.pad, c.PAD}} {
		if o.from != nil {
			*o.to = someID(*o.from)
		}
	}
	n, err := build(append(slices.Clip(t.pieces), c.Append...), s)
	if err != nil {
		return nil, err
	}
	if len(c.Append) == 0 && s.bos == t.settings.bos && s.eos == t.settings.eos && s.pad == t.settings.pad {
		n.model = t.model
	}
	return n, nil
}

// Surface returns the bytes that an id stands for inside of a text: one byte for
// a byte piece, nothing for a control piece. They need not be whole UTF-8.
func (t *Tokenizer) Surface(id int32) (string, error) {
	if id < 0 || int(id) >= len(t.pieces) {
		return "", t.rangeError(id)
	}
	if b, ok := byteOfPiece(t.pieces[id].Text); ok && t.pieces[id].Kind == Byte {
		return string([]byte{b}), nil
	}
	return t.surfaces[id], nil
}

func (t *Tokenizer) rangeError(id int32) error {
	return fmt.Errorf("tokenizer: id %d is out of range: the vocabulary has %d pieces", id, len(t.pieces))
}

// bytePiece is SentencePiece's spelling of a byte.
func bytePiece(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// byteOfPiece reads what bytePiece writes.
func byteOfPiece(s string) (byte, bool) {
	if len(s) != 6 || s[:3] != "<0x" || s[5] != '>' {
		return 0, false
	}
	hi, lo := strings.IndexByte(hexDigits, s[3]), strings.IndexByte(hexDigits, s[4])
	if hi < 0 || lo < 0 {
		return 0, false
	}
	return byte(hi<<4 | lo), true
}

const hexDigits = "0123456789ABCDEF"
