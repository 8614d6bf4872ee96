package tokenizer

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

func TestWithHFConfig(t *testing.T) {
	base := load(t, "testdata/llama.model") // 600 pieces
	const config = `{
		"add_bos_token": false, "add_eos_token": true, "legacy": false, "model_max_length": 1e30,
		"bos_token": {"__type": "AddedToken", "content": "<s>", "lstrip": false}, "eos_token": "<|im_end|>", "pad_token": "[PAD]", "unk_token": "<unk>",
		"added_tokens_decoder": {
			"0": {"content": "<unk>", "special": true}, "2": {"content": "</s>", "special": true},
			"601": {"content": "<|im_end|>", "special": true}, "600": {"content": "my word", "special": false}
		}}`
	tk, err := base.WithHFConfig([]byte(config), []byte(`{"<|im_end|>": 601, "[PAD]": 602, "<plain>": 603}`))
	if err != nil {
		t.Fatal(err)
	}
	bos, _ := tk.BOS()
	eos, _ := tk.EOS()
	pad, okPad := tk.PAD()
	if tk.AddBOS() || !tk.AddEOS() || tk.PrefixAfterSpecial() || bos != 1 || eos != 601 || pad != 602 || !okPad {
		t.Errorf("AddBOS %v, AddEOS %v, prefix %v, BOS %d, EOS %d, PAD %d %v", tk.AddBOS(), tk.AddEOS(), tk.PrefixAfterSpecial(), bos, eos, pad, okPad)
	}
	for id, want := range map[int32]Piece{
		600: {Text: "my▁word", Kind: UserDefined}, 601: {Text: "<|im_end|>", Kind: Control}, 602: {Text: "[PAD]", Kind: Control}, 603: {Text: "<plain>", Kind: UserDefined},
	} {
		if got := tk.Piece(id); got != want {
			t.Errorf("piece %d is %v, want %v", id, got, want)
		}
	}
	if got := tk.Encode("my word<|im_end|>", EncodeOptions{Special: true, NoPrefix: true}); !slices.Equal(got, []int32{600, 601}) {
		t.Errorf("%d", got)
	}
	again, err := Parse(tk.Model())
	if err != nil || again.VocabSize() != 604 {
		t.Errorf("%v", err)
	}
	same, err := base.WithHFConfig([]byte(`{"add_bos_token": null, "bos_token": "<s>", "pad_token": null}`), nil)
	if err != nil || !same.Equal(base) || string(same.Model()) != string(base.Model()) {
		t.Errorf("a config that changes nothing changed something (%v)", err)
	}
}

func TestHFConfigRefusals(t *testing.T) {
	base := load(t, "testdata/llama.model")
	for name, c := range map[string]struct{ config, added, want string }{
		"not JSON":        {"[", "", "tokenizer_config.json"},
		"added not JSON":  {"{}", "[", "added_tokens.json"},
		"no such token":   {`{"pad_token": "[PAD]"}`, "", `pad_token is "[PAD]"`},
		"another text":    {`{"added_tokens_decoder": {"2": {"content": "<x>"}}}`, "", `"</s>"`},
		"gap":             {"{}", `{"<x>": 601}`, "601"},
		"id twice":        {"{}", `{"<x>": 600, "<y>": 600}`, "600"},
		"negative":        {"{}", `{"<x>": -1}`, "-1"},
		"no id":           {`{"added_tokens_decoder": {"x": {"content": "<x>"}}}`, "", `"x"`},
		"single word":     {`{"added_tokens_decoder": {"600": {"content": "<x>", "single_word": true}}}`, "", "single_word"},
		"text twice":      {"{}", `{"<x>": 600, "▁the": 601}`, "▁the"},
		"empty":           {"{}", `{"": 600}`, "empty"},
		"lstrip on plain": {`{"added_tokens_decoder": {"600": {"content": "<x>", "lstrip": true}}}`, "", "lstrip"},
	} {
		var added []byte
		if c.added != "" {
			added = []byte(c.added)
		}
		if _, err := base.WithHFConfig([]byte(c.config), added); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error that names %q", name, err, c.want)
		}
	}
}

// TestHFConfigRoundTrip: what is written is read as the same tokenizer.
func TestHFConfigRoundTrip(t *testing.T) {
	base := load(t, "testdata/user.model")
	changed, err := base.With(Changes{AddBOS: new(false), AddEOS: new(true), PrefixAfterSpecial: new(false), Append: []Piece{{Text: "<end>", Kind: Control}}, EOS: new(int32(700))})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []*Tokenizer{base, changed} {
		config, special, err := want.HFConfig("{{ x }} <b>")
		if err != nil {
			t.Fatal(err)
		}
		bare, err := Parse(want.Model())
		if err != nil {
			t.Fatal(err)
		}
		got, err := bare.WithHFConfig(config, nil)
		if err != nil || !got.Equal(want) {
			t.Errorf("another tokenizer (%v)", err)
		}
		var c struct {
			Template string `json:"chat_template"`
		}
		if err := json.Unmarshal(config, &c); err != nil || c.Template != "{{ x }} <b>" || !strings.Contains(string(config), "{{ x }} <b>") {
			t.Errorf("template %q (%v)", c.Template, err)
		}
		eos, _ := want.EOS()
		if !strings.Contains(string(special), `"eos_token": "`+want.Piece(eos).Text+`"`) {
			t.Errorf("%s", special)
		}
	}
}
