// Package hostile is the corpus of bad model files: made on demand, so that no
// binary stands in the repository, and shared by the formats' own tests, the
// seeds of their fuzz targets and the tests of the command line. Each case says
// which of the project's security checks it belongs to and what its refusal
// must name.
//
// The generators write bytes by hand and share no code with the readers and
// writers that they are to test.
package hostile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// File is one file of a case.
type File struct {
	Name string // may have slashes: directories are made
	Data []byte
	Size int64 // where it is more than len(Data), the rest is a hole of zeros
}

// Case is a bad file, set of files or directory.
type Case struct {
	Name  string
	Check int // number in SECURITY.md; 0 where none asks for it
	// Field and Value are texts that the refusal must contain. Value is empty
	// where there is no single value to show.
	Field, Value string
	// Files makes the files. The first one is to be opened, unless Open says
	// otherwise.
	Files func() []File
	Open  string // what to open below the directory; "." is the directory
}

// Write writes the case's files below dir and returns the path to open.
func (c *Case) Write(dir string) (path string, err error) {
	files := c.Files()
	for _, f := range files {
		if err := f.write(dir); err != nil {
			return "", fmt.Errorf("hostile: %s: %w", c.Name, err)
		}
	}
	if c.Open != "" {
		return filepath.Join(dir, filepath.FromSlash(c.Open)), nil
	}
	return filepath.Join(dir, filepath.FromSlash(files[0].Name)), nil
}

func (f *File) write(dir string) error {
	path := filepath.Join(dir, filepath.FromSlash(f.Name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(path, f.Data, 0o666); err != nil {
		return err
	}
	if f.Size <= int64(len(f.Data)) {
		return nil
	}
	return os.Truncate(path, f.Size)
}

// one is a case's single file.
func one(name string, data []byte) func() []File {
	return func() []File { return []File{{Name: name, Data: data}} }
}

// All lists the cases of all formats.
func All() []Case {
	return slices.Concat(GGUF(), Safetensors(), Llama2c(), PTH())
}
