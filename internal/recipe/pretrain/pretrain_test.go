package pretrain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cria-llm/cria/internal/data/shard"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/sys/filelock"
	"github.com/cria-llm/cria/internal/sys/meminfo"
	"github.com/cria-llm/cria/internal/train"
)

// runEnv makes the test binary a program that trains as the YAML file that it
// names says, and goes on where it was.
const runEnv = "CRIA_TEST_PRETRAIN"

func TestMain(m *testing.M) {
	if path := os.Getenv(runEnv); path != "" {
		text, err := os.ReadFile(path)
		if err == nil {
			var c *Config
			if c, err = Load(path, text, Flags{}); err == nil {
				err = Run(context.Background(), c, true, UI{Message: func(string, ...any) {}})
			}
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const tokenizerFile = "../../tokenizer/testdata/llama.model"

// writeText writes a text that can be learnt: sentences of one grammar.
func writeText(t *testing.T, dir string) string {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 3))
	pick := func(words ...string) string { return words[rng.IntN(len(words))] }
	var b strings.Builder
	for range 200 {
		for range 1 + rng.IntN(6) {
			fmt.Fprintf(&b, "The %s %s the %s. ", pick("cat", "dog", "king"), pick("saw", "liked"), pick("house", "tree", "river", "road"))
		}
		b.WriteString("\n<|end|>\n")
	}
	path := filepath.Join(dir, "text.txt")
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// tiny is a configuration that trains in a second. change may be nil.
func tiny(t *testing.T, change func(*Config)) *Config {
	t.Helper()
	dir := t.TempDir()
	text := fmt.Sprintf(`
shape: 0.3m
out: %s
model: {dim: 16, n_layers: 2, head_dim: 4, hidden_dim: 32, context: 64}
data: {text: [%s], tokenizer: %s, separator: "<|end|>"}
sequence: 24
batch: 6
micro_batch: 4
steps: 16
init_std: 0.02
optimizer: {learning_rate: 0.01, ema: 0.9}
save_every: 4
samples: {tokens: 5}
threads: 2
`, filepath.Join(dir, "run"), writeText(t, dir), tokenizerFile)
	c, err := Load("tiny.yaml", []byte(text), Flags{})
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(c)
	}
	if err := c.Validate(); err != nil {
		t.Fatal(err)
	}
	return c
}

func quiet(string, ...any) {}

func run(t *testing.T, c *Config, resume bool) {
	t.Helper()
	if err := Run(t.Context(), c, resume, UI{Message: quiet}); err != nil {
		t.Fatal(err)
	}
}

// losses reads the losses of all steps.
func losses(t *testing.T, c *Config) (list []float64) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(c.Out, train.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		var m struct {
			Step int
			Loss float64
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if m.Step != len(list)+1 {
			t.Fatalf("step %d follows step %d in %s", m.Step, len(list), train.MetricsFile)
		}
		list = append(list, m.Loss)
	}
	return list
}

// sameRun compares everything that two runs computed.
func sameRun(t *testing.T, a, b *Config) {
	t.Helper()
	for _, name := range []string{"model/model.safetensors", "model-ema/model.safetensors", "checkpoints/step-16/optimizer.safetensors"} {
		x, err := os.ReadFile(filepath.Join(a.Out, name))
		if err != nil {
			t.Fatal(err)
		}
		y, err := os.ReadFile(filepath.Join(b.Out, name))
		if err != nil {
			t.Fatal(err)
		}
		if string(x) != string(y) {
			t.Errorf("%s differs", name)
		}
	}
	if x, y := losses(t, a), losses(t, b); fmt.Sprint(x) != fmt.Sprint(y) || len(x) != 16 {
		t.Errorf("the losses differ:\n%v\n%v", x, y)
	}
}

// A run learns, and what it leaves opens as a model.
func TestRun(t *testing.T) {
	c := tiny(t, nil)
	run(t, c, false)
	l := losses(t, c)
	if first, last := l[0], l[len(l)-1]; math.Abs(first-math.Log(600)) > 0.3 || last > first-1 {
		t.Errorf("the loss went from %v to %v; an untrained model has %v", first, last, math.Log(600))
	}
	m, err := modelfile.Open(filepath.Join(c.Out, train.ModelDir), modelfile.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if m.Tokenizer == nil || m.Config.VocabSize != 600 || m.Config.MaxSeqLen != 64 || len(m.StopIDs) != 1 {
		t.Errorf("the model has the configuration %+v, a tokenizer: %v, end ids %v", m.Config, m.Tokenizer != nil, m.StopIDs)
	}
	if err := Run(t.Context(), c, false, UI{Message: quiet}); err == nil || !strings.Contains(err.Error(), "--resume") {
		t.Errorf("a second run in the same directory: %v", err)
	}
	// The saved configuration is one that makes the same run.
	text, err := os.ReadFile(filepath.Join(c.Out, train.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load("saved", text, Flags{})
	if err != nil {
		t.Fatal(err)
	}
	x, err := c.numbers()
	if err != nil {
		t.Fatal(err)
	}
	if y, err := again.numbers(); err != nil || x != y {
		t.Errorf("the saved configuration is another one (%v): %s", err, differences(x, y))
	}
}

// The number of threads changes nothing, and neither does an interruption.
func TestSameBits(t *testing.T) {
	whole := tiny(t, func(c *Config) { c.Threads = 1 })
	run(t, whole, false)
	parts := tiny(t, func(c *Config) { c.Threads, c.Data = 3, whole.Data })
	for _, until := range []int{5, 11} {
		ctx, cancel := context.WithCancel(t.Context())
		err := Run(ctx, parts, true, UI{Message: quiet, Step: func(p train.Progress, _ float64) {
			if p.Step == until {
				cancel()
			}
		}})
		var stop *train.InterruptedError
		if !errors.As(err, &stop) || stop.Step != until {
			t.Fatalf("interrupted after step %d: %v", until, err)
		}
	}
	run(t, parts, true)
	sameRun(t, whole, parts)
	run(t, parts, true) // nothing is left to be done, and the model is written again
	sameRun(t, whole, parts)
}

// TestKilled: a run that is killed again and again ends with the same bits.
// CRIA_KILLS=50 does it more often.
func TestKilled(t *testing.T) {
	n := 3
	if s := os.Getenv("CRIA_KILLS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	whole := tiny(t, nil)
	begin := time.Now()
	run(t, whole, false)
	took := time.Since(begin)
	rng := rand.New(rand.NewPCG(5, 5))
	killed, ends := 0, 0
	for killed < n {
		parts := tiny(t, func(c *Config) { c.Data, c.Train.SaveEvery = whole.Data, 1 })
		text, err := parts.Text()
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "run.yaml")
		if err := os.WriteFile(file, text, 0o666); err != nil {
			t.Fatal(err)
		}
		for done := false; !done; {
			done = killOnce(t, file, time.Duration(rng.Int64N(int64(took))))
			if !done {
				killed++
			}
		}
		ends++
		sameRun(t, whole, parts)
	}
	t.Logf("%d kills in %d runs", killed, ends)
}

// killOnce goes on with a run and kills it after a while; done is true where it
// ended before.
func killOnce(t *testing.T, file string, after time.Duration) (done bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), runEnv+"="+file)
	var out strings.Builder
	cmd.Stderr = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() }) // fails where it has ended
	err := cmd.Wait()
	timer.Stop()
	if out.Len() > 0 {
		t.Fatal(out.String())
	}
	return err == nil
}

