package modelfile_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/format/gguf"
	"github.com/cria-llm/cria/internal/format/hostile"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/tensor"
)

// openClose is what the cases are refused by.
func openClose(path string) error {
	m, err := modelfile.Open(path, modelfile.OpenOptions{})
	if err != nil {
		return err
	}
	return m.Close()
}

// ggufFile is a GGUF file to be spoiled: keys and tensors of a sound model.
type ggufFile struct {
	kvs     map[string]any
	tensors map[string]*rawTensor
}

type rawTensor struct {
	typ  tensor.DType
	dims []int
	data []byte
}

// readGGUF takes a sound model apart.
func readGGUF(t testing.TB, path string) *ggufFile {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	g := &ggufFile{map[string]any{}, map[string]*rawTensor{}}
	for _, kv := range f.KVs() {
		g.kvs[kv.Key] = kv.Value
	}
	for _, x := range f.Tensors() {
		g.tensors[x.Key] = &rawTensor{x.Type, x.Dims, rawOf(t, x)}
	}
	return g
}

// write puts it together again.
func (g *ggufFile) write(t testing.TB, path string) {
	t.Helper()
	var kvs []gguf.KV
	for _, key := range slices.Sorted(maps.Keys(g.kvs)) {
		kvs = append(kvs, gguf.KV{Key: key, Value: g.kvs[key]})
	}
	var infos []gguf.TensorInfo
	names := slices.Sorted(maps.Keys(g.tensors))
	for _, name := range names {
		infos = append(infos, gguf.TensorInfo{Name: name, Type: g.tensors[name].typ, Dims: g.tensors[name].dims})
	}
	w, err := gguf.Create(path, kvs, infos)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := w.WriteTensor(name, g.tensors[name].data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// soundGGUF writes a small model with a tokenizer of 280 tokens.
func soundGGUF(t testing.TB) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "sound.gguf")
	convert(t, openModel(t, filepath.Join("testdata", "hf", "mha-bf16"), modelfile.OpenOptions{}), out, modelfile.ConvertOptions{})
	return out
}

