package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
)

// tokenizer.json is the format of Hugging Face's tokenizers library. It can
// describe very many tokenizers; read are those that mean a SentencePiece BPE
// model as the converters of Llama 1, Llama 2 and TinyLlama write it. All else is
// refused by name, because ids that are almost right are worse than none.

const maxJSONBytes = 64 << 20

// ParseJSON reads a tokenizer.json. Its ids are those of the SentencePiece model
// that it was made of, also where Hugging Face's own code gives others.
func ParseJSON(data []byte) (*Tokenizer, error) {
	if len(data) > maxJSONBytes {
		return nil, malformed("tokenizer.json has %d bytes: at most %d are allowed", len(data), maxJSONBytes)
	}
	var f jsonFile
	err := object("tokenizer.json", data, map[string]any{
		"version": &f.version, "truncation": nil, "padding": nil, // how many ids a caller wants is not ours
		"added_tokens": &f.added, "normalizer": &f.normalizer, "pre_tokenizer": &f.preTokenizer,
		"post_processor": &f.postProcessor, "decoder": &f.decoder, "model": &f.model,
	})
	if err != nil {
		return nil, err
	}
	if f.version != "1.0" {
		return nil, unsupported("tokenizer.json: version %q: only 1.0 is known", f.version)
	}
	s := settings{unkSurface: defaultUnkSurface, addBOS: true}
	m, err := readBPE(f.model)
	if err != nil {
		return nil, err
	}
	s.byteFallback = m.byteFallback
	pieces, err := m.pieces(f.added)
	if err != nil {
		return nil, err
	}
	if err := f.readPrefix(&s, pieces); err != nil {
		return nil, err
	}
	if err := readDecoder(f.decoder); err != nil {
		return nil, err
	}
	if err := f.readPostProcessor(&s, pieces); err != nil {
		return nil, err
	}
	if err := m.score(pieces); err != nil {
		return nil, err
	}
	t, err := build(pieces, s)
	if err != nil {
		return nil, err
	}
	return t, m.checkMerges(t)
}

type jsonFile struct {
	version                                                 string
	added                                                   []addedToken
	normalizer, preTokenizer, postProcessor, decoder, model json.RawMessage
}

// addedToken is an entry of added_tokens, or of added_tokens_decoder in a
// tokenizer_config.json.
type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// piece returns the token as a piece: special tokens are never made from text,
// others always are.
func (a addedToken) piece(file string) (Piece, error) {
	switch {
	case a.SingleWord:
		return Piece{}, unsupported("%s: added token %q has single_word", file, a.Content)
	case a.LStrip && !a.Special:
		return Piece{}, unsupported("%s: added token %q has lstrip", file, a.Content)
	case a.RStrip && !a.Special:
		return Piece{}, unsupported("%s: added token %q has rstrip", file, a.Content)
	case a.Special:
		return Piece{Text: a.Content, Kind: Control}, nil
	}
	return Piece{Text: strings.ReplaceAll(a.Content, " ", space), Kind: UserDefined}, nil
}

// object reads a JSON object into places by key. A nil place is skipped, a key
// without a place refused, and so is a key that comes twice: which one counts
// would differ from reader to reader.
func object(name string, data []byte, places map[string]any) error {
	seen := map[string]bool{}
	return members(name, data, func(key string, value json.RawMessage) error {
		place, ok := places[key]
		switch {
		case !ok:
			return unsupported("%s: field %q is not known", name, key)
		case seen[key]:
			return malformed("%s: field %q comes twice", name, key)
		}
		seen[key] = true
		if place == nil {
			return nil
		}
		if err := json.Unmarshal(value, place); err != nil {
			return malformed("%s: field %q: %v", name, key, err)
		}
		return nil
	})
}

// members calls visit for each member of a JSON object.
func members(name string, data []byte, visit func(key string, value json.RawMessage) error) error {
	d := json.NewDecoder(bytes.NewReader(data))
	t, err := d.Token()
	if err != nil || t != json.Delim('{') {
		return malformed("%s is not a JSON object (%v)", name, errors.Join(err))
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return malformed("%s: %v", name, err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return malformed("%s: field %q: %v", name, key, err)
		}
		if err := visit(key.(string), value); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return malformed("%s: %v", name, err)
	}
	if _, err := d.Token(); err != io.EOF {
		return malformed("%s: there is text behind the JSON object", name)
	}
	return nil
}

