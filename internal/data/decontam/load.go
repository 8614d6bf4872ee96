package decontam

import (
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// maxItem is the longest line of a text file, in bytes.
const maxItem = 64 << 20

// Load reads the sets of a configuration. base is the directory that relative
// paths begin at.
func Load(c Config, base string) (*Index, error) {
	x := NewIndex(c)
	for _, s := range c.Sets {
		x.begin(s.Name)
		files, err := Files(s, base)
		if err != nil {
			return nil, err
		}
		for _, path := range files {
			before := x.Counts[len(x.Counts)-1].Items
			if err := x.load(path, s.Fields); err != nil {
				return nil, fmt.Errorf("decontaminate: set %s: %s: %w", s.Name, path, err)
			}
			if x.Counts[len(x.Counts)-1].Items == before {
				return nil, fmt.Errorf("decontaminate: set %s: %s has no text in the fields %q", s.Name, path, s.Fields)
			}
		}
	}
	return x, nil
}

// Files lists the files of a set, sorted. A glob without any is an error.
func Files(s Set, base string) (files []string, err error) {
	for _, glob := range s.Paths {
		if !filepath.IsAbs(glob) {
			glob = filepath.Join(base, glob)
		}
		found, err := filepath.Glob(glob)
		if err != nil {
			return nil, fmt.Errorf("decontaminate: set %s: %s: %w", s.Name, glob, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("decontaminate: set %s: %s: there is no such file", s.Name, glob)
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// load reads one file by its extension.
func (x *Index) load(path string, fields []string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	var r io.Reader = bufio.NewReaderSize(f, 1<<16)
	name := strings.ToLower(path)
	switch filepath.Ext(name) {
	case ".gz":
		if r, err = gzip.NewReader(r); err != nil {
			return err
		}
	case ".bz2":
		r = bzip2.NewReader(r)
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return err
		}
		defer z.Close()
		r = z
	}
	for _, ext := range []string{".gz", ".bz2", ".zst"} {
		name = strings.TrimSuffix(name, ext)
	}
	ext := filepath.Ext(name)
	if ext == ".txt" { // some sets have JSON lines under this name
		b := bufio.NewReader(r)
		if first, _ := b.Peek(1); string(first) == "{" {
			ext = ".jsonl"
		}
		r = b
	}
	if len(fields) > 0 && ext != ".json" && ext != ".jsonl" {
		return fmt.Errorf("fields %q are of JSON; %s files have none", fields, ext)
	}
	switch ext {
	case ".json", ".jsonl":
		return x.loadJSON(r, fields)
	case ".csv":
		return x.loadCSV(r, ',')
	case ".tsv":
		return x.loadCSV(r, '\t')
	case ".txt":
		s := bufio.NewScanner(r)
		s.Buffer(nil, maxItem)
		for s.Scan() {
			if line := strings.TrimSpace(s.Text()); line != "" {
				x.add(line)
			}
		}
		return s.Err()
	}
	return fmt.Errorf("extension %q is not known; .json, .jsonl, .csv, .tsv and .txt are, also with .gz, .bz2 or .zst behind", ext)
}

// loadJSON reads one JSON value after the other.
func (x *Index) loadJSON(r io.Reader, fields []string) error {
	d := json.NewDecoder(r)
	for n := 1; ; n++ {
		var v any
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("JSON value %d: %w", n, err)
		}
		x.texts(v, fields, len(fields) == 0)
	}
}

// texts adds the strings below v that are wanted: those of the fields named.
func (x *Index) texts(v any, fields []string, wanted bool) {
	switch v := v.(type) {
	case string:
		if wanted {
			x.add(v)
		}
	case []any:
		for _, e := range v {
			x.texts(e, fields, wanted)
		}
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		slices.Sort(keys) // so that counts and the set of a shared n-gram are the same each time
		for _, k := range keys {
			x.texts(v[k], fields, wanted || slices.Contains(fields, k))
		}
	}
}

func (x *Index) loadCSV(r io.Reader, comma rune) error {
	c := csv.NewReader(r)
	c.Comma, c.LazyQuotes, c.FieldsPerRecord, c.ReuseRecord = comma, true, -1, true
	for {
		row, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, cell := range row {
			x.add(cell)
		}
	}
}
