package pretrain

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/train"
)

// TestPyTorch trains half a million parameters on Gutenberg books here and in
// PyTorch (testdata/peer.py), with the same weights, tokens and schedule. It
// takes minutes and needs CRIA_TORCH_PYTHON: a Python with what peer.py says.
func TestPyTorch(t *testing.T) {
	python := os.Getenv("CRIA_TORCH_PYTHON")
	if python == "" {
		t.Skip("CRIA_TORCH_PYTHON names no Python with torch and transformers")
	}
	data := os.Getenv("CRIA_TEST_DATA")
	if data == "" {
		data = "../../../../shared/data"
	}
	books, err := filepath.Glob(filepath.Join(data, "text", "gutenberg", "*.txt"))
	if err != nil || len(books) == 0 {
		t.Skipf("there are no books in %s", data)
	}
	dir := t.TempDir()
	text := fmt.Sprintf("shape: 0.5m\nout: %s\nseed: 3\ndata: {text: [%q, %q], tokenizer: %s}\nsequence: 128\nbatch: 16\nsteps: 60\noptimizer: {learning_rate: 0.003}\nvalidate_tokens: 20000\nsamples: {prompts: []}\n",
		filepath.Join(dir, "run"), books[0], books[1], tokenizerFile)
	c, err := Load("peer.yaml", []byte(text), Flags{})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c, false)
	init := filepath.Join(dir, "init")
	if _, err := modelfile.Init(t.Context(), c.Model.llama(0), init, modelfile.InitOptions{Seed: c.Seed, Tokenizer: tokenizerFile}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "testdata/peer.py", c.Out, init)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	var peer struct {
		Loss    []float64
		ValLoss float64 `json:"val_loss"`
	}
	if err := json.Unmarshal(out.Bytes(), &peer); err != nil {
		t.Fatal(err)
	}
	ours := losses(t, c)
	if len(peer.Loss) != len(ours) {
		t.Fatalf("%d steps in PyTorch, %d here", len(peer.Loss), len(ours))
	}
	for i, l := range ours {
		if !(math.Abs(l-peer.Loss[i]) < 0.01*peer.Loss[i]) {
			t.Errorf("step %d: loss %v, PyTorch has %v", i+1, l, peer.Loss[i])
		}
	}
	val := lastValLoss(t, c)
	t.Logf("validation loss %v, PyTorch's %v; loss of the last step %v, PyTorch's %v", val, peer.ValLoss, ours[len(ours)-1], peer.Loss[len(ours)-1])
	if !(math.Abs(val-peer.ValLoss) < 0.01*peer.ValLoss) {
		t.Errorf("validation loss %v, PyTorch has %v", val, peer.ValLoss)
	}
}

func lastValLoss(t *testing.T, c *Config) float64 {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.Out, train.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	var m struct {
		ValLoss float64 `json:"val_loss"`
	}
	if err := json.Unmarshal(lines[len(lines)-1], &m); err != nil {
		t.Fatal(err)
	}
	return m.ValLoss
}
