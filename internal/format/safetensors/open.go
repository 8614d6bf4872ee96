package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/sys/mmap"
)

const indexSuffix = ".index.json"

// Open maps a safetensors file, or, if path ends in ".index.json", all shards
// that the index names; index and shards must agree both ways.
func Open(path string) (*File, error) {
	f := &File{path: path, byName: map[string]*view.Tensor{}}
	err := mmap.Guard(func() error {
		if strings.HasSuffix(path, indexSuffix) {
			return f.openIndex()
		}
		return f.add(path)
	})
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// add maps and parses one file.
func (f *File) add(path string) error {
	m, err := mmap.Open(path)
	if err != nil {
		return err
	}
	f.maps = append(f.maps, m)
	tensors, metadata, err := parse(m)
	if err != nil {
		return err
	}
	if len(f.maps) == 1 {
		f.metadata = metadata
	}
	for _, t := range tensors {
		if other := f.byName[t.Key]; other != nil {
			return ferr.New(ferr.Malformed, path, "tensor "+t.Key, nil, "it is also in %s", other.File)
		}
		f.byName[t.Key] = t
	}
	f.tensors = append(f.tensors, tensors...)
	return nil
}

// openIndex reads the index and opens its shards, in the order of their names.
func (f *File) openIndex() error {
	m, err := mmap.Open(f.path)
	if err != nil {
		return err
	}
	f.index = m // for Close: unmapped here on a fault, the file could not be named
	weightMap, err := readIndex(m)
	if err != nil {
		return err
	}
	if err := m.Close(); err != nil {
		return err
	}
	firstOf := map[string]string{} // shard to a tensor that the index sees in it
	for name, shard := range weightMap {
		if have, ok := firstOf[shard]; !ok || name < have {
			firstOf[shard] = name
		}
	}
	var shards []string
	for shard := range firstOf {
		shards = append(shards, shard)
	}
	slices.Sort(shards)
	dir := filepath.Dir(f.path)
	for _, shard := range shards {
		path := filepath.Join(dir, shard)
		before := len(f.tensors)
		err := f.add(path)
		if errors.Is(err, fs.ErrNotExist) {
			return ferr.New(ferr.Malformed, f.path, "weight_map: "+ferr.Quote(firstOf[shard]), shard, "there is no such file beside the index").WithHint("put all files of the model in one directory")
		}
		if err != nil {
			return err
		}
		for _, t := range f.tensors[before:] {
			want, ok := weightMap[t.Key]
			if !ok {
				return ferr.New(ferr.Malformed, path, "tensor "+t.Key, nil, "the index %s does not list it", f.path).WithHint("index and files are not of one model")
			}
			if want != shard {
				return ferr.New(ferr.Malformed, path, "tensor "+t.Key, nil, "the index %s says that it is in %s", f.path, want).WithHint("index and files are not of one model")
			}
		}
	}
	if len(weightMap) == len(f.tensors) {
		return nil
	}
	missing := ""
	for name := range weightMap {
		if f.byName[name] == nil && (missing == "" || name < missing) {
			missing = name
		}
	}
	return ferr.New(ferr.Malformed, f.path, "weight_map: "+ferr.Quote(missing), weightMap[missing], "that file has no such tensor").WithHint("index and files are not of one model")
}

// readIndex returns which shard each tensor is in. The index's metadata, a sum
// of bytes that converters get wrong now and then, is not used.
func readIndex(m *mmap.File) (weightMap map[string]string, err error) {
	if n := len(m.Bytes()); n > maxHeader {
		return nil, ferr.New(ferr.Malformed, m.Name(), "index length", n, "at most %d bytes are allowed", maxHeader)
	}
	s := &scanner{file: m.Name(), data: m.Bytes()}
	err = s.object("index", maxName, func(key string) error {
		if key != "weight_map" {
			return s.skip("index: "+ferr.Quote(key), 0)
		}
		weightMap = map[string]string{}
		return s.object(key, maxName, func(name string) error {
			if len(weightMap) == maxTensors {
				return s.malformed(key, nil, "more than %d tensors", maxTensors)
			}
			field := fmt.Sprintf("%s: %s", key, ferr.Quote(name))
			shard, err := s.str(field, maxName)
			if err != nil {
				return err
			}
			// Only files beside the index: not "../x", "/x", "C:x" or "x:stream".
			if !filepath.IsLocal(shard) || strings.ContainsAny(shard, `/\:`) || strings.ContainsRune(shard, 0) || shard == "." {
				return s.malformed(field, shard, "the name of a file beside the index is expected")
			}
			weightMap[name] = shard
			return nil
		})
	})
	if err == nil {
		err = s.end("index")
	}
	if err != nil {
		return nil, err
	}
	if len(weightMap) == 0 {
		return nil, s.malformed("weight_map", nil, "it is missing or empty")
	}
	return weightMap, nil
}
