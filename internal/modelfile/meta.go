package modelfile

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/pth"
	"github.com/cria-llm/cria/internal/format/view"
)

// metaKeys are params.json's names.
var metaKeys = keyTable{
	"Dim": "dim", "NLayers": "n_layers", "NHeads": "n_heads", "NKVHeads": "n_kv_heads", "HeadDim": "n_heads", "HiddenDim": "multiple_of",
	"VocabSize": "vocab_size", "MaxSeqLen": "max_seq_len", "NormEps": "norm_eps", "RopeTheta": "rope_theta",
}

// maxShards is what Meta's largest model of the family has.
const maxShards = 8

var consolidatedName = regexp.MustCompile(`^consolidated\.([0-9]{2})\.pth$`)

// openMeta opens a directory as Meta publishes it.
func openMeta(m *Model, opt OpenOptions) error {
	dir := m.Path
	if base := filepath.Base(dir); base == "params.json" || filepath.Ext(base) == ".pth" {
		dir = filepath.Dir(dir)
	}
	path := filepath.Join(dir, "params.json")
	params, err := needObject(path)
	if err != nil {
		return err
	}
	if m.Files, err = metaShards(dir); err != nil {
		return err
	}
	shards := make([][]*view.Tensor, len(m.Files))
	for i, name := range m.Files {
		f, err := pth.Open(name)
		if err != nil {
			return err
		}
		m.closers = append(m.closers, f.Close)
		m.sums = append(m.sums, f)
		shards[i] = f.Tensors()
	}
	m.Detail = fmt.Sprintf("Meta, %s", counted(len(m.Files), "shard"))
	if err := m.readParams(params, dir, opt, shards); err != nil {
		return err
	}
	c := collector{m: m, dialect: dialectMeta, keys: metaKeys, file: dir}
	if err := c.collect(shards...); err != nil {
		return err
	}
	m.Name, m.License = baseName(dir), readLicense(dir)
	if m.License == "" {
		m.License = readLicense(filepath.Join(dir, ".."))
	}
	if m.Tokenizer == nil {
		return nil
	}
	return m.checkVocab(path, "vocab_size")
}

// metaShards lists consolidated.00.pth and so on, which must have no gap.
func metaShards(dir string) ([]string, error) {
	found := files(dir, "consolidated.*.pth")
	for i, name := range found {
		match := consolidatedName.FindStringSubmatch(filepath.Base(name))
		if match == nil {
			return nil, ferr.New(ferr.Unsupported, name, "", nil, "shards are called consolidated.00.pth, consolidated.01.pth and so on")
		}
		if n, _ := strconv.Atoi(match[1]); n != i {
			return nil, ferr.New(ferr.Malformed, dir, "", nil, "consolidated.%02d.pth is missing, and consolidated.%s.pth is there", i, match[1])
		}
	}
	switch {
	case len(found) == 0:
		return nil, ferr.New(ferr.Malformed, dir, "", nil, "there is no consolidated.00.pth").WithHint("get the weights too")
	case len(found) > maxShards:
		return nil, ferr.New(ferr.Unsupported, dir, "", nil, "there are %d shards; at most %d are known", len(found), maxShards)
	}
	return found, nil
}

// metaKnown are the keys of params.json that are read below or only say how the
// model was run; another one may change what the model computes.
var metaKnown = map[string]bool{
	"dim": true, "n_layers": true, "n_heads": true, "n_kv_heads": true, "vocab_size": true, "multiple_of": true, "ffn_dim_multiplier": true,
	"norm_eps": true, "rope_theta": true, "max_seq_len": true, "max_batch_size": true, "use_scaled_rope": true,
}

// readParams makes a configuration of params.json and, for what it does not say,
// of the tensors' shapes.
func (m *Model) readParams(o *jsonObject, dir string, opt OpenOptions, shards [][]*view.Tensor) error {
	for key := range o.fields {
		if !metaKnown[key] {
			return o.unsupported(key, "this key is not known in params.json")
		}
	}
	if scaled, _, err := o.boolean("use_scaled_rope"); err != nil {
		return err
	} else if scaled {
		return o.unsupported("use_scaled_rope", "rotary scaling as in Llama 3.1 is not supported")
	}
	c := &m.Config
	for _, f := range []struct {
		key string
		to  *int
	}{{"dim", &c.Dim}, {"n_layers", &c.NLayers}, {"n_heads", &c.NHeads}, {"vocab_size", &c.VocabSize}} {
		var err error
		if *f.to, err = o.need(f.key); err != nil {
			return err
		}
	}
	var err error
	if c.NKVHeads, err = o.integerOr("n_kv_heads", c.NHeads); err != nil {
		return err
	}
	eps, err := o.needFloat("norm_eps")
	if err != nil {
		return err
	}
	c.NormEps = float32(eps)
	if c.HeadDim, err = headDim(o.file, dialectMeta, metaKeys, c); err != nil {
		return err
	}
	if err := m.metaPositions(o); err != nil {
		return err
	}
	if c.HiddenDim, err = metaHidden(o, c.Dim, shards); err != nil {
		return err
	}
	if err := m.metaVocab(o, dir, opt, shards); err != nil {
		return err
	}
	return configError(c.Validate(), o.file, dialectMeta, metaKeys)
}

