// Package pth reads PyTorch checkpoints as torch.save writes them since 1.6: a
// zip archive of stored entries, one of them a pickle that says how tensors lie
// in the others. The pickle is interpreted by a machine that knows tensors and
// plain containers and nothing else: a file can name no code to run.
package pth

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/sys/mmap"
)

// Limits on what a file may claim, as the other formats have them.
const (
	maxTensorName = 256
	maxTensors    = 1 << 14
	maxDims       = 8
	maxDepth      = 32 // of nested containers
	maxVisits     = 1 << 17
)

// File is an open checkpoint: a dict of names to tensors, as Meta's
// consolidated.NN.pth and Hugging Face's pytorch_model.bin are.
type File struct {
	region  *mmap.File
	entries map[string]*entry
	tensors []*view.Tensor
	byName  map[string]*view.Tensor
}

// Open maps a checkpoint and checks all of it but the tensors' contents.
func Open(path string) (*File, error) {
	region, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	f := &File{region: region, byName: map[string]*view.Tensor{}}
	if err := mmap.Guard(f.read); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (f *File) read() error {
	data := f.region.Bytes()
	if !bytes.HasPrefix(data, []byte(sigLocal)) {
		return errNoZip(f.Path(), data)
	}
	var err error
	if f.entries, err = readZip(f.Path(), data); err != nil {
		return err
	}
	if err := f.checkEntries(); err != nil {
		return err
	}
	pickle := f.entries["data.pkl"]
	if err := pickle.sum(f.Path()); err != nil {
		return err
	}
	root, err := unpickle(f.Path(), pickle.data, f.entries)
	if err != nil {
		return err
	}
	if _, ok := root.(*dict); !ok {
		return ferr.New(ferr.Unsupported, f.Path(), "data.pkl", nil, "it holds %s; a dict of names to tensors is expected", kindOf(root)).WithHint(hintStateDict)
	}
	return (&collector{file: f}).collect(root)
}

// Meta's files and those of all versions up to 2.15 have version 3 and at most
// format_version 1; torch.load itself refuses versions above 10.
const maxVersion = 10

// checkRecord refuses entries that torch.save does not write.
func checkRecord(file, name string) error {
	dir, _, _ := strings.Cut(name, "/")
	switch {
	case dir == "code" || name == "constants.pkl" || name == "model.json":
		return ferr.New(ferr.Unsupported, file, "entry "+name, nil, "the file is a TorchScript program").WithHint(hintStateDict)
	case dir == "data" || name == "data.pkl" || name == "version" || name == "byteorder":
	case strings.HasPrefix(name, "."): // notes of newer versions, which change nothing in the others
	default:
		return ferr.New(ferr.Unsupported, file, "entry "+name, nil, "torch.save writes none of this name").WithHint("the file is newer than this program, or no checkpoint")
	}
	return nil
}

// checkEntries checks the archive's small records.
func (f *File) checkEntries() error {
	for _, name := range []string{"data.pkl", "version"} {
		if f.entries[name] == nil {
			return ferr.New(ferr.Malformed, f.Path(), "entry "+name, nil, "is missing: the archive is no PyTorch checkpoint")
		}
	}
	version := f.entries["version"].data
	if n, err := strconv.ParseUint(strings.TrimSpace(string(version[:min(len(version), 20)])), 10, 64); err != nil || n < 1 {
		return ferr.New(ferr.Malformed, f.Path(), "entry version", version, "a number is expected")
	} else if n > maxVersion {
		return ferr.New(ferr.Unsupported, f.Path(), "entry version", n, "versions up to %d are read", maxVersion).WithHint("the file is newer than this program")
	}
	if e := f.entries["byteorder"]; e != nil && string(e.data) != "little" {
		if string(e.data) == "big" {
			return ferr.New(ferr.Unsupported, f.Path(), "entry byteorder", "big", "little-endian files are read").WithHint("save the file again on a little-endian machine")
		}
		return ferr.New(ferr.Malformed, f.Path(), "entry byteorder", e.data, "it is little or big")
	}
	return nil
}

// collector walks through a pickle's value. What stands in several places of it
// is found in each; a container inside of itself ends at maxDepth, and one that
// doubles at each level at maxVisits.
type collector struct {
	file   *File
	path   []string // keys that lead to the value in work
	visits int
}

// collect finds the tensors in a value and gives them their names.
func (c *collector) collect(v any) error {
	if c.visits++; c.visits > maxVisits {
		return ferr.New(ferr.Malformed, c.file.Path(), "data.pkl", nil, "it holds more than %d values", maxVisits)
	}
	switch v := v.(type) {
	case *tensorRef:
		return c.file.add(c.path, v)
	case *dict:
		for _, it := range v.items {
			if err := c.enter(show(it.key), it.value); err != nil {
				return err
			}
		}
	case *list:
		return c.collectItems(v.items)
	case tuple:
		return c.collectItems(v)
	}
	return nil
}

func (c *collector) collectItems(items []any) error {
	for i, v := range items {
		if err := c.enter(strconv.Itoa(i), v); err != nil {
			return err
		}
	}
	return nil
}

// enter collects a value inside of the one in work.
func (c *collector) enter(key string, v any) error {
	if len(c.path) == maxDepth {
		return ferr.New(ferr.Unsupported, c.file.Path(), "data.pkl", nil, "containers are nested more than %d deep", maxDepth)
	}
	c.path = append(c.path, key)
	err := c.collect(v)
	c.path = c.path[:len(c.path)-1]
	return err
}

// show prints the key of a dict.
func show(key any) string { return fmt.Sprint(key) }

// add checks a tensor and lists it under its path.
func (f *File) add(path []string, r *tensorRef) error {
	n := len(path) - 1
	for _, key := range path {
		n += len(key)
	}
	if n < 1 || n > maxTensorName {
		return ferr.New(ferr.Malformed, f.Path(), "tensor name", nil, "1 to %d bytes are allowed, it has %d", maxTensorName, n)
	}
	name := strings.Join(path, ".")
	if strings.ContainsFunc(name, unicode.IsControl) {
		return ferr.New(ferr.Malformed, f.Path(), "tensor name", name, "a name with control characters")
	}
	if len(f.tensors) == maxTensors {
		return ferr.New(ferr.Malformed, f.Path(), "tensor "+name, nil, "at most %d tensors are allowed", maxTensors)
	}
	if f.byName[name] != nil {
		return ferr.New(ferr.Malformed, f.Path(), "tensor "+name, nil, "two tensors have this name")
	}
	t, err := f.makeView(name, r)
	if err != nil {
		return err
	}
	f.tensors = append(f.tensors, t)
	f.byName[name] = t
	return nil
}

// Tensors returns the tensors in the order of the file's dict. Those in nested
// dicts and lists are named "outer.inner"; values that are no tensors are left
// out. Tensors whose type Cria does not know have Type Invalid. Tensors may share
// bytes.
func (f *File) Tensors() []*view.Tensor { return f.tensors }

// Lookup returns a tensor, or nil if there is none of that name.
func (f *File) Lookup(name string) *view.Tensor { return f.byName[name] }

// Path returns the path that was opened.
func (f *File) Path() string { return f.region.Name() }

// SumBytes is how much Verify reads.
func (f *File) SumBytes() int64 {
	n := int64(0)
	for _, e := range f.entries {
		n += int64(len(e.data))
	}
	return n
}

// Verify reads the whole file and checks the sums of all entries. After each it
// calls done with the entry's bytes; an error of done ends it.
func (f *File) Verify(done func(bytes int) error) error {
	return mmap.Guard(func() error {
		for _, name := range slices.Sorted(maps.Keys(f.entries)) {
			e := f.entries[name]
			if err := e.sum(f.Path()); err != nil {
				return err
			}
			f.region.Release(e.data)
			if err := done(len(e.data)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Close unmaps the file. Mapped bytes must not be used afterwards.
func (f *File) Close() error { return f.region.Close() }
