package gguf

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/sys/mmap"
)

// Open maps a GGUF file and checks all of it but the tensors' contents. Opening
// any part of a split set ("…-00001-of-00003.gguf") opens the set.
func Open(path string) (*File, error) {
	f := &File{path: path, byName: map[string]*view.Tensor{}}
	err := mmap.Guard(func() error {
		p, err := f.add(path)
		if err != nil {
			return err
		}
		return f.open(p)
	})
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// OpenBytes is Open of a file that is in memory; name stands for its path. A part
// of a set is refused by the name's lack of a number.
func OpenBytes(name string, data []byte) (*File, error) {
	f := &File{path: name, byName: map[string]*view.Tensor{}}
	p, err := f.addMapped(mmap.FromBytes(name, data))
	if err != nil {
		return nil, err
	}
	if err := f.open(p); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// open completes a file of which one part has been read.
func (f *File) open(p *part) error {
	f.kvs, f.index = p.kvs, p.index
	count, isSplit, err := f.GetUint(keySplitCount)
	if err != nil {
		return err
	}
	if isSplit && count != 1 {
		if p, err = f.openSet(count); err != nil {
			return err
		}
	}
	f.Version, f.Alignment = p.version, p.alignment
	f.kvs, f.index = nil, make(map[string]int)
	for _, kv := range p.kvs {
		if !strings.HasPrefix(kv.Key, "split.") {
			f.index[kv.Key] = len(f.kvs)
			f.kvs = append(f.kvs, kv)
		}
	}
	for _, t := range f.tensors {
		if f.byName[t.Key] != nil {
			return ferr.New(ferr.Malformed, t.File, "tensor "+t.Key, nil, "it is also in %s", f.byName[t.Key].File)
		}
		f.byName[t.Key] = t
	}
	return nil
}

// add maps and parses one file.
func (f *File) add(path string) (*part, error) {
	m, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	return f.addMapped(m)
}

func (f *File) addMapped(m *mmap.File) (*part, error) {
	f.maps = append(f.maps, m)
	p, err := parse(m)
	if err != nil {
		return nil, err
	}
	f.tensors = append(f.tensors, p.tensors...)
	return p, nil
}

// splitName is how llama.cpp names the parts of a set, counted from 1.
var splitName = regexp.MustCompile(`^(.*)-([0-9]{5})-of-([0-9]{5})\.gguf$`)

// openSet opens all parts of the set that f.path is of, and returns the first.
// The parts number themselves from 0.
func (f *File) openSet(count uint64) (first *part, err error) {
	dir, base := filepath.Split(f.path)
	match := splitName.FindStringSubmatch(base)
	if match == nil {
		return nil, ferr.New(ferr.Malformed, f.path, keySplitCount, count, "the file is a part of a set, and its name does not say which").WithHint("give all parts their names back: NAME-00001-of-00003.gguf and so on")
	}
	if n, _ := strconv.ParseUint(match[3], 10, 64); n != count {
		return nil, ferr.New(ferr.Malformed, f.path, keySplitCount, count, "the file's name says %d parts", n)
	}
	if i, _ := strconv.ParseUint(match[2], 10, 64); i < 1 || i > count { // also where count is 0
		return nil, ferr.New(ferr.Malformed, f.path, keySplitCount, count, "the file's name says part %d", i)
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	f.maps, f.tensors = nil, nil
	for i := range count {
		path := dir + fmt.Sprintf("%s-%05d-of-%05d.gguf", match[1], i+1, count)
		p, err := f.add(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, ferr.New(ferr.Malformed, path, "", nil, "part %d of %d is missing", i+1, count).WithHint("put all parts in one directory")
		}
		if err != nil {
			return nil, err
		}
		if err := checkPart(path, p, keySplitNo, i); err != nil {
			return nil, err
		}
		if err := checkPart(path, p, keySplitCount, count); err != nil {
			return nil, err
		}
		if i == 0 {
			first = p
		}
	}
	return first, checkPart(f.maps[0].Name(), first, keySplitTensorsCount, uint64(len(f.tensors)))
}

// checkPart checks one of the numbers that tell a part where it belongs.
func checkPart(path string, p *part, key string, want uint64) error {
	v, ok, err := (&File{path: path, kvs: p.kvs, index: p.index}).GetUint(key)
	switch {
	case err != nil:
		return err
	case !ok:
		return ferr.New(ferr.Malformed, path, key, nil, "is missing; %d is expected", want)
	case v != want:
		return ferr.New(ferr.Malformed, path, key, v, "%d is expected", want).WithHint("the parts are not of one set")
	}
	return nil
}
