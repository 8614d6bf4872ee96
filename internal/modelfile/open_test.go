package modelfile_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/tensor"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// writeAll makes a directory of files.
func writeAll(t testing.TB, files map[string][]byte) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestOpenByAnyFile opens directories by each file that stands for them.
func TestOpenByAnyFile(t *testing.T) {
	hf := filepath.Join("testdata", "hf")
	for _, c := range []struct {
		path, detail string
		format       modelfile.Format
	}{
		{"gqa-f32", "Hugging Face, 2 safetensors files", modelfile.FormatHF},
		{"gqa-f32/config.json", "Hugging Face, 2 safetensors files", modelfile.FormatHF},
		{"gqa-f32/model-00002-of-00002.safetensors", "Hugging Face, 2 safetensors files", modelfile.FormatHF},
		{"gqa-f32/model.safetensors.index.json", "Hugging Face, 2 safetensors files", modelfile.FormatHF},
		{"gqa-f16/model.safetensors", "Hugging Face, 1 safetensors file", modelfile.FormatHF},
		{"meta/gqa-f16/2", "Meta, 2 shards", modelfile.FormatMeta},
		{"meta/gqa-f16/2/params.json", "Meta, 2 shards", modelfile.FormatMeta},
		{"meta/gqa-f16/2/consolidated.01.pth", "Meta, 2 shards", modelfile.FormatMeta},
	} {
		m := openModel(t, filepath.Join(hf, filepath.FromSlash(c.path)), modelfile.OpenOptions{})
		if m.Detail != c.detail || m.Format != c.format {
			t.Errorf("%s: %q, %s", c.path, m.Detail, m.Format)
		}
	}
	m := openModel(t, soundGGUF(t), modelfile.OpenOptions{})
	if m.Detail != "GGUF v3, 1 file" || m.Format != modelfile.FormatGGUF {
		t.Errorf("%q, %s", m.Detail, m.Format)
	}
	if _, err := m.Tensor("blk.7.attn_q.weight"); err == nil || !strings.Contains(err.Error(), "blk.7.attn_q.weight") {
		t.Errorf("a tensor that is not there: %v", err)
	}
}

// TestNoModel opens what is none.
func TestNoModel(t *testing.T) {
	dir := writeAll(t, map[string][]byte{
		"pytorch_model.bin": []byte("PK\x03\x04"), "notes.txt": []byte("notes"), "tokenizer.model": []byte("x"),
	})
	for _, c := range []struct{ path, want string }{
		{dir, "holds no model"}, {filepath.Join(dir, "pytorch_model.bin"), "safetensors"}, {filepath.Join(dir, "notes.txt"), "a .gguf file"},
		{filepath.Join(dir, "tokenizer.model"), "no model file"}, {filepath.Join(dir, "none.gguf"), "none.gguf"}, {filepath.Join(writeAll(t, map[string][]byte{"wrong.gguf": []byte("NOPE")}), "wrong.gguf"), "wrong.gguf"},
		{writeAll(t, map[string][]byte{"adapter_config.json": []byte("{}")}), "adapter"},
		{writeAll(t, map[string][]byte{"a.gguf": []byte("GGUF")}), "name the .gguf file"},
		{writeAll(t, map[string][]byte{"config.json": hfFiles(t, "testdata/hf/tied-f32")["config.json"], "pytorch_model.bin": nil}), "safetensors"},
		{writeAll(t, map[string][]byte{"config.json": hfFiles(t, "testdata/hf/tied-f32")["config.json"]}), "model.safetensors"},
		{writeAll(t, map[string][]byte{"params.json": []byte("{}")}), "consolidated.00.pth"},
	} {
		if _, err := modelfile.Open(c.path, modelfile.OpenOptions{}); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), filepath.Dir(c.path)) {
			t.Errorf("%s: %v, want an error with %q", c.path, err, c.want)
		}
	}
}

