package modelfile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/cria-llm/cria/internal/format/safetensors"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/sys/atomicfile"
	"github.com/cria-llm/cria/internal/tensor"
)

// writeHF writes a Hugging Face directory: into a new one beside the target,
// which takes the target's name when all is there.
func writeHF(ctx context.Context, m *Model, out string, opt ConvertOptions) (*Report, error) {
	// A link to a directory stays, and what it leads to is written: also the temporary files then
	// lie on that file system.
	if st, err := os.Lstat(out); err == nil && st.Mode()&os.ModeSymlink != 0 {
		if out, err = filepath.EvalSymlinks(out); err != nil {
			return nil, err
		}
	}
	items, err := hfItems(m, opt.Type)
	if err != nil {
		return nil, err
	}
	r := report(out, FormatHF, items)
	dir := filepath.Join(filepath.Dir(filepath.Clean(out)), fmt.Sprintf(".%s.tmp-%08x", filepath.Base(out), rand.Uint32()))
	if err := os.Mkdir(dir, 0o777); err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	infos := make([]safetensors.TensorInfo, len(items))
	for i, it := range items {
		infos[i] = safetensors.TensorInfo{Name: it.name, Type: it.to, Dims: it.dims()}
	}
	w, err := safetensors.CreateSharded(dir, safetensors.DefaultShardBytes, infos)
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
	texts, err := hfTexts(m, items[0].to, r)
	if err != nil {
		return nil, err
	}
	for _, t := range texts {
		if err := atomicfile.WriteFile(filepath.Join(dir, t.name), t.data); err != nil {
			return nil, err
		}
	}
	if r.Files, err = moveInto(dir, out); err != nil {
		return nil, err
	}
	return r, nil
}

// hfItems chooses types: floats only. Norms get the matrices' type where that
// loses nothing, so that a directory has one type, as transformers writes it.
func hfItems(m *Model, typ string) ([]*item, error) {
	as := tensor.Invalid
	if typ != "" {
		var err error
		if as, err = tensor.ParseDType(typ); err != nil || !as.IsFloat() {
			return nil, fmt.Errorf("modelfile: type %q for a Hugging Face directory; use f32, f16 or bf16, or write a .gguf file", typ)
		}
	}
	norms := as
	if as == tensor.Invalid {
		var err error
		if norms, err = commonNormType(m); err != nil {
			return nil, err
		}
	}
	var items []*item
	for _, e := range m.entries {
		to := as
		switch {
		case e.norm && norms != tensor.Invalid:
			to = norms
		case to == tensor.Invalid:
			to = e.info.Type
		}
		if to.IsQuant() {
			return nil, fmt.Errorf("%s: %s is %s, which a Hugging Face directory cannot hold: choose a type to widen to (--type f16, bf16 or f32)", m.Path, e.info.Name, to)
		}
		it := &item{name: e.in(dialectHF, e.layer), src: e.src, to: to, wanted: to, norm: e.norm}
		if e.rotary {
			it.src = &permuted{e.src, m.Config.HeadDim, false}
		}
		items = append(items, it)
	}
	return items, nil
}

// commonNormType returns the embedding table's type if it holds all norms
// exactly, else Invalid: each norm keeps its type.
func commonNormType(m *Model) (tensor.DType, error) {
	to := m.entries[0].info.Type
	if !to.IsFloat() {
		return tensor.Invalid, nil
	}
	for _, e := range m.entries {
		if !e.norm || e.info.Type == to {
			continue
		}
		x, err := readFloats(e.src)
		if err != nil {
			return tensor.Invalid, err
		}
		raw, back := make([]byte, to.RowBytes(len(x))), make([]float32, len(x))
		if err := quant.Quantize(to, raw, x, len(x), nil); err != nil {
			return tensor.Invalid, err
		}
		quant.Dequantize(to, back, raw)
		for i := range x {
			if math.Float32bits(x[i]) != math.Float32bits(back[i]) {
				return tensor.Invalid, nil
			}
		}
	}
	return to, nil
}

// textFile is a small file of a directory.
type textFile struct {
	name string
	data []byte
}

// hfTexts makes everything but the weights.
func hfTexts(m *Model, typ tensor.DType, r *Report) ([]textFile, error) {
	config, err := encodeJSON(hfConfigFields(m, typ))
	if err != nil {
		return nil, err
	}
	generation, err := encodeJSON(endFields(m))
	if err != nil {
		return nil, err
	}
	texts := []textFile{{"config.json", config}, {"generation_config.json", generation}}
	if m.License != "" {
		texts = append(texts, textFile{cardName, modelCard(m.License)})
	}
	tok := m.Tokenizer
	if tok == nil {
		r.note("the model has no tokenizer, so the written one has none")
		if m.Template != "" {
			texts = append(texts, textFile{"chat_template.jinja", []byte(m.Template)})
		}
		return texts, nil
	}
	tokConfig, special, err := tok.HFConfig(m.Template)
	if err != nil {
		return nil, err
	}
	texts = append(texts, textFile{"tokenizer.model", tok.Model()}, textFile{"tokenizer_config.json", tokConfig}, textFile{"special_tokens_map.json", special})
	fast, err := tok.JSON()
	if err != nil {
		r.note("no tokenizer.json is written, tokenizer.model alone holds the vocabulary: %v", err)
		return texts, nil
	}
	return append(texts, textFile{"tokenizer.json", fast}), nil
}

