//go:build unix

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// SIGTERM, by which job schedulers end programs, saves as Ctrl-C does.
func TestPretrainSIGTERM(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("the cat sat on the mat\n", 20)), 0o666); err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "run.yaml")
	run := filepath.Join(dir, "run")
	err := os.WriteFile(config, fmt.Appendf(nil, "shape: 0.3m\nout: %s\nmodel: {dim: 16, n_layers: 1, head_dim: 4, hidden_dim: 32, context: 32}\ndata: {text: [%s], tokenizer: %s}\nsequence: 16\nbatch: 4\nsteps: 1000000\nsamples: {prompts: []}\n", run, text, tokenizerFile), 0o666)
	if err != nil {
		t.Fatal(err)
	}
	type result struct {
		code   int
		stderr string
	}
	ended := make(chan result, 1)
	go func() {
		code, _, stderr := call("", "pretrain", config)
		ended <- result{code, stderr}
	}()
	for { // until a step is done
		if st, err := os.Stat(filepath.Join(run, "metrics.jsonl")); err == nil && st.Size() > 0 {
			break
		}
		select {
		case r := <-ended:
			t.Fatalf("it ended with %d: %s", r.code, r.stderr)
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	r := <-ended
	if r.code != exitFailed || !strings.Contains(r.stderr, "which is saved in "+filepath.Join(run, "checkpoints", "step-")) {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
}