func TestHostileGGUF(t *testing.T) {
	sound := soundGGUF(t)
	factors := make([]byte, 16)
	type edit func(g *ggufFile)
	set := func(key string, value any) edit { return func(g *ggufFile) { g.kvs[key] = value } }
	drop := func(key string) edit { return func(g *ggufFile) { delete(g.kvs, key) } }
	for _, c := range []struct {
		name         string
		check        int
		field, value string
		edit         edit
	}{
		{"no heads", 11, "llama.attention.head_count is 0", "blk.0.attn_q.weight", func(g *ggufFile) {
			g.kvs["llama.attention.head_count"] = uint32(0)
		}},
		{"KV heads do not divide", 11, "llama.attention.head_count_kv is 3", "blk.0.attn_k.weight", set("llama.attention.head_count_kv", uint32(3))},
		{"2^31 blocks", 11, "llama.block_count is 2147483648", "", set("llama.block_count", uint32(1<<31))},
		{"more blocks than tensors", 11, "missing", "blk.2.attn_norm.weight", set("llama.block_count", uint32(10000))},
		{"fewer blocks than tensors", 0, "does not use", "blk.1.attn_norm.weight", set("llama.block_count", uint32(1))},
		{"fewer tokens than rows", 11, "tokenizer.ggml.tokens", "token_embd.weight has 280", func(g *ggufFile) {
			g.kvs["tokenizer.ggml.tokens"] = g.kvs["tokenizer.ggml.tokens"].([]string)[:279]
			g.kvs["tokenizer.ggml.scores"] = g.kvs["tokenizer.ggml.scores"].([]float32)[:279]
			g.kvs["tokenizer.ggml.token_type"] = g.kvs["tokenizer.ggml.token_type"].([]int32)[:279]
		}},
		{"more tokens than rows", 11, "tokenizer.ggml.tokens", "281 entries", func(g *ggufFile) {
			g.kvs["tokenizer.ggml.tokens"] = append(slices.Clone(g.kvs["tokenizer.ggml.tokens"].([]string)), "x")
			g.kvs["tokenizer.ggml.scores"] = append(slices.Clone(g.kvs["tokenizer.ggml.scores"].([]float32)), 0)
			g.kvs["tokenizer.ggml.token_type"] = append(slices.Clone(g.kvs["tokenizer.ggml.token_type"].([]int32)), 1)
		}},
		{"NaN scores", 11, "scores", "NaN", func(g *ggufFile) {
			scores := slices.Clone(g.kvs["tokenizer.ggml.scores"].([]float32))
			scores[270] = float32(math.NaN())
			g.kvs["tokenizer.ggml.scores"] = scores
		}},
		{"EOS out of range", 11, "eos_token_id", "280", set("tokenizer.ggml.eos_token_id", uint32(280))},
		{"end of turn out of range", 11, "tokenizer.ggml.eot_token_id", "280", set("tokenizer.ggml.eot_token_id", uint32(280))},
		{"vocabulary size", 11, "llama.vocab_size is 32000", "280 rows", set("llama.vocab_size", uint32(32000))},
		{"eps", 11, "llama.attention.layer_norm_rms_epsilon is 0", "", set("llama.attention.layer_norm_rms_epsilon", float32(0))},
		{"NaN base", 11, "llama.rope.freq_base", "NaN", set("llama.rope.freq_base", float32(math.NaN()))},
		{"text for a number", 11, "llama.embedding_length", "string", set("llama.embedding_length", "32")},
		{"a number for each layer", 0, "llama.feed_forward_length", "array of int32", set("llama.feed_forward_length", []int32{88, 88})},
		{"no key", 11, "llama.context_length", "missing", drop("llama.context_length")},
		{"width", 11, "token_embd.weight", "llama.embedding_length", set("llama.embedding_length", uint32(64))},
		{"template of 10 MB", 22, "tokenizer.chat_template", "", set("tokenizer.chat_template", strings.Repeat("{{x}}", 2<<20))},
		{"template with NUL", 22, "tokenizer.chat_template", "NUL", set("tokenizer.chat_template", "{{ bos_token }}\x00")},
		{"architecture", 0, "general.architecture", `"qwen2"`, set("general.architecture", "qwen2")},
		{"adapter", 0, "general.type", `"adapter"`, set("general.type", "adapter")},
		{"experts", 0, "llama.expert_count is 8", "", set("llama.expert_count", uint32(8))},
		{"two factors", 0, "llama.rope.scale_linear is 2", "4", func(g *ggufFile) {
			g.kvs["llama.rope.scale_linear"], g.kvs["llama.rope.scaling.factor"] = float32(2), float32(4)
		}},
		{"yarn", 0, "llama.rope.scaling.type", `"yarn"`, set("llama.rope.scaling.type", "yarn")},
		{"partial rotation", 0, "llama.rope.dimension_count is 4", "", set("llama.rope.dimension_count", uint32(4))},
		{"value length", 0, "llama.attention.value_length is 16", "", set("llama.attention.value_length", uint32(16))},
		{"unknown key", 0, "llama.attention.sliding_window", "", set("llama.attention.sliding_window", uint32(64))},
		{"tokenizer kind", 0, "tokenizer.ggml.model", `"gpt2"`, set("tokenizer.ggml.model", "gpt2")},
		{"missing tensor", 0, "missing", "blk.1.ffn_up.weight", func(g *ggufFile) { delete(g.tensors, "blk.1.ffn_up.weight") }},
		{"no embedding", 0, "missing", "token_embd.weight", func(g *ggufFile) { delete(g.tensors, "token_embd.weight") }},
		{"unused tensor", 0, "does not use", "blk.0.attn_q.bias", func(g *ggufFile) {
			g.tensors["blk.0.attn_q.bias"] = &rawTensor{tensor.F32, []int{1}, factors[:4]}
		}},
		{"frequency factors", 0, "rope_freqs.weight", "Llama 3.1", func(g *ggufFile) {
			g.tensors["rope_freqs.weight"] = &rawTensor{tensor.F32, []int{4}, factors}
		}},
		{"integer weights", 0, "blk.0.ffn_up.weight", "I8", func(g *ggufFile) {
			x := g.tensors["blk.0.ffn_up.weight"]
			g.tensors["blk.0.ffn_up.weight"] = &rawTensor{tensor.I8, x.dims, x.data[:len(x.data)/2]}
		}},
		{"matrix for a vector", 0, "output_norm.weight", "(1, 32)", func(g *ggufFile) {
			x := *g.tensors["output_norm.weight"]
			x.dims = []int{1, 32}
			g.tensors["output_norm.weight"] = &x
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := readGGUF(t, sound)
			c.edit(g)
			bad := filepath.Join(t.TempDir(), "bad.gguf")
			g.write(t, bad)
			data, err := os.ReadFile(bad)
			if err != nil {
				t.Fatal(err)
			}
			hostile.Refuse(t, &hostile.Case{Name: c.name, Check: c.check, Field: c.field, Value: c.value, Files: func() []hostile.File {
				return []hostile.File{{Name: "bad.gguf", Data: data}}
			}}, openClose)
		})
	}
}

