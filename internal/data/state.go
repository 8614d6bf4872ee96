package data

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/cria-llm/cria/internal/sys/atomicfile"
)

// Stages have a directory of their own below OUT/work.
const (
	workDir    = "work"
	cleanDir   = "clean"
	decideDir  = "decide"
	tokensDir  = "tokens"
	drawDir    = "draw"
	shardsDir  = "shards"
	scratchDir = "scratch" // of sorting; nothing in it outlives a run
)

// store is OUT/work: results with records.
type store struct {
	dir     string
	workers int
}

func (s *store) path(stage, name string) string { return filepath.Join(s.dir, stage, name) }

// scratch is where temporary files of sorting go.
func (s *store) scratch() string { return filepath.Join(s.dir, scratchDir) }

// prepare makes the directories and removes what a killed run left behind.
func (s *store) prepare() error {
	if err := os.RemoveAll(s.scratch()); err != nil {
		return err
	}
	for _, stage := range []string{cleanDir, decideDir, tokensDir, drawDir, shardsDir, scratchDir} {
		if err := os.MkdirAll(filepath.Join(s.dir, stage), 0o777); err != nil {
			return err
		}
		if err := removeTemporary(filepath.Join(s.dir, stage)); err != nil {
			return err
		}
	}
	return nil
}

// removeTemporary deletes files of package atomicfile that were never committed.
func removeTemporary(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, ".*.tmp-????????"))
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// fileSum is a result file as its record knows it.
type fileSum struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
	Sum  string `json:"sha256"`
}

// record is the marker of a finished piece of work: NAME.json, written last.
type record struct {
	Files  []fileSum       `json:"files"`
	Result json.RawMessage `json:"result"`
}

// output is a result file under way.
type output struct {
	f    *atomicfile.File
	name string
	sum  hash.Hash
	size int64
}

// Write appends to the file.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.f.Write(p)
	o.sum.Write(p[:n])
	o.size += int64(n)
	return n, err
}

// piece is one piece of work of a stage, under way.
type piece struct {
	store       *store
	stage, name string
	outputs     []*output
}

// create starts a result file with the piece's name and an extension.
func (p *piece) create(ext string) (*output, error) {
	f, err := atomicfile.Create(p.store.path(p.stage, p.name+ext))
	if err != nil {
		return nil, err
	}
	o := &output{f: f, name: p.name + ext, sum: sha256.New()}
	p.outputs = append(p.outputs, o)
	return o, nil
}

func (p *piece) abort() {
	for _, o := range p.outputs {
		o.f.Abort()
	}
}

// commit gives the files their names and writes the record.
func (p *piece) commit(result any) error {
	var r record
	for _, o := range p.outputs {
		if err := o.f.Commit(); err != nil {
			return err
		}
		r.Files = append(r.Files, fileSum{o.name, o.size, hex.EncodeToString(o.sum.Sum(nil))})
	}
	var err error
	if r.Result, err = json.Marshal(result); err != nil {
		return err
	}
	return writeJSON(p.store.path(p.stage, p.name+".json"), &r)
}

// once does a piece of work unless its record and files are there, and returns
// its result: what work returned now or in an earlier run.
func once[T any](s *store, stage, name string, work func(p *piece) (T, error)) (result T, err error) {
	r, err := s.finished(stage, name)
	if err != nil {
		return result, err
	}
	if r != nil {
		if err := json.Unmarshal(r.Result, &result); err != nil {
			return result, fmt.Errorf("%s: %w", s.path(stage, name+".json"), err)
		}
		return result, nil
	}
	p := &piece{store: s, stage: stage, name: name}
	defer p.abort()
	if result, err = work(p); err != nil {
		return result, err
	}
	return result, p.commit(result)
}

// finished returns a piece's record if all its files are as it says; nil, nil if
// the work is to be done.
func (s *store) finished(stage, name string) (*record, error) {
	b, err := os.ReadFile(s.path(stage, name+".json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r record
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w; delete the file to do this piece of work again", s.path(stage, name+".json"), err)
	}
	for _, f := range r.Files {
		path := s.path(stage, f.Name)
		size, sum, err := atomicfile.Sum(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if size != f.Size || sum != f.Sum {
			return nil, fmt.Errorf("%s: sha256 is %s of %d bytes, its record says %s of %d: the file was changed or the disk fails; delete it to do this piece of work again", path, sum, size, f.Sum, f.Size)
		}
	}
	return &r, nil
}

// writeJSON writes a small file so that it is there as a whole or not at all.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, append(b, '\n'))
}

// each runs work for 0 to n-1 on the workers, in rising order of starting. The
// first error, by number, stops all.
func (s *store) each(ctx context.Context, n int, work func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var next atomic.Int64
	errs := make([]error, n)
	var wg sync.WaitGroup
	for range min(s.workers, n) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n || ctx.Err() != nil {
					return
				}
				if errs[i] = work(ctx, i); errs[i] != nil {
					cancel()
					return
				}
			}
		})
	}
	wg.Wait()
	var stopped error
	for _, err := range errs {
		if err != nil && !errors.Is(err, context.Canceled) {
			return err
		}
		stopped = errors.Join(stopped, err)
	}
	if stopped != nil {
		return context.Canceled
	}
	return ctx.Err()
}
