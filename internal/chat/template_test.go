package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/tokenizer"
)

// TestTemplatesFile keeps the list that testdata/gen.py renders in step with the
// table; -update writes it.
func TestTemplatesFile(t *testing.T) {
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	if err := e.Encode(tableTexts()); err != nil {
		t.Fatal(err)
	}
	const path = "testdata/templates.json"
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not the table's (%v): run with -update, then testdata/gen.py hf", path, err)
	}
}

// hfGolden is what transformers makes of a dialog by running the template.
type hfGolden struct {
	Template int // in templates.json
	Dialog   Dialog
	Text     string
	IDs      []int32
}

// TestHuggingFace runs every text of the table: looked up, it gives the text and
// the ids that transformers gives by running it, but for BOS, which is added
// where the template has none.
func TestHuggingFace(t *testing.T) {
	tok := chatMLTokenizer(t)
	list := tableTexts()
	seen := make([]bool, len(list))
	for i, g := range lines[hfGolden](t, "hf.jsonl") {
		name, source := list[g.Template][0], list[g.Template][1]
		seen[g.Template] = true
		tmpl, err := Match(source)
		if err != nil || tmpl.Name() != name {
			t.Fatalf("line %d: %v (%v), want %s", i, tmpl, err, name)
		}
		e := encoder(t, name, tok, RefuseTags)
		var ids []int32
		if g.Dialog[len(g.Dialog)-1].Role == User {
			ids, err = e.Prompt(g.Dialog)
		} else {
			ids, _, err = e.Train(g.Dialog)
		}
		if err != nil {
			t.Fatalf("line %d: %v", i, err)
		}
		if ids[0] != 1 || slices.Contains(ids[1:], 1) && name != "llama2" && name != "llama2-july2023" {
			t.Errorf("line %d (%s): not exactly one BOS: %d", i, name, ids)
		}
		if g.IDs[0] != 1 {
			ids = ids[1:]
		}
		if !slices.Equal(ids, g.IDs) {
			t.Errorf("line %d (%s): %d, transformers gives %d", i, name, ids, g.IDs)
		}
		// The tokenizer takes a literal U+2581 for a space.
		if got, want := spell(t, tok, ids), strings.ReplaceAll(g.Text, "\u2581", " "); got != want {
			t.Errorf("line %d (%s): %q, transformers gives %q", i, name, got, want)
		}
	}
	if i := slices.Index(seen, false); i >= 0 {
		t.Errorf("text %d, of %s, is not in hf.jsonl", i, list[i][0])
	}
}

// tableTexts lists all texts of the table with their names.
func tableTexts() (all [][2]string) {
	for _, tmpl := range templates {
		for _, text := range append([]string{tmpl.text}, tmpl.others...) {
			all = append(all, [2]string{tmpl.name, text})
		}
	}
	return all
}

// spell writes ids as text with the names of special tokens.
func spell(t *testing.T, tok *tokenizer.Tokenizer, ids []int32) string {
	var out strings.Builder
	for len(ids) > 0 {
		n := 0
		for n < len(ids) && tok.Piece(ids[n]).Kind != tokenizer.Control {
			n++
		}
		text, err := tok.Decode(ids[:n])
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(text)
		if n < len(ids) {
			out.WriteString(tok.Piece(ids[n]).Text)
			n++
		}
		ids = ids[n:]
	}
	return out.String()
}

