package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/cria-llm/cria/internal/data/decontam"
	"github.com/cria-llm/cria/internal/data/doc"
	"github.com/cria-llm/cria/internal/data/pii"
	"github.com/cria-llm/cria/internal/sys/atomicfile"
)

// Report says what a build did: report.json, report.txt and report.html.
type Report struct {
	Out       string         `json:"out"`
	Sources   []SourceReport `json:"sources"`
	Rules     []string       `json:"rules"` // in the order in which documents meet them
	Splits    []SplitReport  `json:"splits"`
	VocabSize int            `json:"vocab_size"`

	Benchmarks []decontam.SetCount `json:"benchmarks,omitempty"`
	Decided    map[string]decided  `json:"decided"`

	// Personal is how well personal data is found, on a labelled set that is made
	// for it: the same in every build, shown where the figures are needed.
	Personal *pii.Evaluation `json:"personal,omitempty"`

	Speed []Speed  `json:"speed"`
	Notes []string `json:"notes,omitempty"`

	Already bool `json:"-"` // the data set was complete before
}

// SourceReport is one source's way through the build.
type SourceReport struct {
	Name  string      `json:"name"`
	Tally             // of the whole pipeline: In as read, Kept as tokenised
	Mix   drawnSource `json:"mix"`
}

// SplitReport is what was written.
type SplitReport struct {
	Name      string `json:"name"`
	Documents int64  `json:"documents"`
	Tokens    int64  `json:"tokens"`
	Shards    int    `json:"shards"`
}

// Speed is the work of a stage: seconds are of workers, added up over all of
// them and over the runs of a build that was resumed.
type Speed struct {
	Stage   string  `json:"stage"`
	Bytes   int64   `json:"bytes"`
	Seconds float64 `json:"worker_seconds"`
}

// The report's files.
const (
	reportJSON = "report.json"
	reportText = "report.txt"
	reportHTML = "report.html"
)

// evaluation measures once in a process how well personal data is found.
var evaluation = sync.OnceValue(func() *pii.Evaluation {
	e := pii.Evaluate(78)
	return &e
})

// report adds up the results of the stages.
func (b *build) report() (*Report, error) {
	r := &Report{Out: b.config.Out, VocabSize: b.tokenizer.VocabSize(), Benchmarks: b.benchmarks.Counts, Decided: b.decided, Notes: b.drawn.Notes}
	var cleanSum, tokenSum Tally
	for i := range b.config.Sources {
		s := SourceReport{Name: b.config.Sources[i].Name, Mix: b.drawn.Sources[i]}
		for unit := range b.plan.Units {
			if b.plan.Units[unit].Source != s.Name {
				continue
			}
			c, t := b.cleaned[unit].Tally, b.tokenized[unit].Tally
			cleanSum.merge(&c)
			tokenSum.merge(&t)
			in := c.In
			c.merge(&t)
			c.In, c.Kept = in, t.Kept
			kept := s.Kept
			s.merge(&c)
			s.Kept = kept
			s.Kept.merge(t.Kept)
		}
		if err := b.nameOthers(&s.Tally); err != nil {
			return nil, err
		}
		for _, samples := range s.Stats.Samples { // of lines that were removed before masking
			for i := range samples {
				samples[i] = excerpt(samples[i])
			}
		}
		r.Sources = append(r.Sources, s)
	}
	r.Rules = b.rules(r.Sources)
	if len(b.config.Personal.Kinds) > 0 {
		r.Personal = evaluation()
	}
	for _, f := range []string{"train", "valid"} {
		s := SplitReport{Name: f}
		for i := range b.shards {
			if b.drawn.Shards[i].Split == f {
				s.Documents += b.shards[i].Documents
				s.Tokens += b.shards[i].Tokens
				s.Shards++
			}
		}
		r.Splits = append(r.Splits, s)
	}
	if r.Splits[1].Tokens == 0 && b.config.Valid > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("no document fell into the validation split: with few documents raise valid (now %g)", b.config.Valid))
	}
	r.Speed = []Speed{{"reading, cleaning, signatures", cleanSum.In.Bytes, cleanSum.Seconds}}
	seconds := 0.0
	for _, d := range b.decided {
		seconds += d.Seconds
	}
	r.Speed = append(r.Speed, Speed{"duplicates and lines", cleanSum.Kept.Bytes, seconds},
		Speed{"decontamination, tokenising", tokenSum.In.Bytes, tokenSum.Seconds},
		Speed{"mixing", tokenSum.Kept.Bytes, b.drawn.Seconds})
	for name, d := range b.decided {
		if d.Full > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf("dedup.%s: %d band keys had so many different documents that not all of them were compared", name, d.Full))
		}
	}
	return r, nil
}