// hfFiles reads a directory of testdata.
func hfFiles(t testing.TB, dir string) map[string][]byte {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range list {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// withKeys returns a JSON object with some keys set or, where nil, removed.
func withKeys(t testing.TB, object []byte, keys map[string]any) []byte {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(object, &o); err != nil {
		t.Fatal(err)
	}
	for k, v := range keys {
		if o[k] = v; v == nil {
			delete(o, k)
		}
	}
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type keys = map[string]any

func TestHostileConfig(t *testing.T) {
	sound := hfFiles(t, filepath.Join("testdata", "hf", "mha-bf16"))
	for _, c := range []struct {
		name         string
		check        int
		field, value string
		keys         keys
	}{
		{"no heads", 11, "num_attention_heads is 0", "q_proj", keys{"num_attention_heads": 0}},
		{"KV heads do not divide", 11, "num_key_value_heads is 3", "k_proj", keys{"num_key_value_heads": 3}},
		{"2^31 layers", 11, "num_hidden_layers is 2147483648", "", keys{"num_hidden_layers": 1 << 31}},
		{"another vocabulary", 11, "vocab_size", "embed_tokens.weight", keys{"vocab_size": 200}},
		{"heads that do not divide", 11, "num_attention_heads is 5", "hidden_size", keys{"num_attention_heads": 5, "head_dim": nil}},
		{"odd head", 11, "head_dim is 7", "", keys{"head_dim": 7}},
		{"negative", 11, "hidden_size is -32", "", keys{"hidden_size": -32}},
		{"fraction", 11, "hidden_size is 32.5", "whole number", keys{"hidden_size": 32.5}},
		{"text", 11, `hidden_size is "32"`, "whole number", keys{"hidden_size": "32"}},
		{"no key", 11, "intermediate_size", "missing", keys{"intermediate_size": nil}},
		{"end id", 11, "eos_token_id is 280", "279", keys{"eos_token_id": []int{2, 280}[1]}},
		{"architecture", 0, "model_type", `"mistral"`, keys{"model_type": "mistral"}},
		{"head", 0, "architectures", "LlamaForSequenceClassification", keys{"architectures": []string{"LlamaForSequenceClassification"}}},
		{"biases", 0, "attention_bias is true", "", keys{"attention_bias": true}},
		{"more biases", 0, "mlp_bias is true", "", keys{"mlp_bias": true}},
		{"activation", 0, `hidden_act is "gelu"`, "silu", keys{"hidden_act": "gelu"}},
		{"quantised", 0, "quantization_config", "gptq", keys{"quantization_config": keys{"quant_method": "gptq"}}},
		{"window", 0, "sliding_window is 4096", "", keys{"sliding_window": 4096}},
		{"llama3", 0, "rope_scaling.type", `"llama3"`, keys{"rope_scaling": keys{"rope_type": "llama3", "factor": 8}}},
		{"yarn", 0, "rope_parameters.type", `"yarn"`, keys{"rope_parameters": keys{"rope_type": "yarn", "factor": 8}}},
		{"no factor", 0, "rope_scaling.factor", "missing", keys{"rope_scaling": keys{"type": "linear"}}},
		{"factor", 11, "rope_scaling.factor is 0.5", "", keys{"rope_scaling": keys{"type": "linear", "factor": 0.5}}},
		{"unknown scaling key", 0, "rope_scaling.alpha is 3", "", keys{"rope_scaling": keys{"type": "linear", "factor": 2, "alpha": 3}}},
		{"two types", 0, "rope_scaling.type", "dynamic", keys{"rope_scaling": keys{"type": "linear", "rope_type": "dynamic", "factor": 2}}},
		{"two bases", 0, "rope_parameters.rope_theta is 20000", "10000", keys{"rope_theta": 10000, "rope_parameters": keys{"rope_type": "default", "rope_theta": 20000}}},
		{"two inner bases", 0, "rope_parameters.rope_theta is 20000", "30000", keys{"rope_theta": nil,
			"rope_scaling":    keys{"rope_type": "default", "rope_theta": 30000},
			"rope_parameters": keys{"rope_type": "default", "rope_theta": 20000}}},
		{"partial rotation", 0, "partial_rotary_factor is 0.5", "", keys{"partial_rotary_factor": 0.5}},
		{"tied with another head", 0, "lm_head.weight", "tie_word_embeddings", keys{"tie_word_embeddings": true}},
		{"narrow", 0, "embed_tokens.weight", "hidden_size", keys{"hidden_size": 64, "head_dim": 8}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := []hostile.File{}
			for name, data := range sound {
				if name == "config.json" {
					data = withKeys(t, data, c.keys)
				}
				files = append(files, hostile.File{Name: name, Data: data})
			}
			hostile.Refuse(t, &hostile.Case{Name: c.name, Check: c.check, Field: c.field, Value: c.value, Open: ".", Files: func() []hostile.File { return files }}, openClose)
		})
	}
}

// TestHostileTexts spoils the small files of a Hugging Face directory.
func TestHostileTexts(t *testing.T) {
	sound := hfFiles(t, filepath.Join("testdata", "hf", "mha-bf16"))
	long, err := json.Marshal(keys{"chat_template": strings.Repeat("{{x}}", 2<<20)})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name         string
		check        int
		file         string
		data         []byte
		field, value string
	}{
		{"template of 10 MB", 22, "tokenizer_config.json", long, "chat_template", "at most"},
		{"template with NUL", 22, "tokenizer_config.json", []byte(`{"chat_template": "a\u0000b"}`), "chat_template", "NUL"},
		{"named template with NUL", 22, "tokenizer_config.json", []byte(`{"chat_template": [{"name": "default", "template": "a\u0000b"}]}`), "chat_template", "NUL"},
		{"template file of 10 MB", 22, "chat_template.jinja", []byte(strings.Repeat("{{x}}", 2<<20)), "chat template", "at most"},
		{"template file with NUL", 22, "chat_template.jinja", []byte("a\x00b"), "chat template", "NUL"},
		{"no object", 11, "config.json", []byte(`[1]`), "config.json", "JSON object"},
		{"null", 11, "config.json", []byte(`null`), "config.json", "null"},
		{"cut", 11, "config.json", []byte(`{"model_type": "lla`), "config.json", "JSON object"},
		{"empty", 11, "config.json", []byte(`{}`), "model_type", "missing"},
		{"generation", 11, "generation_config.json", []byte(`{"eos_token_id": [2, 280]}`), "eos_token_id", "280"},
		{"fewer rows than tokens", 11, "added_tokens.json", []byte(`{"<extra>": 280}`), "vocab_size is 280", "281 tokens"},
		{"tokenizer", 18, "tokenizer.model", []byte("nothing"), "tokenizer.model", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := []hostile.File{{Name: c.file, Data: c.data}}
			for name, data := range sound {
				if name != c.file {
					files = append(files, hostile.File{Name: name, Data: data})
				}
			}
			hostile.Refuse(t, &hostile.Case{Name: c.name, Check: c.check, Field: c.field, Value: c.value, Open: ".", Files: func() []hostile.File { return files }}, openClose)
		})
	}
}

