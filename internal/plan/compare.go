package plan

import (
	"cmp"
	"slices"

	"github.com/cria-llm/cria/internal/llama"
)

// Attributes are what the Llama 2 paper's table 1 says of a model, and its shape.
type Attributes struct {
	Name       string  `json:"name"`
	Parameters int     `json:"parameters"`
	Dim        int     `json:"dim"`
	NLayers    int     `json:"n_layers"`
	NHeads     int     `json:"n_heads"`
	NKVHeads   int     `json:"n_kv_heads"`
	HiddenDim  int     `json:"hidden_dim"`
	VocabSize  int     `json:"vocab_size"`
	Context    int     `json:"context"`
	GQA        bool    `json:"gqa"`
	Tied       bool    `json:"tied_embeddings"`
	Data       string  `json:"training_data,omitempty"`
	Tokens     float64 `json:"tokens,omitempty"` // 0: not published
	LR         float64 `json:"lr,omitempty"`
	KVPerToken int64   `json:"kv_bytes_per_token_f16"`
}

const (
	llama1Data = "Llama 1 paper's mix"
	llama2Data = "new mix of public data"
)

// published is arXiv 2307.09288, table 1.
var published = map[string]struct {
	data   string
	tokens float64
	lr     float64
}{
	"llama1-7b": {llama1Data, 1e12, 3e-4}, "llama1-13b": {llama1Data, 1e12, 3e-4},
	"llama1-33b": {llama1Data, 1.4e12, 1.5e-4}, "llama1-65b": {llama1Data, 1.4e12, 1.5e-4},
	"llama2-7b": {llama2Data, 2e12, 3e-4}, "llama2-13b": {llama2Data, 2e12, 3e-4},
	"llama2-34b": {llama2Data, 2e12, 1.5e-4}, "llama2-70b": {llama2Data, 2e12, 1.5e-4},
}

func attributes(name string, c *llama.Config) Attributes {
	p := published[name]
	return Attributes{Name: name, Parameters: c.Parameters(), Dim: c.Dim, NLayers: c.NLayers, NHeads: c.NHeads, NKVHeads: c.NKVHeads,
		HiddenDim: c.HiddenDim, VocabSize: c.VocabSize, Context: c.MaxSeqLen, GQA: c.NKVHeads < c.NHeads, Tied: c.TiedEmbeddings,
		Data: p.data, Tokens: p.tokens, LR: p.lr, KVPerToken: 4 * int64(c.NLayers) * int64(c.NKVHeads) * int64(c.HeadDim)}
}

// Compare returns the attributes of named shapes.
func Compare(names []string) ([]Attributes, error) {
	list := make([]Attributes, len(names))
	for i, n := range names {
		c, err := llama.Shape(n)
		if err != nil {
			return nil, err
		}
		list[i] = attributes(n, &c)
	}
	return list, nil
}

// sortOffers puts the cheapest first.
func sortOffers(list []Offer) {
	slices.SortStableFunc(list, func(a, b Offer) int { return cmp.Compare(a.USDPerHour, b.USDPerHour) })
}

// PublishedTokens is how many tokens a named model was trained on, 0 where no
// paper says so.
func PublishedTokens(name string) float64 { return published[name].tokens }
