package pth

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/hostile"
)

// refused opens a file that must not open.
func refused(path string) error {
	f, err := Open(path)
	if err == nil {
		return f.Close()
	}
	return err
}

func TestHostile(t *testing.T) {
	for _, c := range hostile.PTH() {
		t.Run(c.Name, func(t *testing.T) {
			hostile.Refuse(t, &c, func(path string) error {
				err := refused(path)
				if err != nil && !errors.As(err, new(*ferr.Error)) {
					t.Errorf("%T is no *ferr.Error", err)
				}
				return err
			})
		})
	}
	if _, err := os.Stat(hostile.Canary); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a pickle was run: %v", err)
	}
}

// TestDamaged cuts a valid file at every byte and changes every byte of it.
func TestDamaged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.pth")
	good := hostile.ValidPTH()
	if err := os.WriteFile(path, good, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := refused(path); err != nil {
		t.Fatalf("the whole file: %v", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for i, b := range good {
		if _, err := file.WriteAt([]byte{b ^ 0x41}, int64(i)); err != nil {
			t.Fatal(err)
		}
		if err := refused(path); err != nil && !errors.As(err, new(*ferr.Error)) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if _, err := file.WriteAt([]byte{b}, int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	for n := len(good) - 1; n >= 0; n-- {
		if err := file.Truncate(int64(n)); err != nil {
			t.Fatal(err)
		}
		if err := refused(path); !errors.As(err, new(*ferr.Error)) {
			t.Fatalf("cut at byte %d of %d: %v", n, len(good), err)
		}
	}
}
