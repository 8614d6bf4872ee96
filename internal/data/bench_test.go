//go:build unix

package data

import (
	"bufio"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cria-llm/cria/internal/data/doc"
	"github.com/cria-llm/cria/internal/data/read"
	"github.com/cria-llm/cria/internal/modelfile"
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
// also where the machine has other work. What a build of one document takes
// (loading tokenizer and benchmark sets, the report) is "fixed-s", and is not in
// MB/s: it is the same for any input. "all" is with every rule, language and
// personal data; "tokens" without filters, duplicates and benchmarks.
func BenchmarkBuild(b *testing.B) {
	all := passages(b)
	size := len(strings.Join(all, ""))
	p := &proof{corpus: corpus{dir: b.TempDir()}, counts: map[string]int{}}
	p.source(b, "books", all)
	one := &proof{corpus: corpus{dir: b.TempDir()}, counts: map[string]int{}}
	one.source(b, "books", all[:1])
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
			run := func(p *proof) time.Duration {
				c := p.config(b, filepath.Join(b.TempDir(), "out"))
				c.Sources = c.Sources[:1]
				c.Sources[0].Read = read.Default()
				c.Workers = 1
				bench.change(c)
				runtime.GC() // so that no build pays for the one before it
				start := cpuTime(b)
				mustBuild(b, c)
				return cpuTime(b) - start
			}
			run(one) // what is made once in a process
			var fixed, used time.Duration
			n := 0
			for b.Loop() {
				f := run(one)
				fixed += f
				used += run(p) - f
				n++
			}
			b.ReportMetric(float64(size*n)/1e6/used.Seconds(), "MB/cpu-s")
			b.ReportMetric(fixed.Seconds()/float64(n), "fixed-s")
		})
	}
}

// BenchmarkTokenise: documents to token files by themselves, hashes for the split
// included, in MB of text per second of CPU time.
func BenchmarkTokenise(b *testing.B) {
	all := passages(b)
	p := &proof{corpus: corpus{dir: b.TempDir()}, counts: map[string]int{}}
	c := p.config(b, b.TempDir())
	t, _, err := modelfile.OpenTokenizer(c.Tokenizer)
	if err != nil {
		b.Fatal(err)
	}
	w := &tokenWriter{b: &build{config: c, tokenizer: t, width: 2}, bulk: t.NewBulk()}
	for _, to := range []**bufio.Writer{&w.tokens, &w.ids, &w.index} {
		*to = bufio.NewWriterSize(io.Discard, 1<<18)
	}
	size := 0
	start := cpuTime(b)
	for b.Loop() {
		var sum tokenized
		for _, text := range all {
			if err := w.write(&doc.Document{ID: "books/000001.jsonl#123456", Text: text}, &sum); err != nil {
				b.Fatal(err)
			}
			size += len(text)
		}
	}
	b.ReportMetric(float64(size)/1e6/(cpuTime(b)-start).Seconds(), "MB/cpu-s")
}
