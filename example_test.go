package cria_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/cria-llm/cria"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
)

// smallModel makes a tiny model with random weights, so that the examples run
// anywhere. Put the path of a checkpoint in its place.
func smallModel() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "cria-example-")
	if err != nil {
		log.Fatal(err)
	}
	cfg, err := llama.Shape("0.3m")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, "small.gguf")
	opt := modelfile.InitOptions{Type: "f32", Seed: 1, Tokenizer: "internal/tokenizer/testdata/llama.model"}
	if _, err := modelfile.Init(context.Background(), cfg, path, opt); err != nil {
		log.Fatal(err)
	}
	return path, func() { os.RemoveAll(dir) }
}

func Example() {
	path, remove := smallModel()
	defer remove()

	m, err := cria.Load(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	p := cria.DefaultParams()
	p.Temperature = 0 // always the most probable token
	p.MaxTokens = 5
	g := m.Generate(context.Background(), "Once upon a time", p)
	for token, err := range g.Tokens() {
		if err != nil {
			log.Fatal(err)
		}
		_ = token.Text // print it as it comes
	}
	fmt.Println(g.Result().CompletionTokens, "tokens,", g.Result().Finish)
	// Output: 5 tokens, length
}

func ExampleSession() {
	path, remove := smallModel()
	defer remove()
	m, err := cria.Load(path, &cria.Options{Context: 512, ChatTemplate: "llama2"})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()
	s, err := m.NewSession()
	if err != nil {
		log.Fatal(err)
	}
	defer s.Close()

	c, err := s.NewConversation("Be brief.")
	if err != nil {
		log.Fatal(err)
	}
	p := cria.DefaultParams()
	p.Seed, p.MaxTokens = 1, 4
	for _, question := range []string{"Why is the sky blue?", "And at night?"} {
		g := c.Ask(context.Background(), question, p)
		if _, err := g.Text(); err != nil {
			log.Fatal(err)
		}
		// The second question costs only what is new in the dialog.
		fmt.Println(g.Result().CachedTokens > 0)
	}
	fmt.Println(len(c.Messages()), "messages")
	// Output:
	// false
	// true
	// 5 messages
}
