package tokenizer

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestJSONGoldens: a tokenizer.json that Hugging Face's library wrote gives the
// ids of the SentencePiece model it was made of.
func TestJSONGoldens(t *testing.T) {
	files, err := filepath.Glob("testdata/*.tokenizer.json")
	if err != nil || len(files) != 3 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			tk := parseJSON(t, path)
			name := strings.TrimSuffix(path, ".tokenizer.json")
			readGoldens(t, name+".jsonl", func(g golden) { g.check(t, tk) })
			want := load(t, name+".model")
			for id := range want.pieces {
				g, w := tk.pieces[id], want.pieces[id]
				if w.Text == "foo bar" { // never found by SentencePiece, so left out of added_tokens
					w.Kind = Normal
				}
				if g.Text != w.Text || g.Kind != w.Kind {
					t.Errorf("piece %d is %v, in the model %v", id, g, w)
				}
			}
		})
	}
}

func parseJSON(t *testing.T, path string) *Tokenizer {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tk, err := ParseJSON(b)
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

// jsonOf writes a model as tokenizer.json with its merges ordered by less.
func jsonOf(t *testing.T, tk *Tokenizer, less func(a, b int32) int) []byte {
	t.Helper()
	vocab := map[string]int{}
	order := make([]int32, len(tk.pieces))
	for id, p := range tk.pieces {
		vocab[p.Text], order[id] = id, int32(id)
	}
	slices.SortStableFunc(order, less)
	var merges []string
	for _, id := range order {
		text := tk.pieces[id].Text
		for i := range text {
			_, l := vocab[text[:i]]
			_, r := vocab[text[i:]]
			if l && r && tk.pieces[id].Kind == Normal {
				merges = append(merges, text[:i]+" "+text[i:])
			}
		}
	}
	b, err := json.Marshal(map[string]any{
		"version": "1.0",
		"added_tokens": []map[string]any{
			{"id": 0, "content": "<unk>", "special": true}, {"id": 1, "content": "<s>", "special": true}, {"id": 2, "content": "</s>", "special": true},
		},
		"normalizer": map[string]any{"type": "Sequence", "normalizers": []any{
			map[string]any{"type": "Prepend", "prepend": "▁"},
			map[string]any{"type": "Replace", "pattern": map[string]any{"String": " "}, "content": "▁"},
		}},
		"model": map[string]any{"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, "byte_fallback": true, "vocab": vocab, "merges": merges},
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestJSONLlama2: Llama's scores are found again whether a converter ordered the
// merges by score or by id.
func TestJSONLlama2(t *testing.T) {
	want := llama2(t)
	byScore := func(a, b int32) int { return -compareScores(want, a, b) }
	byID := func(a, b int32) int { return int(a - b) }
	for name, less := range map[string]func(a, b int32) int{"by score": byScore, "by id": byID} {
		t.Run(name, func(t *testing.T) {
			tk, err := ParseJSON(jsonOf(t, want, less))
			if err != nil {
				t.Fatal(err)
			}
			if !tk.Equal(want) {
				t.Error("the tokenizer differs from the model it was made of")
			}
			readGoldens(t, "testdata/llama2.jsonl", func(g golden) { g.check(t, tk) })
		})
	}
}

func compareScores(t *Tokenizer, a, b int32) int {
	switch s, o := t.pieces[a].Score, t.pieces[b].Score; {
	case s < o:
		return -1
	case s > o:
		return 1
	}
	return 0
}

func TestJSONRefusals(t *testing.T) {
	good, err := os.ReadFile("testdata/llama.tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"not JSON", `{"version"`, `["version"`, "not a JSON object"},
		{"cut", `"merges":[`, `"merges":`, "tokenizer.json"},
		{"version", `"version":"1.0"`, `"version":"2.0"`, `version "2.0"`},
		{"unknown field", `"version":"1.0"`, `"version":"1.0","extra":1`, `"extra"`},
		{"twice", `"version":"1.0"`, `"version":"1.0","version":"1.0"`, `"version" comes twice`},
		{"model", `"type":"BPE"`, `"type":"Unigram"`, "Unigram"},
		{"dropout", `"dropout":null`, `"dropout":0.5`, "dropout 0.5"},
		{"prefix", `"continuing_subword_prefix":null`, `"continuing_subword_prefix":"##"`, `"##"`},
		{"suffix", `"end_of_word_suffix":null`, `"end_of_word_suffix":"</w>"`, `"</w>"`},
		{"ignore merges", `"ignore_merges":false`, `"ignore_merges":true`, "ignore_merges"},
		{"model field", `"ignore_merges":false`, `"magic":false`, `"magic"`},
		{"normalizer", `{"type":"Prepend","prepend":"▁"}`, `{"type":"NFKC"}`, "NFKC"},
		{"prepend", `"prepend":"▁"`, `"prepend":"x"`, `"x"`},
		{"replace", `"content":"▁"}]}`, `"content":"_"}]}`, `"_"`},
		{"no spaces", `"normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]`, `"normalizers":[]`, "writes spaces"},
		{"pre_tokenizer", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"ByteLevel"}`, "ByteLevel"},
		{"split", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Metaspace","replacement":"▁","split":true}`, "split is on"},
		{"two prefixes", `"pre_tokenizer":null`, `"pre_tokenizer":{"type":"Metaspace","replacement":"▁","split":false}`, "beside a Prepend"},
		{"post_processor", `"type":"TemplateProcessing"`, `"type":"ByteLevel"`, "ByteLevel"},
		{"template", `"SpecialToken":{"id":"<s>"`, `"SpecialToken":{"id":"<x>"`, "single[0]"},
		{"decoder", `"type":"ByteFallback"`, `"type":"CTC"`, "CTC"},
		{"id twice", `"<s>":1`, `"<s>":2`, "id"},
		{"gap", `"<0xFF>":258`, `"<0xFF>":700`, "700"},
		{"id out of range", `"<0xFF>":258`, `"<0xFF>":1099511627776`, "1099511627776"},
		{"negative id", `"<0xFF>":258`, `"<0xFF>":-1`, "-1"},
		{"fraction", `"<0xFF>":258`, `"<0xFF>":1.5`, "1.5"},
		{"token twice", `"<0xFF>":258`, `"<0xFF>":258,"<0xFE>":257`, "twice"},
		{"empty piece", `"<0xFF>":258`, `"":258`, "empty"},
		{"merge of nothing", `"merges":["`, `"merges":["q zzz","`, "zzz"},
		{"merge of three", `"merges":["`, `"merges":["a b c","`, "two pieces"},
		{"added elsewhere", `{"id":2,"content":"</s>"`, `{"id":5,"content":"</s>"`, "</s>"},
		{"single word", `"single_word":false`, `"single_word":true`, "single_word"},
		{"no unknown", `"unk_token":"<unk>"`, `"unk_token":"<none>"`, "<none>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := bytes.Replace(good, []byte(c.old), []byte(c.new), 1)
			if bytes.Equal(bad, good) {
				t.Fatalf("%q is not in the file", c.old)
			}
			_, err := ParseJSON(bad)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error that names %q", err, c.want)
			}
		})
	}
}

// TestJSONMergesByPiece refuses merges that no scores can stand for.
func TestJSONMergesByPiece(t *testing.T) {
	small, err := build(smallPieces("abc▁", "ab", "bc", "abc"), settings{dummyPrefix: true, byteFallback: true, prefixEach: true})
	if err != nil {
		t.Fatal(err)
	}
	good := jsonOf(t, small, func(a, b int32) int { return int(a - b) })
	if _, err := ParseJSON(good); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ merges, want string }{
		"a merge is missing":    {`["a b","b c","ab c"]`, `piece 261 ("abc") of "a" and "bc"`},
		"a piece has no merges": {`["a b","b c"]`, `"abc"`},
		"pieces are mixed":      {`["ab c","a b","a bc","b c"]`, `merges[2]`},
	} {
		bad := bytes.Replace(good, []byte(`["a b","b c","a bc","ab c"]`), []byte(c.merges), 1)
		if bytes.Equal(bad, good) {
			t.Fatalf("%s: nothing was replaced in %s", name, good)
		}
		if _, err := ParseJSON(bad); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error that names %s", name, err, c.want)
		}
	}
}

// TestJSONWritten: what is written is read as the same tokenizer, or refused.
func TestJSONWritten(t *testing.T) {
	for _, path := range models(t) {
		want := load(t, path)
		data, err := want.JSON()
		name := strings.TrimSuffix(filepath.Base(path), ".model")
		refused := map[string]string{"squeeze": "white space", "squeezeuser": "white space", "unused": "unused", "ties": "equal scores", "user": "user-defined"}[name]
		if refused != "" {
			if err == nil || !strings.Contains(err.Error(), refused) {
				t.Errorf("%s: %v, want an error that names %q", name, err, refused)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		tk, err := ParseJSON(data)
		if err != nil {
			t.Fatal(err)
		}
		if tk.settings != want.settings {
			t.Errorf("%s: settings %+v, want %+v", name, tk.settings, want.settings)
		}
		readGoldens(t, strings.TrimSuffix(path, ".model")+".jsonl", func(g golden) { g.check(t, tk) })
	}
}
