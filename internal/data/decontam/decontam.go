// Package decontam keeps benchmark items out of training data: documents that
// share an n-gram of words with an item are dropped or cut, as GPT-3 did it
// (Brown et al. 2020, appendix C; n = 13, 8 for short items).
package decontam

import (
	"fmt"
	"strings"

	"github.com/cria-llm/cria/internal/data/words"
)

// Config is the pipeline's section "decontaminate".
type Config struct {
	Sets     []Set  `yaml:"sets"`
	NGram    int    `yaml:"ngram"`     // words that must be the same
	MinWords int    `yaml:"min_words"` // shorter items are not looked for; items between are matched whole
	Action   string `yaml:"action"`    // "drop" or "cut"

	// What "cut" does: the n-gram and Window characters on both sides go, and the
	// document falls into pieces. Pieces of fewer than MinPiece characters go too;
	// a document of more than MaxPieces is dropped. They stay one document, with
	// a blank line between them.
	Window    int `yaml:"window"`
	MinPiece  int `yaml:"min_piece"`
	MaxPieces int `yaml:"max_pieces"`
}

// Set is one benchmark.
type Set struct {
	Name   string   `yaml:"name"`
	Paths  []string `yaml:"paths"`  // globs; .json .jsonl .csv .tsv .txt, also .gz .bz2 .zst
	Fields []string `yaml:"fields"` // names of JSON fields whose texts count, at any depth; none: all texts
}

// The actions.
const (
	DropDocument = "drop"
	CutDocument  = "cut"
)

// Default is GPT-3's; it cut documents, which "drop" makes simpler to judge (ours).
func Default() Config {
	return Config{NGram: 13, MinWords: 8, Action: DropDocument, Window: 200, MinPiece: 200, MaxPieces: 10}
}

// Check validates the settings.
func (c *Config) Check() error {
	switch {
	case c.MinWords < 1:
		return fmt.Errorf("min_words: %d; it must be at least 1", c.MinWords)
	case c.NGram < c.MinWords || c.NGram > 100:
		return fmt.Errorf("ngram: %d; it must be from min_words (%d) to 100", c.NGram, c.MinWords)
	case c.Action != DropDocument && c.Action != CutDocument:
		return fmt.Errorf("action: %q; it must be %q or %q", c.Action, DropDocument, CutDocument)
	case c.Window < 0 || c.MinPiece < 0 || c.MaxPieces < 1:
		return fmt.Errorf("window: %d, min_piece: %d, max_pieces: %d; they must not be negative, max_pieces at least 1", c.Window, c.MinPiece, c.MaxPieces)
	}
	seen := map[string]bool{}
	for i, s := range c.Sets {
		switch {
		case s.Name == "":
			return fmt.Errorf("sets[%d].name: missing", i)
		case seen[s.Name]:
			return fmt.Errorf("sets[%d].name: there are two sets %q", i, s.Name)
		case len(s.Paths) == 0:
			return fmt.Errorf("sets[%d].paths: set %q has none", i, s.Name)
		}
		seen[s.Name] = true
	}
	return nil
}

// Index holds the n-grams of all sets. It is read-only once filled, and then
// safe for several goroutines.
type Index struct {
	config Config
	// heads is by the hash of the first MinWords words of an n-gram, so that one
	// rolling hash finds n-grams of all lengths.
	heads map[uint64]int32 // 1 + the place of the first one in tails
	tails []tail
	// maybe has a bit for each head: most words of clean text are answered by it.
	maybe   []uint64
	entries int64
	Counts  []SetCount
	text    words.Text
	hashes  []uint64
	places  []int32
}

// tail is an n-gram whose head is known. Tails of one head are a list in the
// order in which they came, so that nothing here has pointers to be followed by
// the garbage collector.
type tail struct {
	hash uint64
	next int32  // the next one of the head: 1 + its place in Index.tails; 0 for none
	n    uint16 // words
	set  uint16
}

// SetCount says what a set gave.
type SetCount struct {
	Name  string `json:"name"`
	Items int64  `json:"items"` // texts
	Short int64  `json:"short"` // of them too short to be looked for
	Grams int64  `json:"ngrams"`
}

const maybeBits = 22

// NewIndex returns an empty index.
func NewIndex(c Config) *Index {
	return &Index{config: c, heads: map[uint64]int32{}, maybe: make([]uint64, 1<<maybeBits/64)}
}

// Bytes estimates the memory that the index takes.
func (x *Index) Bytes() int64 { return 8<<(maybeBits-6) + x.entries*72 }

// begin starts a set; Add belongs to the last one.
func (x *Index) begin(name string) { x.Counts = append(x.Counts, SetCount{Name: name}) }

