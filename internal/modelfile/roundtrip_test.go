package modelfile_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

func convert(t testing.TB, m *modelfile.Model, out string, opt modelfile.ConvertOptions) *modelfile.Report {
	t.Helper()
	r, err := modelfile.Convert(context.Background(), m, out, opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Files {
		if _, err := os.Stat(f); err != nil {
			t.Errorf("the report names a file: %v", err)
		}
	}
	return r
}

// sameModel compares everything that a conversion has to keep.
func sameModel(t testing.TB, got, want *modelfile.Model) {
	t.Helper()
	if got.Config != want.Config {
		t.Errorf("%s: configuration %+v, want %+v", got.Path, got.Config, want.Config)
	}
	if (got.Tokenizer == nil) != (want.Tokenizer == nil) || got.Tokenizer != nil && !got.Tokenizer.Equal(want.Tokenizer) {
		t.Errorf("%s: another tokenizer", got.Path)
	}
	if got.Template != want.Template || !slices.Equal(got.StopIDs, want.StopIDs) {
		t.Errorf("%s: template %q and end ids %v, want %q and %v", got.Path, got.Template, got.StopIDs, want.Template, want.StopIDs)
	}
	sameTensors(t, got, want)
}

// TestStoryInEveryFormat converts llama2.c's checkpoint in a ring and lets each
// file tell the story.
func TestStoryInEveryFormat(t *testing.T) {
	path := sharedData(t, "weights/stories260K/stories260K.bin")
	want := readStory(t)
	first := openModel(t, path, modelfile.OpenOptions{Tokenizer: sharedData(t, "weights/stories260K/tok512.bin")})
	dir := t.TempDir()
	m := first
	// One base name, so that general.name is the same.
	for _, name := range []string{"1/stories260K.gguf", "2/stories260K", "3/stories260K.gguf"} {
		out := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.Mkdir(filepath.Dir(out), 0o777); err != nil {
			t.Fatal(err)
		}
		convert(t, m, out, modelfile.ConvertOptions{})
		m = openModel(t, out, modelfile.OpenOptions{})
		sameModel(t, m, first)
		checkStory(t, m, tensor.F32, want)
	}
	one, err1 := os.ReadFile(filepath.Join(dir, "1", "stories260K.gguf"))
	two, err2 := os.ReadFile(filepath.Join(dir, "3", "stories260K.gguf"))
	if err1 != nil || err2 != nil || !bytes.Equal(one, two) {
		t.Errorf("the second GGUF file is not the first one (%v, %v)", err1, err2)
	}
	for _, name := range []string{"tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json"} {
		if _, err := os.Stat(filepath.Join(dir, "2", "stories260K", name)); err != nil {
			t.Error(err)
		}
	}
	half := filepath.Join(dir, "half.gguf")
	convert(t, first, half, modelfile.ConvertOptions{Type: "f16"})
	checkStory(t, openModel(t, half, modelfile.OpenOptions{}), tensor.F16, want)
}

// TestRoundTrip takes models of transformers through both formats and back, in
// each float type: grouped heads, an odd head dimension, tied heads.
func TestRoundTrip(t *testing.T) {
	for _, name := range []string{"gqa-f16", "gqa-f32", "mha-bf16", "mqa-odd-f16", "tied-odd-bf16", "linear-f16"} {
		t.Run(name, func(t *testing.T) {
			first := openModel(t, filepath.Join("testdata", "hf", name), modelfile.OpenOptions{})
			dir := t.TempDir()
			convert(t, first, filepath.Join(dir, "m.gguf"), modelfile.ConvertOptions{Workers: 3})
			g := openModel(t, filepath.Join(dir, "m.gguf"), modelfile.OpenOptions{})
			if g.Config != first.Config {
				t.Errorf("configuration %+v, want %+v", g.Config, first.Config)
			}
			for _, x := range g.Tensors() {
				if x.Rows == 1 && x.Type != tensor.F32 {
					t.Errorf("%s is %s: llama.cpp needs F32", x.Name, x.Type)
				}
			}
			convert(t, g, filepath.Join(dir, "hf"), modelfile.ConvertOptions{})
			h := openModel(t, filepath.Join(dir, "hf"), modelfile.OpenOptions{})
			sameModel(t, h, first)
			convert(t, h, filepath.Join(dir, "again.gguf"), modelfile.ConvertOptions{})
			sameModel(t, openModel(t, filepath.Join(dir, "again.gguf"), modelfile.OpenOptions{}), g)
		})
	}
}

// TestSafetensorsKeepBytes compares a written file of tensors with the one that
// transformers wrote: q and k are back in their order.
func TestSafetensorsKeepBytes(t *testing.T) {
	dir := filepath.Join("testdata", "hf", "gqa-f16")
	m := openModel(t, dir, modelfile.OpenOptions{})
	out := filepath.Join(t.TempDir(), "m.gguf")
	convert(t, m, out, modelfile.ConvertOptions{})
	hf := filepath.Join(t.TempDir(), "hf")
	convert(t, openModel(t, out, modelfile.OpenOptions{}), hf, modelfile.ConvertOptions{})
	want, got := rawSafetensors(t, dir), rawSafetensors(t, hf)
	if len(want) != 21 || !reflect.DeepEqual(got, want) {
		t.Errorf("%d tensors, and not as transformers wrote the %d", len(got), len(want))
	}
}

// TestMetaToHF converts Meta's shards to a directory, which is to hold what
// transformers has of the same weights.
func TestMetaToHF(t *testing.T) {
	dir := filepath.Join("testdata", "hf")
	m := openModel(t, filepath.Join(dir, "meta", "gqa-f16", "4"), modelfile.OpenOptions{})
	out := filepath.Join(t.TempDir(), "hf")
	convert(t, m, out, modelfile.ConvertOptions{})
	if got, want := rawSafetensors(t, out), rawSafetensors(t, filepath.Join(dir, "gqa-f16")); !reflect.DeepEqual(got, want) {
		t.Error("the tensors are not those of transformers")
	}
}

// TestDynamicToGGUF fixes the base: the logits must be those of the model opened
// for that context.
func TestDynamicToGGUF(t *testing.T) {
	const context = 250
	m := openModel(t, filepath.Join("testdata", "hf", "dynamic5-f16"), modelfile.OpenOptions{Context: context})
	out := filepath.Join(t.TempDir(), "m.gguf")
	r := convert(t, m, out, modelfile.ConvertOptions{})
	if !slices.ContainsFunc(r.Notes, func(s string) bool { return strings.Contains(s, "dynamic") && strings.Contains(s, fmt.Sprint(context)) }) {
		t.Errorf("no note says that the base was fixed: %q", r.Notes)
	}
	g := openModel(t, out, modelfile.OpenOptions{})
	if g.Config.MaxSeqLen != context || g.Config.RopeScale != (llama.RopeScaling{}) {
		t.Fatalf("configuration %+v", g.Config)
	}
	ids := make([]int32, context)
	for i := range ids {
		ids[i] = int32(i * 7 % m.Config.VocabSize)
	}
	rows := []int32{0, 100, context - 1}
	want := load(t, m, "", context, tensor.F32).forward(t, ids, 0, rows)
	got := load(t, g, "", 0, tensor.F32).forward(t, ids, 0, rows)
	for i := range want {
		if d := got[i] - want[i]; d > 1e-4 || d < -1e-4 {
			t.Fatalf("logit %d is %g, want %g", i, got[i], want[i])
		}
	}
}

// TestQuantise compares each tensor of a converted model with what the codec makes
// of it, and the types with llama.cpp's mix.
func TestQuantise(t *testing.T) {
	dir := t.TempDir()
	source := filepath.Join(dir, "f32.gguf")
	if _, err := modelfile.Init(context.Background(), grouped, source, modelfile.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	m := openModel(t, source, modelfile.OpenOptions{})
	out := filepath.Join(dir, "q.gguf")
	r := convert(t, m, out, modelfile.ConvertOptions{Type: "q4_k_m", Workers: 2})
	q := openModel(t, out, modelfile.OpenOptions{})
	if q.Config != m.Config {
		t.Errorf("configuration %+v, want %+v", q.Config, m.Config)
	}
	for i, x := range q.Tensors() {
		want := tensor.Q4_K
		switch {
		case x.Rows == 1:
			want = tensor.F32
		case x.Name == "output.weight", strings.HasSuffix(x.Name, "attn_v.weight") && x.Name != "blk.0.attn_v.weight", x.Name == "blk.1.ffn_down.weight":
			want = tensor.Q6_K // the last of two layers is in the last eighth
		}
		if x.Type != want || r.Tensors[i].To != want.String() || r.Tensors[i].From != "F32" || r.Tensors[i].Name != x.Name {
			t.Errorf("%s is %s, want %s; the report says %+v", x.Name, x.Type, want, r.Tensors[i])
			continue
		}
		b := make([]byte, x.Bytes)
		if err := quant.Quantize(want, b, floatsNamed(t, m, x.Name), x.Cols, nil); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(rawNamed(t, q, x.Name), b) {
			t.Errorf("%s: not what the codec makes", x.Name)
		}
	}
}

// TestRefusals of Convert: nothing is written over, and no type is dropped.
func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	quantised := filepath.Join(dir, "q.gguf")
	if _, err := modelfile.Init(context.Background(), grouped, quantised, modelfile.InitOptions{Type: "q8_0"}); err != nil {
		t.Fatal(err)
	}
	m := openModel(t, quantised, modelfile.OpenOptions{})
	full := filepath.Join(dir, "full")
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		out, want string
		opt       modelfile.ConvertOptions
	}{
		{filepath.Join(dir, "hf"), "--type f16", modelfile.ConvertOptions{}},
		{filepath.Join(dir, "hf"), "q4_0", modelfile.ConvertOptions{Type: "q4_0"}},
		{filepath.Join(dir, "m.gguf"), "q9", modelfile.ConvertOptions{Type: "q9"}},
		{quantised, "to be converted", modelfile.ConvertOptions{Overwrite: true}},
		{dir, "to be converted", modelfile.ConvertOptions{Type: "f16", Overwrite: true}},
		{full, "not empty", modelfile.ConvertOptions{Type: "f16"}},
		{filepath.Join(dir, "none", "m.gguf"), "none", modelfile.ConvertOptions{}},
	} {
		_, err := modelfile.Convert(context.Background(), m, c.out, c.opt)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: %v, want an error with %q", c.out, c.opt, err, c.want)
		}
	}
	// What is there stays; a widened model goes to an empty place or over an old one.
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 { // q.gguf, its Modelfile, full
		t.Fatalf("%v, %v", entries, err)
	}
	m.License = "mit"
	for _, name := range []string{"added_tokens.json", "model.safetensors.index.json", "mine.txt", "README.md"} {
		if err := os.WriteFile(filepath.Join(full, name), []byte("{}"), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	// A link to the directory stays a link.
	link := filepath.Join(dir, "link")
	if err := os.Symlink(full, link); err != nil {
		t.Log("no symbolic links here: ", err)
		link = full
	}
	convert(t, m, link, modelfile.ConvertOptions{Type: "f16", Overwrite: true})
	if to, err := os.Readlink(link); link != full && to != full {
		t.Errorf("the link leads to %q (%v)", to, err)
	}
	h := openModel(t, full, modelfile.OpenOptions{})
	for _, x := range h.Tensors() {
		if x.Type != tensor.F16 {
			t.Errorf("%s is %s", x.Name, x.Type)
		}
	}
	if b, err := os.ReadFile(filepath.Join(full, "README.md")); string(b) != "{}" {
		t.Errorf("the model card is now %q (%v)", b, err)
	}
	for name, want := range map[string]bool{"added_tokens.json": false, "model.safetensors.index.json": false, "mine.txt": true, "x": true} {
		if _, err := os.Stat(filepath.Join(full, name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
}
