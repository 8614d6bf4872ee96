package data

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// walk lists the regular files below dir whose path ends in what the pattern
// matches; the pattern may have several elements but no further **.
func walk(dir, pattern string) (files []string, err error) {
	if strings.Contains(pattern, "**") {
		return nil, fmt.Errorf("only one ** is possible")
	}
	depth := strings.Count(pattern, string(filepath.Separator)) + 1
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		parts := strings.Split(rel, string(filepath.Separator))
		if len(parts) < depth {
			return nil
		}
		ok, err := filepath.Match(pattern, filepath.Join(parts[len(parts)-depth:]...))
		if ok {
			files = append(files, path)
		}
		return err
	})
	slices.Sort(files)
	return files, err
}
