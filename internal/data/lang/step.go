package lang

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/data/doc"
)

// Config is the section "language" of a build's configuration.
type Config struct {
	// Keep lists the languages whose documents are kept, by ISO 639-1 code; empty
	// keeps all, those of unknown language too, and only notes the language.
	Keep []string `yaml:"keep"`

	// MinConfidence is the least confidence with which a document must be in one
	// of them. FineWeb (arXiv 2406.17557) takes 0.65, of another classifier.
	MinConfidence float64 `yaml:"min_confidence"`
}

// Default keeps English.
func Default() Config { return Config{Keep: []string{"en"}, MinConfidence: 0.65} }

// Validate says what is wrong with the settings, by their names in the file.
func (c *Config) Validate() error {
	var problems []string
	for i, code := range c.Keep {
		if !slices.Contains(Languages(), code) {
			problems = append(problems, fmt.Sprintf("language.keep[%d] is %q: known are %s", i, code, strings.Join(slices.Compact(slices.Sorted(slices.Values(Languages()))), " ")))
		}
	}
	if !(c.MinConfidence >= 0 && c.MinConfidence <= 1) {
		problems = append(problems, fmt.Sprintf("language.min_confidence is %v: a number from 0 to 1 is needed", c.MinConfidence))
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

// The rules of the step.
const (
	ruleUnknown = "language.unknown"
	ruleOther   = "language.other"
	ruleUnsure  = "language.unsure"
)

// Identify is the step "language".
type Identify struct{ config Config }

// New checks the configuration.
func New(c Config) (*Identify, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Identify{c}, nil
}

// Name is the step's section in the configuration.
func (s *Identify) Name() string { return "language" }

// Rules lists the rules that can drop a document.
func (s *Identify) Rules() []string { return []string{ruleUnknown, ruleOther, ruleUnsure} }

// Process sets d.Lang and drops documents in other languages. st counts all
// documents by language as "language.CODE".
func (s *Identify) Process(d *doc.Document, st *doc.Stats) *doc.Drop {
	g := Detect(d.Text)
	d.Lang = g.Lang
	name := g.Lang
	if name == "" {
		name = "unknown"
	}
	st.Add("language."+name, 1)
	switch {
	case len(s.config.Keep) == 0:
	case g.Lang == "":
		return &doc.Drop{Rule: ruleUnknown, Detail: "the text is like none of the languages"}
	case !slices.Contains(s.config.Keep, g.Lang):
		return &doc.Drop{Rule: ruleOther, Detail: fmt.Sprintf("%s with confidence %.2f; kept are %s", g.Lang, g.Confidence, strings.Join(s.config.Keep, " "))}
	case g.Confidence < s.config.MinConfidence:
		return &doc.Drop{Rule: ruleUnsure, Detail: fmt.Sprintf("%s with confidence %.2f, at least %g needed", g.Lang, g.Confidence, s.config.MinConfidence)}
	}
	return nil
}
