package tokenizer

import (
	"context"
	"errors"
	"math"
	"math/bits"
)

// wordCounts are the words of all sources: in one table, or in runs on disk.
type wordCounts struct {
	table *wordTable
	spill *spill
}

func (w *wordCounts) each(ctx context.Context, visit func(word []byte, count int64) error) error {
	if len(w.spill.runs) > 0 {
		return w.spill.each(ctx, visit)
	}
	return w.table.each(visit)
}

// release gives the memory back; the words are gone unless they are on disk.
func (w *wordCounts) release() { w.table = nil }

func (w *wordCounts) close() error { return w.spill.remove() }

// countWords cuts all sources into words and counts them.
func countWords(ctx context.Context, c *TrainConfig, sources []Source, r *TrainReport) (w *wordCounts, err error) {
	var texts []string
	for _, p := range c.symbols() {
		texts = append(texts, p.Text)
	}
	rules := newCutRules(c, texts)
	k := &chunkReader{sources: sources, progress: func(done, total int64) { c.Progress(StageCount, done, total) }}
	spill := &spill{temp: c.TempDir}
	defer func() {
		if err != nil {
			err = errors.Join(err, spill.remove())
		}
	}()
	cutters := make([]*cutter, c.Workers)
	workers := make([]func(context.Context, *chunk) error, c.Workers)
	for i := range cutters {
		cut := &cutter{rules: rules, table: newWordTable(c.Memory / 4 / int64(c.Workers))}
		cut.full = func() error { return spill.write(cut.table) }
		cutters[i] = cut
		workers[i] = func(_ context.Context, ch *chunk) error {
			if ch.source.Field == "" {
				k.bytes.Add(int64(len(ch.buf) - 1))
				return cut.text(ch.buf, ch.continued)
			}
			return ch.documents(func(doc []byte) error {
				k.bytes.Add(int64(len(doc) - 1))
				return cut.text(doc, false)
			})
		}
	}
	if err := k.run(ctx, workers); err != nil {
		return nil, err
	}
	r.Bytes = k.bytes.Load()
	w, err = gather(ctx, spill, cutters)
	r.Spilled = spill.made
	return w, err
}

// gather brings the tables of all workers together: in memory if nothing went to
// disk yet and one table can hold all, else on disk.
func gather(ctx context.Context, spill *spill, cutters []*cutter) (*wordCounts, error) {
	words := 0
	for _, cut := range cutters {
		if err := cut.flush(); err != nil {
			return nil, err
		}
		words += cut.table.used
	}
	sum := cutters[0].table
	// From here on growing is bounded by all tables' memory together.
	sum.limit <<= bits.Len(uint(len(cutters))) - 1
	sum.arena.limit = math.MaxInt64
	// Room for all is made first: words come in the order of their hashes, and a
	// table that is nearly full would clog where they go in.
	if len(spill.runs) == 0 && sum.reserve(words) {
		for _, cut := range cutters[1:] {
			err := cut.table.each(func(word []byte, count int64) error {
				sum.add(word, count)
				return nil
			})
			if err != nil {
				return nil, err
			}
			cut.table = nil
		}
		return &wordCounts{sum, spill}, nil
	}
	for _, cut := range cutters {
		if cut.table.used > 0 {
			if err := spill.write(cut.table); err != nil {
				return nil, err
			}
		}
	}
	return &wordCounts{nil, spill}, spill.reduce(ctx)
}
