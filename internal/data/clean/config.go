// Package clean decides which lines and documents are worth training on, and
// repairs their text.
//
// Two steps: Repair (Unicode, see repair.go) and Rules (lines, then documents).
// Each rule is one row of a table (Table): a name, the paper it comes from, the
// settings it reads, and a small function that measures one number. A document
// is dropped by the first rule whose number is outside of its limits; the number
// goes into the report.
//
// Papers: Gopher, Rae et al., arXiv 2112.11446, section A1.1 and table A1; C4,
// Raffel et al., arXiv 1910.10683, section 2.2; RefinedWeb, Penedo et al., arXiv
// 2306.01116, section G.2; FineWeb, Penedo et al., arXiv 2406.17557, section 3.6.
package clean

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Config is the section "clean" of a build's configuration. Default gives the
// papers' thresholds.
type Config struct {
	// Off and On switch rules by their name or their group: "gopher.stop_words",
	// "c4", "all". Off first, then On: `off: [all]`, `on: [gopher]` leaves Gopher's
	// rules alone. On also switches on what is off by default (refinedweb, fineweb).
	Off []string `yaml:"off"`
	On  []string `yaml:"on"`

	Gopher     Gopher     `yaml:"gopher"`
	Repetition Repetition `yaml:"repetition"`
	C4         C4         `yaml:"c4"`
	RefinedWeb RefinedWeb `yaml:"refinedweb"`
	FineWeb    FineWeb    `yaml:"fineweb"`
}

// Gopher are the quality rules of arXiv 2112.11446, section A1.1.
type Gopher struct {
	MinWords          float64  `yaml:"min_words"`
	MaxWords          float64  `yaml:"max_words"`
	MinWordLength     float64  `yaml:"min_word_length"` // mean, in characters
	MaxWordLength     float64  `yaml:"max_word_length"`
	MaxHashRatio      float64  `yaml:"max_hash_ratio"`     // "#" per word
	MaxEllipsisRatio  float64  `yaml:"max_ellipsis_ratio"` // ellipses per word
	MaxBulletLines    float64  `yaml:"max_bullet_lines"`   // fraction of lines
	MaxEllipsisLines  float64  `yaml:"max_ellipsis_lines"`
	MinAlphabetic     float64  `yaml:"min_alphabetic"` // fraction of words with a letter
	MinStopWords      float64  `yaml:"min_stop_words"` // how many of StopWords occur
	StopWords         []string `yaml:"stop_words"`
	StopWordLanguages []string `yaml:"stop_word_languages"` // the rule is for documents in these languages and for those of unknown language
}

// Repetition are the rules of arXiv 2112.11446, table A1: fractions of lines,
// paragraphs or characters.
type Repetition struct {
	MaxDuplicateLines          float64   `yaml:"max_duplicate_lines"`
	MaxDuplicateParagraphs     float64   `yaml:"max_duplicate_paragraphs"`
	MaxDuplicateLineChars      float64   `yaml:"max_duplicate_line_chars"`
	MaxDuplicateParagraphChars float64   `yaml:"max_duplicate_paragraph_chars"`
	MaxTopGrams                []float64 `yaml:"max_top_grams"`       // of 2, 3, 4 words
	MaxDuplicateGrams          []float64 `yaml:"max_duplicate_grams"` // of 5 to 10 words
}

// C4 are the rules of arXiv 1910.10683, section 2.2.
type C4 struct {
	MinLineWords float64  `yaml:"min_line_words"`
	MinSentences float64  `yaml:"min_sentences"`
	Policy       []string `yaml:"policy"`    // a line with one of these, in any case, is removed
	BadWords     string   `yaml:"bad_words"` // file with one word or phrase a line; "" for none
}

// RefinedWeb are the line filters of arXiv 2306.01116, section G.2.
type RefinedWeb struct {
	MaxUppercase float64 `yaml:"max_uppercase"` // fraction of a line's letters
	MaxRemoved   float64 `yaml:"max_removed"`   // fraction of words that these filters may take from a document
}

// FineWeb are the heuristics of arXiv 2406.17557, section 3.6.
type FineWeb struct {
	MinPunctuatedLines    float64 `yaml:"min_punctuated_lines"`
	MaxDuplicateLineChars float64 `yaml:"max_duplicate_line_chars"`
	MaxShortLines         float64 `yaml:"max_short_lines"`
	ShortLine             float64 `yaml:"short_line"` // characters
}

// Default returns the papers' thresholds.
func Default() Config {
	return Config{
		Gopher: Gopher{
			MinWords: 50, MaxWords: 100_000, MinWordLength: 3, MaxWordLength: 10,
			MaxHashRatio: 0.1, MaxEllipsisRatio: 0.1, MaxBulletLines: 0.9, MaxEllipsisLines: 0.3,
			MinAlphabetic: 0.8, MinStopWords: 2,
			StopWords:         []string{"the", "be", "to", "of", "and", "that", "have", "with"},
			StopWordLanguages: []string{"en"},
		},
		Repetition: Repetition{
			MaxDuplicateLines: 0.3, MaxDuplicateParagraphs: 0.3,
			MaxDuplicateLineChars: 0.2, MaxDuplicateParagraphChars: 0.2,
			MaxTopGrams:       []float64{0.2, 0.18, 0.16},
			MaxDuplicateGrams: []float64{0.15, 0.14, 0.13, 0.12, 0.11, 0.10},
		},
		C4: C4{
			MinLineWords: 5, MinSentences: 3,
			Policy: []string{"terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"},
		},
		RefinedWeb: RefinedWeb{MaxUppercase: 0.5, MaxRemoved: 0.05},
		FineWeb:    FineWeb{MinPunctuatedLines: 0.12, MaxDuplicateLineChars: 0.1, MaxShortLines: 0.67, ShortLine: 30},
	}
}

