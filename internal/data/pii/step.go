package pii

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/data/doc"
)

// Config is the section "personal" of a build's configuration. The thresholds
// are ours: the Llama 2 paper says only that sites known to hold much personal
// data were left out.
type Config struct {
	Mask  bool     `yaml:"mask"`  // replace what is found by <email>, <phone>, …
	Kinds []string `yaml:"kinds"` // which kinds count; default all

	// A document is dropped if it holds at least MinCount pieces and more than
	// MaxDensity for 1,000 characters.
	MinCount   int     `yaml:"min_count"`   // 5
	MaxDensity float64 `yaml:"max_density"` // 2

	// A site is dropped if it holds at least SiteMinCount pieces and more than
	// SiteMaxDensity for 1,000 bytes, over all its documents that were kept.
	SiteMinCount   int64   `yaml:"site_min_count"`   // 20
	SiteMaxDensity float64 `yaml:"site_max_density"` // 0.5
}

// Default returns the defaults.
func Default() Config {
	return Config{
		Mask: true, Kinds: slices.Clone(kindNames[:]),
		MinCount: 5, MaxDensity: 2, SiteMinCount: 20, SiteMaxDensity: 0.5,
	}
}

// Validate says what is wrong with the settings, by their names in the file.
func (c *Config) Validate() error {
	var problems []string
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Sprintf("personal."+format, args...))
	}
	for i, k := range c.Kinds {
		if !slices.Contains(kindNames[:], k) {
			bad("kinds[%d] is %q: %s are known", i, k, strings.Join(kindNames[:], ", "))
		}
	}
	if c.MinCount < 0 || c.SiteMinCount < 0 {
		bad("min_count and site_min_count are %d and %d: at least 0 is needed", c.MinCount, c.SiteMinCount)
	}
	if !(c.MaxDensity >= 0) || !(c.SiteMaxDensity >= 0) {
		bad("max_density and site_max_density are %v and %v: at least 0 is needed", c.MaxDensity, c.SiteMaxDensity)
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

// Mask is the step "personal".
type Mask struct {
	config Config
	on     [Kinds]bool
	pool   sync.Pool // of *[]Span
}

// Rules of the step and of whole sites.
const (
	ruleDensity = "personal.density"
	ruleSite    = "personal.site"
)

// New checks the configuration.
func New(c Config) (*Mask, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	m := &Mask{config: c}
	for k := range Kinds {
		m.on[k] = slices.Contains(c.Kinds, k.String())
	}
	m.pool.New = func() any { return new([]Span) }
	return m, nil
}

// Name is the step's section in the configuration.
func (m *Mask) Name() string { return "personal" }

// Rules lists the rules that can drop a document.
func (m *Mask) Rules() []string { return []string{ruleDensity} }

// Process counts the personal data in d.Text, drops the document if there is too
// much, and masks it otherwise. st counts pieces as "personal.KIND"; samples
// show masked passages only.
func (m *Mask) Process(d *doc.Document, st *doc.Stats) *doc.Drop {
	p := m.pool.Get().(*[]Span)
	defer m.pool.Put(p)
	spans := Find((*p)[:0], d.Text)
	*p = spans[:0]
	spans = slices.DeleteFunc(spans, func(s Span) bool { return !m.on[s.Kind] })
	d.Personal = len(spans)
	if len(spans) == 0 {
		return nil
	}
	if n := utf8.RuneCountInString(d.Text); len(spans) >= m.config.MinCount && float64(len(spans))*1000 > m.config.MaxDensity*float64(n) {
		return &doc.Drop{Rule: ruleDensity, Detail: fmt.Sprintf("%d pieces of personal data in %d characters, %.3g for 1,000, at most %g allowed", len(spans), n, float64(len(spans))*1000/float64(n), m.config.MaxDensity)}
	}
	var counts [Kinds]int64
	for _, s := range spans {
		counts[s.Kind]++
	}
	for k, n := range counts {
		st.Add("personal."+kindNames[k], n)
	}
	if m.config.Mask {
		d.Text = replace(d.Text, spans, st)
	}
	return nil
}

// Masked returns a text with the placeholders in place of the spans.
func Masked(text string, spans []Span) string { return replace(text, spans, nil) }

// replace puts placeholders in place of the spans and keeps a masked passage of
// each kind as a sample.
func replace(text string, spans []Span, st *doc.Stats) string {
	var b strings.Builder
	b.Grow(len(text))
	done := 0
	var at [Kinds]int // where the last placeholder of a kind ends in b
	for _, s := range spans {
		b.WriteString(text[done:s.Start])
		b.WriteByte('<')
		b.WriteString(kindNames[s.Kind])
		b.WriteByte('>')
		at[s.Kind] = b.Len()
		done = s.End
	}
	b.WriteString(text[done:])
	out := b.String()
	if st != nil {
		for k, end := range at {
			if end > 0 && len(st.Samples["personal."+kindNames[k]]) < doc.MaxSamples {
				st.Sample("personal."+kindNames[k], around(out, end))
			}
		}
	}
	return out
}

// around returns a short passage with a place in it.
func around(text string, at int) string {
	from, to := max(0, at-60), min(len(text), at+40)
	for from > 0 && !utf8.RuneStart(text[from]) {
		from--
	}
	for to < len(text) && !utf8.RuneStart(text[to]) {
		to++
	}
	return strings.Join(strings.Fields(text[from:to]), " ")
}

// Sites is the rule on whole sites.
type Sites struct{ config Config }

// NewSites checks the configuration.
func NewSites(c Config) (*Sites, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Sites{c}, nil
}

// Name is the section in the configuration.
func (s *Sites) Name() string { return "personal" }

// Rules lists the one rule.
func (s *Sites) Rules() []string { return []string{ruleSite} }

// Judge drops a site with a high density of personal data.
func (s *Sites) Judge(sum doc.DomainStats) *doc.Drop {
	c := &s.config
	if sum.Personal < c.SiteMinCount || float64(sum.Personal)*1000 <= c.SiteMaxDensity*float64(sum.Bytes) {
		return nil
	}
	return &doc.Drop{Rule: ruleSite, Detail: fmt.Sprintf("%d pieces of personal data in %d bytes of the site's %d documents, %.3g for 1,000, at most %g allowed",
		sum.Personal, sum.Bytes, sum.Documents, float64(sum.Personal)*1000/float64(sum.Bytes), c.SiteMaxDensity)}
}