// A batch gives the same loss in pieces of any size, and with activation
// checkpointing; not isolating documents gives another.
func TestAccumulation(t *testing.T) {
	base := tiny(t, func(c *Config) { c.MicroBatch, c.Train.Steps = 6, 6 })
	run(t, base, false)
	want := losses(t, base)
	for name, change := range map[string]func(*Config){
		"pieces of 1":                func(c *Config) { c.MicroBatch = 1 },
		"pieces of 4, checkpointing": func(c *Config) { c.MicroBatch, c.Checkpointing = 4, true },
		"reference":                  func(c *Config) { c.MicroBatch, c.Device = 6, deviceReference },
		"not isolated":               func(c *Config) { c.MicroBatch, c.Isolate = 6, false },
	} {
		c := tiny(t, func(c *Config) { change(c); c.Data, c.Train.Steps = base.Data, 6 })
		run(t, c, false)
		var worst float64
		for i, l := range losses(t, c) {
			worst = max(worst, math.Abs(l-want[i])/want[i])
		}
		if other := name == "not isolated"; worst > 1e-4 != other {
			t.Errorf("%s: losses differ by up to %.2g", name, worst)
		}
	}
}

// Products in bf16, or in f32 where the processor has none, learn as well.
func TestBF16(t *testing.T) {
	f32, bf16 := tiny(t, nil), tiny(t, func(c *Config) { c.DType = "bf16" })
	run(t, f32, false)
	run(t, bf16, false)
	for i, l := range losses(t, bf16) {
		if want := losses(t, f32)[i]; !(math.Abs(l-want) < 0.02*want) {
			t.Errorf("step %d: loss %v in bf16, %v in f32", i+1, l, want)
		}
	}
}