// TestRotaryTensors: stored frequencies are compared with the configuration.
func TestRotaryTensors(t *testing.T) {
	for _, c := range []struct{ dir, config, want string }{
		{"gqa-f32", "config.json", "rotary_emb.inv_freq"}, {"meta/gqa-f16/2", "params.json", "rope.freqs"},
	} {
		files := hfFiles(t, filepath.Join("testdata", "hf", filepath.FromSlash(c.dir)))
		if _, err := modelfile.Open(writeAll(t, files), modelfile.OpenOptions{}); err != nil {
			t.Errorf("%s as it is: %v", c.dir, err)
		}
		files[c.config] = withKeys(t, files[c.config], keys{"rope_theta": 10100.0})
		if _, err := modelfile.Open(writeAll(t, files), modelfile.OpenOptions{}); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "rope_theta") {
			t.Errorf("%s with another base: %v, want an error about %s", c.dir, err, c.want)
		}
	}
	g := readGGUF(t, soundGGUF(t))
	ones := make([]byte, 16)
	for i := range 4 {
		binary.LittleEndian.PutUint32(ones[4*i:], math.Float32bits(1))
	}
	g.tensors["rope_freqs.weight"] = &rawTensor{tensor.F32, []int{4}, ones}
	path := filepath.Join(t.TempDir(), "m.gguf")
	g.write(t, path)
	openModel(t, path, modelfile.OpenOptions{})
}

// TestTiedHead: an output matrix that is stored although it is tied must be the
// embedding table.
func TestTiedHead(t *testing.T) {
	m := openModel(t, filepath.Join("testdata", "hf", "tied-f32"), modelfile.OpenOptions{})
	if !m.Config.TiedEmbeddings || len(m.Tensors()) != 11 {
		t.Errorf("tied %v, %d tensors", m.Config.TiedEmbeddings, len(m.Tensors()))
	}
	// Untied by name, the matrix is missing, and the error says what to do.
	files := hfFiles(t, filepath.Join("testdata", "hf", "tied-f32"))
	files["config.json"] = withKeys(t, files["config.json"], keys{"tie_word_embeddings": false})
	if _, err := modelfile.Open(writeAll(t, files), modelfile.OpenOptions{}); err == nil || !strings.Contains(err.Error(), "tie_word_embeddings") {
		t.Errorf("%v", err)
	}
}

// TestMoreRowsThanTokens: such models load and say so, and a GGUF file gets
// fillers.
func TestMoreRowsThanTokens(t *testing.T) {
	cfg := grouped
	cfg.VocabSize = 290
	dir := filepath.Join(t.TempDir(), "hf")
	if _, err := modelfile.Init(context.Background(), cfg, dir, modelfile.InitOptions{Type: "f16"}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer.model"), hfFiles(t, "testdata/hf/mha-bf16")["tokenizer.model"], 0o666); err != nil {
		t.Fatal(err)
	}
	m := openModel(t, dir, modelfile.OpenOptions{})
	if len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "290 rows") || !strings.Contains(m.Notes[0], "280 tokens") {
		t.Errorf("notes %q", m.Notes)
	}
	out := filepath.Join(t.TempDir(), "m.gguf")
	r := convert(t, m, out, modelfile.ConvertOptions{})
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "10 unused tokens") {
		t.Errorf("report %q", r.Notes)
	}
	g := openModel(t, out, modelfile.OpenOptions{})
	if g.Tokenizer.VocabSize() != 290 || g.Tokenizer.Piece(280).Kind != tokenizer.Unused || g.Tokenizer.Piece(289).Kind != tokenizer.Unused {
		t.Errorf("%d tokens, the last a %s one", g.Tokenizer.VocabSize(), g.Tokenizer.Piece(289).Kind)
	}
	text := "Once upon [PAD285] a time"
	if got, want := g.Tokenizer.Encode(text, tokenizer.EncodeOptions{}), m.Tokenizer.Encode(text, tokenizer.EncodeOptions{}); !slices.Equal(got, want) {
		t.Errorf("ids %v, want %v", got, want)
	}
}

// TestTemplatesOfDirectories: where transformers looks, in its order.
func TestTemplatesOfDirectories(t *testing.T) {
	files := hfFiles(t, filepath.Join("testdata", "hf", "mha-bf16"))
	with := func(name, data string) *modelfile.Model {
		files[name] = []byte(data)
		return openModel(t, writeAll(t, files), modelfile.OpenOptions{})
	}
	if m := with("tokenizer_config.json", `{"chat_template": "one"}`); m.Template != "one" || !strings.Contains(m.TemplateFrom, "tokenizer_config.json") {
		t.Errorf("%q from %s", m.Template, m.TemplateFrom)
	}
	m := with("tokenizer_config.json", `{"chat_template": [{"name": "tool_use", "template": "two"}, {"name": "default", "template": "three"}]}`)
	if m.Template != "three" || len(m.Notes) != 1 || !strings.Contains(m.Notes[0], "tool_use") {
		t.Errorf("%q, notes %q", m.Template, m.Notes)
	}
	if m := with("chat_template.jinja", "four {{ anything }}"); m.Template != "four {{ anything }}" || !strings.Contains(m.TemplateFrom, "jinja") {
		t.Errorf("%q from %s", m.Template, m.TemplateFrom)
	}
	// What is not known is kept on the way to GGUF and back.
	out := filepath.Join(t.TempDir(), "m.gguf")
	convert(t, m, out, modelfile.ConvertOptions{})
	g := openModel(t, out, modelfile.OpenOptions{})
	hf := filepath.Join(t.TempDir(), "hf")
	convert(t, g, hf, modelfile.ConvertOptions{})
	if h := openModel(t, hf, modelfile.OpenOptions{}); g.Template != "three" || h.Template != "three" {
		t.Errorf("%q, then %q", g.Template, h.Template)
	}
}

