package llama

import (
	"fmt"
	"strings"
)

// shapes are the named ones. Llama 1: arXiv 2302.13971, table 2, and its
// params.json files; only 65B has the larger eps. Llama 2: arXiv 2307.09288,
// table 1; 34B was not released and is Code Llama's published shape. The small
// ones are ours, with sizes that block formats like: 15m and 110m are those of
// llama2.c. Their heads share the embedding table, which would otherwise be most
// of the model.
var shapes = []struct {
	name   string
	config Config
}{
	{"llama1-7b", llama1(4096, 32, 32, 11008, 1e-6)},
	{"llama1-13b", llama1(5120, 40, 40, 13824, 1e-6)},
	{"llama1-33b", llama1(6656, 60, 52, 17920, 1e-6)},
	{"llama1-65b", llama1(8192, 80, 64, 22016, 1e-5)},
	{"llama2-7b", llama2(4096, 32, 32, 32, 11008, 4096)},
	{"llama2-13b", llama2(5120, 40, 40, 40, 13824, 4096)},
	{"llama2-34b", llama2(8192, 48, 64, 8, 22016, 4096)},
	{"llama2-70b", llama2(8192, 80, 64, 8, 28672, 4096)},
	{"tinyllama-1.1b", llama2(2048, 22, 32, 4, 5632, 2048)},
	{"110m", small(768, 12, 12, 12, 2048, 32000)},
	{"15m", small(288, 6, 6, 6, 768, 32000)},
	{"8m", small(320, 6, 10, 10, 864, 2048)},
	{"7m", small(288, 6, 6, 6, 768, 4096)},
	{"2m", small(192, 4, 6, 6, 512, 2048)},
	{"1m", small(128, 4, 4, 2, 352, 2048)},
	{"0.5m", small(96, 3, 3, 3, 256, 2048)},
	{"0.3m", small(64, 5, 4, 2, 192, 512)},
}

func llama1(dim, layers, heads, hidden int, eps float32) Config {
	c := llama2(dim, layers, heads, heads, hidden, 2048)
	c.NormEps = eps
	return c
}

func llama2(dim, layers, heads, kvHeads, hidden, context int) Config {
	return Config{
		Dim: dim, NLayers: layers, NHeads: heads, NKVHeads: kvHeads, HeadDim: dim / heads, HiddenDim: hidden,
		VocabSize: 32000, MaxSeqLen: context, NormEps: 1e-5, RopeTheta: 10000,
	}
}

func small(dim, layers, heads, kvHeads, hidden, vocab int) Config {
	c := llama2(dim, layers, heads, kvHeads, hidden, 1024)
	c.VocabSize, c.TiedEmbeddings = vocab, true
	return c
}

// Shape returns the configuration with the given name.
func Shape(name string) (Config, error) {
	for _, s := range shapes {
		if s.name == name {
			return s.config, nil
		}
	}
	return Config{}, fmt.Errorf("llama: there is no shape %q; there are %s", name, strings.Join(ShapeNames(), " "))
}

// ShapeNames returns the names of all shapes.
func ShapeNames() []string {
	names := make([]string, len(shapes))
	for i, s := range shapes {
		names[i] = s.name
	}
	return names
}
