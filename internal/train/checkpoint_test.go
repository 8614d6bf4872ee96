package train

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// saverEnv makes the test binary a program that only saves checkpoints, one after
// the other, in the directory that it names.
const saverEnv = "CRIA_TEST_SAVER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(saverEnv); dir != "" {
		if err := saver(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func saver(dir string) error {
	fmt.Println("begun")
	for {
		list, err := Checkpoints(dir)
		if err != nil {
			return err
		}
		next := 1
		if len(list) > 0 {
			next = list[len(list)-1].Step + 1
		}
		if _, err := writeCheckpoint(dir, next, func(dir string) error { return fillStep(dir, next) }); err != nil {
			return err
		}
		if err := prune(dir, 2, 0); err != nil {
			return err
		}
	}
}

// stepFiles are what fillStep writes: contents follow from the step.
func stepFiles(step int) map[string][]byte {
	rng := rand.New(rand.NewPCG(uint64(step), 1))
	files := map[string][]byte{}
	for _, name := range []string{"model/model.safetensors", "model/config.json", optimizerFile} {
		b := make([]byte, 1+rng.IntN(200_000))
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		files[name] = b
	}
	return files
}

func fillStep(dir string, step int) error {
	if err := os.Mkdir(filepath.Join(dir, ModelDir), 0o777); err != nil {
		return err
	}
	for name, b := range stepFiles(step) {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o666); err != nil {
			return err
		}
	}
	return writeJSON(filepath.Join(dir, stateFile), State{Step: step})
}

// TestKilledWhileSaving: after kill -9 at any moment of saving or deleting, the
// last checkpoint is the previous or the new one, whole. CRIA_KILLS=200 does it
// more often.
func TestKilledWhileSaving(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 1))
	before, n := 0, kills(t, 8)
	for i := 0; i < n || before == 0; i++ { // on a busy machine the first ones save nothing
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), saverEnv+"="+dir)
		var out strings.Builder
		cmd.Stderr = &out
		begun, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := begun.Read(make([]byte, 1)); err != nil {
			t.Fatal(err, out.String())
		}
		time.Sleep(time.Duration(rng.Int64N(int64(80 * time.Millisecond))))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		if out.Len() > 0 {
			t.Fatal(out.String())
		}
		list, err := Checkpoints(dir)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			if before > 0 {
				t.Fatalf("step %d was saved and is lost", before)
			}
			continue
		}
		c := list[len(list)-1]
		if c.Step < before {
			t.Fatalf("step %d was saved, and now step %d is the last", before, c.Step)
		}
		before = c.Step
		for _, c := range list {
			if err := c.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
			for name, want := range stepFiles(c.Step) {
				if got, err := os.ReadFile(filepath.Join(c.Dir, name)); err != nil || sha256.Sum256(got) != sha256.Sum256(want) {
					t.Fatalf("%s of step %d is not what was saved (%v)", name, c.Step, err)
				}
			}
		}
	}
	t.Logf("%d checkpoints were written", before)
}

// TestDamage: one flipped bit, a missing or a longer file is found and named.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	path, err := writeCheckpoint(dir, 3, func(dir string) error { return fillStep(dir, 3) })
	if err != nil {
		t.Fatal(err)
	}
	c := last(t, dir)
	if c.Dir != path || c.Step != 3 {
		t.Fatalf("the checkpoint is %+v, written to %s", c, path)
	}
	for _, name := range []string{"model/model.safetensors", "model/config.json", optimizerFile, stateFile} {
		file := filepath.Join(path, name)
		whole, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		flipped := append([]byte(nil), whole...)
		flipped[len(flipped)/2] ^= 0x10
		for what, b := range map[string][]byte{"flipped": flipped, "longer": append(flipped, 0), "cut": whole[:len(whole)/2]} {
			if err := os.WriteFile(file, b, 0o666); err != nil {
				t.Fatal(err)
			}
			if err := c.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s %s: %v", name, what, err)
			}
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%s missing: %v", name, err)
		}
		if err := os.WriteFile(file, whole, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for what, text := range map[string]string{"empty": "", "no files": "{}", "outside": `{"files":[{"name":"../x","bytes":0,"sha256":""}]}`, "unknown": `{"fils":[]}`} {
		if err := os.WriteFile(filepath.Join(path, markerFile), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := c.Verify(t.Context()); err == nil || !strings.Contains(err.Error(), markerFile) {
			t.Errorf("a marker that is %s: %v", what, err)
		}
	}
}

// A directory without its marker is no checkpoint, and is written anew; what
// fails leaves nothing.
func TestUnfinished(t *testing.T) {
	dir := t.TempDir()
	for _, left := range []string{".step-2.tmp", "step-2", "step-x", "step-07"} {
		if err := os.MkdirAll(filepath.Join(dir, checkpointsDir, left, ModelDir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := Checkpoints(dir); len(list) != 0 || err != nil {
		t.Fatalf("checkpoints: %v, %v", list, err)
	}
	if _, err := writeCheckpoint(dir, 2, func(string) error { return context.DeadlineExceeded }); err == nil || !strings.Contains(err.Error(), "step 2 was not written") {
		t.Errorf("the error is %v", err)
	}
	for _, name := range []string{".step-2.tmp", "step-2"} {
		if _, err := os.Stat(filepath.Join(dir, checkpointsDir, name)); !os.IsNotExist(err) {
			t.Errorf("%s is there: %v", name, err)
		}
	}
	if _, err := writeCheckpoint(dir, 2, func(dir string) error { return fillStep(dir, 2) }); err != nil {
		t.Fatal(err)
	}
	if c := last(t, dir); c.Step != 2 {
		t.Errorf("the last step is %d", c.Step)
	}
	// Saving the same step again does nothing.
	if _, err := writeCheckpoint(dir, 2, func(string) error { return context.DeadlineExceeded }); err != nil {
		t.Error(err)
	}
}

// What interruptions left behind of other steps goes with the next checkpoint,
// and nothing else does.
func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, checkpointsDir)
	for _, left := range []string{".step-5.tmp", "step-3", "notes", "step-07", ".step-9", ".x.tmp"} {
		if err := os.MkdirAll(filepath.Join(root, left, ModelDir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []int{1, 2, 4} {
		if _, err := writeCheckpoint(dir, step, func(dir string) error { return fillStep(dir, step) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := prune(dir, 2, 0); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := ".step-9 .x.tmp notes step-07 step-2 step-4"; strings.Join(names, " ") != want {
		t.Errorf("%v are there, want %s", names, want)
	}
}

// The number of a step is read in one spelling.
func TestStepOf(t *testing.T) {
	for name, want := range map[string]int{"step-0": 0, "step-120": 120, "step-007": -1, "step--1": -1, "step-": -1, "stp-1": -1, "step-1.tmp": -1} {
		step, ok := stepOf(name)
		if ok != (want >= 0) || ok && strconv.Itoa(step) != strconv.Itoa(want) {
			t.Errorf("%s: %d, %v", name, step, ok)
		}
	}
}
