// Package embedded holds the model that is inside of the program: a chat model of
// the small world (internal/world), which Cria trained from nothing
// (docs/model-card.md). It answers where no other model is named.
package embedded

import (
	_ "embed"

	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// Name stands for the model's path in messages.
const Name = "embedded model"

//go:embed chat.gguf
var weights []byte

// Open opens the model at path; an empty path is the embedded one.
func Open(path string, opt modelfile.OpenOptions) (*modelfile.Model, error) {
	if path == "" {
		return modelfile.OpenBytes(Name, weights, opt)
	}
	return modelfile.Open(path, opt)
}

// Tokenizer reads the tokenizer of the model or tokenizer file at path; an empty
// path is the embedded model's. from is the file that held it.
func Tokenizer(path string) (tok *tokenizer.Tokenizer, from string, err error) {
	if path != "" {
		return modelfile.OpenTokenizer(path)
	}
	m, err := Open("", modelfile.OpenOptions{})
	if err != nil {
		return nil, "", err
	}
	return m.Tokenizer, Name, m.Close()
}