func isNull(v json.RawMessage) bool { return len(v) == 0 || string(v) == "null" }

// typeOf returns the "type" of a component.
func typeOf(name string, v json.RawMessage) (string, error) {
	var t struct{ Type string }
	if err := json.Unmarshal(v, &t); err != nil {
		return "", malformed("tokenizer.json: %s: %v", name, err)
	}
	return t.Type, nil
}

// parts returns the components of a Sequence, or the component itself.
func parts(name, list string, v json.RawMessage) ([]json.RawMessage, error) {
	if isNull(v) {
		return nil, nil
	}
	if t, err := typeOf(name, v); err != nil || t != "Sequence" {
		return []json.RawMessage{v}, err
	}
	var items []json.RawMessage
	var typ string
	return items, object("tokenizer.json: "+name, v, map[string]any{"type": &typ, list: &items})
}

// readPrefix reads the normalizer and the pre_tokenizer: how spaces are written
// and where the dummy prefix goes.
func (f *jsonFile) readPrefix(s *settings, pieces []Piece) error {
	spaces, err := readNormalizer(f.normalizer, s)
	if err != nil || isNull(f.preTokenizer) {
		if err == nil && !spaces {
			err = unsupported("tokenizer.json: neither normalizer nor pre_tokenizer writes spaces as %q", space)
		}
		return err
	}
	items, err := parts("pre_tokenizer", "pretokenizers", f.preTokenizer)
	if err != nil {
		return err
	}
	metas := make([]metaspace, len(items))
	for i, item := range items {
		if err := metas[i].read(item); err != nil {
			return err
		}
	}
	const name = "tokenizer.json: pre_tokenizer"
	meta := metaspace{}
	switch {
	case len(metas) == 1 && metas[0].replacement == space:
		meta = metas[0]
	// The exact form of SentencePiece's rule, see Tokenizer.JSON.
	case len(metas) == 2 && spaces && metas[0].replacement == " " && metas[0].scheme == "first" && metas[1].replacement == space && metas[1].scheme == "never":
		meta = metas[0]
		meta.split = meta.split || metas[1].split
	default:
		return unsupported("%s: it is neither one Metaspace of %q nor, behind a Replace normalizer, one of \" \" and one of that", name, space)
	}
	if meta.split {
		for id, p := range pieces {
			if p.Kind == Normal && strings.LastIndex(p.Text, space) > 0 {
				return unsupported("%s: split is on, so piece %d (%q) would never be used: SentencePiece knows no such thing", name, id, p.Text)
			}
		}
	}
	if s.dummyPrefix {
		return unsupported("%s: Metaspace beside a Prepend normalizer", name)
	}
	switch meta.scheme {
	case "first":
		s.dummyPrefix = true
	case "always":
		s.dummyPrefix, s.prefixEach = true, true
	}
	return nil
}

// metaspace is a pre_tokenizer of type Metaspace.
type metaspace struct {
	replacement, scheme string
	split               bool
}

// read reads the spellings of all versions.
func (m *metaspace) read(v json.RawMessage) error {
	const name = "tokenizer.json: pre_tokenizer"
	if typ, err := typeOf("pre_tokenizer", v); err != nil || typ != "Metaspace" {
		return errors.Join(err, unsupported("%s: type %q: only Metaspace is known", name, typ))
	}
	var typ string
	var prefix, split *bool
	err := object(name, v, map[string]any{
		"type": &typ, "replacement": &m.replacement, "str_rep": nil,
		"add_prefix_space": &prefix, "prepend_scheme": &m.scheme, "split": &split,
	})
	if err != nil {
		return err
	}
	m.split = split == nil || *split
	if m.scheme == "" {
		m.scheme = "never"
		if prefix == nil || *prefix {
			m.scheme = "always"
		}
	}
	if !slices.Contains([]string{"first", "always", "never"}, m.scheme) {
		return unsupported("%s: prepend_scheme %q", name, m.scheme)
	}
	return nil
}

