package data

import (
	"cmp"
	"maps"
	"math/bits"
	"slices"

	"github.com/cria-llm/cria/internal/data/doc"
	"github.com/cria-llm/cria/internal/data/pii"
	"github.com/cria-llm/cria/internal/data/words"
)

// Count is documents and their bytes.
type Count struct {
	Documents int64 `json:"documents"`
	Bytes     int64 `json:"bytes"`
}

func (c *Count) add(bytes int) {
	c.Documents++
	c.Bytes += int64(bytes)
}

func (c *Count) merge(o Count) {
	c.Documents += o.Documents
	c.Bytes += o.Bytes
}

// Example is a document that was dropped.
type Example struct {
	ID     string `json:"id"`
	Detail string `json:"detail"`
	Text   string `json:"text"` // its beginning

	order uint64
	Other *uint64 `json:"other,omitempty"` // the document that it is the same as, until its ID is looked up
}

const (
	maxExamples = 3   // by rule and source
	exampleText = 300 // bytes
)

// Tally is what happened to a number of documents.
type Tally struct {
	In       Count                `json:"in"`
	Kept     Count                `json:"kept"`
	Dropped  map[string]Count     `json:"dropped,omitempty"`
	Examples map[string][]Example `json:"examples,omitempty"`
	Stats    doc.Stats            `json:"stats"`
	Tokens   int64                `json:"tokens,omitempty"`
	Lengths  []int64              `json:"lengths,omitempty"` // documents with 2^(i-1) to 2^i - 1 tokens
	Seconds  float64              `json:"seconds"`           // of one worker
}

// drop counts a dropped document and may keep it as an example: those with the
// lowest hashes of their IDs, so that they are spread over the input and do not
// depend on the order of work.
func (t *Tally) drop(d *doc.Document, why doc.Drop, bytes int, other *uint64) {
	if t.Dropped == nil {
		t.Dropped, t.Examples = map[string]Count{}, map[string][]Example{}
	}
	c := t.Dropped[why.Rule]
	c.add(bytes)
	t.Dropped[why.Rule] = c
	have := t.Examples[why.Rule]
	order := words.Hash(d.ID)
	if len(have) == maxExamples && order >= have[len(have)-1].order {
		return
	}
	t.example(why.Rule, Example{ID: d.ID, Detail: doc.Clip(why.Detail, 2*exampleText), Text: excerpt(d.Text), order: order, Other: other})
}

// excerpt is the beginning of a text without personal data: a report must not
// spread what the pipeline keeps out.
func excerpt(text string) string {
	text = doc.Clip(text, 4*exampleText) // what is cut at its end is not shown
	return doc.Clip(pii.Masked(text, pii.Find(nil, text)), exampleText)
}

func (t *Tally) example(rule string, e Example) {
	have := append(t.Examples[rule], e)
	slices.SortStableFunc(have, func(a, b Example) int { return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.ID, b.ID)) })
	t.Examples[rule] = have[:min(len(have), maxExamples)]
}

// keep counts a document that is kept.
func (t *Tally) keep(bytes int) { t.Kept.add(bytes) }

// length counts the tokens of a document.
func (t *Tally) length(tokens int) {
	t.Tokens += int64(tokens)
	i := bits.Len(uint(tokens))
	for len(t.Lengths) <= i {
		t.Lengths = append(t.Lengths, 0)
	}
	t.Lengths[i]++
}

// merge adds o.
func (t *Tally) merge(o *Tally) {
	t.In.merge(o.In)
	t.Kept.merge(o.Kept)
	for _, rule := range slices.Sorted(maps.Keys(o.Dropped)) {
		if t.Dropped == nil {
			t.Dropped, t.Examples = map[string]Count{}, map[string][]Example{}
		}
		c := t.Dropped[rule]
		c.merge(o.Dropped[rule])
		t.Dropped[rule] = c
		for _, e := range o.Examples[rule] {
			e.order = words.Hash(e.ID) // not in the file
			t.example(rule, e)
		}
	}
	t.Stats.Merge(&o.Stats)
	t.Tokens += o.Tokens
	for i, n := range o.Lengths {
		for len(t.Lengths) <= i {
			t.Lengths = append(t.Lengths, 0)
		}
		t.Lengths[i] += n
	}
	t.Seconds += o.Seconds
}
