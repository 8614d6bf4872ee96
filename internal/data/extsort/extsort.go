// Package extsort sorts any number of small fixed-size records in bounded
// memory: full buffers are sorted and spilled to temporary files (runs), which
// are merged at the end. The result depends neither on the memory nor on the
// order in which records are added.
package extsort

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
)

// Record is a few numbers that are compared from the first to the last.
type Record interface{ ~[2]uint64 | ~[3]uint64 }

const (
	runBuffer = 64 << 10 // bytes per file that is read or written
	maxRuns   = 256      // files that are merged at once
	minBuffer = 1 << 10  // records
)

// Sorter takes records and gives them back in order. It is for one goroutine.
type Sorter[R Record] struct {
	// Combine, if set, may join two neighbours of the order into one (true). The
	// joined record must sort where a stands, and the order of joining must not
	// matter. It is set before the first Add.
	Combine func(a, b R) (R, bool)

	dir    string
	buf    []R
	limit  int // records
	fanIn  int
	runs   []string
	sorted bool
}

// New returns a sorter that keeps up to memory bytes of records, but at least
// some ten thousand bytes, and spills to temporary files in dir.
func New[R Record](dir string, memory int64) *Sorter[R] {
	var r R
	return &Sorter[R]{
		dir:   dir,
		limit: int(max(memory/int64(8*len(r)), minBuffer)),
		fanIn: int(min(max(memory/runBuffer, 4), maxRuns)),
	}
}

// Add takes a record.
func (s *Sorter[R]) Add(r R) error {
	if s.sorted {
		return errors.New("extsort: a record is added after Sorted")
	}
	if len(s.buf) >= s.limit {
		if err := s.spill(); err != nil {
			return err
		}
	}
	if len(s.buf) == cap(s.buf) && cap(s.buf) > 0 { // double, but not beyond the limit
		s.buf = slices.Grow(s.buf, min(len(s.buf), s.limit-len(s.buf)))
	}
	s.buf = append(s.buf, r)
	return nil
}

// Close deletes the temporary files. The sorter cannot be used afterwards.
func (s *Sorter[R]) Close() error {
	var errs []error
	for _, name := range s.runs {
		errs = append(errs, os.Remove(name))
	}
	s.runs, s.buf, s.sorted = nil, nil, true
	return errors.Join(errs...)
}

// Sorted gives all records in order. Further records cannot be added. An error
// of the temporary files ends the sequence.
func (s *Sorter[R]) Sorted() iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		s.sorted = true
		var zero R
		if len(s.runs) > 0 && len(s.buf) > 0 {
			if err := s.spill(); err != nil {
				yield(zero, err)
				return
			}
		}
		if len(s.runs) == 0 {
			for _, r := range s.sortBuffer() {
				if !yield(r, nil) {
					return
				}
			}
			return
		}
		s.buf = nil // merging needs its memory
		for len(s.runs) > s.fanIn {
			if err := s.mergeFirst(); err != nil {
				yield(zero, err)
				return
			}
		}
		for r, err := range s.merge(s.runs) {
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// sortBuffer sorts what is in memory and joins what Combine joins.
func (s *Sorter[R]) sortBuffer() []R {
	slices.SortFunc(s.buf, compare[R])
	if s.Combine == nil || len(s.buf) == 0 {
		return s.buf
	}
	n := 0
	for _, r := range s.buf[1:] {
		if joined, ok := s.Combine(s.buf[n], r); ok {
			s.buf[n] = joined
			continue
		}
		n++
		s.buf[n] = r
	}
	s.buf = s.buf[:n+1]
	return s.buf
}

func compare[R Record](a, b R) int {
	for i := range len(a) {
		switch {
		case a[i] < b[i]:
			return -1
		case a[i] > b[i]:
			return 1
		}
	}
	return 0
}

// spill writes the buffer as a run.
func (s *Sorter[R]) spill() error {
	err := s.write(func(yield func(R, error) bool) {
		for _, r := range s.sortBuffer() {
			if !yield(r, nil) {
				return
			}
		}
	})
	s.buf = s.buf[:0]
	return err
}

// mergeFirst joins the oldest runs into one.
func (s *Sorter[R]) mergeFirst() error {
	n := min(s.fanIn, len(s.runs)-s.fanIn+1)
	old := slices.Clone(s.runs[:n])
	if err := s.write(s.merge(old)); err != nil {
		return err
	}
	s.runs = s.runs[n:]
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return nil
}

// write makes a run of sorted records. It needs not survive a crash, so it is not synced.
func (s *Sorter[R]) write(records iter.Seq2[R, error]) (err error) {
	f, err := os.CreateTemp(s.dir, "run-*.tmp")
	if err != nil {
		return fmt.Errorf("sorting on disk: %w", err)
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("sorting on disk: %w", err)
			return
		}
		s.runs = append(s.runs, f.Name())
	}()
	w := bufio.NewWriterSize(f, runBuffer)
	var b []byte
	for r, err := range records {
		if err != nil {
			return err
		}
		b = b[:0]
		for i := range len(r) {
			b = binary.LittleEndian.AppendUint64(b, r[i])
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
	}
	return w.Flush()
}

// run is a temporary file that is read.
type run[R Record] struct {
	f    *os.File
	r    *bufio.Reader
	head R
	buf  [24]byte
}

// next reads the next record into head; io.EOF after the last.
func (r *run[R]) next() error {
	b := r.buf[:8*len(r.head)]
	if _, err := io.ReadFull(r.r, b); err != nil {
		if err == io.EOF {
			return err
		}
		return fmt.Errorf("%s: %w", r.f.Name(), err)
	}
	for i := range len(r.head) {
		r.head[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return nil
}

// runHeap has the run with the lowest head first.
type runHeap[R Record] []*run[R]

func (h runHeap[R]) Len() int           { return len(h) }
func (h runHeap[R]) Less(i, j int) bool { return compare(h[i].head, h[j].head) < 0 }
func (h runHeap[R]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap[R]) Push(x any)        { *h = append(*h, x.(*run[R])) }
func (h *runHeap[R]) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

// merge gives the records of several runs in order.
func (s *Sorter[R]) merge(names []string) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		var zero R
		var h runHeap[R]
		var files []*os.File
		defer func() {
			for _, f := range files {
				_ = f.Close()
			}
		}()
		for _, name := range names {
			f, err := os.Open(name)
			if err != nil {
				yield(zero, fmt.Errorf("sorting on disk: %w", err))
				return
			}
			files = append(files, f)
			r := &run[R]{f: f, r: bufio.NewReaderSize(f, runBuffer)}
			if err := r.next(); err == io.EOF {
				continue
			} else if err != nil {
				yield(zero, err)
				return
			}
			h = append(h, r)
		}
		heap.Init(&h)
		var last R
		have := false
		for len(h) > 0 {
			r := h[0].head
			if err := h[0].next(); err == io.EOF {
				heap.Pop(&h)
			} else if err != nil {
				yield(zero, err)
				return
			} else {
				heap.Fix(&h, 0)
			}
			if have {
				if s.Combine != nil {
					if joined, ok := s.Combine(last, r); ok {
						last = joined
						continue
					}
				}
				if !yield(last, nil) {
					return
				}
			}
			last, have = r, true
		}
		if have {
			yield(last, nil)
		}
	}
}
