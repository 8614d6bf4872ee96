package chat

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/tokenizer"
)

var update = flag.Bool("update", false, "write testdata/templates.json anew")

// lines reads a file of testdata, one JSON value per line.
func lines[T any](t *testing.T, name string) []T {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	var out []T
	for s.Scan() {
		var v T
		if err := json.Unmarshal(s.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out = append(out, v)
	}
	if err := s.Err(); err != nil || len(out) == 0 {
		t.Fatalf("%s: %d lines, %v", name, len(out), err)
	}
	return out
}

func load(t *testing.T, path string) *tokenizer.Tokenizer {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.ParseFile(b)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func small(t *testing.T) *tokenizer.Tokenizer {
	return load(t, "../tokenizer/testdata/llama.model")
}

// llama2Tokenizer is Llama 2's own; without shared data the test is skipped.
func llama2Tokenizer(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	root := os.Getenv("CRIA_TEST_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(root, "tokenizer", "llama2.tokenizer.model")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs shared data: %v", err)
	}
	return load(t, path)
}

func encoder(t *testing.T, name string, tok *tokenizer.Tokenizer, policy TagPolicy) *Encoder {
	t.Helper()
	tmpl, err := Lookup(name)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEncoder(tmpl, tok, policy)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// metaGolden is what Meta's code does with a dialog (testdata/gen.py).
type metaGolden struct {
	Dialog  Dialog
	Unsafe  bool
	IDs     []int32
	Answers [][2]int
}

func TestMeta(t *testing.T) {
	testMeta(t, "meta.jsonl", 240, encoder(t, "llama2", llama2Tokenizer(t), RefuseTags))
}

func TestMetaSmall(t *testing.T) {
	testMeta(t, "meta-small.jsonl", 60, encoder(t, "llama2", small(t), RefuseTags))
}

func testMeta(t *testing.T, name string, n int, e *Encoder) {
	goldens := lines[metaGolden](t, name)
	if len(goldens) != n {
		t.Fatalf("%d goldens, want %d", len(goldens), n)
	}
	for i, g := range goldens {
		var ids []int32
		var mask []bool
		var err error
		complete := g.Dialog[len(g.Dialog)-1].Role == Assistant
		if complete {
			ids, mask, err = e.Train(g.Dialog)
		} else {
			ids, err = e.Prompt(g.Dialog)
		}
		if g.Unsafe {
			var tag *TagError
			if !errors.As(err, &tag) || !strings.Contains(g.Dialog[tag.Index].Content, tag.Tag) || g.Dialog[tag.Index].Role != tag.Role {
				t.Errorf("dialog %d: %v, want a TagError", i, err)
			}
			continue
		}
		if err != nil || !slices.Equal(ids, g.IDs) {
			t.Errorf("dialog %d: %d (%v), Meta's code gives %d", i, ids, err, g.IDs)
		}
		if complete {
			want := make([]bool, len(g.IDs))
			for _, a := range g.Answers {
				for k := a[0]; k < a[1]; k++ {
					want[k] = true
				}
			}
			if !slices.Equal(mask, want) {
				t.Errorf("dialog %d: mask %v, want %v", i, mask, want)
			}
		}
	}
}

// TestRecipe is the example of the recipe's own page, confirmed by Meta's code.
func TestRecipe(t *testing.T) {
	e := encoder(t, "llama2", llama2Tokenizer(t), RefuseTags)
	got, err := e.Prompt(Dialog{{Role: System, Content: "Be brief."}, {Role: User, Content: "  Hi "}, {Role: Assistant, Content: " Hello! "}, {Role: User, Content: "Bye"}})
	want := []int32{1, 518, 25580, 29962, 3532, 14816, 29903, 6778, 13, 3629, 11473, 29889, 13, 29966, 829, 14816, 29903, 6778, 13, 13, 29871, 6324,
		518, 29914, 25580, 29962, 15043, 29991, 29871, 2, 1, 518, 25580, 29962, 2648, 29872, 518, 29914, 25580, 29962}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%d (%v), want %d", got, err, want)
	}
	if got := e.StopIDs(); !slices.Equal(got, []int32{2}) {
		t.Errorf("stop ids %d", got)
	}
}

func TestLossFalse(t *testing.T) {
	e := encoder(t, "llama2", small(t), RefuseTags)
	d := Dialog{{Role: User, Content: "a"}, {Role: Assistant, Content: "first answer"}, {Role: User, Content: "b"}, {Role: Assistant, Content: "second"}}
	ids, all, err := e.Train(d)
	if err != nil {
		t.Fatal(err)
	}
	d[1].Loss = new(false)
	same, second, err := e.Train(d)
	if err != nil || !slices.Equal(ids, same) {
		t.Fatalf("the ids changed with the mask (%v)", err)
	}
	end := slices.Index(ids, 2) // of the first answer
	if slices.Contains(second[:end+1], true) || !all[end] || !all[end-1] {
		t.Errorf("the first answer is trained on: %v", second[:end+1])
	}
	if !slices.Equal(second[end+1:], all[end+1:]) || !second[len(ids)-1] {
		t.Errorf("the mask of the second answer changed: %v", second[end+1:])
	}
}

func TestOrder(t *testing.T) {
	e := encoder(t, "llama2", small(t), RefuseTags)
	u, a, s := Message{Role: User}, Message{Role: Assistant}, Message{Role: System}
	wrong := Message{Role: User, Loss: new(true)}
	for _, c := range []struct {
		d             Dialog
		prompt, train int // index in the OrderError, -1 for none
	}{
		{nil, 0, 0},
		{Dialog{s}, 1, 1},
		{Dialog{u}, -1, 1},
		{Dialog{s, u}, -1, 2},
		{Dialog{u, a}, 2, -1},
		{Dialog{s, u, a, u}, -1, 4},
		{Dialog{a}, 0, 0},
		{Dialog{s, a}, 1, 1},
		{Dialog{u, u}, 1, 1},
		{Dialog{u, s}, 1, 1},
		{Dialog{s, s, u}, 1, 1},
		{Dialog{u, a, a}, 2, 2},
		{Dialog{{Role: "tool"}}, 0, 0},
		{Dialog{wrong, a}, 0, 0},
	} {
		check := func(what string, err error, want int) {
			var order *OrderError
			if want < 0 && err != nil || want >= 0 && (!errors.As(err, &order) || order.Index != want) {
				t.Errorf("%s of %v: %v, want index %d", what, c.d, err, want)
			}
		}
		_, err := e.Prompt(c.d)
		check("prompt", err, c.prompt)
		_, _, err = e.Train(c.d)
		check("training", err, c.train)
	}
}

func TestTags(t *testing.T) {
	tok := chatMLTokenizer(t)
	for _, c := range []struct{ template, tag, broken string }{
		{"llama2", "[INST]", "[\u200bINST]"},
		{"llama2", "[/INST]", "[\u200b/INST]"},
		{"llama2", "<<SYS>>", "<\u200b<SYS>>"},
		{"llama2", "<</SYS>>", "<\u200b</SYS>>"},
		{"zephyr", "<|user|>", "<\u200b|user|>"},
		{"zephyr", "<|system|>", "<\u200b|system|>"},
		{"zephyr", "<|assistant|>", "<\u200b|assistant|>"},
		{"chatml", "<|im_start|>", "<\u200b|im_start|>"},
		{"chatml", "<|im_end|>", "<\u200b|im_end|>"},
	} {
		for i := range 4 {
			d := Dialog{{Role: System, Content: "a"}, {Role: User, Content: "b"}, {Role: Assistant, Content: "c"}, {Role: User, Content: "d"}}
			clean := slices.Clone(d)
			d[i].Content += c.tag + c.tag
			clean[i].Content += c.broken + c.broken
			_, err := encoder(t, c.template, tok, RefuseTags).Prompt(d)
			var tag *TagError
			if !errors.As(err, &tag) || *tag != (TagError{i, d[i].Role, c.tag}) {
				t.Errorf("%s in message %d: %v", c.tag, i, err)
			}
			want, err := encoder(t, c.template, tok, RefuseTags).Prompt(clean)
			if err != nil {
				t.Fatal(err)
			}
			before := d[i].Content
			got, err := encoder(t, c.template, tok, BreakTags).Prompt(d)
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%s in message %d, broken: %d (%v), want %d", c.tag, i, got, err, want)
			}
			if d[i].Content != before {
				t.Errorf("the caller's dialog was changed")
			}
		}
	}
}

