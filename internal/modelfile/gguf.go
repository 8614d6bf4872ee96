package modelfile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/gguf"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// keyValue is one entry of a GGUF file's metadata.
type keyValue = gguf.KV

// Keys of GGUF metadata. The names are llama.cpp's (llama-arch.cpp).
const (
	keyArchitecture = "general.architecture"
	keyType         = "general.type"
	keyName         = "general.name"
	keyLicense      = "general.license"
	keyLicenseName  = "general.license.name"
	keyFileType     = "general.file_type"
	keyQuantVersion = "general.quantization_version"

	keyContext      = "llama.context_length"
	keyDim          = "llama.embedding_length"
	keyBlocks       = "llama.block_count"
	keyHidden       = "llama.feed_forward_length"
	keyHeads        = "llama.attention.head_count"
	keyKVHeads      = "llama.attention.head_count_kv"
	keyKeyLength    = "llama.attention.key_length"
	keyValueLength  = "llama.attention.value_length"
	keyEps          = "llama.attention.layer_norm_rms_epsilon"
	keyRopeDims     = "llama.rope.dimension_count"
	keyRopeBase     = "llama.rope.freq_base"
	keyScalingType  = "llama.rope.scaling.type"
	keyScaling      = "llama.rope.scaling.factor"
	keyScalingFrom  = "llama.rope.scaling.original_context_length"
	keyScalingTuned = "llama.rope.scaling.finetuned"
	keyScaleLinear  = "llama.rope.scale_linear" // the older name of keyScaling
	keyVocab        = "llama.vocab_size"
	keyExperts      = "llama.expert_count"
	keyExpertsUsed  = "llama.expert_used_count"
	keyLayout       = "llama.tensor_data_layout"

	keyTemplate  = "tokenizer.chat_template"
	keyTokModel  = "tokenizer.ggml.model"
	keyTokPre    = "tokenizer.ggml.pre"
	keyTokens    = "tokenizer.ggml.tokens"
	keyScores    = "tokenizer.ggml.scores"
	keyTokTypes  = "tokenizer.ggml.token_type"
	keyBOS       = "tokenizer.ggml.bos_token_id"
	keyEOS       = "tokenizer.ggml.eos_token_id"
	keyUNK       = "tokenizer.ggml.unknown_token_id"
	keyPAD       = "tokenizer.ggml.padding_token_id"
	keyEOT       = "tokenizer.ggml.eot_token_id" // end of a turn
	keyEOM       = "tokenizer.ggml.eom_token_id" // end of a message
	keyAddBOS    = "tokenizer.ggml.add_bos_token"
	keyAddEOS    = "tokenizer.ggml.add_eos_token"
	keyAddPrefix = "tokenizer.ggml.add_space_prefix"
	keyRemove    = "tokenizer.ggml.remove_extra_whitespaces"
)

var ggufKeys = keyTable{
	"Dim": keyDim, "NLayers": keyBlocks, "NHeads": keyHeads, "NKVHeads": keyKVHeads, "HeadDim": keyKeyLength, "HiddenDim": keyHidden,
	"VocabSize": keyVocab, "MaxSeqLen": keyContext, "NormEps": keyEps, "RopeTheta": keyRopeBase,
	"RopeScale.Factor": keyScaling, "RopeScale.Kind": keyScalingType,
}

// openGGUF opens a GGUF file or set.
func openGGUF(m *Model, opt OpenOptions) error {
	f, err := gguf.Open(m.Path)
	if err != nil {
		return err
	}
	return m.fromGGUF(f, opt)
}

// fromGGUF takes over an open file.
func (m *Model) fromGGUF(f *gguf.File, opt OpenOptions) (err error) {
	m.closers = append(m.closers, f.Close)
	m.Files = f.Files()
	m.Detail = fmt.Sprintf("GGUF v%d, %s", f.Version, counted(len(m.Files), "file"))
	if err := readGGUFConfig(f, &m.Config); err != nil {
		return err
	}
	c := collector{m: m, dialect: dialectGGUF, keys: ggufKeys, file: m.Path}
	if err := c.collect(f.Tensors()); err != nil {
		return err
	}
	m.metadata = f.KVs()
	if m.Name, _, err = f.GetString(keyName); err != nil {
		return err
	}
	m.Name = cmp.Or(firstLine(m.Name), baseName(m.Path))
	for _, key := range []string{keyLicenseName, keyLicense} {
		license, _, err := f.GetString(key)
		if err != nil {
			return err
		}
		m.License = cmp.Or(m.License, firstLine(license))
	}
	if err := m.ggufVocab(f, opt); err != nil {
		return err
	}
	text, ok, err := f.GetString(keyTemplate)
	if err != nil {
		return err
	}
	if ok {
		if err := m.setTemplate(text, m.Path, keyTemplate, m.Path+": "+keyTemplate); err != nil {
			return err
		}
	}
	m.noteTypes(f)
	m.noteRope()
	return nil
}

