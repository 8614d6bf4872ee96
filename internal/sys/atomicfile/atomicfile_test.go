package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dirHas checks which files stand in dir, hidden ones included.
func dirHas(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("the directory has %q, want %q", got, want)
	}
}

func TestCommit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.WriteFile(path, []byte("old and longer"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("new")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), 5); err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(7); err != nil {
		t.Fatal(err)
	}
	if old, _ := os.ReadFile(path); string(old) != "old and longer" {
		t.Errorf("before Commit the file is %q", old)
	}
	if err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); string(got) != "new\x00\x00x\x00" {
		t.Errorf("the file is %q, %v", got, err)
	}
	dirHas(t, dir, "f")
	f.Abort()
	dirHas(t, dir, "f")
	if err := f.Commit(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a second Commit says %v", err)
	}
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	f, err := Create(filepath.Join(dir, "f"))
	if err != nil {
		t.Fatal(err)
	}
	f.Abort()
	f.Abort()
	dirHas(t, dir)
	if err := f.Commit(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Commit after Abort says %v", err)
	}
}

// TestTwo: two writers of one file do not meet; the last one to commit wins.
func TestTwo(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	var files []*File
	for _, text := range []string{"first", "second"} {
		f, err := Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Abort()
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	for i, want := range []string{"second", "first"} {
		if err := files[1-i].Commit(); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != want {
			t.Errorf("the file is %q, want %q", got, want)
		}
	}
	dirHas(t, dir, "f")
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Create(filepath.Join(dir, "none", "f")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	// A directory that is not empty cannot be replaced.
	path := filepath.Join(dir, "d")
	if err := os.MkdirAll(filepath.Join(path, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	f, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if f.Path() != path {
		t.Errorf("the path is %q", f.Path())
	}
	if err := f.Commit(); err == nil {
		t.Error("a directory was replaced")
	}
	dirHas(t, dir, "d")
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, text := range []string{"first", "the second one"} {
		if err := WriteFile(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Errorf("the file has %q (%v), want %q", got, err, text)
		}
	}
	dirHas(t, dir, "f")
	if err := WriteFile(filepath.Join(dir, "none", "f"), nil); err == nil {
		t.Error("a file in a directory that is not there was written")
	}
}
