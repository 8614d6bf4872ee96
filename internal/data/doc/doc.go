// Package doc holds what all steps of the data pipeline share: the document, the
// units that input is cut into, the steps that look at one document at a time,
// and how a step says why a document was dropped.
//
// The pipeline (internal/data) reads each Unit with a Reader, runs every
// document through the Steps in order, and keeps or drops it. A unit is redone
// as a whole after a crash, so neither readers nor steps keep state between
// units: the same unit and configuration always give the same documents.
package doc

import (
	"maps"
	"slices"

	"github.com/cria-llm/cria/internal/data/words"
)

// Document is one text under way from a source to the shards.
type Document struct {
	ID     string // the same in every run: source, file, and the place in it
	Source string // the source's name in the configuration
	URL    string // where the text was published; "" for unknown
	Domain string // registrable domain of URL ("example.co.uk"); "" for unknown
	Lang   string // ISO 639-1, set by language identification; "" before it
	Text   string // UTF-8 once Unicode repair has run

	// Personal is the number of pieces of personal data found in the text,
	// masked or not. The pipeline adds it up by domain (DomainStats).
	Personal int

	Meta map[string]string // further fields of the input, as read; may be nil

	words *words.Text
}

// Words returns Text in pieces. It is cut anew only where Text is another one
// than at the last call. A step that changes the result makes its String the
// new Text. It is valid until the document is overwritten.
func (d *Document) Words() *words.Text {
	if d.words == nil {
		d.words = new(words.Text)
	}
	if d.words.String != d.Text { // strings that share memory compare at once
		d.words.Parse(d.Text)
	}
	return d.words
}

// Reset makes d an empty document; the memory of Words is kept, up to a size
// that ordinary documents stay below.
func (d *Document) Reset() {
	const most = 1 << 18 // words
	kept := d.words
	*d = Document{}
	if kept != nil && cap(kept.Words) <= most {
		kept.Parse("")
		d.words = kept
	}
}

// Unit is a piece of input that is read on its own: a file, or a range of one
// where its format allows to begin in the middle. Units are made by planning,
// numbered in the order of the configuration, and saved in the build's plan.
type Unit struct {
	Source string `json:"source"`
	Format string `json:"format"` // as the reader knows it
	Path   string `json:"path"`
	Name   string `json:"name"` // of the file inside of its source; part of Document.ID
	Start  int64  `json:"start"`
	End    int64  `json:"end"`   // the range Start to End in bytes of the file; the whole file is 0 to Size
	Size   int64  `json:"size"`  // of the file in bytes
	MTime  int64  `json:"mtime"` // of the file in Unix nanoseconds; a resumed build refuses changed input
}

// Reader gives the documents of one unit in their order.
type Reader interface {
	// Next overwrites d with the next document, or returns io.EOF after the last
	// one. Input that cannot be read is an error that names file and place; what
	// was left out on purpose is counted in the Stats that the reader was opened
	// with.
	Next(d *Document) error
	Close() error
}

// Drop says why a document was dropped: which rule, and what it measured.
type Drop struct {
	Rule   string `json:"rule"`   // "gopher.mean_word_length": group and name as in the configuration
	Detail string `json:"detail"` // "mean word length 14.2, at most 10 allowed"
}

// Step looks at one document. It is a pure function of the document and the
// configuration it was made from, safe for use by several goroutines, so that
// results depend neither on the order of documents nor on the number of workers.
type Step interface {
	// Name is the step's section in the configuration: "clean", "personal".
	Name() string

	// Rules lists every rule that Process can drop by, in the order in which they
	// are tried; a report shows those that dropped nothing too.
	Rules() []string

	// Process may change d and returns nil to keep it. st counts what happened to
	// documents that are kept, such as lines removed or numbers masked.
	Process(d *Document, st *Stats) *Drop
}

// Stats counts events by name ("personal.email", "lines.javascript"). The zero
// value is ready. It belongs to one goroutine; Merge adds several up.
type Stats struct {
	Counts map[string]int64 `json:"counts,omitempty"`

	// Samples are a few short texts by event name, to be shown in reports: for
	// example the line that a filter removed, or a masked passage.
	Samples map[string][]string `json:"samples,omitempty"`
}

// MaxSamples is how many texts are kept by event name.
const MaxSamples = 3

// maxSample is the longest sample in bytes.
const maxSample = 200

// Add counts n events.
func (s *Stats) Add(name string, n int64) {
	if n == 0 {
		return
	}
	if s.Counts == nil {
		s.Counts = map[string]int64{}
	}
	s.Counts[name] += n
}

// Sample keeps a text if there are fewer than MaxSamples for the event yet.
func (s *Stats) Sample(name, text string) {
	have := s.Samples[name]
	if len(have) >= MaxSamples || slices.Contains(have, Clip(text, maxSample)) {
		return
	}
	if s.Samples == nil {
		s.Samples = map[string][]string{}
	}
	s.Samples[name] = append(have, Clip(text, maxSample))
}

// Merge adds o's counts and, as far as there is room, its samples. The order of
// merging decides which samples stay.
func (s *Stats) Merge(o *Stats) {
	for name, n := range o.Counts {
		s.Add(name, n)
	}
	for _, name := range slices.Sorted(maps.Keys(o.Samples)) {
		for _, text := range o.Samples[name] {
			s.Sample(name, text)
		}
	}
}

// DomainStats are the sums over one domain's documents that were kept so far.
type DomainStats struct {
	Documents int64
	Bytes     int64
	Personal  int64
}

// DomainRule decides on a whole domain once all its documents are known, and
// returns nil to keep them.
type DomainRule interface {
	Name() string
	Rules() []string
	Judge(s DomainStats) *Drop
}

// Clip cuts a text to at most n bytes between two characters and marks the cut.
func Clip(text string, n int) string {
	if len(text) <= n {
		return text
	}
	const mark = "…"
	n = max(n-len(mark), 0)
	for n > 0 && text[n]&0xC0 == 0x80 { // inside a character
		n--
	}
	return text[:n] + mark
}
