package modelfile

import (
	"fmt"
	"path/filepath"

	"github.com/cria-llm/cria/internal/format/llama2c"
	"github.com/cria-llm/cria/internal/llama"
)

// llama2cKeys are the names of the header's fields in llama2.c's run.c.
var llama2cKeys = keyTable{
	"Dim": "dim", "HiddenDim": "hidden_dim", "NLayers": "n_layers", "NHeads": "n_heads", "NKVHeads": "n_kv_heads", "HeadDim": "n_heads",
	"VocabSize": "vocab_size", "MaxSeqLen": "seq_len",
}

// openLlama2C opens a checkpoint of llama2.c. Its header has no constants:
// run.c and model.py have these.
func openLlama2C(m *Model, opt OpenOptions) error {
	f, err := llama2c.Open(m.Path)
	if err != nil {
		return err
	}
	m.closers = append(m.closers, f.Close)
	m.Files = []string{m.Path}
	m.Detail = fmt.Sprintf("llama2.c version %d", f.Version)
	h := f.Config
	m.Config = llama.Config{
		Dim: h.Dim, HiddenDim: h.HiddenDim, NLayers: h.NLayers, NHeads: h.NHeads, NKVHeads: h.NKVHeads, VocabSize: h.VocabSize,
		MaxSeqLen: h.SeqLen, TiedEmbeddings: f.TiedHead, NormEps: 1e-5, RopeTheta: 10000,
	}
	if m.Config.HeadDim, err = headDim(m.Path, dialectMeta, llama2cKeys, &m.Config); err != nil {
		return err
	}
	if err := m.Config.Validate(); err != nil {
		return configError(err, m.Path, dialectMeta, llama2cKeys)
	}
	c := collector{m: m, dialect: dialectMeta, keys: llama2cKeys, file: m.Path}
	if err := c.collect(f.Tensors()); err != nil {
		return err
	}
	m.Name = baseName(m.Path)
	if err := m.setTokenizer(opt, filepath.Dir(m.Path), m.Path, "vocab_size"); err != nil || m.Tokenizer == nil {
		return err
	}
	// These models are trained on texts that only BOS divides, so a text ends where
	// the next one begins; run.c stops there too.
	if bos, ok := m.Tokenizer.BOS(); ok {
		m.addStop(bos)
	}
	return nil
}