func TestHostileParams(t *testing.T) {
	sound := hfFiles(t, filepath.Join("testdata", "hf", "meta", "gqa-f16", "2"))
	tokenizerOf280 := hfFiles(t, filepath.Join("testdata", "hf", "mha-bf16"))["tokenizer.model"]
	for _, c := range []struct {
		name         string
		check        int
		field, value string
		keys         keys
		drop         string
	}{
		{"no heads", 11, "n_heads is 0", "attention.wq", keys{"n_heads": 0}, ""},
		{"KV heads do not divide", 11, "n_kv_heads is 3", "attention.wk", keys{"n_kv_heads": 3}, ""},
		{"2^31 layers", 11, "n_layers is 2147483648", "", keys{"n_layers": 1 << 31}, ""},
		{"other vocabulary", 11, "tok_embeddings.weight", "vocab_size", keys{"vocab_size": 65}, ""},
		{"no eps", 11, "norm_eps", "missing", keys{"norm_eps": nil}, ""},
		{"multiple", 11, "multiple_of is 32", "feed_forward.w1", keys{"multiple_of": 32}, ""},
		{"multiple of nothing", 11, "multiple_of is 0", "", keys{"multiple_of": 0}, ""},
		{"Llama 3.1", 0, "use_scaled_rope is true", "", keys{"use_scaled_rope": true}, ""},
		{"unknown key", 0, "moe", "", keys{"moe": keys{"num_experts": 8}}, ""},
		{"missing shard", 0, "consolidated.00.pth", "missing", nil, "consolidated.00.pth"},
		{"half of the shards", 0, "tok_embeddings.weight", "(64, 16)", keys{"multiple_of": nil}, "consolidated.01.pth"},
		{"fewer rows than tokens", 11, "vocab_size is 64", "280 tokens", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var files []hostile.File
			for name, data := range sound {
				if name == "params.json" {
					data = withKeys(t, data, c.keys)
				}
				if name != c.drop {
					files = append(files, hostile.File{Name: name, Data: data})
				}
			}
			if c.name == "fewer rows than tokens" {
				files = append(files, hostile.File{Name: "tokenizer.model", Data: tokenizerOf280})
			}
			hostile.Refuse(t, &hostile.Case{Name: c.name, Check: c.check, Field: c.field, Value: c.value, Open: ".", Files: func() []hostile.File { return files }}, openClose)
		})
	}
}