// ggufReader reads metadata and keeps the first error.
type ggufReader struct {
	f   *gguf.File
	err error
}

// uint returns a whole number; def stands for a missing key, -1 for none.
func (r *ggufReader) uint(key string, def int) int {
	if r.err != nil {
		return 0
	}
	v, ok, err := r.f.GetUint(key)
	switch {
	case err != nil:
		r.err = err
	case ok && v > 1<<40:
		r.err = ferr.New(ferr.Malformed, r.f.Path(), key, v, "no model is that large")
	case ok:
		return int(v)
	case def < 0:
		r.err = ferr.New(ferr.Malformed, r.f.Path(), key, nil, "the key is missing")
	}
	return def
}

func (r *ggufReader) float(key string, def float64) float64 {
	if r.err != nil {
		return 0
	}
	v, ok, err := r.f.GetFloat(key)
	switch {
	case err != nil:
		r.err = err
	case ok:
		return v
	case def < 0:
		r.err = ferr.New(ferr.Malformed, r.f.Path(), key, nil, "the key is missing")
	}
	return def
}

// ggufKnown are the keys of the architecture that are read, and those that say
// nothing that matters here. Another one may change what the model computes, so
// it is refused by name.
var ggufKnown = []string{
	keyContext, keyDim, keyBlocks, keyHidden, keyHeads, keyKVHeads, keyKeyLength, keyValueLength, keyEps, keyRopeDims, keyRopeBase,
	keyScalingType, keyScaling, keyScalingFrom, keyScalingTuned, keyScaleLinear, keyVocab, keyExperts, keyExpertsUsed, keyLayout,
}

// readGGUFConfig reads the shape. What an absent key means is what llama.cpp
// makes of it.
func readGGUFConfig(f *gguf.File, c *llama.Config) error {
	for _, k := range []struct{ key, want, hint string }{
		{keyArchitecture, "llama", ""}, {keyType, "model", "an adapter or a part of a model is not a model"},
		{keyLayout, "Meta AI original pth", ""},
	} {
		v, ok, err := f.GetString(k.key)
		switch {
		case err != nil:
			return err
		case !ok && k.key == keyArchitecture:
			return ferr.New(ferr.Malformed, f.Path(), k.key, nil, "the key is missing")
		case ok && v != k.want:
			return ferr.New(ferr.Unsupported, f.Path(), k.key, v, "only %q is known", k.want).WithHint(k.hint)
		}
	}
	for _, kv := range f.KVs() {
		if strings.HasPrefix(kv.Key, "llama.") && !slices.Contains(ggufKnown, kv.Key) {
			return ferr.New(ferr.Unsupported, f.Path(), kv.Key, nil, "this key of the architecture is not known, and may change what the model computes")
		}
	}
	embed := f.Lookup(kindEmbed.name[dialectGGUF])
	if embed == nil || len(embed.Dims) != 2 {
		return ferr.New(ferr.Malformed, f.Path(), "tensors", nil, "missing or no matrix: %s", kindEmbed.name[dialectGGUF]).
			WithHint("a file with a vocabulary alone is no model")
	}
	r := ggufReader{f: f}
	c.Dim, c.NLayers, c.NHeads = r.uint(keyDim, -1), r.uint(keyBlocks, -1), r.uint(keyHeads, -1)
	c.NKVHeads = r.uint(keyKVHeads, c.NHeads)
	c.HiddenDim, c.MaxSeqLen = r.uint(keyHidden, -1), r.uint(keyContext, -1)
	c.NormEps, c.RopeTheta = float32(r.float(keyEps, -1)), r.float(keyRopeBase, 10000)
	c.VocabSize = embed.Dims[0]
	c.TiedEmbeddings = f.Lookup(kindHead.name[dialectGGUF]) == nil
	experts, vocab := r.uint(keyExperts, 0), r.uint(keyVocab, embed.Dims[0])
	if r.err != nil {
		return r.err
	}
	if experts != 0 {
		return ferr.New(ferr.Unsupported, f.Path(), keyExperts, experts, "mixtures of experts are not supported")
	}
	if vocab != c.VocabSize {
		return ferr.New(ferr.Malformed, f.Path(), keyVocab, vocab, "%s has %d rows", embed.Key, c.VocabSize)
	}
	if err := ggufHeadDim(f, &r, c); err != nil {
		return err
	}
	if err := ggufScaling(f, &r, c); err != nil {
		return err
	}
	return configError(c.Validate(), f.Path(), dialectGGUF, ggufKeys)
}

