package data

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/data/clean"
	"github.com/cria-llm/cria/internal/data/doc"
	"github.com/cria-llm/cria/internal/data/lang"
	"github.com/cria-llm/cria/internal/data/pii"
	"github.com/cria-llm/cria/internal/data/read"
)

// Source is a group of files with its part in the mix.
type Source struct {
	Name  string   `yaml:"name"`
	Paths []string `yaml:"paths"` // globs; ** stands for directories at any depth

	// Either Weight for all sources, or Upsample for those that are to be seen more
	// (or less) often than their size gives them. See package mix.
	Weight    *float64 `yaml:"weight"`
	Upsample  *float64 `yaml:"upsample"`
	MaxEpochs *float64 `yaml:"max_epochs"`

	Read read.Config `yaml:",inline"`
}

// UnmarshalYAML gives each source the readers' defaults.
func (s *Source) UnmarshalYAML(unmarshal func(any) error) error {
	type plain Source
	p := plain{Read: read.Default()}
	if err := unmarshal(&p); err != nil {
		return err
	}
	*s = Source(p)
	return nil
}

func (s *Source) check() error {
	if len(s.Paths) == 0 {
		return fmt.Errorf("paths: missing; name at least one file or glob")
	}
	return s.Read.Validate()
}

// units lists what a source is to be read as, in the order of its paths and names.
func (s *Source) units() ([]doc.Unit, error) {
	var units []doc.Unit
	seen := map[string]bool{}
	for _, pattern := range s.Paths {
		files, root, err := glob(absolute(pattern))
		if err != nil {
			return nil, fmt.Errorf("source %s: %s: %w", s.Name, pattern, err)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("source %s: %s: there is no such file", s.Name, pattern)
		}
		for _, path := range files {
			if seen[path] { // two patterns may meet in a file
				continue
			}
			seen[path] = true
			name, err := filepath.Rel(root, path)
			if err != nil {
				return nil, err
			}
			u, err := read.Units(s.Name, path, filepath.ToSlash(name), s.Read)
			if err != nil {
				return nil, fmt.Errorf("source %s: %w", s.Name, err)
			}
			units = append(units, u...)
		}
	}
	return units, nil
}

// Steps are the per-document steps' sections.
type Steps struct {
	Repair   clean.RepairConfig `yaml:"repair"`
	Language lang.Config        `yaml:"language"`
	Clean    clean.Config       `yaml:"clean"`
	Personal pii.Config         `yaml:"personal"`
}

func defaultSteps() Steps {
	return Steps{Repair: clean.DefaultRepair(), Language: lang.Default(), Clean: clean.Default(), Personal: pii.Default()}
}

func (s *Steps) check() error {
	_, _, err := s.build()
	return err
}

// build makes the steps in the order in which documents run through them, and
// the rules on whole domains.
func (s *Steps) build() (steps []doc.Step, domains []doc.DomainRule, err error) {
	repair, err := clean.NewRepair(s.Repair)
	if err != nil {
		return nil, nil, err
	}
	language, err := lang.New(s.Language)
	if err != nil {
		return nil, nil, err
	}
	rules, err := clean.New(s.Clean)
	if err != nil {
		return nil, nil, err
	}
	mask, err := pii.New(s.Personal)
	if err != nil {
		return nil, nil, err
	}
	sites, err := pii.NewSites(s.Personal)
	if err != nil {
		return nil, nil, err
	}
	return []doc.Step{repair, language, rules, mask}, []doc.DomainRule{sites}, nil
}

// glob lists the files of a pattern, sorted, and the directory that the pattern's
// first special character is below; names are relative to it.
func glob(pattern string) (files []string, root string, err error) {
	root = filepath.Dir(pattern)
	if i := strings.IndexAny(pattern, "*?["); i >= 0 {
		root = filepath.Dir(pattern[:i] + "x")
	}
	before, after, deep := strings.Cut(pattern, "**"+string(filepath.Separator))
	if !deep {
		files, err = filepath.Glob(pattern)
		slices.Sort(files)
		return files, root, err
	}
	files, err = walk(filepath.Clean(before), after)
	return files, root, err
}

// files lists the files that the steps read.
func (s *Steps) files() []string {
	if s.Clean.C4.BadWords != "" {
		return []string{s.Clean.C4.BadWords}
	}
	return nil
}
