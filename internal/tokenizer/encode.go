package tokenizer

import (
	"slices"
	"strings"
	"unsafe"
)

// EncodeOptions say what surrounds a text and what may be found in it. The zero
// value is SentencePiece's plain encode.
type EncodeOptions struct {
	BOS, EOS bool // put the id in front or behind, where the vocabulary has one
	Special  bool // the text of a control or unknown piece becomes its id; only for text that is trusted
	NoPrefix bool // the text continues another: no dummy prefix
}

// Encode returns the ids of a text. Bytes that are not UTF-8 count as U+FFFD each.
func (t *Tokenizer) Encode(text string, opt EncodeOptions) []int32 { return t.Append(nil, text, opt) }

// Append appends the ids of a text to ids and returns the longer slice.
func (t *Tokenizer) Append(ids []int32, text string, opt EncodeOptions) []int32 {
	s := t.scratch.Get().(*scratch)
	defer t.scratch.Put(s)
	ids = t.append(s, ids, text, opt)
	if cap(s.text) > maxPooledText {
		s.text = nil
	}
	return ids
}

// maxPooledText bounds what a scratch in the pool keeps of the texts it has seen.
const maxPooledText = 1 << 16

func (t *Tokenizer) append(s *scratch, ids []int32, text string, opt EncodeOptions) []int32 {
	ids = slices.Grow(ids, len(text)/4+4) // what English text comes to
	if bos := t.settings.bos; opt.BOS && bos.ok {
		ids = append(ids, bos.id)
	}
	prefix := t.settings.dummyPrefix && !opt.NoPrefix
	if opt.Special && t.special != nil {
		for {
			at, id, n := t.special.find(text, 0)
			if n == 0 {
				break
			}
			ids = append(t.appendText(s, ids, text[:at], prefix), id)
			text, prefix = text[at+n:], t.PrefixAfterSpecial()
		}
	}
	ids = t.appendText(s, ids, text, prefix)
	if eos := t.settings.eos; opt.EOS && eos.ok {
		ids = append(ids, eos.id)
	}
	return ids
}

// appendText encodes text without special tokens.
func (t *Tokenizer) appendText(s *scratch, ids []int32, text string, prefix bool) []int32 {
	if t.settings.removeExtra {
		text = squeeze(text)
	}
	if text == "" {
		return ids
	}
	if prefix {
		s.text = append(append(s.text[:0], ' '), text...)
		text = unsafe.String(unsafe.SliceData(s.text), len(s.text)) // until the next text only
	}
	out := output{ids: ids}
	switch {
	case t.global:
		t.encodeGlobal(&out, text)
	case t.user == nil:
		t.encodeSpan(s, &out, text)
	default:
		for i := 0; i < len(text); {
			at, id, n := t.user.find(text, i)
			t.encodeSpan(s, &out, text[i:at])
			if n > 0 {
				out.add(id)
			}
			i = at + n
		}
	}
	return out.ids
}

// output collects ids. SentencePiece gives one unknown token for a run of
// characters that no piece covers.
type output struct {
	ids     []int32
	unknown bool // the last id is the unknown token
}

func (o *output) add(id int32) {
	o.ids = append(o.ids, id)
	o.unknown = false
}

// addUnknown appends what stands for a character outside of the vocabulary.
func (t *Tokenizer) addUnknown(o *output, r rune) {
	if t.settings.byteFallback {
		for _, b := range []byte(string(r)) {
			o.ids = append(o.ids, t.byteID[b])
		}
		return
	}
	if !o.unknown {
		o.ids = append(o.ids, t.unk)
		o.unknown = true
	}
}

// squeeze drops leading and trailing spaces and repeats, as SentencePiece's
// remove_extra_whitespaces does: a literal U+2581 counts as a space only at the
// end.
func squeeze(s string) string {
	s = strings.TrimLeft(s, " ")
	for {
		n := len(s)
		s = strings.TrimSuffix(strings.TrimSuffix(s, space), " ")
		if len(s) == n {
			break
		}
	}
	if !strings.Contains(s, "  ") {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != ' ' || s[i-1] != ' ' {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}
