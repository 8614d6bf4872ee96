package train

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// TestDiskFull: on a full disk a save is an error, and the checkpoint before it
// is as it was. A run that goes on from there needs nothing but room.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=10m"); err != nil {
		t.Skip("no file system can be mounted here: ", err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	cfg := tinyRun(20)
	cfg.SaveEvery, cfg.KeepLast = 5, 4
	r, c := newRun(t, dir, cfg, nil)
	ballast := filepath.Join(dir, "ballast")
	c.learn = func(step int, _ *Sums) {
		if step == 8 {
			f, err := os.Create(ballast)
			if err != nil {
				t.Error(err)
			}
			for err == nil { // until the disk is full
				_, err = f.Write(make([]byte, 4096))
			}
			st, err := f.Stat()
			if err != nil {
				t.Error(err)
			}
			if err := errors.Join(f.Truncate(st.Size()-3*4096), f.Close()); err != nil { // room for metrics, not for a checkpoint
				t.Error(err)
			}
		}
	}
	err := r.Train(t.Context())
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("the disk is full, and the error is %v", err)
	}
	p := last(t, dir)
	if p.Step != 5 {
		t.Errorf("the last checkpoint is of step %d, want 5", p.Step)
	}
	entries, err := os.ReadDir(filepath.Join(dir, checkpointsDir))
	if err != nil || len(entries) != 1 {
		t.Errorf("%v was left behind (%v)", entries, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	r, _ = newRun(t, dir, cfg, p)
	if err := r.Train(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := last(t, dir); p.Step != 20 {
		t.Errorf("the last checkpoint is of step %d, want 20", p.Step)
	}
}
