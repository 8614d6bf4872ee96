package tokenizer

import (
	"bytes"
	"context"
	"encoding/json"
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
	// Field names the string that is the text where each line is a JSON object, or
	// the messages that make it (objects with content); of several names, divided by
	// commas, the first that an object has counts. "" is plain text.
	Field string
	// Open starts reading. Where the reader has a method Offset() int64, that is
	// how far it is in a file of Size bytes.
	Open func() (io.ReadCloser, error)
}

// TextSource is a text in memory.
func TextSource(name, text string) Source {
	return Source{Name: name, Size: int64(len(text)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

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

// chunkReader reads sources and gives their chunks to workers.
type chunkReader struct {
	sources  []Source
	next     atomic.Int64 // source to read
	free     chan []byte
	chunks   chan chunk
	bytes    atomic.Int64            // of text
	progress func(done, total int64) // in bytes of files; called under mu
	total    int64

	mu   sync.Mutex
	done int64
}

// run reads all sources and has each chunk worked on by one of the workers.
func (k *chunkReader) run(ctx context.Context, workers []func(context.Context, *chunk) error) error {
	readers := min(len(workers), len(k.sources))
	k.free, k.chunks = make(chan []byte, 2*len(workers)+readers), make(chan chunk, len(workers))
	for _, s := range k.sources {
		k.total += s.Size
	}
	for range cap(k.free) {
		k.free <- make([]byte, 1, 1+chunkBytes+wordSlack)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var reading, working sync.WaitGroup
	for range readers {
		reading.Go(func() {
			if err := k.readAll(ctx); err != nil {
				cancel(err)
			}
		})
	}
	for _, work := range workers {
		working.Go(func() {
			if err := k.workAll(ctx, work); err != nil {
				cancel(err)
			}
		})
	}
	reading.Wait()
	close(k.chunks)
	working.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// workAll takes chunks until there are no more.
func (k *chunkReader) workAll(ctx context.Context, work func(context.Context, *chunk) error) error {
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
		if err := work(ctx, &ch); err != nil {
			return err
		}
		if cap(ch.buf) > 2*chunkBytes {
			ch.buf = make([]byte, 1, 1+chunkBytes+wordSlack) // a long line's
		}
		k.free <- ch.buf
	}
}

// readAll reads sources as long as there are some.
func (k *chunkReader) readAll(ctx context.Context) error {
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
func (k *chunkReader) readOne(ctx context.Context, s *Source) error {
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
			n, err := readFull(in, buf[have:want])
			buf = buf[:have+n]
			if err != nil {
				return err
			}
			if have+n < want {
				last, cut = true, len(buf)
				continue
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
		offset = k.advance(in, offset, cut-1)
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

// readFull fills b unless the text ends before. (io.ReadFull's error for that is the
// one of compressed files that are cut off.)
func readFull(in io.Reader, b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var more int
		more, err = in.Read(b[n:])
		n += more
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
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

// advance tells the progress. It returns how far the source's file is.
func (k *chunkReader) advance(in io.Reader, before int64, text int) (offset int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	offset = before + int64(text)
	if f, ok := in.(interface{ Offset() int64 }); ok {
		offset = f.Offset()
	}
	k.done += offset - before
	k.progress(k.done, k.total)
	return offset
}

// documents calls visit for the texts of a chunk of JSON lines, with one free byte
// in front of each and wordSlack bytes behind.
func (ch *chunk) documents(visit func(doc []byte) error) error {
	var doc []byte
	line := ch.line
	for text := range bytes.Lines(ch.buf[1:]) {
		s, ok, err := jsonField(text, ch.source.Field)
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", ch.source.Name, line, err)
		}
		if line++; !ok {
			continue
		}
		doc = append(append(doc[:0], ' '), s...)
		doc = slices.Grow(doc, wordSlack)
		if err := visit(doc); err != nil {
			return err
		}
	}
	return nil
}

// jsonField returns a field of a JSON object as text; ok is false for an empty line.
func jsonField(line []byte, field string) (text string, ok bool, err error) {
	if len(bytes.TrimSpace(line)) == 0 {
		return "", false, nil
	}
	var o map[string]json.RawMessage
	if err := json.Unmarshal(line, &o); err != nil {
		return "", false, err
	}
	for name := range strings.SplitSeq(field, ",") {
		if raw, ok := o[name]; ok {
			text, err = jsonText(name, raw)
			return text, true, err
		}
	}
	return "", false, fmt.Errorf("the object has no field %q; it has %q", field, slices.Sorted(maps.Keys(o)))
}

// jsonText returns a string, or what the messages of a dialog say, a line each.
func jsonText(field string, raw json.RawMessage) (text string, err error) {
	if raw[0] == '"' {
		err = json.Unmarshal(raw, &text)
		return text, err
	}
	var messages []struct {
		Content *string `json:"content"`
	}
	if err := json.Unmarshal(raw, &messages); err != nil || raw[0] != '[' {
		return "", fmt.Errorf("field %q is %.40s, neither a string nor messages", field, raw)
	}
	var b strings.Builder
	for i, m := range messages {
		if m.Content == nil {
			return "", fmt.Errorf("field %q: message %d has no content", field, i)
		}
		b.WriteString(*m.Content)
		b.WriteByte('\n')
	}
	return b.String(), nil
}
