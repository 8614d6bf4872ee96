package tokenizer

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// FileSources makes sources of files: .txt, .jsonl (the string field is the text),
// each also as .gz or .zst; any other name that is given itself is plain text. Of
// directories all such files below are taken, by name; skipped tells what else is
// there. Hidden files and directories are not looked at.
func FileSources(paths []string, field string) (sources []Source, skipped []string, err error) {
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, nil, err
		}
		if !info.IsDir() {
			sources = append(sources, fileSource(path, info.Size(), field))
			continue
		}
		before := len(sources)
		err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case p != path && strings.HasPrefix(d.Name(), "."):
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			case d.IsDir():
				return nil
			case !isText(p):
				skipped = append(skipped, p)
				return nil
			}
			info, err := os.Stat(p) // of what a link points to
			if err != nil {
				return err
			}
			if !info.Mode().IsRegular() {
				skipped = append(skipped, p)
				return nil
			}
			sources = append(sources, fileSource(p, info.Size(), field))
			return nil
		})
		if err != nil {
			return nil, nil, err
		}
		if len(sources) == before {
			return nil, nil, fmt.Errorf("%s: the directory has no .txt or .jsonl file (or such a file as .gz or .zst)", path)
		}
	}
	return sources, skipped, nil
}

// plainName is a file's name without the ending of its compression.
func plainName(path string) (name, compression string) {
	name = strings.ToLower(filepath.Base(path))
	for _, c := range []string{".gz", ".zst"} {
		if s, ok := strings.CutSuffix(name, c); ok {
			return s, c
		}
	}
	return name, ""
}

func isText(path string) bool {
	name, _ := plainName(path)
	return slices.Contains([]string{".txt", ".jsonl"}, filepath.Ext(name))
}

func fileSource(path string, size int64, field string) Source {
	name, compression := plainName(path)
	s := Source{Name: path, Size: size, Open: func() (io.ReadCloser, error) { return openText(path, compression) }}
	if filepath.Ext(name) == ".jsonl" {
		s.Field = field
	}
	return s
}

// textFile reads a file, decompressed.
type textFile struct {
	io.Reader
	f      *os.File
	close  func() error // of the decompression
	offset int64
}

// maxZstdWindow bounds the memory that a .zst file may ask for; `zstd --long=27`
// is what decompressors take without being told.
const maxZstdWindow = 1 << 27

func openText(path, compression string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t := &textFile{f: f, close: func() error { return nil }}
	t.Reader = fileReader{t}
	switch compression {
	case ".gz":
		z, err := gzip.NewReader(t.Reader)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		t.Reader, t.close = z, z.Close
	case ".zst":
		z, err := zstd.NewReader(t.Reader, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		t.Reader, t.close = z, func() error { z.Close(); return nil }
	}
	return t, nil
}

// Offset is how much of the file was read.
func (t *textFile) Offset() int64 { return t.offset }

func (t *textFile) Close() error { return errors.Join(t.close(), t.f.Close()) }

// fileReader counts what goes to the decompression.
type fileReader struct{ t *textFile }

func (r fileReader) Read(p []byte) (int, error) {
	n, err := r.t.f.Read(p)
	r.t.offset += int64(n)
	return n, err
}
