package tokenizer

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// golden is one line of a file that testdata/gen.py wrote with SentencePiece:
// In and IDs of an encoding, or IDs and Out of a decoding.
type golden struct {
	In  goldenText `json:"in"`
	IDs []int32    `json:"ids"`
	Out *string    `json:"out"`
}

// goldenText is a string, or {"hex": ...} where it is not UTF-8.
type goldenText string

func (g *goldenText) UnmarshalJSON(b []byte) error {
	if b[0] == '"' {
		return json.Unmarshal(b, (*string)(g))
	}
	var h struct{ Hex string }
	if err := json.Unmarshal(b, &h); err != nil {
		return err
	}
	raw, err := hex.DecodeString(h.Hex)
	*g = goldenText(raw)
	return err
}

// readGoldens calls visit for each line of a file, of which there must be some.
func readGoldens(t *testing.T, path string, visit func(golden)) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	n := 0
	for ; lines.Scan(); n++ {
		var g golden
		if err := json.Unmarshal(lines.Bytes(), &g); err != nil {
			t.Fatalf("%s:%d: %v", path, n+1, err)
		}
		visit(g)
	}
	if err := lines.Err(); err != nil || n == 0 {
		t.Fatalf("%s: %d lines, %v", path, n, err)
	}
}

// check compares one golden, and its decoding by the streaming decoder.
func (g golden) check(t *testing.T, tk *Tokenizer) {
	t.Helper()
	if g.Out == nil {
		if got := tk.Encode(string(g.In), EncodeOptions{}); !slices.Equal(got, g.IDs) {
			t.Errorf("%q: %d, SentencePiece gives %d", g.In, got, g.IDs)
		}
		return
	}
	got, err := tk.Decode(g.IDs)
	if err != nil || got != *g.Out {
		t.Errorf("%d: %q (%v), SentencePiece gives %q", g.IDs, got, err, *g.Out)
	}
}

func load(t testing.TB, path string) *Tokenizer {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	tk, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return tk
}

// shared returns the path of a file of the shared data, or skips the test.
func shared(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("CRIA_TEST_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(root, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs shared data: %v", err)
	}
	return path
}

func llama2(t testing.TB) *Tokenizer {
	t.Helper()
	return load(t, shared(t, "tokenizer/llama2.tokenizer.model"))
}

func models(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.model")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d models in testdata, %v", len(files), err)
	}
	return files
}

func TestGoldens(t *testing.T) {
	for _, path := range models(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			tk := load(t, path)
			readGoldens(t, strings.TrimSuffix(path, ".model")+".jsonl", func(g golden) { g.check(t, tk) })
		})
	}
}

func TestGoldensLlama2(t *testing.T) {
	tk := llama2(t)
	readGoldens(t, "testdata/llama2.jsonl", func(g golden) { g.check(t, tk) })
}

// TestOracleFile checks a file of any size that testdata/gen.py made:
// CRIA_TOKENIZER_ORACLE=MODEL:FILE.
func TestOracleFile(t *testing.T) {
	model, file, ok := strings.Cut(os.Getenv("CRIA_TOKENIZER_ORACLE"), ":")
	if !ok {
		t.Skip("CRIA_TOKENIZER_ORACLE is not set")
	}
	tk := load(t, model)
	n := 0
	readGoldens(t, file, func(g golden) { g.check(t, tk); n++ })
	t.Logf("%d lines", n)
}

// TestLlamaCPPVectors runs llama.cpp's test vectors for Llama's tokenizer.
func TestLlamaCPPVectors(t *testing.T) {
	tk := llama2(t)
	in, err := os.ReadFile(shared(t, "tokenizer/ggml-vocab-llama-spm.gguf.inp"))
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(shared(t, "tokenizer/ggml-vocab-llama-spm.gguf.out"))
	if err != nil {
		t.Fatal(err)
	}
	texts := strings.Split(string(in), "\n__ggml_vocab_test__\n")
	lines := bytes.Split(bytes.TrimRight(out, "\n"), []byte("\n"))
	if len(lines) < 40 || len(texts) < len(lines) {
		t.Fatalf("%d texts and %d lines of ids", len(texts), len(lines))
	}
	for i, line := range lines {
		var want []int32
		if err := json.Unmarshal([]byte("["+strings.Join(strings.Fields(string(line)), ",")+"]"), &want); err != nil {
			t.Fatal(err)
		}
		if got := tk.Encode(texts[i], EncodeOptions{}); !slices.Equal(got, want) {
			t.Errorf("%q: %d, llama.cpp gives %d", texts[i], got, want)
		}
	}
}
