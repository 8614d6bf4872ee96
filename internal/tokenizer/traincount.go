package tokenizer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// Source is a text to train on or to measure with.
type Source struct {
	Name string // for errors
	Size int64  // of the file, for progress; 0 for unknown
	// Field names the string that is the text where each line is a JSON object; ""
	// is plain text.
	Field string
	// Open starts reading. Where the reader has a method Offset() int64, that is
	// how far it is in a file of Size bytes.
	Open func() (io.ReadCloser, error)
}

// TextSource is a text in memory.
func TextSource(name, text string) Source {
	return Source{Name: name, Size: int64(len(text)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

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

// chunk is a part of a source: whole lines, or a part of a line that is longer.
type chunk struct {
	buf       []byte // one free byte, the text, and room for wordSlack more
	source    *Source
	line      int64 // number of the first line, from 1
	continued bool  // it begins in the middle of a line
}

const (
	chunkBytes = 1 << 20
	// maxJSONLine bounds a line that must be in memory as a whole.
	maxJSONLine = 256 << 20
)

// counting is the work of countWords.
type counting struct {
	c       *TrainConfig
	sources []Source
	next    atomic.Int64 // source to read
	free    chan []byte
	chunks  chan chunk
	spill   *spill
	rules   cutRules

	bytes atomic.Int64 // of text
	total int64        // of files

	mu   sync.Mutex
	read int64 // of files
}

// countWords cuts all sources into words and counts them.
func countWords(ctx context.Context, c *TrainConfig, sources []Source, r *TrainReport) (w *wordCounts, err error) {
	symbols := c.symbols()
	texts := make([]string, len(symbols))
	for i, p := range symbols {
		texts[i] = p.Text
	}
	readers := min(c.Workers, len(sources))
	k := &counting{
		c: c, sources: sources, rules: newCutRules(c, texts), spill: &spill{temp: c.TempDir},
		free: make(chan []byte, 2*c.Workers+readers), chunks: make(chan chunk, c.Workers),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.spill.remove())
		}
	}()
	for _, s := range sources {
		k.total += s.Size
	}
	for range cap(k.free) {
		k.free <- make([]byte, 1, 1+chunkBytes+wordSlack)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var reading, cutting sync.WaitGroup
	for range readers {
		reading.Go(func() {
			if err := k.readAll(ctx); err != nil {
				cancel(err)
			}
		})
	}
	cutters := make([]*cutter, c.Workers)
	for i := range cutters {
		cut := &cutter{rules: k.rules, table: newWordTable(c.Memory / 4 / int64(c.Workers))}
		cut.full = func() error { return k.spill.write(cut.table) }
		cutters[i] = cut
		cutting.Go(func() {
			if err := k.cutAll(ctx, cut); err != nil {
				cancel(err)
			}
		})
	}
	reading.Wait()
	close(k.chunks)
	cutting.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r.Bytes = k.bytes.Load()
	w, err = k.gather(ctx, cutters)
	r.Spilled = k.spill.made
	return w, err
}

// gather brings the tables of all workers together.
func (k *counting) gather(ctx context.Context, cutters []*cutter) (*wordCounts, error) {
	sum := cutters[0].table
	for _, cut := range cutters {
		if err := cut.flush(); err != nil {
			return nil, err
		}
	}
	if len(k.spill.runs) == 0 {
		// Growing is bounded by all tables' memory together from here on.
		sum.limit *= 1 << (len(cutters) - 1)
		sum.arena.limit *= int64(len(cutters))
		for _, cut := range cutters[1:] {
			err := cut.table.each(func(word []byte, count int64) error {
				if sum.add(word, count) {
					return nil
				}
				if err := k.spill.write(sum); err != nil {
					return err
				}
				sum.add(word, count)
				return nil
			})
			if err != nil {
				return nil, err
			}
			cut.table = nil
		}
		if len(k.spill.runs) == 0 {
			return &wordCounts{sum, k.spill}, nil
		}
	}
	for _, cut := range cutters {
		if cut.table != nil && cut.table.used > 0 {
			if err := k.spill.write(cut.table); err != nil {
				return nil, err
			}
		}
	}
	return &wordCounts{nil, k.spill}, k.spill.reduce(ctx)
}

// readAll reads sources as long as there are some.
func (k *counting) readAll(ctx context.Context) error {
	for ctx.Err() == nil {
		i := int(k.next.Add(1)) - 1
		if i >= len(k.sources) {
			break
		}
		s := &k.sources[i]
		if err := k.readOne(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	return nil
}

// readOne reads a source chunk by chunk. Where chunks end depends on the text only.
func (k *counting) readOne(ctx context.Context, s *Source) error {
	in, err := s.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	var rest []byte
	at := chunk{source: s, line: 1}
	offset := int64(0)
	for first, last := true, false; !last; first = false {
		var buf []byte
		select {
		case buf = <-k.free:
		case <-ctx.Done():
			return ctx.Err()
		}
		buf = append(buf[:1], rest...)
		cut, continued := 0, false
		for cut == 0 && !last {
			have := len(buf)
			want := max(1+chunkBytes, have+chunkBytes/2)
			buf = slices.Grow(buf, want+wordSlack-have)
			n, err := io.ReadFull(in, buf[have:want])
			buf = buf[:have+n]
			switch {
			case err == io.EOF || err == io.ErrUnexpectedEOF:
				last, cut = true, len(buf)
				continue
			case err != nil:
				return err
			}
			if cut, continued = cutChunk(buf, s.Field != ""); cut == 0 && len(buf) > maxJSONLine {
				return fmt.Errorf("line %d has more than %d bytes", at.line+int64(bytes.Count(buf, []byte{'\n'})), maxJSONLine)
			}
		}
		if first && s.Field == "" {
			if i := bytes.IndexByte(buf[1:min(len(buf), 4096)], 0); i >= 0 {
				return fmt.Errorf("byte %d is NUL: this is no text", i)
			}
		}
		rest = append(rest[:0], buf[cut:]...)
		at.buf = buf[:cut]
		offset = k.progress(in, offset, cut-1)
		lines := int64(bytes.Count(at.buf[1:], []byte{'\n'}))
		select {
		case k.chunks <- at:
		case <-ctx.Done():
			return ctx.Err()
		}
		at.line += lines
		at.continued = continued
	}
	return nil
}

// cutChunk returns where to cut a chunk that more text follows: behind its last
// line. A line that is longer than a chunk is cut in front of a space, or else
// between two characters; one of JSON is not cut, which 0 says.
func cutChunk(buf []byte, whole bool) (cut int, continued bool) {
	if i := bytes.LastIndexByte(buf[1:], '\n'); i >= 0 {
		return 1 + i + 1, false
	}
	if whole {
		return 0, false
	}
	i := bytes.LastIndexByte(buf[1:], ' ') + 1
	for i > 1 && buf[i-1] == ' ' {
		i--
	}
	if i > 1 {
		return i, true
	}
	for i = len(buf) - 1; i > len(buf)-utf8.UTFMax && !utf8.RuneStart(buf[i]); i-- {
	}
	return i, true
}

// progress counts what was read and tells it. It returns how far the file is.
func (k *counting) progress(in io.Reader, before int64, text int) (offset int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	offset = before + int64(text)
	if f, ok := in.(interface{ Offset() int64 }); ok {
		offset = f.Offset()
	}
	k.read += offset - before
	k.c.Progress(StageCount, k.read, k.total)
	return offset
}

// cutAll counts the words of chunks until there are no more.
func (k *counting) cutAll(ctx context.Context, cut *cutter) error {
	var doc []byte
	for {
		var ch chunk
		var ok bool
		select {
		case ch, ok = <-k.chunks:
		case <-ctx.Done():
			return ctx.Err()
		}
		if !ok {
			return nil
		}
		if ch.source.Field == "" {
			k.bytes.Add(int64(len(ch.buf) - 1))
			if err := cut.text(ch.buf, ch.continued); err != nil {
				return err
			}
		} else {
			line := ch.line
			for text := range bytes.Lines(ch.buf[1:]) {
				s, ok, err := jsonField(text, ch.source.Field)
				if err != nil {
					return fmt.Errorf("%s: line %d: %w", ch.source.Name, line, err)
				}
				if line++; !ok {
					continue
				}
				k.bytes.Add(int64(len(s)))
				doc = append(append(doc[:0], ' '), s...)
				doc = slices.Grow(doc, wordSlack)
				if err := cut.text(doc, false); err != nil {
					return err
				}
			}
		}
		if cap(ch.buf) > 2*chunkBytes {
			ch.buf = make([]byte, 1, 1+chunkBytes+wordSlack) // a long line's
		}
		k.free <- ch.buf
	}
}

// jsonField returns a string of a JSON object; ok is false for an empty line.
func jsonField(line []byte, field string) (text string, ok bool, err error) {
	if len(bytes.TrimSpace(line)) == 0 {
		return "", false, nil
	}
	var o map[string]json.RawMessage
	if err := json.Unmarshal(line, &o); err != nil {
		return "", false, err
	}
	raw, ok := o[field]
	if !ok {
		return "", false, fmt.Errorf("the object has no field %q; it has %q", field, slices.Sorted(maps.Keys(o)))
	}
	if raw[0] != '"' {
		return "", false, fmt.Errorf("field %q is %.40s, not a string", field, raw)
	}
	err = json.Unmarshal(raw, &text)
	return text, true, err
}