// ggufHeadDim reads the head dimension, which three keys may give.
func ggufHeadDim(f *gguf.File, r *ggufReader, c *llama.Config) error {
	keyLen := r.uint(keyKeyLength, 0)
	if _, ok := f.Get(keyKeyLength); !ok && r.err == nil {
		var err error
		if keyLen, err = headDim(f.Path(), dialectGGUF, ggufKeys, c); err != nil {
			return err
		}
	}
	c.HeadDim = keyLen
	for _, key := range []string{keyValueLength, keyRopeDims} {
		if v := r.uint(key, keyLen); r.err == nil && v != keyLen {
			return ferr.New(ferr.Unsupported, f.Path(), key, v, "heads have %d elements; values of another length and rotation of a part are not supported", keyLen)
		}
	}
	return r.err
}

// ggufScaling reads rotary scaling. A factor without a type is linear.
func ggufScaling(f *gguf.File, r *ggufReader, c *llama.Config) error {
	kind, ok, err := f.GetString(keyScalingType)
	if err != nil {
		return err
	}
	if !ok {
		kind = "linear"
	}
	old := r.float(keyScaleLinear, 0)
	factor := r.float(keyScaling, old)
	if r.err != nil {
		return r.err
	}
	if _, ok := f.Get(keyScaleLinear); ok && old != factor {
		return ferr.New(ferr.Malformed, f.Path(), keyScaleLinear, old, "%s is %g", keyScaling, factor)
	}
	switch kind {
	case "none":
	case "linear":
		if factor != 0 && factor != 1 {
			c.RopeScale = llama.RopeScaling{Kind: llama.RopeLinear, Factor: factor}
		}
	default:
		return ferr.New(ferr.Unsupported, f.Path(), keyScalingType, kind, "linear is known")
	}
	return nil
}

// noToken is llama.cpp's way to say that there is no such token.
const noToken = 1<<32 - 1

// ggufVocab reads the tokenizer and the ids that end a text.
func (m *Model) ggufVocab(f *gguf.File, opt OpenOptions) error {
	// The file's own end ids hold with any tokenizer: the model was trained on them.
	ends := []string{keyEOS, keyEOT, keyEOM}
	var tok *tokenizer.Tokenizer
	var err error
	if opt.Tokenizer != "" {
		err = m.setTokenizer(opt, "", m.Path, keyVocab)
	} else {
		tok, err = ggufTokenizer(f)
	}
	if err != nil {
		return err
	}
	if tok != nil {
		m.Tokenizer, m.TokenizerFrom = tok, m.Path
		if n := tok.VocabSize(); n != m.Config.VocabSize {
			return ferr.New(ferr.Malformed, m.Path, keyTokens, nil, "it has %d entries, but %s has %d rows", n, kindEmbed.name[dialectGGUF], m.Config.VocabSize)
		}
		if id, ok := tok.EOS(); ok {
			m.addStop(id)
		}
		ends = ends[1:]
	}
	for _, key := range ends {
		id, ok, err := f.GetUint(key)
		switch {
		case err != nil:
			return err
		case !ok || id == noToken:
		case id >= uint64(m.Config.VocabSize):
			return ferr.New(ferr.Malformed, m.Path, key, id, "ids are 0 to %d", m.Config.VocabSize-1)
		default:
			m.addStop(int32(id))
		}
	}
	return nil
}

// ggufTokenizer makes a tokenizer of a file's metadata; nil where it has none.
func ggufTokenizer(f *gguf.File) (*tokenizer.Tokenizer, error) {
	model, ok, err := f.GetString(keyTokModel)
	if err != nil || !ok || model == "no_vocab" || model == "none" {
		return nil, err
	}
	g := tokenizer.GGUF{Model: model}
	if g.Tokens, _, err = f.GetStrings(keyTokens); err != nil {
		return nil, err
	}
	if g.Scores, _, err = f.GetFloat32s(keyScores); err != nil {
		return nil, err
	}
	if g.Types, _, err = f.GetInt32s(keyTokTypes); err != nil {
		return nil, err
	}
	for _, k := range []struct {
		key string
		to  **uint32
	}{{keyBOS, &g.BOS}, {keyEOS, &g.EOS}, {keyUNK, &g.UNK}, {keyPAD, &g.PAD}} {
		v, ok, err := f.GetUint(k.key)
		if err != nil {
			return nil, err
		}
		if !ok || v == noToken {
			continue
		}
		if v > 1<<31 {
			return nil, ferr.New(ferr.Malformed, f.Path(), k.key, v, "the vocabulary has %d tokens", len(g.Tokens))
		}
		*k.to = new(uint32(v))
	}
	for _, k := range []struct {
		key string
		to  **bool
	}{{keyAddBOS, &g.AddBOS}, {keyAddEOS, &g.AddEOS}, {keyAddPrefix, &g.AddSpacePrefix}, {keyRemove, &g.RemoveExtraWhitespaces}} {
		v, ok, err := f.GetBool(k.key)
		if err != nil {
			return nil, err
		}
		if ok {
			*k.to = &v
		}
	}
	tok, err := tokenizer.FromGGUF(g)
	if err != nil {
		return nil, tokenizerError(f.Path(), err)
	}
	return tok, nil
}