// readNormalizer reads Prepend and Replace, and says whether spaces are written
// as U+2581.
func readNormalizer(v json.RawMessage, s *settings) (spaces bool, err error) {
	items, err := parts("normalizer", "normalizers", v)
	if err != nil {
		return false, err
	}
	const name = "tokenizer.json: normalizer"
	for _, item := range items {
		typ, err := typeOf("normalizer", item)
		if err != nil {
			return false, err
		}
		switch typ {
		case "Prepend":
			var prepend string
			if err := object(name, item, map[string]any{"type": nil, "prepend": &prepend}); err != nil {
				return false, err
			}
			if prepend != space || s.dummyPrefix || spaces {
				return false, unsupported("%s: Prepend %q: only one of %q before all else is known", name, prepend, space)
			}
			s.dummyPrefix, s.prefixEach = true, true
		case "Replace":
			var pattern struct{ String string }
			var content string
			if err := object(name, item, map[string]any{"type": nil, "pattern": &pattern, "content": &content}); err != nil {
				return false, err
			}
			if pattern.String != " " || content != space {
				return false, unsupported("%s: Replace of %q by %q: only of a space by %q is known", name, pattern.String, content, space)
			}
			spaces = true
		default:
			return false, unsupported("%s: type %q: only Prepend and Replace are known", name, typ)
		}
	}
	return spaces, nil
}

// readDecoder checks that decoding is SentencePiece's.
func readDecoder(v json.RawMessage) error {
	items, err := parts("decoder", "decoders", v)
	if err != nil {
		return err
	}
	for _, item := range items {
		switch typ, err := typeOf("decoder", item); {
		case err != nil:
			return err
		case typ != "Replace" && typ != "ByteFallback" && typ != "Fuse" && typ != "Strip" && typ != "Metaspace":
			return unsupported("tokenizer.json: decoder: type %q", typ)
		}
	}
	return nil
}

// readPostProcessor finds BOS and EOS. That a file's template has no BOS does not
// mean that a prompt has none: transformers 5 writes no template for Llama, whose
// code adds it. tokenizer_config.json says it (see Changes.AddBOS).
func (f *jsonFile) readPostProcessor(s *settings, pieces []Piece) error {
	control := func(text string) optionalID {
		for id, p := range pieces {
			if p.Kind == Control && p.Text == text {
				return someID(int32(id))
			}
		}
		return optionalID{}
	}
	s.bos, s.eos = control("<s>"), control("</s>")
	if isNull(f.postProcessor) {
		return nil
	}
	const name = "tokenizer.json: post_processor"
	if typ, err := typeOf("post_processor", f.postProcessor); err != nil || typ != "TemplateProcessing" {
		return errors.Join(err, unsupported("%s: type %q: only TemplateProcessing is known", name, typ))
	}
	var single []struct {
		SpecialToken, Sequence *struct{ ID string }
	}
	if err := object(name, f.postProcessor, map[string]any{"type": nil, "single": &single, "pair": nil, "special_tokens": nil}); err != nil {
		return err
	}
	text := -1
	for i, item := range single {
		if item.Sequence != nil {
			text = i
		}
	}
	if text < 0 || text > 1 || len(single) > text+2 {
		return unsupported("%s: single is not [BOS] text [EOS]", name)
	}
	for i, item := range single {
		if i == text {
			continue
		}
		id := optionalID{}
		if item.SpecialToken != nil {
			id = control(item.SpecialToken.ID)
		}
		if !id.ok {
			return malformed("%s: single[%d] is no special token of added_tokens", name, i)
		}
		if i < text {
			s.bos = id
		} else {
			s.eos, s.addEOS = id, true
		}
	}
	return nil
}

// bpe is the "model" of a tokenizer.json.
type bpe struct {
	dropout             *float64
	unk, prefix, suffix *string
	fuseUnk             bool
	byteFallback        bool
	ignoreMerges        bool
	vocab               map[string]int64
	merges              [][2]string // best first
}