// add takes the text of an item.
func (x *Index) add(text string) {
	set := len(x.Counts) - 1
	count := &x.Counts[set]
	count.Items++
	x.text.Parse(text)
	x.hashes, x.places = x.text.Content(x.hashes[:0], x.places[:0])
	if len(x.hashes) < x.config.MinWords {
		count.Short++
		return
	}
	n := min(x.config.NGram, len(x.hashes))
	for i := 0; i+n <= len(x.hashes); i++ {
		head := words.Gram(x.hashes[i : i+x.config.MinWords])
		t := tail{hash: words.Gram(x.hashes[i : i+n]), n: uint16(n), set: uint16(set)}
		if x.put(head, t) {
			count.Grams++
		}
	}
}

// put adds a tail to its head's list, if it is not there.
func (x *Index) put(head uint64, t tail) bool {
	var last *tail
	for at := x.heads[head]; at != 0; at = last.next {
		last = &x.tails[at-1]
		if last.hash == t.hash && last.n == t.n {
			return false
		}
	}
	place := int32(len(x.tails) + 1)
	if last != nil {
		last.next = place
	} else {
		x.heads[head] = place
		bit := head >> (64 - maybeBits)
		x.maybe[bit/64] |= 1 << (bit % 64)
	}
	x.tails = append(x.tails, t)
	x.entries++
	return true
}

// Match is an n-gram of a set in a text: bytes Start to End.
type Match struct {
	Set        string
	Start, End int
}

// Finder looks for an index's n-grams. It is for one goroutine.
type Finder struct {
	x      *Index
	hashes []uint64
	places []int32
	heads  []uint64
}

// NewFinder returns a finder.
func (x *Index) NewFinder() *Finder { return &Finder{x: x} }

// Find calls visit for each match, in order of Start, until it returns false.
func (f *Finder) Find(t *words.Text, visit func(Match) bool) {
	x := f.x
	if x.entries == 0 {
		return
	}
	f.hashes, f.places = t.Content(f.hashes[:0], f.places[:0])
	f.heads = words.Grams(f.heads[:0], f.hashes, x.config.MinWords)
	for i, head := range f.heads {
		if bit := head >> (64 - maybeBits); x.maybe[bit/64]>>(bit%64)&1 == 0 {
			continue
		}
		for at := x.heads[head]; at != 0; {
			tail := &x.tails[at-1]
			at = tail.next
			n := int(tail.n)
			if i+n > len(f.hashes) || words.Gram(f.hashes[i:i+n]) != tail.hash {
				continue
			}
			m := Match{x.Counts[tail.set].Name, int(t.Words[f.places[i]].Start), int(t.Words[f.places[i+n-1]].End)}
			if !visit(m) {
				return
			}
			break
		}
	}
}

// Result is what Clean did to a text.
type Result struct {
	Text    string
	Set     string // of the first match; "" for none
	Matched string // the words of the first match
	Matches int
	Dropped bool
	Detail  string // why it was dropped
}

// Clean applies the action to a text.
func (f *Finder) Clean(t *words.Text) Result {
	r := Result{Text: t.String}
	c := &f.x.config
	var cuts []Match
	f.Find(t, func(m Match) bool {
		if r.Matches++; r.Matches == 1 {
			r.Set, r.Matched = m.Set, t.String[m.Start:m.End]
		}
		cuts = append(cuts, m)
		return c.Action == CutDocument
	})
	switch {
	case r.Matches == 0:
	case c.Action == DropDocument:
		r.Dropped, r.Detail = true, fmt.Sprintf("shares words with %s: %q", r.Set, r.Matched)
	default:
		f.cut(&r, cuts)
	}
	return r
}

// cut removes the matches with their windows.
func (f *Finder) cut(r *Result, cuts []Match) {
	c := &f.x.config
	var pieces []string
	from := 0
	add := func(to int) {
		if p := strings.TrimSpace(r.Text[from:max(from, to)]); len(p) > 0 && len([]rune(p)) >= c.MinPiece {
			pieces = append(pieces, p)
		}
	}
	cut := 1
	for i, m := range cuts {
		lo := back(r.Text, m.Start, c.Window)
		if i > 0 && lo > from {
			cut++
		}
		add(lo)
		from = max(from, ahead(r.Text, m.End, c.Window))
	}
	add(len(r.Text))
	switch {
	case cut+1 > c.MaxPieces:
		r.Dropped, r.Detail = true, fmt.Sprintf("falls into %d pieces, at most %d allowed; the first shares words with %s: %q", cut+1, c.MaxPieces, r.Set, r.Matched)
	case len(pieces) == 0:
		r.Dropped, r.Detail = true, fmt.Sprintf("no piece of %d characters is left around what it shares with %s: %q", c.MinPiece, r.Set, r.Matched)
	default:
		r.Text = strings.Join(pieces, "\n\n")
	}
}

// back returns the place n characters before i, at most the start.
func back(s string, i, n int) int {
	for ; n > 0 && i > 0; n-- {
		for i--; i > 0 && s[i]&0xC0 == 0x80; i-- {
		}
	}
	return i
}

// ahead returns the place n characters after i, at most the end.
func ahead(s string, i, n int) int {
	for ; n > 0 && i < len(s); n-- {
		for i++; i < len(s) && s[i]&0xC0 == 0x80; i++ {
		}
	}
	return i
}
