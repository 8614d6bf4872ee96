package tokenizer

import (
	"bufio"
	"bytes"
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// Where the words of a collection are more than the memory allows, full tables are
// written to disk as runs: words in the order of their bytes, each with its count.
// In the end the runs are merged, and equal words become one.

// spill is the directory of the runs.
type spill struct {
	dir  string // "" until the first run
	temp string // where dir is made; "" for the system's place

	mu   sync.Mutex
	runs []string
	made int
}

// maxMerge is how many runs are read at a time: processes may often have only 256
// files open.
const maxMerge = 64

// newRun names a run that is about to be written.
func (s *spill) newRun() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		dir, err := os.MkdirTemp(s.temp, ".tokenizer-train-*")
		if err != nil {
			return "", err
		}
		s.dir = dir
	}
	s.made++
	return filepath.Join(s.dir, fmt.Sprintf("%06d", s.made)), nil
}

func (s *spill) add(run string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs = append(s.runs, run)
}

// write writes a table as a run and empties it.
func (s *spill) write(t *wordTable) error {
	name, err := s.newRun()
	if err != nil {
		return err
	}
	w, err := createRun(name)
	if err != nil {
		return err
	}
	var buf [inlined + wordSlack]byte
	list := t.sorted()
	for i := range list {
		if err := w.put(t.word(&list[i], &buf), list[i].count); err != nil {
			break // close says it again
		}
	}
	if err := w.close(); err != nil {
		return err
	}
	t.reset()
	s.add(name)
	return nil
}

// remove deletes all runs.
func (s *spill) remove() error {
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// reduce merges runs until few enough are left to be read together.
func (s *spill) reduce(ctx context.Context) error {
	for len(s.runs) > maxMerge {
		name, err := s.newRun()
		if err != nil {
			return err
		}
		w, err := createRun(name)
		if err != nil {
			return err
		}
		some := s.runs[:maxMerge]
		err = mergeRuns(ctx, some, w.put)
		if err := errors.Join(err, w.close()); err != nil {
			return err
		}
		for _, run := range some {
			if err := os.Remove(run); err != nil {
				return err
			}
		}
		s.runs = append(slices.Clone(s.runs[maxMerge:]), name)
	}
	return nil
}

// each calls visit for all words in order.
func (s *spill) each(ctx context.Context, visit func(word []byte, count int64) error) error {
	return mergeRuns(ctx, s.runs, visit)
}

// runWriter writes a run: per word its size, its bytes, its count.
type runWriter struct {
	f   *os.File
	w   *bufio.Writer
	buf []byte
}

func createRun(name string) (*runWriter, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return &runWriter{f: f, w: bufio.NewWriterSize(f, 1<<18)}, nil
}

func (w *runWriter) put(word []byte, count int64) error {
	w.buf = binary.AppendUvarint(w.buf[:0], uint64(len(word)))
	w.buf = append(w.buf, word...)
	w.buf = binary.AppendUvarint(w.buf, uint64(count))
	_, err := w.w.Write(w.buf)
	return err
}

func (w *runWriter) close() error { return errors.Join(w.w.Flush(), w.f.Close()) }

// runReader is at one word of a run.
type runReader struct {
	f     *os.File
	r     *bufio.Reader
	word  []byte // wordSlack bytes are readable behind it
	count int64
}

func openRun(name string) (*runReader, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return &runReader{f: f, r: bufio.NewReaderSize(f, 1<<16)}, nil
}

// next goes to the next word; io.EOF behind the last one.
func (r *runReader) next() error {
	size, err := binary.ReadUvarint(r.r)
	if err != nil {
		return err
	}
	if size > maxWordBytes {
		return fmt.Errorf("%s: a word of %d bytes: the file was changed while it was in use", r.f.Name(), size)
	}
	r.word = slices.Grow(r.word[:0], int(size)+wordSlack)[:size]
	if _, err := io.ReadFull(r.r, r.word); err != nil {
		return fmt.Errorf("%s: %w", r.f.Name(), noEOF(err))
	}
	count, err := binary.ReadUvarint(r.r)
	if err != nil {
		return fmt.Errorf("%s: %w", r.f.Name(), noEOF(err))
	}
	r.count = int64(count)
	return nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// runHeap orders readers by the word they are at.
type runHeap []*runReader

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return bytes.Compare(h[i].word, h[j].word) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)        { *h = append(*h, x.(*runReader)) }
func (h *runHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// mergeRuns calls visit for every word of some runs in order, with all its counts
// together.
func mergeRuns(ctx context.Context, names []string, visit func(word []byte, count int64) error) (err error) {
	var h runHeap
	var open []*runReader
	defer func() {
		for _, r := range open {
			err = errors.Join(err, r.f.Close())
		}
	}()
	for _, name := range names {
		r, err := openRun(name)
		if err != nil {
			return err
		}
		open = append(open, r)
		if err := r.next(); err == io.EOF {
			continue
		} else if err != nil {
			return err
		}
		h = append(h, r)
	}
	heap.Init(&h)
	word := make([]byte, 0, maxWordBytes+wordSlack)
	for n := 0; len(h) > 0; n++ {
		if n&0xFFFF == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		word = append(word[:0], h[0].word...)
		count := int64(0)
		for len(h) > 0 && bytes.Equal(h[0].word, word) {
			count += h[0].count
			if err := h[0].next(); err == io.EOF {
				heap.Pop(&h)
			} else if err != nil {
				return err
			} else {
				heap.Fix(&h, 0)
			}
		}
		if err := visit(word, count); err != nil {
			return err
		}
	}
	return nil
}
