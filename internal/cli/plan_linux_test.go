package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/plan"
)

// TestPlanPredictsPeakMemory trains in a process of its own and compares its
// peak with the plan's. A program that has grown moves plan's programBytes.
func TestPlanPredictsPeakMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("trains small models")
	}
	runs := []struct {
		shape         string
		seq, batch    int
		checkpointing bool
	}{{"1m", 256, 8, false}}
	if os.Getenv("CRIA_LONG") != "" {
		runs = append(runs, runs[0], runs[0], runs[0])
		runs[1].checkpointing = true
		runs[2].shape, runs[2].seq = "0.3m", 1024
		runs[3].shape, runs[3].batch = "7m", 4
	}
	tok, _, err := modelfile.OpenTokenizer(tokenizerFile)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("One day a girl went to the park and saw a big dog. ", 4000)), 0o666); err != nil {
		t.Fatal(err)
	}
	for i, r := range runs {
		config := filepath.Join(dir, fmt.Sprintf("%d.yaml", i))
		yaml := fmt.Sprintf("shape: %s\ndata: {text: [%q], tokenizer: %q}\nsequence: %d\nbatch: %d\nmicro_batch: %d\nactivation_checkpointing: %v\nsteps: 1\nthreads: 2\n",
			r.shape, text, tokenizerFile, r.seq, r.batch, r.batch, r.checkpointing)
		if err := os.WriteFile(config, []byte(yaml), 0o666); err != nil {
			t.Fatal(err)
		}
		train := exec.Command(os.Args[0], "pretrain", config, "-o", filepath.Join(dir, fmt.Sprint(i)))
		train.Args[0] = "cria" // TestMain runs the command line
		if out, err := train.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		peak := 1024 * train.ProcessState.SysUsage().(*syscall.Rusage).Maxrss

		code, out, errOut := call("", "plan", "--shape", r.shape, "--seq", fmt.Sprint(r.seq), "--batch", fmt.Sprint(r.batch), "--threads", "2",
			fmt.Sprintf("--checkpointing=%v", r.checkpointing), "--vocab-size", fmt.Sprint(tok.VocabSize()), "--json")
		if code != exitOK {
			t.Fatal(errOut)
		}
		var res plan.Result
		if err := json.Unmarshal([]byte(out), &res); err != nil {
			t.Fatal(err)
		}
		m := &res.Memory[0]
		if d := float64(m.Total)/float64(peak) - 1; math.Abs(d) > 0.05 {
			t.Errorf("%+v: planned %d bytes, the peak is %d: %+.1f%%\n%v", r, m.Total, peak, 100*d, m.Parts)
		} else {
			t.Logf("%+v: planned %d bytes, the peak is %d: %+.1f%%", r, m.Total, peak, 100*d)
		}
	}
}