func readBPE(v json.RawMessage) (*bpe, error) {
	const name = "tokenizer.json: model"
	if isNull(v) {
		return nil, malformed("%s is missing", name)
	}
	if typ, err := typeOf("model", v); err != nil || typ != "BPE" {
		return nil, errors.Join(err, unsupported("%s: type %q: only BPE is known", name, typ))
	}
	m := &bpe{vocab: map[string]int64{}}
	var vocab, merges json.RawMessage
	err := object(name, v, map[string]any{
		"type": nil, "dropout": &m.dropout, "unk_token": &m.unk, "continuing_subword_prefix": &m.prefix, "end_of_word_suffix": &m.suffix,
		"fuse_unk": &m.fuseUnk, "byte_fallback": &m.byteFallback, "ignore_merges": &m.ignoreMerges, "vocab": &vocab, "merges": &merges,
	})
	switch {
	case err != nil:
		return nil, err
	case m.dropout != nil && *m.dropout != 0:
		return nil, unsupported("%s: dropout %v", name, *m.dropout)
	case m.prefix != nil && *m.prefix != "":
		return nil, unsupported("%s: continuing_subword_prefix %q", name, *m.prefix)
	case m.suffix != nil && *m.suffix != "":
		return nil, unsupported("%s: end_of_word_suffix %q", name, *m.suffix)
	case m.ignoreMerges:
		return nil, unsupported("%s: ignore_merges is on", name)
	case !m.fuseUnk && !m.byteFallback:
		return nil, unsupported("%s: fuse_unk is off", name)
	}
	err = members(name+".vocab", vocab, func(text string, id json.RawMessage) error {
		var n int64
		if err := json.Unmarshal(id, &n); err != nil || n < 0 || n >= maxPieces {
			return malformed("%s.vocab: the id of %q is %s: 0 to %d are allowed", name, text, clip(id), maxPieces-1)
		}
		if _, ok := m.vocab[text]; ok {
			return malformed("%s.vocab: %q comes twice", name, text)
		}
		m.vocab[text] = n
		return nil
	})
	if err != nil {
		return nil, err
	}
	return m, m.readMerges(merges)
}

// clip shortens a value for an error.
func clip(v []byte) string {
	const most = 40
	if len(v) > most {
		return string(v[:most]) + "..."
	}
	return string(v)
}

// readMerges reads pairs, which older versions write as one string.
func (m *bpe) readMerges(v json.RawMessage) error {
	const name = "tokenizer.json: model.merges"
	var list []json.RawMessage
	if err := json.Unmarshal(v, &list); err != nil {
		return malformed("%s: %v", name, err)
	}
	m.merges = make([][2]string, len(list))
	for i, item := range list {
		var one string
		var two []string
		if err := json.Unmarshal(item, &one); err == nil {
			two = strings.Split(one, " ")
		} else if err := json.Unmarshal(item, &two); err != nil {
			return malformed("%s[%d]: %v", name, i, err)
		}
		if len(two) != 2 {
			return malformed("%s[%d] is %s: two pieces are expected", name, i, clip(item))
		}
		m.merges[i] = [2]string{two[0], two[1]}
		for _, text := range []string{two[0], two[1], two[0] + two[1]} {
			if _, ok := m.vocab[text]; !ok {
				return malformed("%s[%d] needs %q, which vocab does not have", name, i, text)
			}
		}
	}
	return nil
}

// pieces joins vocab and added_tokens. Scores are still missing.
func (m *bpe) pieces(added []addedToken) ([]Piece, error) {
	n := len(m.vocab)
	for _, a := range added {
		if _, ok := m.vocab[a.Content]; !ok {
			n++
		}
	}
	pieces := make([]Piece, n)
	put := func(text string, id int64, p Piece) error {
		if id < 0 || id >= int64(n) {
			return malformed("tokenizer.json: the id of %q is %d, and there are %d tokens: ids must have no gaps", text, id, n)
		}
		if old := pieces[id].Text; old != "" && old != p.Text {
			return malformed("tokenizer.json: %q and %q both have the id %d", old, text, id)
		}
		pieces[id] = p
		return nil
	}
	for text, id := range m.vocab {
		p := Piece{Text: text, Kind: Normal}
		if _, ok := byteOfPiece(text); ok && m.byteFallback {
			p.Kind = Byte
		}
		if err := put(text, id, p); err != nil {
			return nil, err
		}
	}
	for _, a := range added {
		if id, ok := m.vocab[a.Content]; ok && id != a.ID {
			return nil, malformed("tokenizer.json: %q has the id %d in vocab and %d in added_tokens", a.Content, id, a.ID)
		}
		p, err := a.piece("tokenizer.json")
		if err != nil {
			return nil, err
		}
		if 0 <= a.ID && a.ID < int64(n) && pieces[a.ID].Text == a.Content {
			pieces[a.ID].Text = p.Text // a user-defined symbol's spaces are spelled otherwise
		}
		if err := put(a.Content, a.ID, p); err != nil {
			return nil, err
		}
	}
	unk := defaultUnk
	if m.unk != nil {
		unk = *m.unk
	}
	for id := range pieces {
		if pieces[id].Text == unk {
			pieces[id].Kind = Unknown
			return pieces, nil
		}
	}
	return nil, malformed("tokenizer.json: model.unk_token %q is not in vocab", unk)
}

const defaultUnk = "<unk>"
