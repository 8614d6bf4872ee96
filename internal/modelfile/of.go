package modelfile

import (
	"fmt"

	"github.com/cria-llm/cria/internal/llama"
)

// Of is a model whose weights come from elsewhere than from files, such as one
// in training, to be converted. Everything but configuration and weights is
// that of like: tokenizer, template, end ids, licence. name is for messages.
func Of(name string, cfg llama.Config, weights llama.Source, like *Model) (*Model, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Model{Path: name, Format: formatRandom, Detail: "weights in memory", Config: cfg, Tokenizer: like.Tokenizer, TokenizerFrom: like.TokenizerFrom,
		Template: like.Template, TemplateFrom: like.TemplateFrom, StopIDs: like.StopIDs, Name: like.Name, License: like.License, Notes: []string{}}
	for p := range places(&cfg) {
		key := p.in(dialectGGUF, p.layer)
		src, err := weights.Tensor(key)
		if err != nil {
			return nil, err
		}
		rows, cols := p.shape(&cfg)
		if r, c := src.Shape(); r != rows || c != cols {
			return nil, fmt.Errorf("%s: %s has shape (%d, %d), but the model's configuration needs (%d, %d)", name, key, r, c, rows, cols)
		}
		m.add(p, key, "", src)
	}
	return m, nil
}
