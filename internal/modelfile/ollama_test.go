package modelfile_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"

	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// modelfileOf converts a model to GGUF and returns the Modelfile beside it.
func modelfileOf(t testing.TB, m *modelfile.Model) string {
	t.Helper()
	dir := t.TempDir()
	convert(t, m, filepath.Join(dir, "m.gguf"), modelfile.ConvertOptions{})
	b, err := os.ReadFile(filepath.Join(dir, "Modelfile"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestModelfileTemplates renders the templates of written Modelfiles as Ollama
// does and encodes the text as llama.cpp does: BOS, then text in which special
// tokens count. The ids must be the chat encoder's.
func TestModelfileTemplates(t *testing.T) {
	type message struct{ Role, Content string }
	dialogs := map[string][]message{
		"one turn":       {{"user", "Hi"}},
		"system":         {{"system", "Be brief."}, {"user", "Hi"}},
		"turns":          {{"user", "Hi"}, {"assistant", "Hello!"}, {"user", "Bye"}},
		"system, turns":  {{"system", "Be brief."}, {"user", "Hi"}, {"assistant", "Hello!"}, {"user", "And\nnow?"}, {"assistant", "Yes"}, {"user", "Bye"}},
		"several lines":  {{"user", "a\n\nb"}},
		"braces in text": {{"system", "{{ .System }}"}, {"user", `"""`}},
	}
	for _, name := range chat.Names() {
		m := openModel(t, filepath.Join("testdata", "hf", "mha-bf16"), modelfile.OpenOptions{})
		known, err := chat.Lookup(name)
		if err != nil {
			t.Fatal(err)
		}
		m.Template = known.Text()
		text := modelfileOf(t, m)
		_, rest, ok1 := strings.Cut(text, `TEMPLATE """`)
		source, _, ok2 := strings.Cut(rest, `"""`)
		if !ok1 || !ok2 || !strings.HasPrefix(text, "FROM ./m.gguf\n") || !strings.Contains(text, `PARAMETER stop "</s>"`) {
			t.Fatalf("%s: no template, or no model, or no stop text in\n%s", name, text)
		}
		tmpl, err := template.New("").Parse(source)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tok, err := m.Tokenizer.With(tokenizer.Changes{Append: []tokenizer.Piece{{Text: "<|im_start|>", Kind: tokenizer.Control}, {Text: "<|im_end|>", Kind: tokenizer.Control}}})
		if err != nil {
			t.Fatal(err)
		}
		enc, err := chat.NewEncoder(known, tok, chat.RefuseTags)
		if err != nil {
			t.Fatal(err)
		}
		for what, dialog := range dialogs {
			var d chat.Dialog
			system := ""
			for _, x := range dialog {
				d = append(d, chat.Message{Role: chat.Role(x.Role), Content: x.Content})
				if x.Role == "system" {
					system = x.Content
				}
			}
			if strings.Contains(name, "2023") && system == "" {
				continue // that template has a system message of its own
			}
			var b strings.Builder
			if err := tmpl.Execute(&b, map[string]any{"System": system, "Messages": dialog}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			want, err := enc.Prompt(d)
			if err != nil {
				t.Fatal(err)
			}
			if got := tok.Encode(b.String(), tokenizer.EncodeOptions{BOS: true, Special: true}); !slices.Equal(got, want) {
				t.Errorf("%s, %s: %q gives\n%v, want\n%v", name, what, b.String(), got, want)
			}
		}
	}
}

// TestSecondModelfile keeps the Modelfile of another model.
func TestSecondModelfile(t *testing.T) {
	dir := t.TempDir()
	m := openModel(t, filepath.Join("testdata", "hf", "tied-f32"), modelfile.OpenOptions{})
	for _, name := range []string{"a.gguf", "b.gguf"} {
		convert(t, m, filepath.Join(dir, name), modelfile.ConvertOptions{})
	}
	for name, want := range map[string]string{"Modelfile": "FROM ./a.gguf\n", "b.Modelfile": "FROM ./b.gguf\n"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !strings.HasPrefix(string(b), want) {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}
