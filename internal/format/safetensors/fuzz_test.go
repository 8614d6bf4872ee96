package safetensors

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/hostile"
	"github.com/cria-llm/cria/internal/tensor"
)

func addSmall(f *testing.F, suffix string) {
	for _, c := range hostile.Safetensors() {
		for _, file := range c.Files() {
			if strings.HasSuffix(file.Name, suffix) && file.Size == 0 && len(file.Data) < 1<<14 {
				f.Add(file.Data)
			}
		}
	}
}

// FuzzOpen: a file is refused by a ferr.Error, or all of it can be read and
// encoding/json sees the same names in it.
func FuzzOpen(f *testing.F) {
	valid, _ := hostile.ValidSafetensors()
	f.Add(valid)
	for _, name := range []string{"all", "written"} {
		data, err := os.ReadFile(filepath.Join("testdata", name+".safetensors"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	addSmall(f, ".safetensors")
	path := filepath.Join(f.TempDir(), "m.safetensors")
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
		total := uint64(0)
		for _, x := range file.Tensors() {
			total += uint64(len(x.Mapped()))
			if x.Type == tensor.Invalid {
				continue
			}
			rows, _ := x.Shape()
			if err := x.ReadRows(make([]byte, x.Size()), 0, rows); err != nil {
				t.Fatal(err)
			}
		}
		n := binary.LittleEndian.Uint64(data)
		if 8+n+total != uint64(len(data)) {
			t.Fatalf("a header of %d bytes and tensors of %d make no file of %d", n, total, len(data))
		}
		var members map[string]json.RawMessage
		if err := json.Unmarshal(data[8:8+n], &members); err != nil {
			t.Fatalf("encoding/json: %v", err)
		}
		delete(members, metadataKey)
		if len(members) != len(file.Tensors()) {
			t.Fatalf("encoding/json sees %d tensors, not %d", len(members), len(file.Tensors()))
		}
		for name := range members {
			if file.Lookup(name) == nil {
				t.Fatalf("encoding/json sees %q", name)
			}
		}
	})
}

// FuzzIndex: an index is refused by a ferr.Error, or it names files beside it.
func FuzzIndex(f *testing.F) {
	f.Add([]byte(`{"metadata":{"total_size":4, "x":[1.5e3,true,null,{"y":"\u00e9"}]},"weight_map":{"a":"1.safetensors"}}`))
	addSmall(f, ".json")
	dir := f.TempDir()
	const header = `{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`
	shard := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header+"\x00\x00\x00\x00"...)
	if err := os.WriteFile(filepath.Join(dir, "1.safetensors"), shard, 0o666); err != nil {
		f.Fatal(err)
	}
	path := filepath.Join(dir, "m"+indexSuffix)
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		file, err := Open(path)
		if err != nil {
			// A shard may be a name that the system does not take, or a file that is
			// none.
			if pathError := new(os.PathError); !errors.As(err, new(*ferr.Error)) && !errors.As(err, &pathError) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		defer file.Close()
		if len(file.Tensors()) != 1 || file.Lookup("a") == nil || !json.Valid(data) {
			t.Fatalf("accepted: %q", data)
		}
	})
}

// FuzzWholeNumber compares with encoding/json.
func FuzzWholeNumber(f *testing.F) {
	for _, s := range []string{"0", "-0", "1", "00", "01", "9223372036854775807", "9223372036854775808", "92233720368547758070", "1.0", "1e3", "+1", "", "-", "4 "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s := &scanner{data: []byte(text)}
		got, err := s.whole("n")
		if err == nil {
			err = s.end("n")
		}
		var want uint64
		wantErr := json.Unmarshal([]byte(text), &want)
		if text := strings.Trim(text, " \t\r\n"); text == "null" { // leaves want alone
			wantErr = errors.New("no number")
		}
		if wantErr == nil && want > math.MaxInt64 {
			wantErr = errors.New("too large")
		}
		if (err == nil) != (wantErr == nil) || err == nil && uint64(got) != want {
			t.Fatalf("%q: %d, %v; encoding/json: %d, %v", text, got, err, want, wantErr)
		}
	})
}