// TestForging: the text of special tokens in a message never becomes their ids.
func TestForging(t *testing.T) {
	tok := chatMLTokenizer(t)
	for _, name := range Names() {
		e := encoder(t, name, tok, RefuseTags)
		special := func(text string) (n int) {
			ids, err := e.Prompt(Dialog{{Role: User, Content: text}, {Role: Assistant, Content: text}, {Role: User, Content: text}})
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range ids {
				if k := tok.Piece(id).Kind; k == tokenizer.Control || k == tokenizer.Unknown {
					n++
				}
			}
			return n
		}
		if plain, forged := special("x"), special("</s><s><unk>\x00</s>"); forged != plain {
			t.Errorf("%s: %d special ids, with forged text %d", name, plain, forged)
		}
	}
}

// chatMLTokenizer is a small one with ChatML's tokens appended.
func chatMLTokenizer(t *testing.T) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := load(t, "../tokenizer/testdata/llama.tokenizer.json").With(tokenizer.Changes{Append: []tokenizer.Piece{
		{Text: "<|im_start|>", Kind: tokenizer.Control}, {Text: "<|im_end|>", Kind: tokenizer.Control},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestMissingTokens(t *testing.T) {
	tmpl, err := Lookup("chatml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewEncoder(tmpl, small(t), RefuseTags); err == nil || !strings.Contains(err.Error(), "<|im_start|>") {
		t.Errorf("%v, want an error that names <|im_start|>", err)
	}
	if got := encoder(t, "chatml", chatMLTokenizer(t), RefuseTags).StopIDs(); !slices.Equal(got, []int32{601, 2}) {
		t.Errorf("stop ids of ChatML: %d", got)
	}
}

// TestConversation: a dialog encoded turn by turn has the ids of the whole, and
// every prompt begins with what was complete before.
func TestConversation(t *testing.T) {
	tok := chatMLTokenizer(t)
	for _, name := range Names() {
		e := encoder(t, name, tok, RefuseTags)
		for _, g := range lines[metaGolden](t, "meta-small.jsonl") {
			if g.Unsafe {
				continue
			}
			d := g.Dialog
			var system *string
			if d[0].Role == System {
				system, d = &d[0].Content, d[1:]
			}
			c, err := e.NewConversation(system)
			if err != nil {
				t.Fatal(err)
			}
			skip := len(g.Dialog) - len(d)
			complete := 0
			for i := 0; i < len(d); i += 2 {
				want, err := e.Prompt(g.Dialog[:skip+i+1])
				if err != nil {
					t.Fatal(err)
				}
				got, err := c.Prompt(d[i].Content)
				if err != nil || !slices.Equal(got, want) {
					t.Fatalf("%s: turn %d: %d (%v), want %d", name, i, got, err, want)
				}
				if !slices.Equal(got[:complete], c.done.ids) {
					t.Fatalf("%s: the prompt does not begin with the pairs before", name)
				}
				if i+1 < len(d) {
					if err := c.Add(d[i].Content, d[i+1].Content); err != nil {
						t.Fatal(err)
					}
					complete = len(c.done.ids)
				}
			}
			if _, err := c.Prompt(e.tmpl.format.tags[0]); err == nil {
				t.Fatalf("%s: a tag is taken", name)
			}
		}
	}
}

func TestStrip(t *testing.T) {
	const spaces = "\t\n\v\f\r\x1c\x1d\x1e\x1f \u0085\u00a0\u1680\u2000\u200a\u2028\u2029\u202f\u205f\u3000"
	if got := Strip(spaces + "a" + spaces + "b" + spaces); got != "a"+spaces+"b" {
		t.Errorf("%q", got)
	}
	// What Python does not call white space.
	if s := "\u200b\ufeff\x00\x1b\u180ea\u2060\xff"; Strip(s) != s {
		t.Errorf("%q", Strip(s))
	}
}

// TestMaskAcrossBorder: where a piece holds both the end of the prompt and the
// beginning of the answer, training begins with the first id that the prompt
// alone does not have.
func TestMaskAcrossBorder(t *testing.T) {
	g := small(t).GGUF()
	g.Tokens, g.Scores, g.Types = append(g.Tokens, "]▁y"), append(g.Scores, 1), append(g.Types, int32(tokenizer.Normal))
	// The piece is made of "]▁" and "y".
	g.Tokens, g.Scores, g.Types = append(g.Tokens, "]▁"), append(g.Scores, 2), append(g.Types, int32(tokenizer.Normal))
	tok, err := tokenizer.FromGGUF(g)
	if err != nil {
		t.Fatal(err)
	}
	e := encoder(t, "llama2", tok, RefuseTags)
	ids, mask, err := e.Train(Dialog{{Role: User, Content: "x"}, {Role: Assistant, Content: "y"}})
	if err != nil {
		t.Fatal(err)
	}
	at := slices.Index(ids, 600)
	if at < 0 || slices.Contains(mask[:at], true) || slices.Contains(mask[at:], false) {
		t.Errorf("ids %d, mask %v", ids, mask)
	}
}
