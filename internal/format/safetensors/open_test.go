package safetensors

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
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
	for _, c := range hostile.Safetensors() {
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

// TestCut cuts a valid file at every byte.
func TestCut(t *testing.T) {
	data, header := hostile.ValidSafetensors()
	refused := func(path string, n int) {
		t.Helper()
		err := tryOpen(path)
		var refusal *ferr.Error
		if !errors.As(err, &refusal) || refusal.File != path || refusal.Field == "" {
			t.Fatalf("cut to %d of %d bytes, %d of header: %v", n, len(data), header, err)
		}
	}
	hostile.Cut(t, "m.safetensors", data, func(path string, n int) {
		if n < len(data) {
			refused(path, n)
		} else if err := tryOpen(path); err != nil {
			t.Fatal(err)
		}
	})
	// The header's text cut, with a length that says so; it ends in three spaces.
	hostile.Cut(t, "m.safetensors", data[:header-4], func(path string, n int) {
		if n < lengthBytes {
			return
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt(binary.LittleEndian.AppendUint64(nil, uint64(n-lengthBytes)), 0); err != nil {
			t.Fatal(err)
		}
		refused(path, n)
	})
}

// TestOrder: tensors come by offset, whatever the order in the header, and types
// that Cria has not are listed.
func TestOrder(t *testing.T) {
	data, _ := hostile.ValidSafetensors()
	path := filepath.Join(t.TempDir(), "m.safetensors")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i, want := range []struct {
		name, typeName string
		typ            tensor.DType
		dims           []int
		size           int
	}{
		{"a", "F32", tensor.F32, []int{2, 2}, 16}, {"empty", "F64", tensor.F64, []int{0, 5}, 0},
		{"b", "BF16", tensor.BF16, []int{3}, 6}, {"scalar", "U8", tensor.Invalid, []int{}, 1},
	} {
		got := f.Tensors()[i]
		if got.Key != want.name || got.TypeName != want.typeName || got.Type != want.typ || !slices.Equal(got.Dims, want.dims) || len(got.Mapped()) != want.size {
			t.Errorf("tensor %d is %s %s %v %v of %d bytes, want %v", i, got.Key, got.TypeName, got.Type, got.Dims, len(got.Mapped()), want)
		}
	}
	if f.Metadata()["é\n"] != "🦙" || f.Metadata()["format"] != "pt" {
		t.Errorf("the metadata is %q", f.Metadata())
	}
	if f.Lookup("none") != nil {
		t.Error("a tensor that is not there is found")
	}
}

func TestOpenNoFile(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"none.safetensors", "none.safetensors.index.json"} {
		if _, err := Open(filepath.Join(dir, name)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s, which is not there: %v", name, err)
		}
	}
}

// TestIncomplete: what was not written whole gets no name, and nothing stays.
func TestIncomplete(t *testing.T) {
	infos := []TensorInfo{{"a", tensor.F32, []int{2}}, {"b", tensor.F32, []int{3}}}
	for name, write := range map[string]func(w *Writer) error{
		"nothing":    func(*Writer) error { return nil },
		"one tensor": func(w *Writer) error { return w.WriteTensor("a", make([]byte, 8)) },
		"a byte too few": func(w *Writer) error {
			return errors.Join(w.WriteTensor("a", make([]byte, 8)), w.WriteTensor("b", make([]byte, 11)))
		},
		"a byte too many": func(w *Writer) error { return w.WriteTensor("a", make([]byte, 9)) },
		"another tensor":  func(w *Writer) error { return w.WriteTensor("c", nil) },
	} {
		for _, shard := range []int64{math.MaxInt64, 8} {
			dir := t.TempDir()
			w, err := CreateSharded(dir, shard, infos)
			if err != nil {
				t.Fatal(err)
			}
			refused := write(w) != nil
			if want := name == "a byte too many" || name == "another tensor"; refused != want {
				t.Errorf("%s: refused at once: %v", name, refused)
			}
			if err := w.Close(); err == nil {
				t.Errorf("%s: Close gave the file its name", name)
			}
			if left, _ := os.ReadDir(dir); len(left) != 0 {
				t.Errorf("%s: %v was left behind", name, left)
			}
		}
	}
}

// TestCutWhileRead: a header that is cut while it is read is an error that names
// the file.
func TestCutWhileRead(t *testing.T) {
	header := []byte(`{"__metadata__":{"long":"` + strings.Repeat("x", 1<<17) + `"}}`)
	header = append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	index := []byte(`{"metadata":"` + strings.Repeat("x", 1<<17) + `","weight_map":{}}`)
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
	check("header", header, func(m *mmap.File) error {
		_, _, err := parse(m)
		return err
	})
	check("index", index, func(m *mmap.File) error {
		_, err := readIndex(m)
		return err
	})
}
