package gguf

import (
	"bytes"
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

// allKVs has a value of every type that GGUF has.
var allKVs = []KV{
	{"general.architecture", "llama"},
	{"t.uint8", uint8(200)}, {"t.int8", int8(-100)}, {"t.uint16", uint16(60000)}, {"t.int16", int16(-30000)},
	{"t.uint32", uint32(4e9)}, {"t.int32", int32(-2e9)}, {"t.uint64", uint64(1 << 63)}, {"t.int64", int64(-1 << 63)},
	{"t.float32", float32(1e-5)}, {"t.float64", 0.1}, {"t.true", true}, {"t.false", false}, {"t.empty", ""},
	{"t.utf8", "▁été\x00\n"},
	{"a.uint8", []uint8{1, 2}}, {"a.int8", []int8{-1}}, {"a.uint16", []uint16{1}}, {"a.int16", []int16{-1, 5}},
	{"a.uint32", []uint32{7}}, {"a.int32", []int32{-7, 8, 9}}, {"a.uint64", []uint64{1 << 60}}, {"a.int64", []int64{-1}},
	{"a.float32", []float32{-0.5, 3}}, {"a.float64", []float64{1.5}}, {"a.bool", []bool{true, false, true}},
	{"a.string", []string{"", "a", "<s>"}}, {"a.none", []string{}},
	{"a.nested", Nested{[]int32{1, 2}, Nested{[]string{"x"}, Nested{}}, []uint8{}}},
}

// allTensors has a tensor of every type, of one to four dimensions.
func allTensors() (infos []TensorInfo, data map[string][]byte) {
	rng := rand.New(rand.NewPCG(1, 2))
	data = map[string][]byte{}
	for typ := tensor.F32; typ <= tensor.F64; typ++ {
		n := int(typ)%maxDims + 1
		dims := make([]int, n)
		size := typ.BlockBytes()
		for i := range dims {
			dims[i] = 1 + rng.IntN(3)
			size *= dims[i]
		}
		dims[n-1] *= typ.BlockElems()
		name := fmt.Sprintf("blk.%d.%s", typ, typ)
		infos = append(infos, TensorInfo{name, typ, dims})
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		data[name] = b
	}
	return infos, data
}

// write writes all tensors in pieces, in an order of its own.
func write(t *testing.T, path string, kvs []KV, infos []TensorInfo, data map[string][]byte) {
	t.Helper()
	w, err := Create(path, kvs, infos)
	if err != nil {
		t.Fatal(err)
	}
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

// sameTensors checks a file's tensors against what was written.
func sameTensors(t *testing.T, f *File, infos []TensorInfo, data map[string][]byte) {
	t.Helper()
	if len(f.Tensors()) != len(infos) {
		t.Fatalf("%d tensors, want %d", len(f.Tensors()), len(infos))
	}
	for i, got := range f.Tensors() {
		want := infos[i]
		if got.Key != want.Name || got.Type != want.Type || !slices.Equal(got.Dims, want.Dims) {
			t.Errorf("tensor %d is %s %v %v, want %v", i, got.Key, got.Type, got.Dims, want)
		}
		if f.Lookup(want.Name) != got {
			t.Errorf("Lookup(%s) finds another tensor", want.Name)
		}
		b := make([]byte, got.Size())
		rows, _ := got.Shape()
		if err := got.ReadRows(b, 0, rows); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, data[want.Name]) || !bytes.Equal(got.Mapped(), data[want.Name]) {
			t.Errorf("tensor %s has other bytes than were written", want.Name)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	infos, data := allTensors()
	for _, alignment := range []uint32{0, 8, 32, 4096} {
		t.Run(fmt.Sprint("alignment ", alignment), func(t *testing.T) {
			kvs := slices.Clone(allKVs)
			wantAlignment := 32
			if alignment != 0 {
				kvs = append(kvs, KV{"general.alignment", alignment})
				wantAlignment = int(alignment)
			}
			path := filepath.Join(t.TempDir(), "m.gguf")
			write(t, path, kvs, infos, data)
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if f.Version != 3 || f.Alignment != wantAlignment {
				t.Errorf("version %d, alignment %d", f.Version, f.Alignment)
			}
			if !reflect.DeepEqual(f.KVs(), kvs) {
				t.Errorf("the metadata is\n%v\nwant\n%v", f.KVs(), kvs)
			}
			sameTensors(t, f, infos, data)
			st, err := os.Stat(path)
			if err != nil || st.Size()%int64(wantAlignment) != 0 {
				t.Errorf("the file has %d bytes, error %v: the last tensor is not padded", st.Size(), err)
			}
		})
	}
}

func TestVocabularyOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v.gguf")
	write(t, path, allKVs, nil, nil)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if len(f.Tensors()) != 0 || len(f.KVs()) != len(allKVs) {
		t.Errorf("%d tensors, %d keys", len(f.Tensors()), len(f.KVs()))
	}
}

func TestCreateRefuses(t *testing.T) {
	deep := Nested{Nested{Nested{Nested{[]int32{}}}}}
	kv := func(key string, v any) []KV { return []KV{{key, v}} }
	one := func(name string, typ tensor.DType, dims ...int) []TensorInfo { return []TensorInfo{{name, typ, dims}} }
	for _, c := range []struct {
		want    string
		kvs     []KV
		tensors []TensorInfo
	}{
		{`"x" is given twice`, []KV{{"x", "a"}, {"x", "b"}}, nil},
		{"empty name", kv("", "a"), nil},
		{"control characters", kv("a\nb", "a"), nil},
		{"UTF-8", kv("a\xff", "a"), nil},
		{"65536 bytes", kv(strings.Repeat("k", 65536), "a"), nil},
		{"type int", kv("x", 5), nil},
		{"type []int", kv("x", []int{5}), nil},
		{"is a int32", kv("x", Nested{int32(5)}), nil},
		{"nested more than 4 deep", kv("x", deep), nil},
		{"16777217 bytes", kv("x", strings.Repeat("k", 16<<20+1)), nil},
		{"more than 16777216 elements", kv("x", make([]uint8, 1<<24+1)), nil},
		{"general.alignment is 24", kv("general.alignment", uint32(24)), nil},
		{"general.alignment is 32", kv("general.alignment", uint64(32)), nil},
		{"announced twice", nil, append(one("t", tensor.F32, 1), one("t", tensor.F16, 1)...)},
		{"64 bytes, 63 are allowed", nil, one(strings.Repeat("n", 64), tensor.F32, 1)},
		{"no type invalid", nil, one("t", tensor.Invalid, 1)},
		{"0 dimensions", nil, one("t", tensor.F32)},
		{"5 dimensions", nil, one("t", tensor.F32, 1, 1, 1, 1, 1)},
		{"no countable elements", nil, one("t", tensor.F32, 3, 0)},
		{"no countable elements", nil, one("t", tensor.F32, -1)},
		{"no countable elements", nil, one("t", tensor.I8, 1<<31, 1<<31, 2)},
		{"cannot be counted", nil, one("t", tensor.F32, 1<<31, 1<<30)},
		{"multiples of 256", nil, one("t", tensor.Q4_K, 2, 128)},
		{"cannot be counted", nil, append(one("t", tensor.I8, 1<<61), one("u", tensor.I8, 1<<62)...)},
	} {
		dir := t.TempDir()
		_, err := Create(filepath.Join(dir, "m.gguf"), c.kvs, c.tensors)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("want the file and %q, got error %v", c.want, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%s: %v was left behind", c.want, left)
		}
	}
}
