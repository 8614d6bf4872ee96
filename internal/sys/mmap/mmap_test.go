package mmap

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cria-llm/cria/internal/sys/mmaptest"
)

func temp(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestOpen(t *testing.T) {
	path := temp(t, []byte("some text"))
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Sequential()
	if string(f.Bytes()) != "some text" || f.Name() != path {
		t.Errorf("%q in %s", f.Bytes(), f.Name())
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if f.Bytes() != nil {
		t.Error("bytes after Close")
	}
}

func TestEmpty(t *testing.T) {
	f, err := Open(temp(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	f.Sequential()
	f.Release(f.Bytes())
	if len(f.Bytes()) != 0 || f.Close() != nil {
		t.Errorf("an empty file has %d bytes", len(f.Bytes()))
	}
}

func TestNoRegularFile(t *testing.T) {
	for _, path := range []string{t.TempDir(), os.DevNull} {
		var pathError *os.PathError
		if _, err := Open(path); !errors.As(err, &pathError) || pathError.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestRelease: released pages are read again, wherever the piece lies.
func TestRelease(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 3*os.Getpagesize()/16+1)
	f, err := Open(temp(t, data))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := len(data)
	for _, r := range [][2]int{{0, n}, {1, n}, {0, n - 1}, {5, 6}, {n - 1, n}, {os.Getpagesize(), 2 * os.Getpagesize()}} {
		f.Release(f.Bytes()[r[0]:r[1]])
		if !bytes.Equal(f.Bytes(), data) {
			t.Fatalf("after the release of %v the file is another", r)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("bytes of another file were released")
		}
	}()
	f.Release(data)
}

// TestGuard: a fault in a mapped file is an error, the file's and no other's.
func TestGuard(t *testing.T) {
	page := os.Getpagesize()
	other, err := Open(temp(t, make([]byte, page)))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	path := temp(t, make([]byte, 3*page))
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := os.Truncate(path, 0); err != nil {
		t.Skip("a mapped file cannot be cut here: ", err)
	}
	mmaptest.SkipUnlessFaultsAreLocated(t, f.Bytes())
	err = Guard(func() error {
		sum := byte(0)
		for _, b := range f.Bytes()[page+7:] {
			sum += b
		}
		t.Errorf("bytes that are gone were read: %d", sum)
		return nil
	})
	var fault *FaultError
	if !errors.As(err, &fault) || fault.File != path || fault.Offset/int64(page) != 1 {
		t.Errorf("the error is %v", err)
	}
	failed := errors.New("failed")
	if err := Guard(func() error { return failed }); err != failed {
		t.Errorf("an error became %v", err)
	}
	func() {
		defer func() {
			if r := recover(); r != "other" {
				t.Errorf("another panic became %v", r)
			}
		}()
		_ = Guard(func() error { panic("other") })
	}()
}

// TestFromBytes: bytes that were given keep what they hold, and survive Close.
func TestFromBytes(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789abcdef"), 2*os.Getpagesize()/16)
	want := bytes.Clone(data)
	f := FromBytes("inside", data)
	f.Sequential()
	f.Release(f.Bytes())
	if f.Name() != "inside" || !bytes.Equal(f.Bytes(), want) {
		t.Errorf("%d bytes of %s", len(f.Bytes()), f.Name())
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data, want) {
		t.Error("the bytes are others after Close")
	}
}