// Training goes on from a model, and refuses one of another shape.
func TestInit(t *testing.T) {
	first := tiny(t, nil)
	run(t, first, false)
	model := filepath.Join(first.Out, train.ModelDir)
	text := fmt.Sprintf("init: %s\nout: %s\ndata: {text: [%s], tokenizer: %s, separator: '<|end|>'}\nsequence: 24\nbatch: 6\nsteps: 3\nmodel: {context: 128}\noptimizer: {learning_rate: 0.001}\n",
		model, filepath.Join(t.TempDir(), "more"), first.Data.Text[0], tokenizerFile)
	c, err := Load("more.yaml", []byte(text), Flags{})
	if err != nil {
		t.Fatal(err)
	}
	run(t, c, false)
	if l, before := losses(t, c), losses(t, first); math.Abs(l[0]-before[len(before)-1]) > 0.4 {
		t.Errorf("the first loss is %v, the model came to %v", l[0], before[len(before)-1])
	}
	if c, err = Load("more.yaml", []byte(strings.Replace(text, "context: 128", "n_layers: 3", 1)), Flags{Out: filepath.Join(t.TempDir(), "x")}); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), c, false, UI{Message: quiet}); err == nil || !strings.Contains(err.Error(), "NLayers:3") {
		t.Errorf("a model of another shape: %v", err)
	}
}

// Patterns stand for files, and one that matches none is an error.
func TestExpand(t *testing.T) {
	dir := t.TempDir()
	var want []string
	for _, name := range []string{"a.txt", "b.txt"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		want = append(want, path)
	}
	got, err := expand("data.text", []string{filepath.Join(dir, "*.txt"), "x.txt"})
	if want = append(want, "x.txt"); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
	if _, err := expand("data.text", []string{filepath.Join(dir, "*.md")}); err == nil || !strings.Contains(err.Error(), "*.md") {
		t.Errorf("no match: %v", err)
	}
}

// A run that needs more memory than there is does not begin.
func TestFits(t *testing.T) {
	c := tiny(t, nil)
	model := c.Model.llama(600)
	opt := llama.TrainOptions{Rows: c.MicroBatch * c.Sequence}
	need := uint64(llama.TrainBytes(&model, opt)) + 3*4*uint64(model.Parameters()) // two moments and the average
	if err := c.fits(&model, opt, meminfo.Memory{Available: need}); err != nil {
		t.Error(err)
	}
	if err := c.fits(&model, opt, meminfo.Memory{Available: need - 1}); err == nil || !strings.Contains(err.Error(), "micro_batch (4 now)") {
		t.Errorf("the error is %v", err)
	}
	if err := c.fits(&model, opt, meminfo.Memory{}); err != nil {
		t.Errorf("with an unknown memory: %v", err)
	}
}

