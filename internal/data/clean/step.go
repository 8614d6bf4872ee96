package clean

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync"

	"github.com/cria-llm/cria/internal/data/doc"
	"github.com/cria-llm/cria/internal/data/words"
)

// Rules is the step "clean": the rules of Table that are switched on. It is made
// once and used by all workers.
type Rules struct {
	config  Config
	edits   []*Rule
	lines   []*Rule
	docs    []*Rule
	phrases *phrases
	stop    map[uint64]int // hash of a stop word -> its place in the list
	bad     *wordList      // nil without a list
	pool    sync.Pool      // of *run
}

// New checks the configuration and reads the list of bad words, if there is one.
func New(config Config) (*Rules, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	s := &Rules{config: config}
	for i := range Table {
		r := &Table[i]
		switch {
		case !config.enabled(r):
		case r.Name == "c4.bad_words" && config.C4.BadWords == "": // no list, nothing to look for
		case r.Edit != nil:
			s.edits = append(s.edits, r)
		case r.Line != nil:
			s.lines = append(s.lines, r)
		default:
			s.docs = append(s.docs, r)
		}
	}
	if config.C4.BadWords != "" {
		b, err := os.ReadFile(config.C4.BadWords)
		if err != nil {
			return nil, fmt.Errorf("clean.c4.bad_words: %w", err)
		}
		s.bad = newWordList(strings.Split(string(b), "\n"))
		if s.bad.size == 0 {
			return nil, fmt.Errorf("clean.c4.bad_words: %s holds no words; one word or phrase a line is needed", config.C4.BadWords)
		}
	}
	s.phrases = newPhrases(config.C4.Policy)
	s.stop = map[uint64]int{}
	for i, w := range config.Gopher.StopWords {
		var t words.Text
		t.Parse(w)
		if len(t.Words) != 1 {
			return nil, fmt.Errorf("clean.gopher.stop_words[%d] is %q: one word is needed", i, w)
		}
		s.stop[t.Words[0].Hash] = i
	}
	s.pool.New = func() any { return &run{set: s} }
	return s, nil
}

// Name is the step's section in the configuration.
func (s *Rules) Name() string { return "clean" }

// Rules lists the rules that can drop a document.
func (s *Rules) Rules() []string {
	var all []string
	for _, r := range s.docs {
		all = append(all, r.Name)
	}
	return all
}

// Process removes lines from d.Text and says whether the rest is kept. st counts
// removed lines as "lines.RULE" and edits as "edits.RULE".
func (s *Rules) Process(d *doc.Document, st *doc.Stats) *doc.Drop {
	r := s.pool.Get().(*run)
	defer s.put(r)
	text := d.Text
	for _, rule := range s.edits {
		var n int
		text, n = rule.Edit(text)
		st.Add("edits."+rule.Name, int64(n))
	}
	d.Text = text
	r.start(d.Words(), d.Lang)
	if removed := r.removeLines(s.lines, st); removed {
		d.Text = r.text.String
	}
	for _, rule := range s.docs {
		v := rule.Measure(r)
		lo, hi := rule.Limits(&s.config)
		if !(v >= lo && v <= hi) { // NaN drops
			return &doc.Drop{Rule: rule.Name, Detail: detail(rule.What, v, lo, hi)}
		}
	}
	return nil
}

// Value is what one rule measured in a document.
type Value struct {
	Rule     string
	Measured float64
	Lo, Hi   float64 // the limits; infinite for none
}

// Ok reports whether the document is kept by this rule.
func (v Value) Ok() bool { return v.Measured >= v.Lo && v.Measured <= v.Hi }

// Measure returns what every document rule that is switched on says of a text,
// after lines are removed, for reports and for choosing thresholds.
func (s *Rules) Measure(text, lang string) []Value {
	r := s.pool.Get().(*run)
	defer s.put(r)
	for _, rule := range s.edits {
		text, _ = rule.Edit(text)
	}
	var t words.Text
	t.Parse(text)
	r.start(&t, lang)
	r.removeLines(s.lines, &doc.Stats{})
	var all []Value
	for _, rule := range s.docs {
		lo, hi := rule.Limits(&s.config)
		all = append(all, Value{Rule: rule.Name, Measured: rule.Measure(r), Lo: lo, Hi: hi})
	}
	return all
}

// maxScratch is how many n-grams a run may keep room for until the next document.
const maxScratch = 1 << 18

func (s *Rules) put(r *run) {
	r.text = nil // the document may go
	if cap(r.grams.places) <= maxScratch {
		s.pool.Put(r)
	}
}

// start begins with a new document.
func (r *run) start(text *words.Text, lang string) {
	r.text, r.lang = text, lang
	r.scan.scan(r.set.phrases, text)
	r.webRemoved, r.wordsAll = 0, len(r.text.Words)
	r.statsDone, r.linesDone, r.wordsDone = false, false, false
}

// removeLines applies the line rules; the first that fits counts.
func (r *run) removeLines(rules []*Rule, st *doc.Stats) bool {
	if len(rules) == 0 {
		return false
	}
	r.keep = r.keep[:0]
	removed := false
	for i := range r.text.Lines {
		var by *Rule
		for _, rule := range rules {
			if rule.Line(r, i) {
				by = rule
				break
			}
		}
		r.keep = append(r.keep, by == nil)
		if by == nil {
			continue
		}
		removed = true
		l := &r.text.Lines[i]
		if by.group() == "refinedweb" {
			r.webRemoved += l.Last - l.First
		}
		name := "lines." + by.Name
		st.Add(name, 1)
		st.Sample(name, r.text.String[l.Start:l.End])
	}
	if removed {
		r.text.Keep(r.keep)
		if c := &r.scan; c.hashes+c.ellipses+c.curly+c.lorem > 0 { // else there is nothing to lose
			c.scan(r.set.phrases, r.text)
		}
	}
	return removed
}

// detail says what was measured, and what would have been right.
func detail(what string, v, lo, hi float64) string {
	s := fmt.Sprintf("%s: %s", what, number(v))
	switch {
	case v > hi:
		return s + ", at most " + number(hi) + " allowed"
	case v < lo:
		return s + ", at least " + number(lo) + " needed"
	}
	return s
}

// number prints a whole number as such and others with three significant digits.
func number(v float64) string {
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}
