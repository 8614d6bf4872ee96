package gguf

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/hostile"
	"github.com/cria-llm/cria/internal/sys/mmap"
	"github.com/cria-llm/cria/internal/sys/mmaptest"
	"github.com/cria-llm/cria/internal/tensor"
)

// tryOpen opens and closes.
func tryOpen(path string) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

func TestHostile(t *testing.T) {
	for _, c := range hostile.GGUF() {
		t.Run(c.Name, func(t *testing.T) {
			hostile.Refuse(t, &c, func(path string) error {
				err := tryOpen(path)
				if refusal := new(ferr.Error); err != nil && !errors.As(err, &refusal) {
					t.Errorf("the refusal is a %T", err)
				}
				return err
			})
		})
	}
}

func TestKinds(t *testing.T) {
	want := map[string]error{
		"gguf version 4":                      ferr.ErrUnsupported,
		"gguf big-endian":                     ferr.ErrUnsupported,
		"gguf tensor type of another program": ferr.ErrUnsupported,
		"gguf magic NOPE":                     ferr.ErrMalformed,
		"gguf overlapping":                    ferr.ErrMalformed,
	}
	for _, c := range hostile.GGUF() {
		if want[c.Name] == nil {
			continue
		}
		path, err := c.Write(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		if err := tryOpen(path); !errors.Is(err, want[c.Name]) {
			t.Errorf("%s: %v is no %v", c.Name, err, want[c.Name])
		}
		delete(want, c.Name)
	}
	if len(want) != 0 {
		t.Errorf("the corpus has no %v", want)
	}
}

// TestCut cuts a valid file at every byte. Only the padding of its last tensor,
// 16 bytes, may be missing.
func TestCut(t *testing.T) {
	data, header := hostile.ValidGGUF()
	hostile.Cut(t, "m.gguf", data, func(path string, n int) {
		err := tryOpen(path)
		if n >= len(data)-16 {
			if err != nil {
				t.Fatalf("cut to %d of %d bytes: %v", n, len(data), err)
			}
			return
		}
		var refusal *ferr.Error
		if !errors.As(err, &refusal) || refusal.File != path || refusal.Field == "" {
			t.Fatalf("cut to %d of %d bytes, %d of header: %v", n, len(data), header, err)
		}
	})
}

func TestVersion2(t *testing.T) {
	data, _ := hostile.ValidGGUF()
	data[4] = 2
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Version != 2 || len(f.Tensors()) != 3 || len(f.KVs()) != 8 {
		t.Errorf("version %d, %d tensors, %d keys", f.Version, len(f.Tensors()), len(f.KVs()))
	}
	if x := f.Lookup("token_embd.weight"); x == nil || x.Type != tensor.Q4_0 || !slices.Equal(x.Dims, []int{2, 32}) {
		t.Errorf("token_embd.weight is %+v", x)
	}
	if v, _ := f.Get("nested"); !reflect.DeepEqual(v, Nested{[]uint8{1, 2}}) {
		t.Errorf("nested is %v", v)
	}
}

func TestSplit(t *testing.T) {
	infos, data := allTensors()
	dir := t.TempDir()
	var paths []string
	parts := [][]TensorInfo{infos[:5], infos[5:6], infos[6:]}
	for i, part := range parts {
		var kvs []KV
		if i == 0 {
			kvs = slices.Clone(allKVs)
		}
		// llama.cpp writes these types.
		kvs = append(kvs, KV{"split.no", uint16(i)}, KV{"split.count", uint16(3)}, KV{"split.tensors.count", int32(len(infos))})
		path := filepath.Join(dir, fmt.Sprintf("m-%05d-of-00003.gguf", i+1))
		write(t, path, kvs, part, data)
		paths = append(paths, path)
	}
	for _, path := range paths { // any part opens the set
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		sameTensors(t, f, infos, data)
		if !reflect.DeepEqual(f.KVs(), allKVs) {
			t.Errorf("the metadata is %v", f.KVs())
		}
		if !slices.Equal(f.Files(), paths) || f.Path() != path {
			t.Errorf("opened %s: files %v", f.Path(), f.Files())
		}
		if f.Lookup(infos[5].Name).File != paths[1] {
			t.Errorf("%s is said to lie in %s", infos[5].Name, f.Lookup(infos[5].Name).File)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	// A set of one is a file of its own, whatever its name.
	path := filepath.Join(dir, "single.gguf")
	write(t, path, append(slices.Clone(allKVs), KV{"split.count", uint16(1)}), infos, data)
	if err := tryOpen(path); err != nil {
		t.Error(err)
	}
}

func TestOpenNoFile(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(filepath.Join(dir, "none.gguf")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("a directory: %v", err)
	}
}

func TestWeightTypesAreKnown(t *testing.T) {
	for _, typ := range tensor.WeightTypes() {
		if _, ok := numberOf(typ); !ok {
			t.Errorf("GGUF has no number for %s", typ)
		}
	}
	for n := range tensorTypes {
		if name, twice := otherTensorTypes[n]; twice {
			t.Errorf("type %d is known and is %s", n, name)
		}
	}
}

func TestGetters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	nan := []KV{{"f.nan", float32(math.NaN())}, {"a.big", []uint32{1, 1 << 31}}}
	write(t, path, append(slices.Clone(allKVs), nan...), nil, nil)
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	type result struct {
		value any
		ok    bool
		err   error
	}
	get := func(v any, ok bool, err error) result { return result{v, ok, err} }
	uintOf := func(key string) result { v, ok, err := f.GetUint(key); return get(v, ok, err) }
	floatOf := func(key string) result { v, ok, err := f.GetFloat(key); return get(v, ok, err) }
	intsOf := func(key string) result { v, ok, err := f.GetInt32s(key); return get(v, ok, err) }
	stringOf := func(key string) result { v, ok, err := f.GetString(key); return get(v, ok, err) }
	boolOf := func(key string) result { v, ok, err := f.GetBool(key); return get(v, ok, err) }
	stringsOf := func(key string) result { v, ok, err := f.GetStrings(key); return get(v, ok, err) }
	floatsOf := func(key string) result { v, ok, err := f.GetFloat32s(key); return get(v, ok, err) }
	for i, c := range []struct {
		got  result
		want any    // nil where there is an error or no key
		err  string // what the error contains
	}{
		{uintOf("t.uint8"), uint64(200), ""}, {uintOf("t.uint16"), uint64(60000), ""}, {uintOf("t.uint32"), uint64(4e9), ""},
		{uintOf("t.uint64"), uint64(1 << 63), ""}, {uintOf("t.int8"), nil, "t.int8 is -100"}, {uintOf("t.int16"), nil, "not negative"},
		{uintOf("t.int32"), nil, "not negative"}, {uintOf("t.int64"), nil, "not negative"}, {uintOf("t.float32"), nil, "type float32"},
		{uintOf("none"), nil, ""},
		{floatOf("t.float32"), float64(float32(1e-5)), ""}, {floatOf("t.float64"), 0.1, ""}, {floatOf("f.nan"), nil, "f.nan is NaN"},
		{floatOf("t.uint8"), nil, "type uint8"}, {floatOf("none"), nil, ""},
		{intsOf("a.int32"), []int32{-7, 8, 9}, ""}, {intsOf("a.uint32"), []int32{7}, ""}, {intsOf("a.big"), nil, "a.big is 2147483648"},
		{intsOf("a.int8"), nil, "array of int8"}, {intsOf("none"), nil, ""},
		{stringOf("t.utf8"), "▁été\x00\n", ""}, {stringOf("a.string"), nil, "array of string"}, {stringOf("none"), nil, ""},
		{boolOf("t.true"), true, ""}, {boolOf("t.uint8"), nil, "type uint8"},
		{stringsOf("a.string"), []string{"", "a", "<s>"}, ""}, {stringsOf("a.nested"), nil, "array of array"},
		{floatsOf("a.float32"), []float32{-0.5, 3}, ""}, {floatsOf("a.float64"), nil, "array of float64"},
	} {
		switch {
		case c.err != "":
			if !c.got.ok || c.got.err == nil || !strings.Contains(c.got.err.Error(), c.err) || !strings.Contains(c.got.err.Error(), path) {
				t.Errorf("%d: got %v, want an error that names the file and %q", i, c.got, c.err)
			}
		case c.want == nil:
			if c.got.ok || c.got.err != nil {
				t.Errorf("%d: got %v for a key that is not there", i, c.got)
			}
		default:
			if !c.got.ok || c.got.err != nil || !reflect.DeepEqual(c.got.value, c.want) {
				t.Errorf("%d: got %v, want %v", i, c.got, c.want)
			}
		}
	}
}

// TestCutWhileRead: a header that is cut while it is read is an error that names
// the file.
func TestCutWhileRead(t *testing.T) {
	written := filepath.Join(t.TempDir(), "m.gguf")
	write(t, written, []KV{{"long", strings.Repeat("x", 1<<17)}}, nil, nil)
	data, err := os.ReadFile(written)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name string, data []byte, read func(m *mmap.File) error) {
		t.Helper()
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		m, err := mmap.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		if err := os.Truncate(path, 1<<16); err != nil {
			t.Skip("a mapped file cannot be cut here: ", err)
		}
		mmaptest.SkipUnlessFaultsAreLocated(t, m.Bytes()[1<<16:])
		err = mmap.Guard(func() error { return read(m) })
		if fault := new(mmap.FaultError); !errors.As(err, &fault) || fault.File != path {
			t.Errorf("%s: %v", name, err)
		}
	}
	check("header", data, func(m *mmap.File) error {
		_, err := parse(m)
		return err
	})
}

// TestOpenBytes: a file in memory is read, and refused, as one on disk is.
func TestOpenBytes(t *testing.T) {
	for _, c := range hostile.GGUF() {
		path, err := c.Write(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(path)
		if err != nil || st.IsDir() || st.Size() > 64<<20 {
			continue
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if f, err := OpenBytes("inside", data); err == nil {
			_ = f.Close()
			t.Errorf("%s: it is accepted", c.Name)
		} else if !strings.Contains(err.Error(), "inside") {
			t.Errorf("%s: the error does not name the file: %v", c.Name, err)
		}
	}
	path := filepath.Join("testdata", "py.gguf")
	onDisk, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer onDisk.Close()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := OpenBytes("inside", data)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !reflect.DeepEqual(f.KVs(), onDisk.KVs()) || len(f.Tensors()) == 0 || len(f.Tensors()) != len(onDisk.Tensors()) {
		t.Fatalf("%d entries and %d tensors in memory, %d and %d on disk", len(f.KVs()), len(f.Tensors()), len(onDisk.KVs()), len(onDisk.Tensors()))
	}
	for i, want := range onDisk.Tensors() {
		if got := f.Tensors()[i]; got.Key != want.Key || !reflect.DeepEqual(got.Mapped(), want.Mapped()) {
			t.Errorf("tensor %d is %s in memory and %s on disk, or has other bytes", i, got.Key, want.Key)
		}
	}
}