// A checkpoint with a flipped bit, and a configuration that computes something
// else, are refused by name.
func TestResumeRefuses(t *testing.T) {
	c := tiny(t, nil)
	run(t, c, false)
	other := *c
	other.Train.Optimizer.LR = 0.02
	if err := Run(t.Context(), &other, true, UI{Message: quiet}); err == nil || !strings.Contains(err.Error(), `"learning_rate: 0.02" was "learning_rate: 0.01"`) {
		t.Errorf("another rate: %v", err)
	}
	other.AcceptChanges = true
	var said string
	if err := Run(t.Context(), &other, true, UI{Message: func(format string, args ...any) { said += fmt.Sprintf(format, args...) }}); err != nil || !strings.Contains(said, `"learning_rate: 0.02" was "learning_rate: 0.01"`) {
		t.Errorf("another rate that is accepted: %v, %s", err, said)
	}
	lock, err := filelock.Try(filepath.Join(c.Out, lockFile))
	if err != nil {
		t.Fatal(err)
	}
	var held *filelock.HeldError
	if err := Run(t.Context(), c, true, UI{Message: quiet}); !errors.As(err, &held) || !strings.Contains(err.Error(), c.Out) {
		t.Errorf("a second process: %v", err)
	}
	if err := lock.Unlock(); err != nil {
		t.Fatal(err)
	}
	elsewhere := *c
	elsewhere.Data.Text = []string{filepath.Join("elsewhere", filepath.Base(c.Data.Text[0]))}
	run(t, &elsewhere, true)
	remade := *c
	remade.Data.Separator, remade.AcceptChanges = "<|other|>", true
	if err := Run(t.Context(), &remade, true, UI{Message: quiet}); err == nil || !strings.Contains(err.Error(), "made its data when it began") {
		t.Errorf("data cut at another text, where the shards are made: %v", err)
	}
	moved := *c
	moved.Data = Data{Shards: filepath.Join(t.TempDir(), "moved"), Tokenizer: c.Data.Tokenizer}
	if err := os.CopyFS(moved.Data.Shards, os.DirFS(filepath.Join(c.Out, dataDir))); err != nil {
		t.Fatal(err)
	}
	run(t, &moved, true)
	changed := tiny(t, func(c *Config) { c.Data.Separator = "" })
	run(t, changed, false)
	moved.Data.Shards = filepath.Join(changed.Out, dataDir)
	if err := Run(t.Context(), &moved, true, UI{Message: quiet}); err == nil || !strings.Contains(err.Error(), "other data") {
		t.Errorf("other data: %v", err)
	}
	for _, name := range []string{"checkpoints/step-16/optimizer.safetensors", "checkpoints/step-16/model/model.safetensors", "data/train-00000.bin"} {
		file := filepath.Join(c.Out, filepath.FromSlash(name))
		flip(t, file)
		if err := Run(t.Context(), c, true, UI{Message: quiet}); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "sha256") {
			t.Errorf("a flipped bit in %s: %v", name, err)
		}
		flip(t, file)
	}
	run(t, c, true)
}

// A run that came to no checkpoint begins anew, from the data that its
// configuration names now.
func TestBeginsAnew(t *testing.T) {
	c := tiny(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	err := Run(ctx, c, false, UI{Message: func(format string, _ ...any) {
		if strings.HasPrefix(format, "Data:") {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled with the data made: %v", err)
	}
	old, err := os.ReadFile(filepath.Join(c.Out, dataDir, shard.IndexFile))
	if err != nil {
		t.Fatal(err)
	}
	c.Data.Separator = ""
	run(t, c, true)
	if is, err := os.ReadFile(filepath.Join(c.Out, dataDir, shard.IndexFile)); err != nil || string(is) == string(old) {
		t.Errorf("the data is that of the old configuration (%v)", err)
	}
}

// A directory data/ that no run has made is not deleted.
func TestForeignData(t *testing.T) {
	c := tiny(t, nil)
	file := filepath.Join(c.Out, dataDir, "corpus.txt")
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("years of work"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Run(t.Context(), c, false, UI{Message: quiet}); err == nil || !strings.Contains(err.Error(), filepath.Dir(file)) || !strings.Contains(err.Error(), "corpus.txt") {
		t.Errorf("the error is %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

// A prompt that no sample can be written for is refused before the first step.
func TestLongPrompt(t *testing.T) {
	c := tiny(t, func(c *Config) { c.Samples.Prompts = []string{"The", strings.Repeat("The king ", 64)} })
	err := Run(t.Context(), c, false, UI{Message: quiet})
	if err == nil || !strings.Contains(err.Error(), "samples.prompts[1]") || !strings.Contains(err.Error(), "1 to 63 are possible") {
		t.Errorf("the error is %v", err)
	}
}

// flip changes one bit of a file.
func flip(t *testing.T, file string) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-9] ^= 1
	if err := os.WriteFile(file, b, 0o666); err != nil {
		t.Fatal(err)
	}
}
