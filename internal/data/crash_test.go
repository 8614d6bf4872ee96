//go:build unix

package data

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cria-llm/cria/internal/data/shard"
)

// A child process builds a corpus's data set, so that it can be killed or run
// out of disk.
const (
	childCorpus = "CRIA_TEST_DATA_CORPUS"
	childOut    = "CRIA_TEST_DATA_OUT"
	childLimit  = "CRIA_TEST_DATA_LIMIT" // bytes of the largest file
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childCorpus); dir != "" {
		os.Exit(child(corpus{dir: dir}))
	}
	os.Exit(m.Run())
}

func child(c corpus) int {
	if s := os.Getenv(childLimit); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err == nil {
			// A file that grows beyond the limit is then an error of Write.
			signal.Ignore(syscall.SIGXFSZ)
			err = syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n})
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 3
		}
	}
	if _, err := Build(context.Background(), c.config(os.Getenv(childOut)), Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func command(c corpus, out string, limit int64) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childCorpus+"="+c.dir, childOut+"="+out)
	if limit > 0 {
		cmd.Env = append(cmd.Env, childLimit+"="+strconv.FormatInt(limit, 10))
	}
	return cmd
}

// TestKill: a build that is killed at random moments, again and again, ends with
// the same bytes as one that is not, and is at no time complete without being so.
func TestKill(t *testing.T) {
	kills, chains := 6, 1
	if os.Getenv("CRIA_LONG") != "" {
		kills, chains = 20, 10
	}
	c := writeCorpus(t, 2000)
	cfg := c.config(filepath.Join(t.TempDir(), "whole"))
	mustBuild(t, cfg)
	want := sums(t, cfg.Out)
	out := filepath.Join(t.TempDir(), "timed")
	start := time.Now()
	if b, err := command(c, out, 0).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	whole := time.Since(start)
	same(t, "the child", sums(t, out), want)
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 1)) // other moments in each run
	for chain := range chains {
		out := filepath.Join(t.TempDir(), "killed")
		for range kills {
			cmd := command(c, out, 0)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(r.Float64() * float64(whole)))
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait() // killed, or done before
			if _, err := os.Stat(filepath.Join(out, shard.IndexFile)); err == nil {
				same(t, fmt.Sprintf("chain %d: a complete data set", chain), sums(t, out), want)
			}
		}
		if b, err := command(c, out, 0).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		same(t, fmt.Sprintf("chain %d", chain), sums(t, out), want)
		if _, err := os.Stat(filepath.Join(out, workDir)); err == nil {
			t.Errorf("chain %d: the work directory is left", chain)
		}
	}
}

// TestFullDisk: a file that cannot be written is an error in every stage, nothing
// incomplete is left, and the build goes on when there is room again.
func TestFullDisk(t *testing.T) {
	c := writeCorpus(t, 1500)
	cfg := c.config(filepath.Join(t.TempDir(), "whole"))
	mustBuild(t, cfg)
	want := sums(t, cfg.Out)
	out := filepath.Join(t.TempDir(), "full")
	failed := 0
	for _, limit := range []int64{100, 2_000, 30_000, 80_000, 120_000} {
		b, err := command(c, out, limit).CombinedOutput()
		if err == nil {
			break
		}
		failed++
		if !strings.Contains(string(b), "file too large") {
			t.Errorf("limit %d: %v: %s", limit, err, b)
		}
		if _, err := os.Stat(filepath.Join(out, shard.IndexFile)); err == nil {
			t.Errorf("limit %d: the data set counts as complete", limit)
		}
	}
	if failed < 3 {
		t.Errorf("%d builds failed for want of room", failed)
	}
	if b, err := command(c, out, 0).CombinedOutput(); err != nil {
		t.Fatalf("with room again: %v: %s", err, b)
	}
	same(t, "after a full disk", sums(t, out), want)
}

// TestOneBuildAtATime: a second build of a directory is refused.
func TestOneBuildAtATime(t *testing.T) {
	c := writeCorpus(t, 300)
	cfg := c.config(filepath.Join(t.TempDir(), "out"))
	refused := false
	_, err := Build(context.Background(), cfg, Options{Progress: func(string, int64, int64) {
		_, err := Build(context.Background(), c.config(cfg.Out), Options{})
		refused = refused || err != nil && strings.Contains(err.Error(), "another process")
	}})
	if err != nil || !refused {
		t.Errorf("refused %v, %v", refused, err)
	}
}
