package data

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml"

	"github.com/cria-llm/cria/internal/data/decontam"
	"github.com/cria-llm/cria/internal/data/doc"
	"github.com/cria-llm/cria/internal/sys/atomicfile"
)

// pipelineVersion changes when the same input and configuration give other
// results; a build cannot be resumed by a program with another version.
const pipelineVersion = 2

// planFile is what a build is of; a resumed build must have the same.
const planFile = "plan.json"

// plan is plan.json.
type plan struct {
	Version int            `json:"version"`
	Config  map[string]any `json:"config"`
	Files   []inputFile    `json:"files"` // that are neither documents nor settings
	Units   []doc.Unit     `json:"units"`
}

// inputFile is a file that the result depends on.
type inputFile struct {
	Path string `json:"path"`
	Sum  string `json:"sha256"`
}

// newPlan looks at all input.
func newPlan(c *Config) (*plan, error) {
	p := &plan{Version: pipelineVersion}
	var err error
	if p.Config, err = settings(c); err != nil {
		return nil, err
	}
	files, err := c.files()
	if err != nil {
		return nil, err
	}
	for _, path := range files {
		_, sum, err := atomicfile.Sum(path)
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, inputFile{path, sum})
	}
	for i := range c.Sources {
		units, err := c.Sources[i].units()
		if err != nil {
			return nil, err
		}
		p.Units = append(p.Units, units...)
	}
	return p, nil
}

// files lists what the result depends on beside documents: tokenizer, benchmark
// sets, lists of words.
func (c *Config) files() ([]string, error) {
	var files []string
	for _, s := range c.Decontaminate.Sets {
		found, err := decontam.Files(s, ".")
		if err != nil {
			return nil, err
		}
		files = append(files, found...)
	}
	files = append(files, c.Steps.files()...)
	for i := range files {
		files[i] = absolute(files[i])
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// settings is the configuration by the names of its fields, without what may
// change between two runs of a build.
func settings(c *Config) (map[string]any, error) {
	b, err := yaml.Marshal(c)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if err := yaml.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	for _, name := range []string{"out", "workers", "memory", "keep_work"} {
		delete(m, name)
	}
	return m, nil
}

// keep writes the plan, or compares it with the one that is there, and says if
// a build of this plan has begun already.
func (p *plan) keep(dir string) (begun bool, err error) {
	path := filepath.Join(dir, planFile)
	old, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := empty(dir); err != nil {
			return false, err
		}
		return false, writeJSON(path, p)
	}
	if err != nil {
		return false, err
	}
	a, err := decodePlan(old)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	now, err := json.Marshal(p)
	if err != nil {
		return false, err
	}
	b, err := decodePlan(now)
	if err != nil {
		return false, err
	}
	if field, was, is := difference("", a, b); field != "" {
		return false, fmt.Errorf("%s holds a build with another %s: %s then, %s now; build into another directory, or delete this one", dir, field, was, is)
	}
	return true, nil
}

func decodePlan(b []byte) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber() // a seed has 64 bits
	err = d.Decode(&v)
	return v, err
}

// empty refuses a directory with files that no build has made.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != lockFile {
			return fmt.Errorf("out: %s is not empty (%s is there) and holds no build; name another directory", dir, e.Name())
		}
	}
	return nil
}

// difference finds the first field in which two decoded JSON values differ.
func difference(path string, a, b any) (field, was, is string) {
	if reflect.DeepEqual(a, b) {
		return "", "", ""
	}
	join := func(name string) string {
		switch {
		case path == "" || path == "config":
			return name
		default:
			return path + "." + name
		}
	}
	switch x := a.(type) {
	case map[string]any:
		if y, ok := b.(map[string]any); ok {
			names := map[string]bool{}
			for n := range x {
				names[n] = true
			}
			for n := range y {
				names[n] = true
			}
			var sorted []string
			for n := range names {
				sorted = append(sorted, n)
			}
			slices.Sort(sorted)
			for _, n := range sorted {
				if field, was, is := difference(join(n), x[n], y[n]); field != "" {
					return field, was, is
				}
			}
		}
	case []any:
		if y, ok := b.([]any); ok {
			for i := range min(len(x), len(y)) {
				if field, was, is := difference(path+"["+strconv.Itoa(i)+"]", x[i], y[i]); field != "" {
					return field, was, is
				}
			}
			if path == "units" || path == "files" {
				return "number of " + path, strconv.Itoa(len(x)), strconv.Itoa(len(y))
			}
		}
	}
	return path, shown(a), shown(b)
}

// shown is a value in a message.
func shown(v any) string {
	if v == nil {
		return "nothing"
	}
	b, _ := json.Marshal(v)
	return doc.Clip(string(b), 100)
}