// metaPositions reads the RoPE base and the context, which Meta's files leave to
// the caller: Llama 1 was trained with 2,048 positions, Llama 2 with 4,096, Code
// Llama with 16,384 and a base of a million (arXiv 2308.12950). Nothing in a file
// tells the first two apart.
func (m *Model) metaPositions(o *jsonObject) error {
	c := &m.Config
	theta, ok, err := o.float("rope_theta")
	if err != nil {
		return err
	}
	c.RopeTheta = 10000
	if ok {
		c.RopeTheta = theta
	}
	if c.MaxSeqLen, ok, err = o.integer("max_seq_len"); err != nil || ok {
		return err
	}
	c.MaxSeqLen = 4096
	if c.RopeTheta == 1e6 {
		c.MaxSeqLen = 16384
	}
	m.note("params.json names no context: %d positions are taken (Llama 1 was trained with 2048, Llama 2 with 4096, Code Llama with 16384)", c.MaxSeqLen)
	return nil
}

// metaHidden reads the feed-forward width off its matrix, whose rows the shards
// share, and compares it with the formula of Meta's code (llama/model.py,
// FeedForward): 2/3 of 4*dim, times a factor, up to a multiple.
func metaHidden(o *jsonObject, dim int, shards [][]*view.Tensor) (int, error) {
	name := kindGate.in(dialectMeta, 0)
	t := findTensor(shards[0], name)
	if t == nil || len(t.Dims) != 2 {
		return 0, ferr.New(ferr.Malformed, o.file, "tensors", nil, "missing or no matrix: %s", name)
	}
	hidden := t.Dims[0] * len(shards)
	multiple, ok, err := o.integer("multiple_of")
	if err != nil {
		return 0, err
	}
	if !ok {
		return hidden, nil
	}
	factor, hasFactor, err := o.float("ffn_dim_multiplier")
	if err != nil {
		return 0, err
	}
	if multiple < 1 || multiple > 1<<20 || dim < 1 || dim > 1<<20 || hasFactor && !(factor > 0 && factor < 1000) {
		return 0, o.malformed("multiple_of", "it, dim or ffn_dim_multiplier is out of range")
	}
	want := 2 * (4 * dim) / 3
	if hasFactor {
		want = int(factor * float64(want))
	}
	want = (want + multiple - 1) / multiple * multiple
	if want != hidden {
		return 0, o.malformed("multiple_of", "with dim and ffn_dim_multiplier it gives a feed-forward width of %d, but %s has %d rows in %s",
			want, name, hidden, counted(len(shards), "shard"))
	}
	return hidden, nil
}

// metaVocab finds the size of the vocabulary: -1 means the tokenizer's, which may
// be smaller than the embedding table.
func (m *Model) metaVocab(o *jsonObject, dir string, opt OpenOptions, shards [][]*view.Tensor) error {
	var err error
	if opt.Tokenizer != "" {
		m.Tokenizer, m.TokenizerFrom, err = OpenTokenizer(opt.Tokenizer)
	} else {
		m.Tokenizer, m.TokenizerFrom, err = dirTokenizer(dir)
	}
	if err != nil || m.Config.VocabSize != -1 {
		return err
	}
	t := findTensor(shards[0], kindEmbed.name[dialectMeta])
	if t == nil || len(t.Dims) != 2 {
		return ferr.New(ferr.Malformed, o.file, "tensors", nil, "missing or no matrix: %s", kindEmbed.name[dialectMeta])
	}
	m.Config.VocabSize = t.Dims[0]
	if m.Tokenizer == nil {
		m.note("params.json leaves the size of the vocabulary to the tokenizer, and there is none: the embedding table's %d rows are taken", t.Dims[0])
	}
	return nil
}

func findTensor(list []*view.Tensor, name string) *view.Tensor {
	for _, t := range list {
		if t.Key == name {
			return t
		}
	}
	return nil
}