func TestMatchIgnoresWhiteSpace(t *testing.T) {
	for _, c := range []struct{ name, old, new string }{
		{"llama2", "{% if ", "{%if "},
		{"llama2", "' '  + content.strip()", "' ' + content.strip()"},
		{"llama2", " %}", "\n  %}"},
		{"llama2", "{% endif %}", "{% endif %}\n"},
		{"llama2", "{% for", "{# a comment #}{% for"},
		{"llama2", "message['role']", `message["role"]`},
		{"llama2", "bos_token + '[INST] '", "bos_token+'[INST] '"},
		{"zephyr", "\n{% ", "\n    {% "},
		{"zephyr", "\n", "\r\n"},
		{"zephyr", "'<|user|>\n'", `'<|user|>\n'`},
		{"zephyr", "{% endfor %}", "{% endfor %}\n"},
		{"zephyr", "{% for message in messages %}\n", "{%- for message in messages -%}\n\n  \n"},
		{"chatml", "{% endfor %}", "  \n\t{% endfor %}"},
	} {
		tmpl, err := Lookup(c.name)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.ReplaceAll(tmpl.Text(), c.old, c.new)
		if changed == tmpl.Text() {
			t.Fatalf("%s has no %q", c.name, c.old)
		}
		// Blanks before a tag count where something else stands on the line.
		want := c.name != "chatml"
		if got, err := Match(changed); (err == nil) != want || want && got != tmpl {
			t.Errorf("%s with %q for %q: %v, %v", c.name, c.new, c.old, got, err)
		}
	}
}

func TestMatchSeesChanges(t *testing.T) {
	for _, c := range []struct{ name, old, new string }{
		{"llama2", "'[INST] '", "'[INST]'"},
		{"llama2", "' ' + eos_token", "eos_token"},
		{"llama2", ".strip()", ""},
		{"llama2", "'\\n<</SYS>>\\n\\n'", "'\\n<</SYS>>\\n'"},
		{"llama2", "{% endfor %}", "{% endfor %}x"},
		{"llama2", "{% endfor %}", "{% endfor %}\n\n\n"},
		{"llama2", "!= false", "!=false and x"},
		{"zephyr", "eos_token }}\n", "eos_token }}"},
		{"zephyr", "'<|user|>\n'", "'<|user|> \n'"},
		{"zephyr", "{{ '<|assistant|>' }}\n", "{{ '<|assistant|>' }}"},
		{"zephyr", "{% for", " {{ bos_token }}{% for"},
		{"zephyr", "{{ '<|assistant|>' }}", "{{ '<|assistant|>' -}}"},
		{"chatml", "assistant", "Assistant"},
		{"chatml", "{{'", " {{'"},
	} {
		tmpl, err := Lookup(c.name)
		if err != nil {
			t.Fatal(err)
		}
		changed := strings.ReplaceAll(tmpl.Text(), c.old, c.new)
		if changed == tmpl.Text() {
			t.Fatalf("%s has no %q", c.name, c.old)
		}
		var unknown *UnknownTemplateError
		if got, err := Match(changed); !errors.As(err, &unknown) {
			t.Errorf("%s with %q for %q is taken for %v (%v)", c.name, c.new, c.old, got, err)
		}
	}
}

func TestMatchRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"unknown":       {"{{ messages }}", "llama2, llama2-july2023, zephyr, chatml"},
		"unknown, flag": {"{{ messages }}", "--chat=NAME"},
		"empty":         {"", "not a known one"},
		"NUL":           {zephyrText + "\x00", "NUL"},
		"10 MB":         {strings.Repeat("{% if x %}", 1<<20), "10485760 bytes"},
		"unclosed":      {"{% if '", "not a known one"},
	} {
		if got, err := Match(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := Lookup("llama3"); err == nil || !strings.Contains(err.Error(), "zephyr") {
		t.Errorf("%v", err)
	}
}

func FuzzMatch(f *testing.F) {
	for _, tmpl := range templates {
		f.Add(tmpl.text)
	}
	f.Add("{{ '\\' }}{#")
	f.Fuzz(func(t *testing.T, text string) {
		if n := len(normalize(text)); n > 2*len(text)+8 {
			t.Fatalf("%d bytes became %d", len(text), n)
		}
		if got, err := Match(text); (got == nil) == (err == nil) {
			t.Fatalf("%v, %v", got, err)
		}
	})
}
