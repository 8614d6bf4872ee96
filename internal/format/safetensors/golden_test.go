package safetensors

import (
	"bytes"
	"encoding/json"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/cria-llm/cria/internal/tensor"
)

// golden is what the safetensors library says of a file (testdata/gen.py).
type golden struct {
	Metadata map[string]string
	Tensors  map[string]struct {
		DType string
		Shape []int
		CRC   uint32
	}
}

func readGolden(t *testing.T, name string) (path string, g golden) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &g); err != nil {
		t.Fatal(err)
	}
	return filepath.Join("testdata", name+".safetensors"), g
}

// TestLibrary reads files that the safetensors library wrote.
func TestLibrary(t *testing.T) {
	for _, name := range []string{"all", "written"} {
		path, want := readGolden(t, name)
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if !reflect.DeepEqual(f.Metadata(), want.Metadata) {
			t.Errorf("%s: the metadata is %q, want %q", name, f.Metadata(), want.Metadata)
		}
		if len(f.Tensors()) != len(want.Tensors) {
			t.Errorf("%s: %d tensors, want %d", name, len(f.Tensors()), len(want.Tensors))
		}
		for _, x := range f.Tensors() {
			w := want.Tensors[x.Key]
			if x.TypeName != w.DType || !slices.Equal(x.Dims, w.Shape) || crc32.ChecksumIEEE(x.Mapped()) != w.CRC {
				t.Errorf("%s: tensor %s is %s %v, checksum %d, want %v", name, x.Key, x.TypeName, x.Dims, crc32.ChecksumIEEE(x.Mapped()), w)
			}
			if typ, err := tensor.ParseDType(w.DType); err == nil && x.Type != typ || err != nil && x.Type != tensor.Invalid {
				t.Errorf("%s: tensor %s has type %s, want %s", name, x.Key, x.Type, w.DType)
			}
		}
	}
}

// TestSameAsLibrary writes a file of the library's again: all bytes are the same.
func TestSameAsLibrary(t *testing.T) {
	path, _ := readGolden(t, "written")
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
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
	out := filepath.Join(t.TempDir(), "m.safetensors")
	w, err := Create(out, f.Metadata(), infos)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, w, infos, data)
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
}
