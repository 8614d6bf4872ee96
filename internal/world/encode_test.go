package world

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// TestDialogsEncode: every dialog is one that the chat encoder takes, and what
// is trained of it are its answers.
func TestDialogsEncode(t *testing.T) {
	root := os.Getenv("CRIA_TEST_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	data, err := os.ReadFile(filepath.Join(root, "tokenizer", "llama2.tokenizer.model"))
	if err != nil {
		t.Skipf("no tokenizer: %v", err)
	}
	tok, err := tokenizer.ParseFile(data)
	if err != nil {
		t.Fatal(err)
	}
	template, err := chat.Lookup("llama2")
	if err != nil {
		t.Fatal(err)
	}
	enc, err := chat.NewEncoder(template, tok, chat.RefuseTags)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range first(New(1).Dialogs(6, Train), 200) {
		ids, mask, err := enc.Train(d.Messages)
		if err != nil {
			t.Fatalf("%s: %v", d.Kind, err)
		}
		if len(ids) > 2048 {
			t.Errorf("a dialog of kind %s has %d tokens; small models have a context of 2,048", d.Kind, len(ids))
		}
		var trained []int32
		for i, id := range ids {
			if mask[i] {
				trained = append(trained, id)
			}
		}
		text, err := tok.Decode(trained)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, m := range d.Messages {
			if m.Role == chat.Assistant {
				want = append(want, m.Content)
			}
		}
		if got := strings.Join(strings.Fields(text), " "); got != strings.Join(strings.Fields(strings.Join(want, " ")), " ") {
			t.Fatalf("%s: trained is %q, the answers are %q", d.Kind, got, want)
		}
	}
}
