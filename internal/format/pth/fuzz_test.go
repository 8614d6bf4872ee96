package pth

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/hostile"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/sys/mmap"
	"github.com/cria-llm/cria/internal/tensor"
)

// readAll reads every byte of every tensor: what was accepted must be readable.
func readAll(t *testing.T, tensors []*view.Tensor) {
	for _, x := range tensors {
		if x.Type == tensor.Invalid {
			continue
		}
		rows, _ := x.Shape()
		if err := x.ReadRows(make([]byte, x.Size()), 0, rows); err != nil {
			t.Fatal(err)
		}
	}
}

// seeds adds PyTorch's files and the bad ones that are small.
func seeds(f *testing.F, add func(path string)) {
	paths, err := filepath.Glob("testdata/*.pth")
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	for _, c := range hostile.PTH() {
		path, err := c.Write(filepath.Join(dir, c.Name))
		if err != nil {
			f.Fatal(err)
		}
		paths = append(paths, path)
	}
	for _, path := range paths {
		if st, err := os.Stat(path); err != nil {
			f.Fatal(err)
		} else if st.Size() < 1<<14 {
			add(path)
		}
	}
}

func FuzzOpen(f *testing.F) {
	seeds(f, func(path string) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	})
	path := filepath.Join(f.TempDir(), "m.pth")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		file, err := Open(path)
		if err != nil {
			if !errors.As(err, new(*ferr.Error)) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		defer file.Close()
		readAll(t, file.Tensors())
		if err := file.Verify(func(int) error { return nil }); err != nil && !errors.As(err, new(*ferr.Error)) {
			t.Fatalf("%T: %v", err, err)
		}
	})
}

func FuzzPickle(f *testing.F) {
	seeds(f, func(path string) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		if entries, err := readZip(path, data); err == nil && entries["data.pkl"] != nil {
			f.Add(entries["data.pkl"].data)
		}
	})
	path := filepath.Join(f.TempDir(), "m.pth")
	if err := os.WriteFile(path, hostile.ValidPTH(), 0o666); err != nil {
		f.Fatal(err)
	}
	region, err := mmap.Open(path)
	if err != nil {
		f.Fatal(err)
	}
	defer region.Close()
	entries, err := readZip(path, region.Bytes())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, pickle []byte) {
		file := &File{region: region, entries: entries, byName: map[string]*view.Tensor{}}
		root, err := unpickle(path, pickle, entries)
		if err == nil {
			err = (&collector{file: file}).collect(root)
		}
		if err != nil {
			if !errors.As(err, new(*ferr.Error)) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		readAll(t, file.tensors)
	})
}
