package modelfile

import (
	"context"
	"fmt"
	"strings"

	"github.com/cria-llm/cria/internal/format/gguf"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// quantVersion is GGML_QNT_VERSION: the layouts of block types since May 2023.
const quantVersion = 2

// writeGGUF writes a GGUF file and a Modelfile.
func writeGGUF(ctx context.Context, m *Model, out string, opt ConvertOptions) (*Report, error) {
	items, fileType, err := ggufItems(m, opt.Type)
	if err != nil {
		return nil, err
	}
	r := report(out, FormatGGUF, items)
	kvs, err := ggufMetadata(m, fileType, r)
	if err != nil {
		return nil, err
	}
	infos := make([]gguf.TensorInfo, len(items))
	for i, it := range items {
		infos[i] = gguf.TensorInfo{Name: it.name, Type: it.to, Dims: it.dims()}
	}
	w, err := gguf.Create(out, kvs, infos)
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	if err := stream(ctx, w, items, opt); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	r.Files = append(r.Files, out)
	return r, writeModelfile(m, out, r)
}

// ggufItems chooses types: norms are F32, as llama.cpp needs them.
func ggufItems(m *Model, typ string) (items []*item, fileType uint32, err error) {
	var choices []quant.MixChoice
	if typ != "" {
		mix, err := quant.ParseMix(typ)
		if err != nil {
			return nil, 0, err
		}
		choices, fileType = m.plan(mix), mix.FileType()
	} else {
		fileType = m.fileType()
	}
	for i, e := range m.entries {
		it := &item{name: e.info.Name, src: e.src, to: e.info.Type, wanted: e.info.Type, norm: e.norm}
		if choices != nil {
			it.to, it.wanted = choices[i].Type, choices[i].Wanted
		}
		if e.norm {
			it.to, it.wanted = tensor.F32, tensor.F32
		}
		items = append(items, it)
	}
	return items, fileType, nil
}

// fileType is the number for a file whose tensors keep their types.
func (m *Model) fileType() uint32 {
	for _, kv := range m.metadata {
		if v, ok := kv.Value.(uint32); ok && kv.Key == keyFileType {
			return v
		}
	}
	q := m.byName[kindQ.in(dialectGGUF, 0)].info.Type
	if mix, err := quant.ParseMix(q.String()); err == nil {
		return mix.FileType()
	}
	return 0
}

// metadata is a list of keys in the order of their first setting.
type metadata struct{ kvs []gguf.KV }

func (d *metadata) set(key string, value any) {
	for i := range d.kvs {
		if d.kvs[i].Key == key {
			d.kvs[i].Value = value
			return
		}
	}
	d.kvs = append(d.kvs, gguf.KV{Key: key, Value: value})
}

// ggufMetadata makes all keys. What a GGUF file that is converted says beside the
// keys that are set here is kept: author, source, further templates.
func ggufMetadata(m *Model, fileType uint32, r *Report) ([]gguf.KV, error) {
	var d metadata
	d.set(keyArchitecture, "llama")
	d.set(keyType, "model")
	d.set(keyName, m.Name)
	if m.License != "" {
		d.set(keyLicense, m.License)
	}
	ownTokenizer := m.TokenizerFrom == m.Path
	for _, kv := range m.metadata {
		tok := strings.HasPrefix(kv.Key, "tokenizer.")
		if strings.HasPrefix(kv.Key, "llama.") || kv.Key == "general.alignment" || tok && !ownTokenizer {
			continue
		}
		d.set(kv.Key, kv.Value)
	}
	d.set(keyFileType, fileType)
	d.set(keyQuantVersion, uint32(quantVersion))
	if err := ggufShape(&d, m, r); err != nil {
		return nil, err
	}
	tok, err := paddedTokenizer(m, r)
	if err != nil {
		return nil, err
	}
	ggufTokens(&d, tok)
	ggufEnds(&d, m, r)
	if m.Template != "" {
		d.set(keyTemplate, m.Template)
	}
	return d.kvs, nil
}

// ggufShape writes the configuration. Dynamic scaling has no place in GGUF: the
// base is fixed for the context asked for.
func ggufShape(d *metadata, m *Model, r *Report) error {
	c := m.Config
	if c.RopeScale.Kind == llama.RopeDynamic {
		positions := max(m.context, c.MaxSeqLen)
		c.RopeTheta, c.MaxSeqLen = c.RopeBase(positions), positions
		c.RopeScale = llama.RopeScaling{}
		r.note("GGUF has no dynamic RoPE scaling: the base is fixed at %g, for %d positions; --ctx chooses another context", c.RopeTheta, positions)
	}
	if float64(float32(c.RopeTheta)) != c.RopeTheta {
		r.note("GGUF holds the RoPE base %g as the nearest float32, %g", c.RopeTheta, float32(c.RopeTheta))
	}
	for _, f := range []struct {
		key   string
		value int
	}{
		{keyVocab, c.VocabSize}, {keyContext, c.MaxSeqLen}, {keyDim, c.Dim}, {keyBlocks, c.NLayers}, {keyHidden, c.HiddenDim},
		{keyRopeDims, c.HeadDim}, {keyHeads, c.NHeads}, {keyKVHeads, c.NKVHeads}, {keyKeyLength, c.HeadDim}, {keyValueLength, c.HeadDim},
	} {
		d.set(f.key, uint32(f.value))
	}
	d.set(keyEps, c.NormEps)
	d.set(keyRopeBase, float32(c.RopeTheta))
	if c.RopeScale.Kind == llama.RopeLinear {
		d.set(keyScalingType, "linear")
		d.set(keyScaling, float32(c.RopeScale.Factor))
	}
	return nil
}

// paddedTokenizer returns the tokenizer with as many tokens as the embedding
// table has rows, which GGUF's readers ask for.
func paddedTokenizer(m *Model, r *Report) (*tokenizer.Tokenizer, error) {
	tok := m.Tokenizer
	if tok == nil {
		r.note("the model has no tokenizer, so the written one has none")
		return nil, nil
	}
	var pad []tokenizer.Piece
	for id := tok.VocabSize(); id < m.Config.VocabSize; id++ {
		text := fmt.Sprintf("[PAD%d]", id)
		if _, taken := tok.ID(text); taken {
			return nil, fmt.Errorf("%s: the vocabulary has %d tokens fewer than the embedding table has rows, and the name of a filler, %s, is taken", m.TokenizerFrom, m.Config.VocabSize-tok.VocabSize(), text)
		}
		pad = append(pad, tokenizer.Piece{Text: text, Score: padScore, Kind: tokenizer.Unused})
	}
	if pad == nil {
		return tok, nil
	}
	r.note("%d unused tokens were added to the vocabulary, one for each further row of the embedding table", len(pad))
	padded, err := tok.With(tokenizer.Changes{Append: pad})
	if err != nil {
		return nil, tokenizerError(m.TokenizerFrom, err)
	}
	return padded, nil
}

// padScore is what llama.cpp's converter gives to fillers.
const padScore = -1000

func ggufTokens(d *metadata, tok *tokenizer.Tokenizer) {
	if tok == nil {
		d.set(keyTokModel, "no_vocab")
		return
	}
	g := tok.GGUF()
	d.set(keyTokModel, g.Model)
	d.set(keyTokPre, "default")
	d.set(keyTokens, g.Tokens)
	d.set(keyScores, g.Scores)
	d.set(keyTokTypes, g.Types)
	for _, k := range []struct {
		key string
		id  *uint32
	}{{keyBOS, g.BOS}, {keyEOS, g.EOS}, {keyUNK, g.UNK}, {keyPAD, g.PAD}} {
		if k.id != nil {
			d.set(k.key, *k.id)
		}
	}
	for _, k := range []struct {
		key string
		on  *bool
	}{{keyAddBOS, g.AddBOS}, {keyAddEOS, g.AddEOS}, {keyAddPrefix, g.AddSpacePrefix}, {keyRemove, g.RemoveExtraWhitespaces}} {
		if k.on != nil {
			d.set(k.key, *k.on)
		}
	}
}

// ggufEnds writes the ids beside the tokenizer's EOS that end a text.
func ggufEnds(d *metadata, m *Model, r *Report) {
	keys := []string{keyEOT, keyEOM}
	var eos int32
	var ok bool
	if m.Tokenizer != nil {
		eos, ok = m.Tokenizer.EOS()
	}
	if !ok {
		keys = append([]string{keyEOS}, keys...)
	}
	for _, id := range m.StopIDs {
		if ok && id == eos {
			continue
		}
		if len(keys) == 0 {
			r.note("GGUF has no place for more than three end tokens: id %d is left out", id)
			continue
		}
		d.set(keys[0], uint32(id))
		keys = keys[1:]
	}
}
