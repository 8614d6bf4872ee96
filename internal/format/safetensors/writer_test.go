package safetensors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/tensor"
)

// someTensors has tensors of every type that is written, in an order that would
// leave the larger ones unaligned.
func someTensors() (infos []TensorInfo, data map[string][]byte) {
	rng := rand.New(rand.NewPCG(3, 4))
	data = map[string][]byte{}
	for i, d := range []struct {
		typ  tensor.DType
		dims []int
	}{
		{tensor.I8, []int{3}}, {tensor.BF16, []int{3, 5}}, {tensor.F32, []int{2, 3, 1}}, {tensor.F16, nil}, {tensor.F32, []int{7, 0}},
		{tensor.F64, []int{1}}, {tensor.I32, []int{5}}, {tensor.I64, []int{2, 2}}, {tensor.F32, []int{0}},
	} {
		name := fmt.Sprintf(`w.%d.<%s "é\`, i, d.typ)
		size := d.typ.BlockBytes()
		for _, n := range d.dims {
			size *= n
		}
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		infos = append(infos, TensorInfo{name, d.typ, d.dims})
		data[name] = b
	}
	return infos, data
}

// fill writes all tensors, in pieces and from the last to the first.
func fill(t *testing.T, w *Writer, infos []TensorInfo, data map[string][]byte) {
	t.Helper()
	defer w.Abort()
	for half := range 2 {
		for _, info := range slices.Backward(infos) {
			b := data[info.Name]
			if half == 0 {
				b = b[:len(b)/2]
			} else {
				b = b[len(b)/2:]
			}
			if err := w.WriteTensor(info.Name, b); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// same checks a file's tensors against what was written.
func same(t *testing.T, f *File, infos []TensorInfo, data map[string][]byte) {
	t.Helper()
	if len(f.Tensors()) != len(infos) {
		t.Fatalf("%d tensors, want %d", len(f.Tensors()), len(infos))
	}
	for _, want := range infos {
		got := f.Lookup(want.Name)
		if got == nil {
			t.Fatalf("there is no tensor %s", want.Name)
		}
		if got.Type != want.Type || got.TypeName != want.Type.String() || !slices.Equal(got.Dims, want.Dims) {
			t.Errorf("tensor %s is %v %v %v, want %v", got.Key, got.Type, got.TypeName, got.Dims, want)
		}
		rows, _ := got.Shape()
		b := make([]byte, got.Size())
		if err := got.ReadRows(b, 0, rows); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, data[want.Name]) || !bytes.Equal(got.Mapped(), data[want.Name]) {
			t.Errorf("tensor %s has other bytes than were written", want.Name)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	infos, data := someTensors()
	for _, metadata := range []map[string]string{nil, {}, {"format": "pt", "q": "\"\\\n\x01é"}} {
		path := filepath.Join(t.TempDir(), "m.safetensors")
		w, err := Create(path, metadata, infos)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, w, infos, data)
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		same(t, f, infos, data)
		if !reflect.DeepEqual(f.Metadata(), metadata) {
			t.Errorf("the metadata is %q, want %q", f.Metadata(), metadata)
		}
		if !slices.Equal(f.Files(), []string{path}) || !slices.Equal(w.Files(), []string{path}) || f.Path() != path {
			t.Errorf("read from %q, %q; written to %q", f.Files(), f.Path(), w.Files())
		}
		for _, x := range f.Tensors() {
			if x.Size() > 0 && offsetOf(t, f, x.Mapped())%x.Type.BlockBytes() != 0 {
				t.Errorf("tensor %s is not aligned", x.Key)
			}
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// offsetOf returns where a mapped piece lies in its file.
func offsetOf(t *testing.T, f *File, piece []byte) int {
	t.Helper()
	all := f.maps[0].Bytes()
	for i := range all {
		if &all[i] == &piece[0] {
			return i
		}
	}
	t.Fatal("a tensor lies outside of its file")
	return 0
}

func TestSharded(t *testing.T) {
	infos, data := someTensors()
	total := 0
	for _, b := range data {
		total += len(b)
	}
	for _, c := range []struct {
		max   int64
		files []string // as many as shards
	}{
		{int64(total), []string{"model.safetensors"}},
		// In the order given the tensors have 3 30 24 2 0 8 20 32 0 bytes.
		{59, []string{"model-00001-of-00003.safetensors", "model-00002-of-00003.safetensors", "model-00003-of-00003.safetensors"}},
		{1, []string{
			"model-00001-of-00007.safetensors", "model-00002-of-00007.safetensors", "model-00003-of-00007.safetensors",
			"model-00004-of-00007.safetensors", "model-00005-of-00007.safetensors", "model-00006-of-00007.safetensors",
			"model-00007-of-00007.safetensors",
		}},
	} {
		dir := t.TempDir()
		w, err := CreateSharded(dir, c.max, infos)
		if err != nil {
			t.Fatal(err)
		}
		if names, _ := filepath.Glob(filepath.Join(dir, "model*")); len(names) != 0 {
			t.Errorf("%q is there before Close", names)
		}
		fill(t, w, infos, data)
		open := filepath.Join(dir, c.files[0])
		if len(c.files) > 1 {
			open = filepath.Join(dir, "model.safetensors.index.json")
			checkIndex(t, open, total, len(infos))
		}
		f, err := Open(open)
		if err != nil {
			t.Fatal(err)
		}
		same(t, f, infos, data)
		if f.Metadata()["format"] != "pt" {
			t.Errorf("the metadata is %v", f.Metadata())
		}
		var got []string
		for _, p := range f.Files() {
			got = append(got, filepath.Base(p))
		}
		if !slices.Equal(got, c.files) {
			t.Errorf("at most %d bytes: the files are %v, want %v", c.max, got, c.files)
		}
		f.Close()
		left, _ := os.ReadDir(dir)
		if len(left) != len(w.Files()) {
			t.Errorf("%v stand in the directory, %v were written", left, w.Files())
		}
	}
}

func checkIndex(t *testing.T, path string, total, tensors int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Metadata struct {
			TotalSize int `json:"total_size"`
		} `json:"metadata"`
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	if index.Metadata.TotalSize != total || len(index.WeightMap) != tensors {
		t.Errorf("the index has %d bytes in %d tensors, want %d in %d", index.Metadata.TotalSize, len(index.WeightMap), total, tensors)
	}
}

func TestCreateRefuses(t *testing.T) {
	one := func(name string, typ tensor.DType, dims ...int) []TensorInfo { return []TensorInfo{{name, typ, dims}} }
	for _, c := range []struct {
		want     string
		metadata map[string]string
		tensors  []TensorInfo
	}{
		{"no type Q4_0", nil, one("t", tensor.Q4_0, 32)},
		{"no type invalid", nil, one("t", tensor.Invalid)},
		{"33 dimensions", nil, one("t", tensor.F32, slices.Repeat([]int{1}, 33)...)},
		{"announced twice", nil, append(one("t", tensor.F32), one("t", tensor.F32)...)},
		{"format's own", nil, one("__metadata__", tensor.F32)},
		{"empty name", nil, one("", tensor.F32)},
		{"control characters", nil, one("a\x00", tensor.F32)},
		{"UTF-8", nil, one("a\xff", tensor.F32)},
		{"at most 170 bytes", nil, one(strings.Repeat("n", 171), tensor.F32)},
		{"cannot be counted", nil, one("t", tensor.F32, -1)},
		{"cannot be counted", nil, one("t", tensor.F32, 4194305, 4194305, 211106198978564)},
		{"bytes of all tensors cannot be counted", nil, append(one("t", tensor.I8, 1<<59), one("u", tensor.I8, 1<<59+1<<58)...)},
		{"at most 174762 bytes", map[string]string{"k": strings.Repeat("v", 174763)}, nil},
		{"UTF-8", map[string]string{"k": "\xff"}, nil},
	} {
		dir := t.TempDir()
		_, err := Create(filepath.Join(dir, "m.safetensors"), c.metadata, c.tensors)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("want the file and %q, got error %v", c.want, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%s: %v was left behind", c.want, left)
		}
	}
}