// Validate says what is wrong with the settings, by their names in the file.
func (c *Config) Validate() error {
	var problems []string
	bad := func(field string, v any, why string) {
		problems = append(problems, fmt.Sprintf("clean.%s is %v: %s", field, v, why))
	}
	fraction := func(field string, v float64) {
		if !(v >= 0 && v <= 1) {
			bad(field, v, "a fraction from 0 to 1 is needed")
		}
	}
	count := func(field string, v float64) {
		if !(v >= 0) || math.IsInf(v, 0) {
			bad(field, v, "a number of at least 0 is needed")
		}
	}
	g, r := &c.Gopher, &c.Repetition
	count("gopher.min_words", g.MinWords)
	count("gopher.max_words", g.MaxWords)
	count("gopher.min_word_length", g.MinWordLength)
	count("gopher.max_word_length", g.MaxWordLength)
	count("gopher.min_stop_words", g.MinStopWords)
	if g.MinWords > g.MaxWords {
		bad("gopher.min_words", g.MinWords, fmt.Sprintf("more than gopher.max_words (%v)", g.MaxWords))
	}
	if g.MinWordLength > g.MaxWordLength {
		bad("gopher.min_word_length", g.MinWordLength, fmt.Sprintf("more than gopher.max_word_length (%v)", g.MaxWordLength))
	}
	if g.MinStopWords > float64(len(g.StopWords)) {
		bad("gopher.min_stop_words", g.MinStopWords, fmt.Sprintf("gopher.stop_words has only %d", len(g.StopWords)))
	}
	count("gopher.max_hash_ratio", g.MaxHashRatio)
	count("gopher.max_ellipsis_ratio", g.MaxEllipsisRatio)
	fraction("gopher.max_bullet_lines", g.MaxBulletLines)
	fraction("gopher.max_ellipsis_lines", g.MaxEllipsisLines)
	fraction("gopher.min_alphabetic", g.MinAlphabetic)
	fraction("repetition.max_duplicate_lines", r.MaxDuplicateLines)
	fraction("repetition.max_duplicate_paragraphs", r.MaxDuplicateParagraphs)
	fraction("repetition.max_duplicate_line_chars", r.MaxDuplicateLineChars)
	fraction("repetition.max_duplicate_paragraph_chars", r.MaxDuplicateParagraphChars)
	list := func(field string, v []float64, want int, what string) {
		if len(v) != want {
			bad(field, v, fmt.Sprintf("%d fractions are needed, for %s words", want, what))
		}
		for i, f := range v {
			fraction(fmt.Sprintf("%s[%d]", field, i), f)
		}
	}
	list("repetition.max_top_grams", r.MaxTopGrams, topLast-topFirst+1, "2, 3 and 4")
	list("repetition.max_duplicate_grams", r.MaxDuplicateGrams, dupLast-dupFirst+1, "5 to 10")
	count("c4.min_line_words", c.C4.MinLineWords)
	count("c4.min_sentences", c.C4.MinSentences)
	for i, phrase := range c.C4.Policy {
		if !strings.ContainsAny(strings.ToLower(phrase), rareness) {
			bad(fmt.Sprintf("c4.policy[%d]", i), fmt.Sprintf("%q", phrase), "a phrase with a letter from a to z is needed")
		}
	}
	fraction("refinedweb.max_uppercase", c.RefinedWeb.MaxUppercase)
	fraction("refinedweb.max_removed", c.RefinedWeb.MaxRemoved)
	fraction("fineweb.min_punctuated_lines", c.FineWeb.MinPunctuatedLines)
	fraction("fineweb.max_duplicate_line_chars", c.FineWeb.MaxDuplicateLineChars)
	fraction("fineweb.max_short_lines", c.FineWeb.MaxShortLines)
	count("fineweb.short_line", c.FineWeb.ShortLine)
	for _, l := range []struct {
		field string
		names []string
	}{{"off", c.Off}, {"on", c.On}} {
		for _, name := range l.names {
			if !known(name) {
				bad(l.field, fmt.Sprintf("%q", name), "there is no such rule or group; known are all, "+strings.Join(groups(), ", ")+" and "+strings.Join(names(), ", "))
			}
		}
	}
	if len(problems) > 0 {
		return fmt.Errorf("%s", strings.Join(problems, "; "))
	}
	return nil
}

// enabled reports whether a rule runs.
func (c *Config) enabled(r *Rule) bool {
	match := func(list []string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return s == "all" || s == r.Name || s == r.group() })
	}
	return match(c.On) || !r.Optional && !match(c.Off)
}

// known reports whether a name is that of a rule, a group or all rules.
func known(name string) bool {
	return name == "all" || slices.Contains(names(), name) || slices.Contains(groups(), name)
}

func names() (all []string) {
	for i := range Table {
		all = append(all, Table[i].Name)
	}
	return all
}

func groups() (all []string) {
	for i := range Table {
		if g := Table[i].group(); !slices.Contains(all, g) {
			all = append(all, g)
		}
	}
	return all
}
