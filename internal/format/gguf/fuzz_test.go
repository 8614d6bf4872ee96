package gguf

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/hostile"
)

// FuzzOpen: a file is refused by a ferr.Error, or all of it can be read, and
// written again with the same metadata and tensors.
func FuzzOpen(f *testing.F) {
	valid, _ := hostile.ValidGGUF()
	f.Add(valid)
	for _, name := range []string{"py.gguf", "pysplit-00001-of-00003.gguf"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, c := range hostile.GGUF() {
		for _, file := range c.Files() {
			if file.Size == 0 && len(file.Data) < 1<<14 {
				f.Add(file.Data)
			}
		}
	}
	dir := f.TempDir()
	path, again := filepath.Join(dir, "m-00001-of-00001.gguf"), filepath.Join(dir, "again.gguf")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		file, err := Open(path)
		if err != nil {
			if !errors.As(err, new(*ferr.Error)) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		defer file.Close()
		rewrite(t, file, again)
	})
}

func rewrite(t *testing.T, file *File, path string) {
	var infos []TensorInfo
	size := int64(0)
	for _, x := range file.Tensors() {
		infos = append(infos, TensorInfo{x.Key, x.Type, x.Dims})
		size += x.Size() + int64(file.Alignment)
	}
	for _, info := range infos {
		if len(info.Name) > maxWrittenName || size > 1<<24 {
			return
		}
	}
	w, err := Create(path, file.KVs(), infos)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	data := map[string][]byte{}
	for _, x := range file.Tensors() {
		rows, _ := x.Shape()
		b := make([]byte, x.Size())
		if err := x.ReadRows(b, 0, rows); err != nil {
			t.Fatal(err)
		}
		if err := w.WriteTensor(x.Key, b); err != nil {
			t.Fatal(err)
		}
		data[x.Key] = b
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if !reflect.DeepEqual(withoutNaN(second.KVs()), withoutNaN(file.KVs())) {
		t.Errorf("the metadata is %v, was %v", second.KVs(), file.KVs())
	}
	sameTensors(t, second, infos, data)
}

// withoutNaN makes values comparable: bits for floats.
func withoutNaN(kvs []KV) []KV {
	out := make([]KV, len(kvs))
	for i, kv := range kvs {
		out[i] = KV{kv.Key, bitsOf(kv.Value)}
	}
	return out
}

func bitsOf(v any) any {
	switch v := v.(type) {
	case float32:
		return math.Float32bits(v)
	case float64:
		return math.Float64bits(v)
	case []float32:
		bits := make([]uint32, len(v))
		for i, x := range v {
			bits[i] = math.Float32bits(x)
		}
		return bits
	case []float64:
		bits := make([]uint64, len(v))
		for i, x := range v {
			bits[i] = math.Float64bits(x)
		}
		return bits
	case Nested:
		list := make([]any, len(v))
		for i, x := range v {
			list[i] = bitsOf(x)
		}
		return list
	}
	return v
}
