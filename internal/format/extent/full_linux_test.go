package extent

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDiskFull writes more than a small file system holds.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	path := filepath.Join(dir, "m")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	w, err := Create(File{Path: path, Size: 4 << 20, Ranges: []Range{{"x", 0, 4 << 20}}})
	if err != nil {
		t.Fatal(err)
	}
	piece := make([]byte, 1<<18)
	for range 16 {
		if err = w.Write("x", piece); err != nil {
			break
		}
	}
	if !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), `"x"`) {
		t.Errorf("the disk is full, and the error is %v", err)
	}
	if again := w.Write("x", nil); again != err {
		t.Errorf("after an error Write says %v", again)
	}
	if closed := w.Close(); closed != err {
		t.Errorf("after an error Close says %v", closed)
	}
	if old, err := os.ReadFile(path); string(old) != "old" {
		t.Errorf("the old file is %q, %v", old, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("%v was left behind", left)
	}
}
