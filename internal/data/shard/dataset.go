package shard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"

	"github.com/cria-llm/cria/internal/sys/mmap"
)

// Dataset is a data set whose shards are mapped. It may be used by several
// goroutines until Close.
type Dataset struct {
	dir    string
	index  *Index
	splits map[string]*Split
}

// Split is the shards of one split behind one another.
type Split struct {
	set       *Dataset
	shards    []*mapped
	tokens    int64
	documents int64
}

// mapped is one shard. Its first token and document are numbered within the split.
type mapped struct {
	File
	firstToken, firstDoc int64
	tokens, ends, ids    *mmap.File
	mask                 *mmap.File // nil where every token is learned
}

// Open maps a data set. Sizes are checked against index.json; sums are not (Verify).
func Open(dir string) (_ *Dataset, err error) {
	x, err := ReadIndex(dir)
	if err != nil {
		return nil, err
	}
	d := &Dataset{dir: dir, index: x, splits: map[string]*Split{}}
	defer func() {
		if err != nil {
			_ = d.Close()
		}
	}()
	for _, name := range []string{Train, Valid} {
		d.splits[name] = &Split{set: d}
	}
	for name, files := range x.Splits {
		s := &Split{set: d}
		d.splits[name] = s
		for _, f := range files.Shards {
			m := &mapped{File: f, firstToken: s.tokens, firstDoc: s.documents}
			s.shards = append(s.shards, m)
			s.tokens += f.Tokens
			s.documents += f.Documents
			if err := m.open(dir, Width(x.VocabSize)); err != nil {
				return nil, err
			}
		}
	}
	return d, nil
}

func (m *mapped) open(dir string, width int) error {
	to := map[string]**mmap.File{extTokens: &m.tokens, extDocuments: &m.ends, extIDs: &m.ids, extMask: &m.mask}
	for _, p := range m.parts(width) {
		f, err := mmap.Open(filepath.Join(dir, m.Name+p.ext))
		if err != nil {
			return err
		}
		*to[p.ext] = f
		if got := int64(len(f.Bytes())); got != p.size {
			return fmt.Errorf("%s: %d bytes; %s says %d: the shard was cut or changed, build or copy it again", f.Name(), got, IndexFile, p.size)
		}
	}
	return nil
}

// Close unmaps all shards.
func (d *Dataset) Close() error {
	var errs []error
	for _, s := range d.splits {
		for _, m := range s.shards {
			for _, f := range []*mmap.File{m.tokens, m.ends, m.ids, m.mask} {
				if f != nil {
					errs = append(errs, f.Close())
				}
			}
		}
	}
	return errors.Join(errs...)
}

// Index returns what index.json says.
func (d *Dataset) Index() *Index { return d.index }

// Split returns a split; Train and Valid are always there, if only empty.
func (d *Dataset) Split(name string) (*Split, error) {
	if s := d.splits[name]; s != nil {
		return s, nil
	}
	return nil, fmt.Errorf("%s: there is no split %q", d.dir, name)
}

