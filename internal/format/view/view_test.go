package view

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/sys/mmap"
	"github.com/cria-llm/cria/internal/sys/mmaptest"
	"github.com/cria-llm/cria/internal/tensor"
)

// mapped maps a file of n bytes, each the low byte of its offset.
func mapped(t *testing.T, n int) *mmap.File {
	t.Helper()
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i)
	}
	path := filepath.Join(t.TempDir(), "m")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	m, err := mmap.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestShape(t *testing.T) {
	for _, c := range []struct {
		typ        tensor.DType
		dims       []int
		rows, cols int
		size       int64
	}{
		{tensor.F32, nil, 1, 1, 4}, {tensor.F16, []int{7}, 1, 7, 14}, {tensor.Q4_0, []int{3, 64}, 3, 64, 3 * 2 * 18},
		{tensor.BF16, []int{2, 3, 5}, 6, 5, 60}, {tensor.F32, []int{0, 5}, 0, 5, 0}, {tensor.F32, []int{5, 0}, 5, 0, 0},
		{tensor.Invalid, []int{0, 3}, 0, 3, 0},
	} {
		x := Computed("f", "k", c.typ, c.dims, nil)
		rows, cols := x.Shape()
		if rows != c.rows || cols != c.cols || x.Size() != c.size || x.DType() != c.typ || x.TypeName != c.typ.String() {
			t.Errorf("%s %v is (%d, %d) of %d bytes, want (%d, %d) of %d", x.TypeName, c.dims, rows, cols, x.Size(), c.rows, c.cols, c.size)
		}
	}
}

func TestReadRows(t *testing.T) {
	m := mapped(t, 256)
	x := Mapped(m, "k", tensor.I8, []int{2, 3, 4}, m.Bytes()[100:124])
	got := make([]byte, 8)
	if err := x.ReadRows(got, 3, 2); err != nil {
		t.Fatal(err)
	}
	if want := []byte{112, 113, 114, 115, 116, 117, 118, 119}; !bytes.Equal(got, want) {
		t.Errorf("rows 3 and 4 are %v, want %v", got, want)
	}
	if x.Name() != m.Name()+": k" || x.File != m.Name() {
		t.Errorf("the name is %q in %q", x.Name(), x.File)
	}
	for name, f := range map[string]func(){
		"row beyond the end": func() { _ = x.ReadRows(make([]byte, 8), 5, 2) },
		"negative row":       func() { _ = x.ReadRows(make([]byte, 8), -1, 2) },
		"negative number":    func() { _ = x.ReadRows(nil, 1, -1) },
		"wrong length":       func() { _ = x.ReadRows(make([]byte, 9), 0, 2) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
	if err := x.ReadRows(nil, 6, 0); err != nil {
		t.Errorf("no rows at the end: %v", err)
	}
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

func TestComputed(t *testing.T) {
	failed := errors.New("failed")
	x := Computed("f", "k", tensor.I8, []int{4, 2}, func(dst []byte, row, n int) error {
		if row == 3 {
			return failed
		}
		copy(dst, []byte{byte(row), byte(n), 7, 8})
		return nil
	})
	got := make([]byte, 4)
	if err := x.ReadRows(got, 1, 2); err != nil || !bytes.Equal(got, []byte{1, 2, 7, 8}) {
		t.Errorf("got %v, %v", got, err)
	}
	if err := x.ReadRows(got[:2], 3, 1); err != failed {
		t.Errorf("the reader's error became %v", err)
	}
	x.Release(0, 4) // has nothing to release
	if x.Mapped() != nil {
		t.Error("computed rows are mapped")
	}
}

// TestCutWhileOpen: reading where the file was cut is an error that names it, and
// rows before and after Release are the same.
func TestCutWhileOpen(t *testing.T) {
	page := os.Getpagesize()
	m := mapped(t, 8*page)
	x := Mapped(m, "k", tensor.I8, []int{8, page}, m.Bytes())
	row := make([]byte, page)
	for range 2 {
		if err := x.ReadRows(row, 5, 1); err != nil || row[3] != byte(5*page+3) {
			t.Fatalf("row 5 has %d, error %v", row[3], err)
		}
		x.Release(0, 8)
	}
	if err := os.Truncate(m.Name(), int64(4*page)); err != nil {
		t.Skip("a mapped file cannot be cut here: ", err)
	}
	if err := x.ReadRows(row, 3, 1); err != nil {
		t.Errorf("a row before the cut: %v", err)
	}
	mmaptest.SkipUnlessFaultsAreLocated(t, m.Bytes()[5*page:])
	err := x.ReadRows(row, 5, 1)
	if fault := new(mmap.FaultError); !errors.As(err, &fault) || fault.File != m.Name() || !strings.Contains(err.Error(), m.Name()) {
		t.Errorf("a row behind the cut: %v", err)
	} else if fault.Offset < int64(5*page) || fault.Offset >= int64(6*page) {
		t.Errorf("the fault is said to be at %d", fault.Offset)
	}
}
