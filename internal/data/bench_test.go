package data

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/data/read"
)

// BenchmarkBuild: all of the pipeline with one worker over the books, every rule
// on; MB/s are of input.
func BenchmarkBuild(b *testing.B) {
	all := passages(b)
	p := &proof{corpus: corpus{dir: b.TempDir()}, counts: map[string]int{}}
	p.source(b, "books", all)
	b.SetBytes(int64(len(strings.Join(all, ""))))
	for b.Loop() {
		c := p.config(b, filepath.Join(b.TempDir(), "out"))
		c.Sources = c.Sources[:1]
		c.Sources[0].Read = read.Default()
		c.Workers = 1
		mustBuild(b, c)
	}
}