// rules lists the rules by the order of the steps, those that dropped nothing too.
func (b *build) rules(sources []SourceReport) (rules []string) {
	for _, s := range b.steps {
		rules = append(rules, s.Rules()...)
	}
	rules = append(rules, "size")
	for _, d := range b.domainRules {
		rules = append(rules, d.Rules()...)
	}
	if b.config.Dedup.Exact {
		rules = append(rules, ruleExact)
	}
	if b.config.Dedup.Near.Enabled {
		rules = append(rules, ruleNear)
	}
	if b.config.Dedup.Lines.Enabled {
		rules = append(rules, ruleLines)
	}
	if len(b.config.Decontaminate.Sets) > 0 {
		rules = append(rules, ruleDecontaminate)
	}
	rules = append(rules, ruleEmpty)
	for _, s := range sources { // a step that does not list a rule is a mistake, but a drop is shown
		for _, rule := range sortedRules(s.Dropped) {
			if !slices.Contains(rules, rule) {
				rules = append(rules, rule)
			}
		}
	}
	return rules
}

func sortedRules(m map[string]Count) (names []string) {
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// nameOthers writes into the examples of duplicates what they are the same as.
func (b *build) nameOthers(t *Tally) error {
	for _, rule := range []string{ruleExact, ruleNear} {
		for i := range t.Examples[rule] {
			e := &t.Examples[rule][i]
			if e.Other == nil {
				continue
			}
			id, err := b.documentID(*e.Other)
			if err != nil {
				return err
			}
			e.Detail += " " + id
			e.Other = nil
		}
	}
	return nil
}

// documentID reads a document's ID from its unit.
func (b *build) documentID(n uint64) (string, error) {
	path := b.store.path(cleanDir, unitName(unitOf(n))+extDocs)
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	r := newDocsReader(f)
	var d doc.Document
	for range placeOf(n) + 1 {
		if err := r.next(&d); err != nil {
			return "", fmt.Errorf("%s: %w", path, unexpected(err))
		}
	}
	return d.ID, nil
}

// ReadReport reads the report of a data set.
func ReadReport(dir string) (*Report, error) {
	path := filepath.Join(dir, reportJSON)
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &r, nil
}

// write writes the report's three files.
func (r *Report) write(dir string) error {
	if err := writeJSON(filepath.Join(dir, reportJSON), r); err != nil {
		return err
	}
	var text strings.Builder
	if err := r.Text(&text); err != nil {
		return err
	}
	if err := atomicfile.WriteFile(filepath.Join(dir, reportText), []byte(text.String())); err != nil {
		return err
	}
	var page strings.Builder
	p, err := r.page()
	if err != nil {
		return err
	}
	if err := p.Write(&page); err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, reportHTML), []byte(page.String()))
}

// sum adds up all sources.
func (r *Report) sum() (t Tally) {
	for i := range r.Sources {
		t.merge(&r.Sources[i].Tally)
	}
	return t
}

// Text writes the report for a terminal.
func (r *Report) Text(w io.Writer) error {
	p := &printer{w: w}
	p.line("Documents")
	p.table(r.documentTable())
	p.line("\nDropped documents by rule and source")
	p.table(r.rulesThatDropped())
	if rows := r.eventTable(); len(rows) > 1 {
		p.line("\nEvents in documents and input")
		p.table(rows)
	}
	p.line("\nMix of the training split")
	p.table(r.mixTable())
	p.line("\nLength of documents in tokens")
	p.table(r.lengthTable())
	p.line("\nData set")
	p.table(r.splitTable())
	if r.Personal != nil {
		p.line("\nPersonal data: how well it is found in a labelled set that is made for it")
		p.table(r.personalTable())
	}
	p.line("\nSpeed of one worker")
	p.table(r.speedTable())
	for _, n := range r.Notes {
		p.line("Note: " + n)
	}
	return p.err
}

// printer writes aligned tables: the first row is the heading, the first column
// is text, the others are numbers.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(s string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, s)
	}
}

func (p *printer) table(rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-len([]rune(cell)))
			if i == 0 {
				b.WriteString("  " + cell + pad)
			} else {
				b.WriteString("  " + pad + cell)
			}
		}
		p.line(strings.TrimRight(b.String(), " "))
	}
}

// WriteExamples writes the examples of dropped documents.
func (r *Report) WriteExamples(w io.Writer) error {
	var errs error
	for _, rule := range r.Rules {
		for i := range r.Sources {
			for _, e := range r.Sources[i].Examples[rule] {
				_, err := fmt.Fprintf(w, "%s: %s\n  %s\n  %q\n", rule, e.ID, e.Detail, e.Text)
				errs = errors.Join(errs, err)
			}
		}
	}
	return errs
}
