// Package dedup finds documents that are the same or nearly the same, and lines
// that stand in many documents. It has the rules; the pipeline (internal/data)
// feeds it from sorted files, so that nothing here grows with the collection but
// what is said so.
//
// Documents are numbered in a fixed order, and of several that are the same the
// first stays.
package dedup

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/data/words"
)

// Config is the pipeline's section "dedup".
type Config struct {
	Exact bool  `yaml:"exact"` // drop documents whose text is the same byte by byte
	Near  Near  `yaml:"near"`
	Lines Lines `yaml:"lines"`
}

// Default is what Config is without any setting.
func Default() Config {
	return Config{Exact: true, Near: DefaultNear(), Lines: DefaultLines()}
}

// Check validates the settings.
func (c *Config) Check() error {
	if err := c.Near.Check(); err != nil {
		return fmt.Errorf("near.%w", err)
	}
	if err := c.Lines.Check(); err != nil {
		return fmt.Errorf("lines.%w", err)
	}
	return nil
}

// ContentHash is the first half of the text's SHA-256: no two texts have the
// same by accident or on purpose.
func ContentHash(text string) (hash [2]uint64) {
	sum := sha256.Sum256([]byte(text))
	return [2]uint64{binary.BigEndian.Uint64(sum[:]), binary.BigEndian.Uint64(sum[8:])}
}

// Lines removes lines that stand in many documents, such as menus and licence
// texts: they stay in the first document that has them (after CCNet, Wenzek et
// al. 2020, section 3.1, which keeps none).
type Lines struct {
	Enabled      bool `yaml:"enabled"`
	MaxDocuments int  `yaml:"max_documents"` // a line in more documents than this is removed
	MinChars     int  `yaml:"min_chars"`     // shorter lines are left alone: "Yes.", "}"
	MinLeft      int  `yaml:"min_left"`      // a document that lost lines is dropped if fewer characters are left
}

// DefaultLines: ours; CCNet compares all paragraphs and removes from the second on.
func DefaultLines() Lines { return Lines{Enabled: true, MaxDocuments: 10, MinChars: 30, MinLeft: 200} }

// Check validates the settings.
func (l *Lines) Check() error {
	switch {
	case l.MaxDocuments < 1:
		return fmt.Errorf("max_documents: %d; it must be at least 1", l.MaxDocuments)
	case l.MinChars < 1:
		return fmt.Errorf("min_chars: %d; it must be at least 1", l.MinChars)
	case l.MinLeft < 0:
		return fmt.Errorf("min_left: %d; it must not be negative", l.MinLeft)
	}
	return nil
}

// Keys appends the hashes of the lines that count, each once.
func (l *Lines) Keys(to []uint64, t *words.Text) []uint64 {
	from := len(to)
	for i := range t.Lines {
		if line := &t.Lines[i]; int(line.Chars) >= l.MinChars {
			to = append(to, line.Hash)
		}
	}
	slices.Sort(to[from:])
	return to[:from+len(slices.Compact(to[from:]))]
}

// Frequent says of each line that stands in too many documents which one keeps it.
type Frequent map[uint64]uint64

// FrequentBytes is what one entry of Frequent takes in memory, about.
const FrequentBytes = 40

// Strip removes the frequent lines that document doc must not keep, and repeats
// of them in the document that does. It returns the text as it is if there are
// none. removed is called for each.
func (l *Lines) Strip(t *words.Text, doc uint64, frequent Frequent, removed func(line string)) string {
	var out strings.Builder
	var kept map[uint64]bool
	from := 0 // what precedes has been copied or removed
	for i := range t.Lines {
		line := &t.Lines[i]
		if int(line.Chars) < l.MinChars {
			continue
		}
		first, ok := frequent[line.Hash]
		if !ok {
			continue
		}
		if first == doc && !kept[line.Hash] {
			if kept == nil {
				kept = map[uint64]bool{}
			}
			kept[line.Hash] = true
			continue
		}
		removed(t.String[line.Start:line.End])
		out.WriteString(t.String[from:line.Begin])
		// The line's own end goes with it.
		end := strings.IndexByte(t.String[line.End:], '\n')
		if end < 0 {
			from = len(t.String)
		} else {
			from = int(line.End) + end + 1
		}
	}
	if from == 0 {
		return t.String
	}
	out.WriteString(t.String[from:])
	return out.String()
}
