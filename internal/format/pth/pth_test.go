package pth

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/tensor"
)

// want is a tensor as PyTorch read it (testdata/gen.py).
type want struct {
	Name, Type, Data string
	Dims             []int
}

// names of element types of which Cria has one.
var known = map[string]tensor.DType{
	"float32": tensor.F32, "float16": tensor.F16, "bfloat16": tensor.BF16, "float64": tensor.F64,
	"int8": tensor.I8, "int32": tensor.I32, "int64": tensor.I64,
}

func TestFilesOfPyTorch(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) < 5 {
		t.Fatalf("the files of testdata/gen.py: %v, %v", paths, err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(path, ".json")
		t.Run(filepath.Base(name), func(t *testing.T) {
			var wants []want
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &wants); err != nil {
				t.Fatal(err)
			}
			f, err := Open(name + ".pth")
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.Verify(func(int) error { return nil }); err != nil {
				t.Error(err)
			}
			if len(f.Tensors()) != len(wants) {
				t.Errorf("%d tensors, want %d", len(f.Tensors()), len(wants))
			}
			for i, got := range f.Tensors() {
				w := wants[i]
				if got.Key != w.Name || got.TypeName != w.Type || !slices.Equal(got.Dims, w.Dims) || got.Type != known[w.Type] {
					t.Errorf("tensor %d: %q %s (%v) %v, want %q %s %v", i, got.Key, got.TypeName, got.Type, got.Dims, w.Name, w.Type, w.Dims)
				}
				if f.Lookup(w.Name) != got {
					t.Errorf("Lookup(%q) gives another tensor", w.Name)
				}
				data, err := hex.DecodeString(w.Data)
				if err != nil {
					t.Fatal(err)
				}
				if got.Type != tensor.Invalid {
					checkRows(t, got, data)
				}
			}
			if f.Lookup("no such tensor") != nil {
				t.Error("Lookup finds what is not there")
			}
		})
	}
}

// checkRows reads a tensor whole, in pieces, and, where it has them, as mapped
// bytes.
func checkRows(t *testing.T, got *view.Tensor, want []byte) {
	t.Helper()
	if got.Size() != int64(len(want)) {
		t.Errorf("%s: %d bytes, want %d", got.Name(), got.Size(), len(want))
		return
	}
	if m := got.Mapped(); m != nil && !bytes.Equal(m, want) {
		t.Errorf("%s: mapped bytes differ at %d", got.Name(), firstDifference(m, want))
	}
	if len(want) == 0 {
		return
	}
	rows, _ := got.Shape()
	size := len(want) / rows
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		row := r.IntN(rows)
		n := 1 + r.IntN(rows-row)
		if r.IntN(4) == 0 {
			row, n = 0, rows
		}
		buf := make([]byte, n*size)
		if err := got.ReadRows(buf, row, n); err != nil {
			t.Fatal(err)
		}
		if part := want[row*size : (row+n)*size]; !bytes.Equal(buf, part) {
			t.Errorf("%s: rows [%d,%d) differ at byte %d", got.Name(), row, row+n, firstDifference(buf, part))
			return
		}
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// TestContiguousIsMapped: a model's matrices must not be copied on load.
func TestContiguousIsMapped(t *testing.T) {
	f, err := Open("testdata/views.pth")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, mapped := range map[string]bool{
		"whole": true, "tied": true, "rows": true, "item": true, "one row": false, "parameter": true,
		"columns": false, "transposed": false, "column": false, "permuted": false,
	} {
		if got := f.Lookup(name).Mapped() != nil; got != mapped {
			t.Errorf("%s: mapped %t, want %t", name, got, mapped)
		}
	}
	if a, b := f.Lookup("whole").Mapped(), f.Lookup("tied").Mapped(); &a[0] != &b[0] {
		t.Error("one tensor under two names has two places in memory")
	}
}

func TestRefusedFilesOfPyTorch(t *testing.T) {
	for name, want := range map[string]string{
		"legacy":    "unsupported: format: it is a bare pickle, as torch.save wrote before PyTorch 1.6; load it with a current PyTorch and save it again",
		"protocol4": "unsupported: data.pkl: PROTO at offset 0 is 4: protocol 2 is read",
		"bare":      "unsupported: data.pkl: it holds a tensor; a dict of names to tensors is expected",
		"conj":      "unsupported: tensor w: its values are kept with a conj still to be done",
		"expanded":  "unsupported: tensor w: it has 4 elements in a storage of 1",
		"sparse":    `unsupported: data.pkl: GLOBAL at offset 13 is "torch._utils._rebuild_sparse_tensor": it is none of the names that rebuild tensors`,
		"object":    `unsupported: data.pkl: GLOBAL at offset 2 is "torch.nn.modules.linear.Linear"`,
		"script":    "unsupported: entry code/__torch__/torch/nn/modules/linear.py: the file is a TorchScript program",
	} {
		path := "testdata/" + name + ".pth"
		f, err := Open(path)
		if err == nil {
			f.Close()
			t.Errorf("%s is read", name)
			continue
		}
		if !errors.Is(err, ferr.ErrUnsupported) || !strings.HasPrefix(err.Error(), path+": "+want) {
			t.Errorf("%s:\n got %v\nwant %s…", name, err, want)
		}
	}
}

// TestBig reads a file of more than 4 GiB as PyTorch wrote it. It is mostly
// zeros, which take no place on the disk.
func TestBig(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no holes unless asked for")
	}
	text, err := os.ReadFile("testdata/big.sparse")
	if err != nil {
		t.Fatal(err)
	}
	var parts struct {
		Size       int64
		Head, Tail string
	}
	if err := json.Unmarshal(text, &parts); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "big.pth")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, p := range []struct {
		hex     string
		fromEnd bool
	}{{parts.Head, false}, {parts.Tail, true}} {
		data, err := hex.DecodeString(p.hex)
		if err != nil {
			t.Fatal(err)
		}
		at := int64(0)
		if p.fromEnd {
			at = parts.Size - int64(len(data))
		}
		if _, err := file.WriteAt(data, at); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	big, small := f.Lookup("big"), f.Lookup("small")
	if want := []int{1<<20 + 1<<11, 1024}; !slices.Equal(big.Dims, want) || big.Size() <= 1<<32 {
		t.Fatalf("big is %v, %d bytes; want %v", big.Dims, big.Size(), want)
	}
	row := make([]byte, 4096)
	if err := big.ReadRows(row, big.Dims[0]-1, 1); err != nil {
		t.Fatal(err)
	}
	if end := "\x00\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40"; string(row[4096-16:]) != end {
		t.Errorf("the last elements are %x, want %x", row[4096-16:], end)
	}
	checkRows(t, small, []byte("\x00\x00\x00\x00\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40"))
	if os.Getenv("CRIA_LONG") == "1" { // reads all of it
		if err := f.Verify(func(int) error { return nil }); err != nil {
			t.Error(err)
		}
	}
}