// Verify reads the files of all shards and compares their sha256 with the
// index. progress, if not nil, is called with bytes.
func (d *Dataset) Verify(ctx context.Context, progress func(done, total int64)) error {
	var done, total int64
	for _, s := range d.splits {
		for _, m := range s.shards {
			for _, p := range m.parts(Width(d.index.VocabSize)) {
				total += p.size
			}
		}
	}
	for _, name := range sortedKeys(d.splits) {
		for _, m := range d.splits[name].shards {
			err := m.verify(ctx, d.dir, func(n int) {
				done += int64(n)
				if progress != nil {
					progress(done, total)
				}
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// sumOf reads through a descriptor, not through the mapping: a file that was cut
// is then an error of reading.
func sumOf(ctx context.Context, path string, progress func(n int)) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h, buf := sha256.New(), make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		progress(n)
		if err == io.EOF {
			return hex.EncodeToString(h.Sum(nil)), nil
		}
		if err != nil {
			return "", err
		}
	}
}

// Tokens returns how many tokens the split has.
func (s *Split) Tokens() int64 { return s.tokens }

// Documents returns how many documents the split has.
func (s *Split) Documents() int64 { return s.documents }

// Document appends the ids of a document, numbered from 0 within the split.
func (s *Split) Document(doc int64, ids []int32) ([]int32, error) {
	m, err := s.shardOfDoc(doc)
	if err != nil {
		return nil, err
	}
	err = mmap.Guard(func() error {
		lo, hi, err := m.extent(doc - m.firstDoc)
		if err != nil {
			return err
		}
		ids, err = m.read(ids, lo, hi, s.set.index.VocabSize)
		return err
	})
	return ids, err
}

// ID returns the ID of a document as the pipeline gave it.
func (s *Split) ID(doc int64) (id string, err error) {
	m, err := s.shardOfDoc(doc)
	if err != nil {
		return "", err
	}
	err = mmap.Guard(func() error {
		rest := m.ids.Bytes()
		for range doc - m.firstDoc {
			_, after, ok := bytes.Cut(rest, []byte{'\n'})
			if !ok {
				return fmt.Errorf("%s: no line for document %d of the shard", m.ids.Name(), doc-m.firstDoc)
			}
			rest = after
		}
		line, _, ok := bytes.Cut(rest, []byte{'\n'})
		if !ok {
			return fmt.Errorf("%s: no line for document %d of the shard", m.ids.Name(), doc-m.firstDoc)
		}
		id = string(line)
		return nil
	})
	return id, err
}

func (s *Split) shardOfDoc(doc int64) (*mapped, error) {
	if doc < 0 || doc >= s.documents {
		return nil, fmt.Errorf("%s: there is no document %d; the split has %d", s.set.dir, doc, s.documents)
	}
	return s.shards[sort.Search(len(s.shards), func(i int) bool { return s.shards[i].firstDoc > doc })-1], nil
}

// end returns where the shard's document i ends; -1 is the start of the shard.
func (m *mapped) end(i int64) int64 {
	if i < 0 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(m.ends.Bytes()[i*bytesPerEnd:]))
}

// extent returns the tokens of the shard's document i.
func (m *mapped) extent(i int64) (lo, hi int64, err error) {
	lo, hi = m.end(i-1), m.end(i)
	if lo < 0 || lo >= hi || hi > m.Tokens || (i == m.Documents-1 && hi != m.Tokens) {
		return 0, 0, fmt.Errorf("%s: document %d of the shard is tokens %d to %d of %d: the file is damaged, build or copy the shard again", m.ends.Name(), i, lo, hi, m.Tokens)
	}
	return lo, hi, nil
}

// docAt returns the shard's document that token t is in.
func (m *mapped) docAt(t int64) int64 {
	return int64(sort.Search(int(m.Documents)-1, func(i int) bool { return m.end(int64(i)) > t }))
}

// read appends the shard's tokens lo to hi.
func (m *mapped) read(ids []int32, lo, hi int64, vocab int) ([]int32, error) {
	b, from := m.tokens.Bytes(), len(ids)
	if Width(vocab) == 2 {
		for b = b[2*lo : 2*hi]; len(b) > 0; b = b[2:] {
			ids = append(ids, int32(binary.LittleEndian.Uint16(b)))
		}
	} else {
		for b = b[4*lo : 4*hi]; len(b) > 0; b = b[4:] {
			ids = append(ids, int32(binary.LittleEndian.Uint32(b)))
		}
	}
	for i, id := range ids[from:] {
		if id < 0 || int(id) >= vocab {
			return nil, fmt.Errorf("%s: id %d at token %d is not in the vocabulary of %d: the shard is damaged, build or copy it again", m.tokens.Name(), uint32(id), lo+int64(i), vocab)
		}
	}
	return ids, nil
}

// learned appends whether the shard's tokens lo to hi are learned.
func (m *mapped) learned(to []bool, lo, hi int64) []bool {
	if m.mask == nil {
		for range hi - lo {
			to = append(to, true)
		}
		return to
	}
	for _, b := range m.mask.Bytes()[lo:hi] {
		to = append(to, b != 0)
	}
	return to
}
