package modelfile

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tensor"
)

// FuzzHFConfig reads any bytes as a config.json. What is accepted must be a valid
// shape, and the config.json that is written of it must read as the same.
func FuzzHFConfig(f *testing.F) {
	for _, path := range files("testdata/hf", "*/config.json") {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"model_type":"llama","rope_scaling":{"type":"dynamic","factor":1e300}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := parseObject("config.json", data)
		if err != nil {
			return
		}
		c, err := parseHFConfig(o)
		if err != nil {
			return
		}
		if err := c.Validate(); err != nil {
			t.Fatalf("accepted, and not valid: %v", err)
		}
		written, err := encodeJSON(hfConfigFields(&Model{Config: c}, tensor.F32))
		if err != nil {
			t.Fatal(err)
		}
		if o, err = parseObject("config.json", written); err != nil {
			t.Fatal(err)
		}
		if again, err := parseHFConfig(o); err != nil || again != c {
			t.Fatalf("%+v was written and read as %+v (%v)", c, again, err)
		}
	})
}

// FuzzParams reads any bytes as a params.json beside tensors of a certain shape.
func FuzzParams(f *testing.F) {
	for _, path := range files("testdata/hf/meta", "*/1/params.json") {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint16(64), uint16(112))
	}
	f.Add([]byte(`{"dim":32,"n_layers":2,"n_heads":4,"norm_eps":1e-5,"vocab_size":-1,"rope_theta":1e6}`), uint16(64), uint16(88))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte, vocab, hidden uint16) {
		o, err := parseObject("params.json", data)
		if err != nil {
			return
		}
		matrix := func(name string, rows uint16) *view.Tensor {
			return view.Computed("consolidated.00.pth", name, tensor.F16, []int{int(rows), 32}, nil)
		}
		m := &Model{}
		err = m.readParams(o, dir, OpenOptions{}, [][]*view.Tensor{{matrix("tok_embeddings.weight", vocab), matrix("layers.0.feed_forward.w1.weight", hidden)}})
		if err == nil && m.Config.Validate() != nil {
			t.Fatalf("accepted, and not valid: %+v", m.Config)
		}
	})
}

// FuzzGGUF opens any bytes as a GGUF file, with its tokenizer. What is accepted
// can be read and has metadata to write.
func FuzzGGUF(f *testing.F) {
	dir := f.TempDir()
	tiny := llama.Config{Dim: 4, NLayers: 1, NHeads: 2, NKVHeads: 1, HeadDim: 2, HiddenDim: 4, VocabSize: 3, MaxSeqLen: 8, NormEps: 1e-5, RopeTheta: 10000}
	seed := filepath.Join(dir, "seed.gguf")
	if _, err := Init(context.Background(), tiny, seed, InitOptions{}); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(seed)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, fmt.Sprintf("%d.gguf", os.Getpid()))
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		m, err := Open(path, OpenOptions{})
		if err != nil {
			return
		}
		defer m.Close()
		if err := m.Config.Validate(); err != nil {
			t.Fatalf("accepted, and not valid: %v", err)
		}
		if m.Verify(context.Background(), nil) != nil {
			return
		}
		// Writing is not tried here: it waits for the disk each time.
		if _, err := ggufMetadata(m, 0, &Report{}); err != nil {
			t.Fatal(err)
		}
	})
}
