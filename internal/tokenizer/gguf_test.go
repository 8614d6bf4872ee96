package tokenizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// vocabGGUF reads the metadata of a GGUF v3 file, as far as this test needs it:
// an independent reader of files that llama.cpp's converter wrote.
func vocabGGUF(t *testing.T, path string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	r := bytes.NewReader(data)
	get := func(v any) {
		if err := binary.Read(r, binary.LittleEndian, v); err != nil {
			t.Fatal(err)
		}
	}
	text := func() string {
		var n uint64
		get(&n)
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var value func(kind uint32) any
	value = func(kind uint32) any {
		switch kind {
		case 4:
			return read[uint32](get)
		case 5:
			return read[int32](get)
		case 6:
			return read[float32](get)
		case 7:
			return read[uint8](get) != 0
		case 8:
			return text()
		case 9:
			of, n := read[uint32](get), read[uint64](get)
			var list []any
			for range n {
				list = append(list, value(of))
			}
			return list
		}
		t.Fatalf("value type %d", kind)
		return nil
	}
	var head struct {
		Magic   [4]byte
		Version uint32
		Tensors uint64
		Keys    uint64
	}
	get(&head)
	meta := map[string]any{}
	for range head.Keys {
		key := text()
		meta[key] = value(read[uint32](get))
	}
	return meta
}

func read[T any](get func(any)) T {
	var v T
	get(&v)
	return v
}

func list[T any](v any) (out []T) {
	for _, x := range v.([]any) {
		out = append(out, x.(T))
	}
	return out
}

// TestGGUFOfLlamaCPP: the vocabulary that llama.cpp's converter wrote is the one
// it was made of.
func TestGGUFOfLlamaCPP(t *testing.T) {
	meta := vocabGGUF(t, shared(t, "tokenizer/ggml-vocab-llama-spm.gguf"))
	g := GGUF{
		Model:  meta["tokenizer.ggml.model"].(string),
		Tokens: list[string](meta["tokenizer.ggml.tokens"]),
		Scores: list[float32](meta["tokenizer.ggml.scores"]),
		Types:  list[int32](meta["tokenizer.ggml.token_type"]),
		BOS:    new(meta["tokenizer.ggml.bos_token_id"].(uint32)),
		EOS:    new(meta["tokenizer.ggml.eos_token_id"].(uint32)),
	}
	tk, err := FromGGUF(g)
	if err != nil {
		t.Fatal(err)
	}
	if !tk.Equal(llama2(t)) {
		t.Error("it is another tokenizer")
	}
	out := tk.GGUF()
	if !slices.Equal(out.Tokens, g.Tokens) || !slices.Equal(out.Scores, g.Scores) || !slices.Equal(out.Types, g.Types) || *out.BOS != *g.BOS || *out.EOS != *g.EOS || out.PAD != nil {
		t.Error("what is written is not what was read")
	}
}

// TestGGUFVariants: what other converters write means the same vocabulary.
func TestGGUFVariants(t *testing.T) {
	want := load(t, "testdata/llama.model")
	for name, edit := range map[string]func(g *GGUF){
		"no types": func(g *GGUF) { g.Types = nil },
		"unknown is a control token": func(g *GGUF) {
			g.Types[0] = int32(Control)
		},
		"bytes are normal": func(g *GGUF) {
			g.Types[0] = int32(Control)
			for i := 3; i < 3+256; i++ {
				g.Types[i] = int32(Normal)
			}
		},
		"ids left out": func(g *GGUF) {
			g.BOS, g.EOS, g.UNK, g.AddBOS, g.AddEOS, g.AddSpacePrefix = nil, nil, nil, nil, nil, nil
		},
	} {
		g := want.GGUF()
		edit(&g)
		if tk, err := FromGGUF(g); err != nil || !tk.Equal(want) {
			t.Errorf("%s: another tokenizer (%v)", name, err)
		}
	}
	g := want.GGUF()
	g.AddBOS, g.AddEOS, g.AddSpacePrefix, g.PAD = new(false), new(true), new(false), new(uint32(2))
	tk, err := FromGGUF(g)
	if err != nil {
		t.Fatal(err)
	}
	if pad, ok := tk.PAD(); tk.AddBOS() || !tk.AddEOS() || pad != 2 || !ok {
		t.Errorf("AddBOS %v, AddEOS %v, PAD %d %v", tk.AddBOS(), tk.AddEOS(), pad, ok)
	}
	if got, want := tk.Encode("the", EncodeOptions{}), want.Encode("the", EncodeOptions{NoPrefix: true}); !slices.Equal(got, want) {
		t.Errorf("without a space prefix: %d, want %d", got, want)
	}
}

func TestGGUFRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(g *GGUF)
		want string
	}{
		"gpt2":            {func(g *GGUF) { g.Model = "gpt2" }, `"gpt2"`},
		"no model":        {func(g *GGUF) { g.Model = "" }, `tokenizer.ggml.model is ""`},
		"no tokens":       {func(g *GGUF) { g.Tokens, g.Scores, g.Types = nil, nil, nil }, "0 tokens"},
		"few scores":      {func(g *GGUF) { g.Scores = g.Scores[1:] }, "scores has 599"},
		"few types":       {func(g *GGUF) { g.Types = g.Types[1:] }, "token_type has 599"},
		"type":            {func(g *GGUF) { g.Types[7] = 9 }, "token_type[7] is 9"},
		"empty token":     {func(g *GGUF) { g.Tokens[7] = "" }, "piece 7 is empty"},
		"NaN":             {func(g *GGUF) { g.Scores[300] = float32(math.NaN()) }, "piece 300"},
		"twice":           {func(g *GGUF) { g.Tokens[300] = g.Tokens[301] }, "pieces 300 and 301"},
		"bos":             {func(g *GGUF) { g.BOS = new(uint32(600)) }, "bos_token_id is 600"},
		"eos":             {func(g *GGUF) { g.EOS = new(uint32(math.MaxUint32)) }, "eos_token_id is 4294967295"},
		"pad":             {func(g *GGUF) { g.PAD = new(uint32(1 << 31)) }, "padding_token_id is 2147483648"},
		"unk":             {func(g *GGUF) { g.UNK = new(uint32(1 << 20)) }, "unknown_token_id is 1048576"},
		"a byte missing":  {func(g *GGUF) { g.Types[9], g.Tokens[9] = 1, "zz" }, "<0x06> is missing"},
		"too many tokens": {func(g *GGUF) { g.Tokens = make([]string, maxPieces+1) }, "at most"},
	} {
		g := load(t, "testdata/llama.model").GGUF()
		c.edit(&g)
		_, err := FromGGUF(g)
		var format *FormatError
		var unsupported *UnsupportedError
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.As(err, &format) && !errors.As(err, &unsupported) {
			t.Errorf("%s: %v, want an error that names %q", name, err, c.want)
		}
	}
}