// TestEndIDs come from several files and survive conversion.
func TestEndIDs(t *testing.T) {
	files := hfFiles(t, filepath.Join("testdata", "hf", "mha-bf16"))
	files["generation_config.json"] = []byte(`{"eos_token_id": [2, 270, 271]}`)
	m := openModel(t, writeAll(t, files), modelfile.OpenOptions{})
	out := filepath.Join(t.TempDir(), "m.gguf")
	convert(t, m, out, modelfile.ConvertOptions{})
	g := openModel(t, out, modelfile.OpenOptions{})
	hf := filepath.Join(t.TempDir(), "hf")
	convert(t, g, hf, modelfile.ConvertOptions{})
	other := openModel(t, out, modelfile.OpenOptions{Tokenizer: hf})
	for _, m := range []*modelfile.Model{m, g, openModel(t, hf, modelfile.OpenOptions{}), other} {
		if !slices.Equal(m.StopIDs, []int32{2, 270, 271}) {
			t.Errorf("%s: end ids %v", m.Path, m.StopIDs)
		}
	}
	var generation struct {
		EOS []int `json:"eos_token_id"`
	}
	b, err := os.ReadFile(filepath.Join(hf, "generation_config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &generation); err != nil || !slices.Equal(generation.EOS, []int{2, 270, 271}) {
		t.Errorf("%s (%v)", b, err)
	}
}

// TestLicense reads model cards and licence files, and keeps what they say.
func TestLicense(t *testing.T) {
	for want, extra := range map[string][2]string{
		"apache-2.0":                {"README.md", "---\nlicense: apache-2.0\ntags:\n- x\n---\nlicense: mit\n"},
		"llama2":                    {"README.md", "---\r\nlicense: other\r\nlicense_name: \"llama2\"\r\n---\r\n"},
		"LLAMA 2 COMMUNITY LICENSE": {"LICENSE.txt", "LLAMA 2 COMMUNITY LICENSE\nmore\n"},
		"":                          {"README.md", "license: mit\n"},
	} {
		files := hfFiles(t, filepath.Join("testdata", "hf", "mha-bf16"))
		files[extra[0]] = []byte(extra[1])
		m := openModel(t, writeAll(t, files), modelfile.OpenOptions{})
		out := filepath.Join(t.TempDir(), "m.gguf")
		convert(t, m, out, modelfile.ConvertOptions{})
		g := openModel(t, out, modelfile.OpenOptions{})
		hf := filepath.Join(t.TempDir(), "hf")
		convert(t, g, hf, modelfile.ConvertOptions{})
		h := openModel(t, hf, modelfile.OpenOptions{})
		if m.License != want || g.License != want || h.License != want {
			t.Errorf("%q, %q in GGUF, then %q, want %q", m.License, g.License, h.License, want)
		}
	}
}

// TestNames of models in the hub's cache and elsewhere.
func TestNames(t *testing.T) {
	files := hfFiles(t, filepath.Join("testdata", "hf", "tied-f32"))
	for path, want := range map[string]string{"models--org--Tiny-1.1B-v2/snapshots/" + strings.Repeat("0a", 20): "Tiny-1.1B-v2", "my.model-v1.5": "my.model-v1.5"} {
		dir := filepath.Join(t.TempDir(), filepath.FromSlash(path))
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		for name, data := range files {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if m := openModel(t, dir, modelfile.OpenOptions{}); m.Name != want {
			t.Errorf("%s is called %q, want %q", path, m.Name, want)
		}
	}
}

// TestControlCharacters: what is printed of a file does not steer the terminal.
func TestControlCharacters(t *testing.T) {
	g := readGGUF(t, soundGGUF(t))
	g.kvs["general.name"] = "\x1b[31mred\x07"
	g.kvs["general.license"] = "some\u202e licence\nand its text"
	path := filepath.Join(t.TempDir(), "m.gguf")
	g.write(t, path)
	if m := openModel(t, path, modelfile.OpenOptions{}); m.Name != "[31mred" || m.License != "some licence" {
		t.Errorf("%q, %q", m.Name, m.License)
	}
	files := hfFiles(t, filepath.Join("testdata", "hf", "meta", "gqa-f16", "1"))
	files["params.json"] = withKeys(t, files["params.json"], keys{strings.Repeat("\x1b", 1<<20): 1})
	if _, err := modelfile.Open(writeAll(t, files), modelfile.OpenOptions{}); err == nil || len(err.Error()) > 1000 || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("%.200v", err)
	}
}

// TestOpenTokenizer reads tokenizers of everything that has one.
func TestOpenTokenizer(t *testing.T) {
	hf := filepath.Join("testdata", "hf", "mha-bf16")
	files := hfFiles(t, hf)
	want, err := tokenizer.Parse(files["tokenizer.model"])
	if err != nil {
		t.Fatal(err)
	}
	meta := filepath.Join(t.TempDir(), "llama-2-7b")
	if err := os.Mkdir(meta, 0o777); err != nil {
		t.Fatal(err)
	}
	for path, data := range map[string][]byte{"params.json": []byte("{}"), "../tokenizer.model": files["tokenizer.model"]} {
		if err := os.WriteFile(filepath.Join(meta, path), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	renamed := filepath.Join(writeAll(t, map[string][]byte{"my-spm": files["tokenizer.model"]}), "my-spm")
	for _, path := range []string{hf, filepath.Join(hf, "config.json"), filepath.Join(hf, "model.safetensors"), filepath.Join(hf, "tokenizer.model"), renamed, meta, filepath.Join(meta, "params.json"), soundGGUF(t)} {
		tok, from, err := modelfile.OpenTokenizer(path)
		if err != nil {
			t.Error(err)
		} else if tok.VocabSize() != want.VocabSize() || !slices.Equal(tok.Encode("Hi there", tokenizer.EncodeOptions{}), want.Encode("Hi there", tokenizer.EncodeOptions{})) || from == "" {
			t.Errorf("%s: another tokenizer, from %s", path, from)
		}
	}
	for _, path := range []string{filepath.Join("testdata", "hf", "tied-f32"), filepath.Join(hf, "none"), "open_test.go", filepath.Join("testdata", "hf", "meta", "gqa-f16", "1")} {
		if tok, _, err := modelfile.OpenTokenizer(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, %v", path, tok, err)
		}
	}
}

// TestVocabularyOnly reads llama.cpp's own file, which has no tensors.
func TestVocabularyOnly(t *testing.T) {
	path := sharedData(t, "tokenizer/ggml-vocab-llama-spm.gguf")
	tok, _, err := modelfile.OpenTokenizer(path)
	if err != nil || tok.VocabSize() != 32000 {
		t.Fatalf("%v", err)
	}
	if _, err := modelfile.Open(path, modelfile.OpenOptions{}); err == nil || !strings.Contains(err.Error(), "vocabulary alone") {
		t.Errorf("as a model: %v", err)
	}
	bin := sharedData(t, "weights/stories260K/tok512.bin")
	if tok, _, err := modelfile.OpenTokenizer(bin); err != nil || tok.VocabSize() != 512 {
		t.Errorf("%v", err)
	}
}

// TestTokenizerBesideCheckpoint is how llama2.c's files usually lie.
func TestTokenizerBesideCheckpoint(t *testing.T) {
	files := map[string][]byte{}
	for name, from := range map[string]string{"model.bin": "stories260K.bin", "tokenizer.bin": "tok512.bin"} {
		b, err := os.ReadFile(sharedData(t, "weights/stories260K/"+from))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	path := filepath.Join(writeAll(t, files), "model.bin")
	m := openModel(t, path, modelfile.OpenOptions{})
	if m.Tokenizer == nil || m.TokenizerFrom != filepath.Join(filepath.Dir(path), "tokenizer.bin") || !slices.Equal(m.StopIDs, []int32{2, 1}) {
		t.Errorf("tokenizer from %q, end ids %v", m.TokenizerFrom, m.StopIDs)
	}
	if tok, _, err := modelfile.OpenTokenizer(path); err != nil || !tok.Equal(m.Tokenizer) {
		t.Errorf("%v", err)
	}
	delete(files, "tokenizer.bin")
	alone := openModel(t, filepath.Join(writeAll(t, files), "model.bin"), modelfile.OpenOptions{})
	if alone.Tokenizer != nil || len(alone.StopIDs) != 0 {
		t.Errorf("a tokenizer from %q", alone.TokenizerFrom)
	}
	// With none, the checkpoint converts, and says so.
	r := convert(t, alone, filepath.Join(t.TempDir(), "m.gguf"), modelfile.ConvertOptions{})
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "no tokenizer") {
		t.Errorf("report %q", r.Notes)
	}
}

// TestVerify spoils one element or block scale of each type.
func TestVerify(t *testing.T) {
	// Where a block's f16 scale or minimum lies: GGML's ggml-common.h.
	places := map[tensor.DType]int{
		tensor.F32: 2, tensor.F16: 0, tensor.BF16: 0, tensor.Q4_0: 0, tensor.Q4_1: 2, tensor.Q5_0: 0, tensor.Q5_1: 2, tensor.Q8_0: 0,
		tensor.Q2_K: 82, tensor.Q3_K: 108, tensor.Q4_K: 2, tensor.Q5_K: 2, tensor.Q6_K: 208, tensor.IQ4_NL: 0, tensor.IQ4_XS: 0,
	}
	cfg := llama.Config{Dim: 256, NLayers: 1, NHeads: 4, NKVHeads: 4, HeadDim: 64, HiddenDim: 256, VocabSize: 8, MaxSeqLen: 8, NormEps: 1e-5, RopeTheta: 10000}
	for _, typ := range tensor.WeightTypes() {
		path := filepath.Join(t.TempDir(), "m.gguf")
		if _, err := modelfile.Init(context.Background(), cfg, path, modelfile.InitOptions{Type: strings.ToLower(typ.String())}); err != nil {
			t.Fatal(err)
		}
		g := readGGUF(t, path)
		const name = "blk.0.ffn_gate.weight"
		x := g.tensors[name]
		// Row 3; the second block of it where there is one.
		row, column := 3, 256-typ.BlockElems()
		at := row*x.typ.RowBytes(256) + column/x.typ.BlockElems()*x.typ.BlockBytes() + places[x.typ]
		value := uint16(0x7c00)
		if x.typ != tensor.F16 && x.typ.IsFloat() {
			value = 0x7f80
		}
		binary.LittleEndian.PutUint16(x.data[at:], value)
		bad := filepath.Join(t.TempDir(), "bad.gguf")
		g.write(t, bad)
		m := openModel(t, bad, modelfile.OpenOptions{})
		err := m.Verify(context.Background(), nil)
		want := "row 3, column " + map[bool]string{true: "255", false: ""}[!x.typ.IsQuant()]
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error about %s, %s", typ, err, name, want)
		}
		if _, err := modelfile.Convert(context.Background(), m, filepath.Join(t.TempDir(), "out.gguf"), modelfile.ConvertOptions{Type: "f32"}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: conversion: %v", typ, err)
		}
	}
}

// TestTooLargeForF16: a weight that the type cannot hold is named.
func TestTooLargeForF16(t *testing.T) {
	g := readGGUF(t, soundGGUF(t))
	x := g.tensors["output.weight"]
	binary.LittleEndian.PutUint16(x.data[2*(5*32+7):], uint16(math.Float32bits(70000)>>16)) // BF16
	path := filepath.Join(t.TempDir(), "m.gguf")
	g.write(t, path)
	m := openModel(t, path, modelfile.OpenOptions{})
	_, err := modelfile.Convert(context.Background(), m, filepath.Join(t.TempDir(), "out.gguf"), modelfile.ConvertOptions{Type: "f16"})
	if err == nil || !strings.Contains(err.Error(), "output.weight: row 5: quant: element 7 is") || !strings.Contains(err.Error(), "BF16") {
		t.Errorf("%v", err)
	}
}

// TestOpenBytes: a model that is in memory is the one on disk.
func TestOpenBytes(t *testing.T) {
	path := soundGGUF(t)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m, err := modelfile.OpenBytes("inside", data, modelfile.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	sameModel(t, m, openModel(t, path, modelfile.OpenOptions{}))
	if _, err := modelfile.OpenBytes("inside", data[:len(data)-1], modelfile.OpenOptions{}); err == nil || !strings.Contains(err.Error(), "inside") {
		t.Errorf("a cut file: %v", err)
	}
}
