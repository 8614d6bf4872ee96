// Package data turns documents into token shards: `cria data build`.
//
// A build runs in stages, each over work units in parallel:
//
//	clean     read, repair, identify, filter, mask: one file of documents per
//	          input unit, with what the next stage compares them by
//	decide    domains, exact duplicates, near duplicates, frequent lines: which
//	          documents are dropped, by sorting on disk
//	tokens    frequent lines and benchmark items out, then tokenise: one file of
//	          ids per unit
//	draw      sources mixed, documents chosen and shuffled: the order of the shards
//	shards    the shards themselves
//
// Every result of a stage is a file that is written under another name, synced
// and renamed, followed by a record with its size and sum; a build that was
// killed goes on with what has a record. Nothing depends on the number of
// workers, on the memory, or on where a build was interrupted.
package data

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/cria-llm/cria/internal/data/decontam"
	"github.com/cria-llm/cria/internal/data/dedup"
	"github.com/cria-llm/cria/internal/data/mix"
	"github.com/cria-llm/cria/internal/sys/par"
)

// Config is everything that a build can be told.
type Config struct {
	Out       string `yaml:"out"`       // directory of the data set
	Seed      uint64 `yaml:"seed"`      // of the shuffle, the validation split and what is drawn
	Tokenizer string `yaml:"tokenizer"` // tokenizer file, or a model that has one

	// Sources in order of preference: of documents that are the same, the one of
	// the earlier source stays.
	Sources []Source `yaml:"sources"`

	Steps `yaml:",inline"`

	Dedup         dedup.Config    `yaml:"dedup"`
	Decontaminate decontam.Config `yaml:"decontaminate"`
	Mix           mix.Config      `yaml:"mix"`

	BOS         bool    `yaml:"bos"`          // put BOS before each document
	EOS         bool    `yaml:"eos"`          // put EOS behind each document
	Valid       float64 `yaml:"valid"`        // fraction of documents for validation
	ShardTokens int64   `yaml:"shard_tokens"` // a shard is full when it has as many

	Run `yaml:",inline"`
}

// Run are settings that change how a build runs and nothing of what it makes; a
// build may be resumed with other ones.
type Run struct {
	Workers  int  `yaml:"workers"`   // 0: all cores that this process may use
	Memory   Size `yaml:"memory"`    // for sorting and for what must be held at once
	KeepWork bool `yaml:"keep_work"` // keep OUT/work, which is about as large as the input
}

// Default is what a file need not say.
func Default() *Config {
	return &Config{
		Steps:         defaultSteps(),
		Dedup:         dedup.Default(),
		Decontaminate: decontam.Default(),
		Mix:           mix.Default(),
		BOS:           true,
		EOS:           true,
		Valid:         0.005,
		ShardTokens:   100_000_000,
		Run:           Run{Memory: 2 << 30},
	}
}

// Size is a number of bytes: "512MiB", "2GB", "1048576".
type Size int64

var sizes = []struct {
	unit string
	n    int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// ParseSize reads a size.
func ParseSize(s string) (Size, error) {
	number := strings.TrimRight(s, "KMGTkiB")
	unit := strings.TrimSpace(s[len(number):])
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	for _, u := range sizes {
		if err == nil && u.unit == unit && v >= 0 && v*float64(u.n) < math.MaxInt64 {
			return Size(v * float64(u.n)), nil
		}
	}
	return 0, fmt.Errorf("%q is no size; write it as 512MiB, 2GiB or 2GB", s)
}

// UnmarshalYAML reads a size. The parser adds no place to its errors; memory is
// the only field of this type.
func (s *Size) UnmarshalYAML(b []byte) (err error) {
	if *s, err = ParseSize(strings.Trim(strings.TrimSpace(string(b)), `"'`)); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	return nil
}

// Load reads a configuration file. Paths in it are relative to the working
// directory. change, if not nil, may set fields before they are checked.
func Load(path string, change func(*Config) error) (*Config, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c := Default()
	if err := yaml.UnmarshalWithOptions(b, c, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("%s: %s", path, strings.TrimSpace(yaml.FormatError(err, false, true)))
	}
	if change != nil {
		if err := change(c); err != nil {
			return nil, err
		}
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

var sourceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Validate says what is wrong, by the names of the file.
func (c *Config) Validate() error {
	if c.Out == "" {
		return errors.New("out: missing; name the directory that the data set goes to")
	}
	if c.Tokenizer == "" {
		return errors.New("tokenizer: missing; name a tokenizer.model, tokenizer.json, or a model that has one")
	}
	if len(c.Sources) == 0 {
		return errors.New("sources: missing; name at least one")
	}
	seen := map[string]bool{}
	for i := range c.Sources {
		s := &c.Sources[i]
		if !sourceName.MatchString(s.Name) {
			return fmt.Errorf("sources[%d].name: %q; 1 to 64 letters, digits, '.', '_' and '-' are needed", i, s.Name)
		}
		if seen[s.Name] {
			return fmt.Errorf("sources[%d].name: there are two sources %q", i, s.Name)
		}
		seen[s.Name] = true
		if err := s.check(); err != nil {
			return fmt.Errorf("sources[%d] (%s): %w", i, s.Name, err)
		}
	}
	if _, _, err := c.mixSources(nil); err != nil {
		return err
	}
	switch {
	case !(c.Valid >= 0 && c.Valid < 1):
		return fmt.Errorf("valid: %g; a fraction from 0 to below 1 is needed", c.Valid)
	case c.ShardTokens < 1:
		return fmt.Errorf("shard_tokens: %d; it must be at least 1", c.ShardTokens)
	case c.Workers < 0:
		return fmt.Errorf("workers: %d; it must be 0 (all that this process may use) or more", c.Workers)
	case c.Memory < 1<<20:
		return fmt.Errorf("memory: %d bytes; at least 1MiB are needed", c.Memory)
	}
	if err := c.Dedup.Check(); err != nil {
		return fmt.Errorf("dedup.%w", err)
	}
	if err := c.Decontaminate.Check(); err != nil {
		return fmt.Errorf("decontaminate.%w", err)
	}
	if err := c.Mix.Check(); err != nil {
		return fmt.Errorf("mix.%w", err)
	}
	return c.Steps.check()
}

func (c *Config) workers() int {
	if c.Workers > 0 {
		return c.Workers
	}
	return min(par.DefaultWorkers(), runtime.GOMAXPROCS(0))
}

// path puts a path of the configuration where the working directory is now, so
// that messages and plans name one place.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// mixSources is the sources as package mix takes them, with the tokens of each;
// without tokens it checks that weights and factors make sense.
func (c *Config) mixSources(tokens []int64) (shares []mix.Share, notes []string, err error) {
	var list []mix.Source
	for i := range c.Sources {
		s := &c.Sources[i]
		m := mix.Source{Name: s.Name, Tokens: 1, Upsample: 1}
		for _, f := range []struct {
			name string
			from *float64
			to   *float64
		}{{"weight", s.Weight, &m.Weight}, {"upsample", s.Upsample, &m.Upsample}, {"max_epochs", s.MaxEpochs, &m.MaxEpochs}} {
			if f.from == nil {
				continue
			}
			if !(*f.from > 0) || math.IsInf(*f.from, 0) {
				return nil, nil, fmt.Errorf("sources[%d].%s: %g; it must be above 0", i, f.name, *f.from)
			}
			*f.to = *f.from
		}
		if tokens != nil {
			m.Tokens = tokens[i]
		}
		list = append(list, m)
	}
	return mix.Plan(c.Mix, list)
}
