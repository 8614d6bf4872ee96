// Package extent writes files whose layout is known beforehand: a head, and
// named ranges that are filled piece by piece in any order. The formats' writers
// are made of it.
package extent

import (
	"fmt"

	"github.com/cria-llm/cria/internal/sys/atomicfile"
)

// Range is a named part of a file.
type Range struct {
	Name         string
	Offset, Size int64
}

// File is a file to be written. What is neither head nor range is zero.
type File struct {
	Path   string
	Head   []byte
	Size   int64
	Ranges []Range
}

// Writer writes one or more files. It is for one goroutine.
type Writer struct {
	files  []*atomicfile.File
	paths  []string
	ranges []*progress
	byName map[string]*progress
	failed error
}

type progress struct {
	Range
	file *atomicfile.File
	done int64
}

// Create starts all files and writes their heads. Names of ranges must differ,
// across all files. After an error nothing is left.
func Create(files ...File) (*Writer, error) {
	w := &Writer{byName: map[string]*progress{}}
	for _, f := range files {
		if err := w.create(f); err != nil {
			w.Abort()
			return nil, fmt.Errorf("%s: %w", f.Path, err)
		}
	}
	return w, nil
}

func (w *Writer) create(f File) error {
	out, err := atomicfile.Create(f.Path)
	if err != nil {
		return err
	}
	w.files = append(w.files, out)
	w.paths = append(w.paths, f.Path)
	for _, r := range f.Ranges {
		if w.byName[r.Name] != nil {
			return fmt.Errorf("two parts are called %q", r.Name)
		}
		p := &progress{Range: r, file: out}
		w.ranges = append(w.ranges, p)
		w.byName[r.Name] = p
	}
	if _, err := out.WriteAt(f.Head, 0); err != nil {
		return err
	}
	return out.Truncate(f.Size)
}

// Write appends a piece to a range.
func (w *Writer) Write(name string, piece []byte) error {
	if w.failed != nil {
		return w.failed
	}
	r := w.byName[name]
	switch {
	case r == nil:
		return fmt.Errorf("%s: tensor %q was not announced", w.paths[0], name)
	case int64(len(piece)) > r.Size-r.done:
		return fmt.Errorf("%s: tensor %q: %d bytes after %d, where %d were announced", r.file.Path(), name, len(piece), r.done, r.Size)
	}
	if _, err := r.file.WriteAt(piece, r.Offset+r.done); err != nil {
		w.failed = fmt.Errorf("%s: tensor %q: %w", r.file.Path(), name, err)
		return w.failed
	}
	r.done += int64(len(piece))
	return nil
}

// Files returns the paths that Close will make.
func (w *Writer) Files() []string { return w.paths }

// Close checks that all ranges are full, syncs the files and gives them their
// names, in order. After an error the file concerned and those after it do not
// appear.
func (w *Writer) Close() error {
	defer w.Abort()
	if w.failed != nil {
		return w.failed
	}
	for _, r := range w.ranges {
		if r.done != r.Size {
			return fmt.Errorf("%s: tensor %q: %d of %d bytes were written", r.file.Path(), r.Name, r.done, r.Size)
		}
	}
	for _, f := range w.files {
		if err := f.Commit(); err != nil {
			return fmt.Errorf("%s: %w", f.Path(), err)
		}
	}
	return nil
}

// Abort deletes what was not given its name yet.
func (w *Writer) Abort() {
	for _, f := range w.files {
		f.Abort()
	}
}
