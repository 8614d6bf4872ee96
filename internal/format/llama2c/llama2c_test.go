package llama2c

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/hostile"
	"github.com/cria-llm/cria/internal/tensor"
)

// tryOpen opens and closes.
func tryOpen(path string) error {
	f, err := Open(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// TestExported reads files that llama2.c's export.py wrote (testdata/gen.py).
func TestExported(t *testing.T) {
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) != 5 {
		t.Fatalf("fixtures: %v, %v", names, err)
	}
	for _, name := range names {
		t.Run(filepath.Base(name), func(t *testing.T) { testExported(t, name) })
	}
}

func testExported(t *testing.T, name string) {
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Version, Group int
		Tied           bool
		Config         Config
		Tensors        map[string]struct {
			Shape []int
			CRC   uint32
		}
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	path := strings.TrimSuffix(name, ".json") + ".bin"
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Version != want.Version || f.TiedHead != want.Tied || f.GroupSize != want.Group || f.Config != want.Config || f.Path() != path {
		t.Errorf("version %d, tied %v, groups of %d, %+v, want %+v", f.Version, f.TiedHead, f.GroupSize, f.Config, want)
	}
	if len(f.Tensors()) != len(want.Tensors) {
		t.Errorf("%d tensors, want %d", len(f.Tensors()), len(want.Tensors))
	}
	for _, x := range f.Tensors() {
		w, ok := want.Tensors[x.Key]
		if !ok || x.Type != tensor.F32 || !slices.Equal(x.Dims, w.Shape) || f.Lookup(x.Key) != x {
			t.Errorf("tensor %s is %s %v, want %v", x.Key, x.Type, x.Dims, w.Shape)
			continue
		}
		rows, cols := x.Shape()
		all := make([]byte, x.Size())
		if err := x.ReadRows(all, 0, rows); err != nil {
			t.Fatal(err)
		}
		if sum := crc32.ChecksumIEEE(all); sum != w.CRC {
			t.Errorf("tensor %s has checksum %d, want %d", x.Key, sum, w.CRC)
		}
		if mapped := x.Mapped() != nil; mapped != (want.Version != 2 || len(x.Dims) == 1) {
			t.Errorf("tensor %s is mapped: %v", x.Key, mapped)
		}
		// Row by row it is the same: groups may begin within rows.
		one := make([]byte, 4*cols)
		for row := range rows {
			if err := x.ReadRows(one, row, 1); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(one, all[row*4*cols:][:4*cols]) {
				t.Fatalf("tensor %s: row %d alone differs", x.Key, row)
			}
		}
	}
}

// TestStories reads the published model.
func TestStories(t *testing.T) {
	data := os.Getenv("CRIA_TEST_DATA")
	if data == "" {
		data = "../../../../shared/data"
	}
	path := filepath.Join(data, "weights/stories260K/stories260K.bin")
	if _, err := os.Stat(path); err != nil {
		t.Skip("the shared test data is not there: ", err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if want := (Config{64, 172, 5, 8, 4, 512, 512}); f.Config != want || f.Version != 0 || !f.TiedHead || len(f.Tensors()) != 2+9*5 {
		t.Errorf("%+v, version %d, tied %v, %d tensors", f.Config, f.Version, f.TiedHead, len(f.Tensors()))
	}
	// Norms lie around 1, so that a tensor in a wrong place is seen.
	for _, name := range []string{"layers.0.attention_norm.weight", "layers.4.ffn_norm.weight", "norm.weight"} {
		sum := float32(0)
		for b := f.Lookup(name).Mapped(); len(b) > 0; b = b[4:] {
			sum += math.Float32frombits(binary.LittleEndian.Uint32(b))
		}
		if mean := sum / 64; mean < 0.5 || mean > 10 {
			t.Errorf("%s has a mean of %v", name, mean)
		}
	}
}

func TestHostile(t *testing.T) {
	for _, c := range hostile.Llama2c() {
		t.Run(c.Name, func(t *testing.T) {
			hostile.Refuse(t, &c, func(path string) error {
				err := tryOpen(path)
				if refusal := new(ferr.Error); err != nil && !errors.As(err, &refusal) {
					t.Errorf("the refusal is a %T", err)
				}
				return err
			})
		})
	}
}

func TestCut(t *testing.T) {
	for version := range uint32(3) {
		data := hostile.ValidLlama2c(version)
		hostile.Cut(t, "m.bin", data, func(path string, n int) {
			err := tryOpen(path)
			if n == len(data) {
				if err != nil {
					t.Fatalf("version %d: %v", version, err)
				}
				return
			}
			var refusal *ferr.Error
			if !errors.As(err, &refusal) || refusal.File != path || refusal.Field == "" {
				t.Fatalf("version %d cut to %d of %d bytes: %v", version, n, len(data), err)
			}
		})
	}
}

func TestBadScale(t *testing.T) {
	for _, scale := range []float32{float32(math.NaN()), float32(math.Inf(-1))} {
		path := filepath.Join(t.TempDir(), "m.bin")
		if err := os.WriteFile(path, hostile.Llama2cBadScale(scale), 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		x := f.Lookup("tok_embeddings.weight")
		rows, _ := x.Shape()
		err = x.ReadRows(make([]byte, x.Size()), 0, rows)
		for _, want := range []string{path, "tok_embeddings.weight", "group 0", fmt.Sprint(scale)} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("the error does not name %q: %v", want, err)
			}
		}
		if err := x.ReadRows(make([]byte, 4*8), 1, 1); err != nil { // another group
			t.Error(err)
		}
	}
}
