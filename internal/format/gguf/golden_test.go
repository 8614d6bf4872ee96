package gguf

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
)

// pyKVs is the metadata of the fixtures, as testdata/gen.py gives it to gguf-py.
var pyKVs = []KV{
	{"general.architecture", "llama"}, {"llama.block_count", uint32(2)}, {"llama.attention.layer_norm_rms_epsilon", float32(1e-5)},
	{"tokenizer.ggml.add_bos_token", true}, {"general.name", "ü\n"}, {"tokenizer.ggml.tokens", []string{"<unk>", "<s>", "▁été", "a\x00b"}},
	{"tokenizer.ggml.scores", []float32{0, -1.5, 3.25, -1e9}}, {"tokenizer.ggml.token_type", []int32{2, 3, 1, 1}},
	{"x.u8", uint8(200)}, {"x.i8", int8(-3)}, {"x.u16", uint16(65535)}, {"x.i16", int16(-3)}, {"x.u64", uint64(math.MaxUint64)},
	{"x.i64", int64(math.MinInt64)}, {"x.f64", 0.1}, {"x.bools", []bool{true, false}},
}

// TestPython reads files that gguf-py wrote, a single one and a set.
func TestPython(t *testing.T) {
	text, err := os.ReadFile("testdata/py.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Tensors []struct {
			Name, Type string
			Shape      []int // as in the file
			CRC        uint32
		}
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"py.gguf", "pysplit-00001-of-00003.gguf"} {
		f, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if !reflect.DeepEqual(f.KVs(), pyKVs) {
			t.Errorf("%s: the metadata is\n%v\nwant\n%v", name, f.KVs(), pyKVs)
		}
		if len(f.Tensors()) != len(want.Tensors) {
			t.Fatalf("%s: %d tensors, want %d", name, len(f.Tensors()), len(want.Tensors))
		}
		for i, w := range want.Tensors {
			slices.Reverse(w.Shape)
			x := f.Tensors()[i]
			if x.Key != w.Name || x.Type.String() != w.Type || !slices.Equal(x.Dims, w.Shape) || crc32.ChecksumIEEE(x.Mapped()) != w.CRC {
				t.Errorf("%s: tensor %d is %s %s %v, checksum %d, want %v", name, i, x.Key, x.Type, x.Dims, crc32.ChecksumIEEE(x.Mapped()), w)
			}
			slices.Reverse(w.Shape)
		}
	}
}

// TestSameAsPython writes gguf-py's file again: all bytes are the same.
func TestSameAsPython(t *testing.T) {
	want, err := os.ReadFile("testdata/py.gguf")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open("testdata/py.gguf")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var infos []TensorInfo
	data := map[string][]byte{}
	for _, x := range f.Tensors() {
		infos = append(infos, TensorInfo{x.Key, x.Type, x.Dims})
		data[x.Key] = x.Mapped()
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	write(t, path, pyKVs, infos, data)
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("%d bytes, want %d; the first difference is at %d", len(got), len(want), i)
	}
}

// TestLlamaCpp reads a vocabulary that llama.cpp's converter wrote.
func TestLlamaCpp(t *testing.T) {
	data := os.Getenv("CRIA_TEST_DATA")
	if data == "" {
		data = "../../../../shared/data"
	}
	path := filepath.Join(data, "tokenizer/ggml-vocab-llama-spm.gguf")
	if _, err := os.Stat(path); err != nil {
		t.Skip("the shared test data is not there: ", err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tokens, _, err := f.GetStrings("tokenizer.ggml.tokens")
	if err != nil || len(tokens) != 32000 || tokens[1] != "<s>" || tokens[29871] != "▁" {
		t.Errorf("%d tokens, error %v", len(tokens), err)
	}
	bos, ok, err := f.GetUint("tokenizer.ggml.bos_token_id")
	if bos != 1 || !ok || err != nil {
		t.Errorf("the begin of a text is %d, %v, %v", bos, ok, err)
	}
}