// cardName is the model card, which carries the licence in its header.
const cardName = "README.md"

var licenseID = regexp.MustCompile(`^[a-z0-9.-]+$`)

// modelCard is a card of nothing but the licence, by the hub's identifier or by
// name.
func modelCard(license string) []byte {
	if licenseID.MatchString(license) {
		return fmt.Appendf(nil, "---\nlicense: %s\n---\n", license)
	}
	return fmt.Appendf(nil, "---\nlicense: other\nlicense_name: \"%s\"\n---\n", strings.NewReplacer(`"`, "'", `\`, "/").Replace(license))
}

// number prints as the shortest decimal that gives the same float32.
type number float32

func (n number) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(n), 'g', -1, 32), nil
}

// real prints with a decimal point, as Python does.
type real float64

func (n real) MarshalJSON() ([]byte, error) {
	b := strconv.AppendFloat(nil, float64(n), 'g', -1, 64)
	if !bytes.ContainsAny(b, ".e") {
		b = append(b, ".0"...)
	}
	return b, nil
}

var torchNames = map[tensor.DType]string{tensor.F32: "float32", tensor.F16: "float16", tensor.BF16: "bfloat16"}

// hfConfigFields are those of config.json, under the names that transformers 4
// and 5 both read.
func hfConfigFields(m *Model, typ tensor.DType) map[string]any {
	c := &m.Config
	f := map[string]any{
		"architectures": []string{"LlamaForCausalLM"}, "model_type": "llama", "hidden_act": "silu",
		"attention_bias": false, "attention_dropout": real(0), "mlp_bias": false, "initializer_range": number(InitStd),
		"pretraining_tp": 1, "use_cache": true, "rope_scaling": nil,
		"hidden_size": c.Dim, "intermediate_size": c.HiddenDim, "num_hidden_layers": c.NLayers, "num_attention_heads": c.NHeads,
		"num_key_value_heads": c.NKVHeads, "head_dim": c.HeadDim, "vocab_size": c.VocabSize, "max_position_embeddings": c.MaxSeqLen,
		"rms_norm_eps": number(c.NormEps), "rope_theta": real(c.RopeTheta), "tie_word_embeddings": c.TiedEmbeddings, "torch_dtype": torchNames[typ],
	}
	if c.RopeScale.Kind != llama.RopeNone {
		f["rope_scaling"] = map[string]any{"type": c.RopeScale.Kind, "factor": real(c.RopeScale.Factor)}
	}
	for key, v := range endFields(m) {
		f[key] = v
	}
	return f
}

// endFields are the ids that begin and end a text.
func endFields(m *Model) map[string]any {
	f := map[string]any{}
	if m.Tokenizer != nil {
		if id, ok := m.Tokenizer.BOS(); ok {
			f["bos_token_id"] = id
		}
		if id, ok := m.Tokenizer.PAD(); ok {
			f["pad_token_id"] = id
		}
	}
	switch len(m.StopIDs) {
	case 0:
	case 1:
		f["eos_token_id"] = m.StopIDs[0]
	default:
		f["eos_token_id"] = m.StopIDs
	}
	return f
}

func encodeJSON(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	return append(b, '\n'), err
}

// modelFiles match what a Hugging Face model consists of: when one takes the
// place of another, none of the old ones may stay, since readers would mix them.
var modelFiles = []string{
	"config.json", "generation_config.json", "model*.safetensors", "model.safetensors.index.json", "pytorch_model*.bin", "pytorch_model.bin.index.json",
	"tokenizer.model", "tokenizer.json", "tokenizer.bin", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "chat_template.jinja",
}

// moveInto gives a finished directory its name, or, where there is a directory of
// that name, moves its files there; config.json, which makes a directory a model,
// goes last and its old one first. Files that are no part of a model stay, and so
// does a model card.
func moveInto(dir, out string) (moved []string, err error) {
	if exists(filepath.Join(out, cardName)) {
		if err := os.Remove(filepath.Join(dir, cardName)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		moved = append(moved, filepath.Join(out, e.Name()))
	}
	if err := os.Remove(out); err == nil || errors.Is(err, os.ErrNotExist) { // an empty directory goes
		return moved, os.Rename(dir, out)
	}
	for _, pattern := range modelFiles {
		for _, old := range files(out, pattern) {
			if err := os.Remove(old); err != nil {
				return nil, err
			}
		}
	}
	for _, last := range []bool{false, true} {
		for _, e := range entries {
			if last == (e.Name() == "config.json") {
				if err := os.Rename(filepath.Join(dir, e.Name()), filepath.Join(out, e.Name())); err != nil {
					return nil, err
				}
			}
		}
	}
	return moved, nil
}
