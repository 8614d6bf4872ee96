package extent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// twoFiles has a file with a gap between its ranges, and one with a head alone.
func twoFiles(dir string) []File {
	return []File{
		{Path: filepath.Join(dir, "a"), Head: []byte("HEAD"), Size: 16, Ranges: []Range{{"x", 6, 4}, {"empty", 10, 0}, {"y", 12, 3}}},
		{Path: filepath.Join(dir, "b"), Head: []byte("only"), Size: 4},
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(twoFiles(dir)...)
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range []struct{ name, data string }{{"y", "1"}, {"x", "abc"}, {"y", "23"}, {"x", ""}, {"x", "d"}} {
		if err := w.Write(piece.name, []byte(piece.data)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "b"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is there before Close", name)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	w.Abort() // does nothing
	for name, want := range map[string]string{"a": "HEAD\x00\x00abcd\x00\x00123\x00", "b": "only"} {
		if got, err := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s is %q, error %v, want %q", name, got, err, want)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("%v stand in the directory", left)
	}
}

// TestNothingStays: whatever fails, old files are as they were and no others are
// there.
func TestNothingStays(t *testing.T) {
	full := func(w *Writer) error {
		if err := w.Write("x", make([]byte, 4)); err != nil {
			return err
		}
		return w.Write("y", make([]byte, 3))
	}
	for name, c := range map[string]struct {
		want string
		do   func(dir string, w *Writer) error
	}{
		"abort":    {"", func(_ string, w *Writer) error { w.Abort(); return nil }},
		"unknown":  {`tensor "z" was not announced`, func(_ string, w *Writer) error { return w.Write("z", nil) }},
		"too long": {`tensor "y": 4 bytes after 0, where 3 were announced`, func(_ string, w *Writer) error { return w.Write("y", make([]byte, 4)) }},
		"too short": {`tensor "y": 0 of 3 bytes were written`, func(_ string, w *Writer) error {
			if err := w.Write("x", make([]byte, 4)); err != nil {
				return err
			}
			return w.Close()
		}},
		// A directory cannot be replaced by a file.
		"no rename": {"a: ", func(dir string, w *Writer) error {
			if err := os.MkdirAll(filepath.Join(dir, "a", "sub"), 0o777); err != nil {
				return err
			}
			defer os.RemoveAll(filepath.Join(dir, "a"))
			if err := full(w); err != nil {
				return err
			}
			return w.Close()
		}},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "b"), []byte("old"), 0o666); err != nil {
			t.Fatal(err)
		}
		w, err := Create(twoFiles(dir)...)
		if err != nil {
			t.Fatal(err)
		}
		err = c.do(dir, w)
		if (err != nil) != (c.want != "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), dir)) {
			t.Errorf("%s: error %v, want the file and %q", name, err, c.want)
		}
		w.Abort()
		if err := w.Close(); err == nil {
			t.Errorf("%s: Close after Abort found nothing wrong", name)
		}
		if old, err := os.ReadFile(filepath.Join(dir, "b")); string(old) != "old" {
			t.Errorf("%s: the old file is %q, %v", name, old, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%s: %v stand in the directory", name, left)
		}
	}
}

func TestCreateFails(t *testing.T) {
	dir := t.TempDir()
	files := twoFiles(dir)
	files[1].Ranges = []Range{{"x", 0, 1}}
	if _, err := Create(files...); err == nil || !strings.Contains(err.Error(), `two parts are called "x"`) {
		t.Errorf("a name in two files: %v", err)
	}
	files = twoFiles(dir)
	files[1].Path = filepath.Join(dir, "none", "b")
	if _, err := Create(files...); err == nil || !strings.Contains(err.Error(), files[1].Path) {
		t.Errorf("no directory: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("%v was left behind", left)
	}
}
