package llama2c

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/hostile"
)

// FuzzOpen: a file is refused by a ferr.Error, or all of it can be read.
func FuzzOpen(f *testing.F) {
	for version := range uint32(3) {
		f.Add(hostile.ValidLlama2c(version))
	}
	for _, c := range hostile.Llama2c() {
		f.Add(c.Files()[0].Data)
	}
	path := filepath.Join(f.TempDir(), "m.bin")
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
		for _, x := range file.Tensors() {
			rows, _ := x.Shape()
			err := x.ReadRows(make([]byte, x.Size()), 0, rows)
			if err != nil && !strings.Contains(err.Error(), "scale of group") {
				t.Fatal(err)
			}
		}
	})
}
