package tokenizer

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/sys/par"
)

// Measure is how a tokenizer does on a text.
type Measure struct {
	Tokens     int64
	ByteTokens int64 // of these, bytes of characters that the vocabulary does not have
	Unknown    int64 // of these, the unknown token
}

// TextMeasure is how tokenizers do on one text.
type TextMeasure struct {
	Name    string
	Bytes   int64
	Words   int64     // as white space divides them
	Results []Measure // one per tokenizer
}

// BytesPerToken is how much text a token holds: the larger, the more a model reads
// in a context.
func (m *TextMeasure) BytesPerToken(i int) float64 {
	return ratio(m.Bytes, m.Results[i].Tokens)
}

// Fertility is the tokens per word (Rust et al., "How Good is Your Tokenizer?",
// 2021, section 3.2).
func (m *TextMeasure) Fertility(i int) float64 { return ratio(m.Results[i].Tokens, m.Words) }

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// Add adds another text's figures to the sum.
func (m *TextMeasure) Add(o *TextMeasure) {
	m.Bytes += o.Bytes
	m.Words += o.Words
	if m.Results == nil {
		m.Results = make([]Measure, len(o.Results))
	}
	for i, r := range o.Results {
		m.Results[i].Tokens += r.Tokens
		m.Results[i].ByteTokens += r.ByteTokens
		m.Results[i].Unknown += r.Unknown
	}
}

// MarshalJSON adds the quotients.
func (m *TextMeasure) MarshalJSON() ([]byte, error) {
	type result struct {
		Tokens        int64   `json:"tokens"`
		BytesPerToken float64 `json:"bytes_per_token"`
		Fertility     float64 `json:"fertility"`
		ByteTokens    int64   `json:"byte_tokens"`
		Unknown       int64   `json:"unknown_tokens"`
	}
	results := make([]result, len(m.Results))
	for i, r := range m.Results {
		results[i] = result{r.Tokens, m.BytesPerToken(i), m.Fertility(i), r.ByteTokens, r.Unknown}
	}
	return json.Marshal(struct {
		Name    string   `json:"name"`
		Bytes   int64    `json:"bytes"`
		Words   int64    `json:"words"`
		Results []result `json:"results"`
	}{m.Name, m.Bytes, m.Words, results})
}

// MeasureTexts tokenises each source with each tokenizer. A plain text is one
// document, each line of JSON another. Plain text is tokenised in pieces of whole
// lines, about 1 MiB each, which counts as the whole text does unless a vocabulary
// has pieces that go on behind the end of a line. workers 0 is all that this process
// may use. progress may be nil.
func MeasureTexts(ctx context.Context, toks []*Tokenizer, sources []Source, workers int, progress func(done, total int64)) ([]TextMeasure, error) {
	if workers == 0 {
		workers = par.DefaultWorkers()
	}
	if progress == nil {
		progress = func(int64, int64) {}
	}
	out := make([]TextMeasure, len(sources))
	place := map[*Source]int{}
	for i := range sources {
		place[&sources[i]] = i
		out[i] = TextMeasure{Name: sources[i].Name, Results: make([]Measure, len(toks))}
	}
	var mu sync.Mutex
	work := make([]func(context.Context, *chunk) error, workers)
	for i := range work {
		bulks := make([]*Bulk, len(toks))
		for k, t := range toks {
			bulks[k] = t.NewBulk()
		}
		var ids []int32
		work[i] = func(_ context.Context, ch *chunk) error {
			var m TextMeasure
			var err error
			if ch.source.Field == "" {
				m = measure(bulks, &ids, ch.buf[1:], EncodeOptions{NoPrefix: ch.line > 1 || ch.continued})
				if ch.continued && startsInWord(ch.buf[1:]) {
					m.Words-- // counted in the chunk before
				}
			} else {
				err = ch.documents(func(doc []byte) error {
					d := measure(bulks, &ids, doc[1:], EncodeOptions{})
					m.Add(&d)
					return nil
				})
			}
			mu.Lock()
			defer mu.Unlock()
			out[place[ch.source]].Add(&m)
			return err
		}
	}
	k := &chunkReader{sources: sources, progress: progress}
	err := k.run(ctx, work)
	return out, err
}

func startsInWord(text []byte) bool {
	r, _ := utf8.DecodeRune(text)
	return len(text) > 0 && !unicode.IsSpace(r)
}

// measure counts one text, or a part of one.
func measure(bulks []*Bulk, ids *[]int32, text []byte, opt EncodeOptions) TextMeasure {
	m := TextMeasure{Bytes: int64(len(text)), Results: make([]Measure, len(bulks))}
	for range bytes.FieldsSeq(text) {
		m.Words++
	}
	for i, b := range bulks {
		*ids = b.AppendEncode((*ids)[:0], text, opt)
		r := &m.Results[i]
		r.Tokens = int64(len(*ids))
		for _, id := range *ids {
			switch b.t.pieces[id].Kind {
			case Byte:
				r.ByteTokens++
			case Unknown:
				r.Unknown++
			}
		}
	}
	return m
}
