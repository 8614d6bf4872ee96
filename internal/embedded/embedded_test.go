package embedded_test

import (
	"testing"

	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/embedded"
	"github.com/cria-llm/cria/internal/modelfile"
)

// most is how large the embedded weights may be: every program carries them.
const most = 8 << 20

func TestEmbedded(t *testing.T) {
	m, err := embedded.Open("", modelfile.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Config.MaxSeqLen != 2048 || m.Tokenizer == nil {
		t.Errorf("context %d, tokenizer %v", m.Config.MaxSeqLen, m.Tokenizer)
	}
	if tmpl, err := chat.Match(m.Template); err != nil || tmpl.Name() != "llama2" {
		t.Errorf("template %v, %v", tmpl, err)
	}
	var bytes int64
	for _, x := range m.Tensors() {
		bytes += x.Bytes
	}
	if bytes == 0 || bytes > most {
		t.Errorf("its weights have %d bytes, at most %d are allowed", bytes, most)
	}
	if err := m.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	tok, from, err := embedded.Tokenizer("")
	if err != nil || from != embedded.Name || tok.VocabSize() != m.Config.VocabSize {
		t.Errorf("tokenizer of %s: %v", from, err)
	}
}
