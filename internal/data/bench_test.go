//go:build unix

package data

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cria-llm/cria/internal/data/decontam"
	"github.com/cria-llm/cria/internal/data/read"
)

// cpuTime is what the process has used so far, in user and system mode.
func cpuTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkBuild: the pipeline with one worker over the books. MB/s are of input
// and of CPU time, garbage collection included, so that they are of one core
// also where the machine has other work. "all" is with every rule, language and
// personal data; "tokens" without filters, duplicates and benchmarks.
func BenchmarkBuild(b *testing.B) {
	all := passages(b)
	size := len(strings.Join(all, ""))
	p := &proof{corpus: corpus{dir: b.TempDir()}, counts: map[string]int{}}
	p.source(b, "books", all)
	for _, bench := range []struct {
		name   string
		change func(c *Config)
	}{
		{"all", func(c *Config) { c.Clean.On = []string{"all"} }},
		{"tokens", func(c *Config) {
			c.Clean.Off = []string{"all"}
			c.Dedup.Exact, c.Dedup.Near.Enabled, c.Dedup.Lines.Enabled = false, false, false
			c.Decontaminate.Sets = nil
		}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			var used time.Duration
			n := 0
			for b.Loop() {
				c := p.config(b, filepath.Join(b.TempDir(), "out"))
				c.Sources = c.Sources[:1]
				c.Sources[0].Read = read.Default()
				c.Workers = 1
				bench.change(c)
				start := cpuTime(b)
				if _, err := decontam.Load(c.Decontaminate, "."); err != nil { // of the sets' size, not of the input's
					b.Fatal(err)
				}
				load := cpuTime(b) - start
				start = cpuTime(b)
				mustBuild(b, c)
				used += cpuTime(b) - start - load
				n++
			}
			b.ReportMetric(float64(size*n)/1e6/used.Seconds(), "MB/cpu-s")
		})
	}
}
