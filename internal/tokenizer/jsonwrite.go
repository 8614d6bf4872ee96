package tokenizer

import (
	"cmp"
	"slices"
	"strings"
)

// JSON returns the tokenizer as a tokenizer.json. A tokenizer.model alone is not
// enough for transformers 5, which orders merges by id when it converts one and
// so gives other ids for repeated spaces. Tokenizers whose rules or scores the
// format cannot express are refused.
func (t *Tokenizer) JSON() ([]byte, error) {
	s := t.settings
	switch {
	case t.global:
		return nil, unsupported("tokenizer.json: it has no unused pieces")
	case s.removeExtra:
		return nil, unsupported("tokenizer.json: it cannot remove extra white space as SentencePiece does")
	}
	vocab := make(map[string]int, len(t.pieces))
	added := []addedToken{}
	for id, p := range t.pieces {
		if p.Kind == UserDefined && strings.ContainsAny(p.Text, " "+space) {
			return nil, unsupported("tokenizer.json: its added tokens are found before spaces are rewritten, so user-defined piece %d (%q) would not be", id, p.Text)
		}
		vocab[p.Text] = id
		if p.Kind == Control || p.Kind == Unknown || p.Kind == UserDefined {
			added = append(added, addedToken{ID: int64(id), Content: p.Text, Special: p.Kind != UserDefined})
		}
	}
	type object = map[string]any
	replace := func(from, to string) object {
		return object{"type": "Replace", "pattern": object{"String": from}, "content": to}
	}
	normalizers, preTokenizer := []object{replace(" ", space)}, object(nil)
	decoders := []object{replace(space, " "), {"type": "ByteFallback"}, {"type": "Fuse"}}
	if s.dummyPrefix {
		decoders = append(decoders, object{"type": "Strip", "content": " ", "start": 1, "stop": 0})
		if s.prefixEach {
			normalizers = append([]object{{"type": "Prepend", "prepend": space}}, normalizers...)
		} else {
			// Only Metaspace knows where a text begins, but it adds nothing to one that
			// begins with its replacement. So spaces are rewritten before it, what it
			// adds is a plain space, and another one rewrites that.
			meta := func(replacement, scheme string) object {
				return object{"type": "Metaspace", "replacement": replacement, "prepend_scheme": scheme, "split": false}
			}
			preTokenizer = object{"type": "Sequence", "pretokenizers": []object{meta(" ", "first"), meta(space, "never")}}
		}
	}
	data, err := encodeJSON(object{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer": object{"type": "Sequence", "normalizers": normalizers}, "pre_tokenizer": preTokenizer, "post_processor": t.template(),
		"decoder": object{"type": "Sequence", "decoders": decoders},
		"model": object{
			"type": "BPE", "dropout": nil, "unk_token": t.pieces[t.unk].Text, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
			"fuse_unk": true, "byte_fallback": s.byteFallback, "ignore_merges": false, "vocab": vocab, "merges": t.mergeList(),
		},
	}, "")
	if err != nil {
		return nil, err
	}
	again, err := ParseJSON(data)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(again.merges.slots, t.merges.slots) {
		return nil, unsupported("tokenizer.json: it cannot express that pieces have equal scores")
	}
	return data, nil
}

// mergeList lists all merges, best first; of one score, as converters do, those
// with long left parts first, then those with long right parts.
func (t *Tokenizer) mergeList() [][2]string {
	var slots []mergeSlot
	for _, s := range t.merges.slots {
		if s.id != noSymbol {
			slots = append(slots, s)
		}
	}
	slices.SortFunc(slots, func(a, b mergeSlot) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank),
			runes(t.symbolText(b.left))-runes(t.symbolText(a.left)), runes(t.symbolText(b.right))-runes(t.symbolText(a.right)),
			cmp.Compare(a.left, b.left), cmp.Compare(a.right, b.right))
	})
	list := make([][2]string, len(slots))
	for i, s := range slots {
		list[i] = [2]string{t.symbolText(s.left), t.symbolText(s.right)}
	}
	return list
}

// template is the post_processor: what is put around a text.
func (t *Tokenizer) template() any {
	type object = map[string]any
	single, pair := []object{}, []object{}
	tokens := object{}
	special := func(id optionalID, kind int) object {
		text := t.pieces[id.id].Text
		tokens[text] = object{"id": text, "ids": []int32{id.id}, "tokens": []string{text}}
		return object{"SpecialToken": object{"id": text, "type_id": kind}}
	}
	for kind, name := range []string{"A", "B"} {
		var part []object
		if s := t.settings; s.addBOS && s.bos.ok {
			part = append(part, special(s.bos, kind))
		}
		part = append(part, object{"Sequence": object{"id": name, "type_id": kind}})
		if s := t.settings; s.addEOS && s.eos.ok {
			part = append(part, special(s.eos, kind))
		}
		if kind == 0 {
			single = part
		}
		pair = append(pair, part...)
	}
	return object{"type": "TemplateProcessing", "single": single, "pair": pair, "special_tokens": tokens}
}
