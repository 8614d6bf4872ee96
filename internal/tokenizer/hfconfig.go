package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
)

// A Hugging Face directory says more about its tokenizer in
// tokenizer_config.json: which tokens begin and end a text, whether they are
// added to prompts, and tokens that were appended to the vocabulary. (Older ones
// list the latter in added_tokens.json.)

// hfConfig is what is read of a tokenizer_config.json. Its other fields are
// settings of callers, the chat template (package chat), or of training.
type hfConfig struct {
	AddBOS  *bool                 `json:"add_bos_token"`
	AddEOS  *bool                 `json:"add_eos_token"`
	Legacy  *bool                 `json:"legacy"`
	BOS     tokenName             `json:"bos_token"`
	EOS     tokenName             `json:"eos_token"`
	PAD     tokenName             `json:"pad_token"`
	UNK     tokenName             `json:"unk_token"`
	Special []tokenName           `json:"additional_special_tokens"`
	Added   map[string]addedToken `json:"added_tokens_decoder"`
}

// tokenName is a token's text: a string, an object with "content", or null.
type tokenName string

func (n *tokenName) UnmarshalJSON(b []byte) error {
	if b[0] != '{' {
		return json.Unmarshal(b, (*string)(n))
	}
	var o struct{ Content string }
	err := json.Unmarshal(b, &o)
	*n = tokenName(o.Content)
	return err
}

// WithHFConfig returns the tokenizer as the tokenizer_config.json and
// added_tokens.json beside it want it; each may be nil.
func (t *Tokenizer) WithHFConfig(config, added []byte) (*Tokenizer, error) {
	if len(config) > maxJSONBytes || len(added) > maxJSONBytes {
		return nil, malformed("tokenizer_config.json or added_tokens.json has more than %d bytes", maxJSONBytes)
	}
	var c hfConfig
	if config != nil {
		if err := json.Unmarshal(config, &c); err != nil {
			return nil, malformed("tokenizer_config.json: %v", err)
		}
	}
	list, err := c.added(added)
	if err != nil {
		return nil, err
	}
	changes := Changes{AddBOS: c.AddBOS, AddEOS: c.AddEOS}
	// A tokenizer.json says by itself where prefixes go.
	if t.model != nil && c.Legacy != nil {
		changes.PrefixAfterSpecial = c.Legacy
	}
	for _, a := range list {
		if err := t.add(a, &changes.Append); err != nil {
			return nil, err
		}
	}
	for _, name := range []struct {
		field string
		text  tokenName
		id    **int32
	}{{"bos_token", c.BOS, &changes.BOS}, {"eos_token", c.EOS, &changes.EOS}, {"pad_token", c.PAD, &changes.PAD}} {
		if name.text == "" {
			continue
		}
		id, ok := t.ID(string(name.text))
		for i, p := range changes.Append {
			if p.Text == string(name.text) {
				id, ok = int32(len(t.pieces)+i), true
			}
		}
		if !ok {
			return nil, malformed("tokenizer_config.json: %s is %q, which the vocabulary does not have", name.field, name.text)
		}
		*name.id = &id
	}
	return t.With(changes)
}

// added lists the added tokens of both files in the order of their ids.
func (c *hfConfig) added(file []byte) ([]addedToken, error) {
	var list []addedToken
	for key, a := range c.Added {
		id, err := strconv.ParseInt(key, 10, 32)
		if err != nil || id < 0 {
			return nil, malformed("tokenizer_config.json: added_tokens_decoder: %q is no id", key)
		}
		a.ID = id
		list = append(list, a)
	}
	if file != nil {
		var ids map[string]int64
		if err := json.Unmarshal(file, &ids); err != nil {
			return nil, malformed("added_tokens.json: %v", err)
		}
		for text, id := range ids {
			if slices.ContainsFunc(list, func(a addedToken) bool { return a.ID == id && a.Content == text }) {
				continue
			}
			list = append(list, addedToken{ID: id, Content: text, Special: c.isSpecial(text)})
		}
	}
	slices.SortFunc(list, func(a, b addedToken) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Content, b.Content))
	})
	return list, nil
}

// isSpecial says whether the config names a token as special.
func (c *hfConfig) isSpecial(text string) bool {
	n := tokenName(text)
	return n == c.BOS || n == c.EOS || n == c.PAD || n == c.UNK || slices.Contains(c.Special, n)
}

// add takes an added token up: one that the vocabulary has already must have the
// same text there and stays of the kind it is, another must have the next id.
func (t *Tokenizer) add(a addedToken, appended *[]Piece) error {
	p, err := a.piece("tokenizer_config.json")
	if err != nil {
		return err
	}
	n := int64(len(t.pieces))
	switch {
	case a.ID < 0 || a.ID > n+int64(len(*appended)):
		return malformed("added token %q has the id %d, and the next free one is %d", a.Content, a.ID, n+int64(len(*appended)))
	case a.ID >= n && a.ID < n+int64(len(*appended)):
		return malformed("added tokens %q and %q both have the id %d", (*appended)[a.ID-n].Text, a.Content, a.ID)
	case a.ID == n+int64(len(*appended)):
		*appended = append(*appended, p)
		return nil
	}
	if have := t.pieces[a.ID].Text; have != a.Content && have != p.Text {
		return malformed("added token %q has the id %d, which is %q in the vocabulary", a.Content, a.ID, have)
	}
	return nil
}

// HFConfig returns a tokenizer_config.json and a special_tokens_map.json to stand
// beside the written tokenizer.model and tokenizer.json. An empty template is left
// out.
//
// The class it names takes tokenizer.json as it is. LlamaTokenizer, which only
// stands there where tokenizer.json cannot express the tokenizer (see JSON), makes
// rules of its own in transformers 5, and in 4 from tokenizer.model by way of the
// same rules: they forget the dummy prefix of a text that begins with a space.
func (t *Tokenizer) HFConfig(chatTemplate string) (config, specialTokens []byte, err error) {
	s := t.settings
	special := map[string]any{"unk_token": t.pieces[t.unk].Text}
	for _, o := range []struct {
		field string
		id    optionalID
	}{{"bos_token", s.bos}, {"eos_token", s.eos}, {"pad_token", s.pad}} {
		if o.id.ok {
			special[o.field] = t.pieces[o.id.id].Text
		}
	}
	added := map[string]any{}
	for id, p := range t.pieces {
		if p.Kind == Control || p.Kind == Unknown {
			added[strconv.Itoa(id)] = map[string]any{
				"content": p.Text, "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": true,
			}
		}
	}
	class := "PreTrainedTokenizerFast"
	var unsupported *UnsupportedError
	if _, err := t.JSON(); errors.As(err, &unsupported) {
		class = "LlamaTokenizer"
	} else if err != nil {
		return nil, nil, err
	}
	c := map[string]any{
		"tokenizer_class": class, "add_bos_token": s.addBOS, "add_eos_token": s.addEOS, "add_prefix_space": s.dummyPrefix,
		"legacy": s.prefixEach, "clean_up_tokenization_spaces": false, "sp_model_kwargs": map[string]any{}, "added_tokens_decoder": added,
	}
	for field, text := range special {
		c[field] = text
	}
	if chatTemplate != "" {
		c["chat_template"] = chatTemplate
	}
	if config, err = encodeJSON(c, "  "); err != nil {
		return nil, nil, err
	}
	specialTokens, err = encodeJSON(special, "  ")
	return config, specialTokens, err
}

// encodeJSON writes JSON as Hugging Face's files have it: templates stay readable.
func encodeJSON(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", indent)
	err := e.Encode(v)
	return b.Bytes(), err
}
