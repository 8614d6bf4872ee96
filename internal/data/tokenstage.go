package data

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/data/decontam"
	"github.com/cria-llm/cria/internal/data/doc"
	"github.com/cria-llm/cria/internal/data/words"
	"github.com/cria-llm/cria/internal/sys/mmap"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// The files of a unit after the tokens stage: token ids, the documents' IDs one a
// line, and a record for each document.
const (
	extTokens = ".tokens"
	extIDs    = ".ids"
	extIndex  = ".index"
)

// The rules of the tokens stage.
const (
	ruleLines         = "dedup.lines"
	ruleDecontaminate = "decontaminate"
	ruleEmpty         = "empty"
)

// tokenized is the result of the tokens stage for one unit. Its Tally's In are
// the documents that the clean stage kept.
type tokenized struct {
	Tally
	Documents   int   `json:"documents"`
	ValidDocs   int64 `json:"valid_documents"`
	ValidTokens int64 `json:"valid_tokens"`
}

// indexRecord is a document in NNNNNN.index.
type indexRecord struct {
	end   uint64 // of its tokens in the unit
	idEnd uint64 // of its line of IDs
	hash  uint64 // of its text
}

const indexSize = 24

// tokenUnit takes what the clean and decide stages left of a unit, removes
// frequent lines and benchmark items, and tokenises.
func (b *build) tokenUnit(ctx context.Context, unit int, p *piece) (t tokenized, err error) {
	start := time.Now()
	path := b.store.path(cleanDir, unitName(unit)+extDocs)
	f, err := os.Open(path)
	if err != nil {
		return t, err
	}
	defer f.Close()
	r := newDocsReader(f)
	drops, err := b.dropsOf(unit)
	if err != nil {
		return t, err
	}
	w, err := b.newTokenWriter(p)
	if err != nil {
		return t, err
	}
	var d doc.Document
	for place := 0; ; place++ {
		if place%64 == 0 && ctx.Err() != nil {
			return t, ctx.Err()
		}
		if err := r.next(&d); err == io.EOF {
			if place != b.cleaned[unit].Documents {
				return t, fmt.Errorf("%s: %d documents, %d expected", path, place, b.cleaned[unit].Documents)
			}
			break
		} else if err != nil {
			return t, fmt.Errorf("%s: document %d: %w", path, place, err)
		}
		size := len(d.Text)
		t.In.add(size)
		if drop, ok := drops[place]; ok {
			why, other := b.explain(drop)
			if drop.rule == "domains" {
				why.Detail = d.Domain + ": " + why.Detail
			}
			t.drop(&d, why, size, other)
			continue
		}
		if drop := w.edit(&d, docNumber(unit, place), &t.Stats); drop != nil {
			t.drop(&d, *drop, size, nil)
			continue
		}
		if err := w.write(&d, &t); err != nil {
			return t, err
		}
	}
	t.Seconds = time.Since(start).Seconds()
	return t, w.flush()
}

// explain turns a verdict of the decide stage into a drop.
func (b *build) explain(drop unitDrop) (doc.Drop, *uint64) {
	switch drop.rule {
	case "domains":
		return b.domainDrops[drop.other], nil
	case "exact":
		return doc.Drop{Rule: ruleExact, Detail: "the same text as"}, &drop.other
	default:
		return doc.Drop{Rule: ruleNear, Detail: "nearly the same text as"}, &drop.other
	}
}

// tokenWriter edits and tokenises documents and writes a unit's files.
type tokenWriter struct {
	b                  *build
	tokens, ids, index *bufio.Writer
	finder             *decontam.Finder
	bulk               *tokenizer.Bulk
	encoded            []int32
	buf, textBuf       []byte
	last               indexRecord
}

func (b *build) newTokenWriter(p *piece) (*tokenWriter, error) {
	w := &tokenWriter{b: b, finder: b.benchmarks.NewFinder(), bulk: b.tokenizer.NewBulk()}
	for _, f := range []struct {
		to  **bufio.Writer
		ext string
	}{{&w.tokens, extTokens}, {&w.ids, extIDs}, {&w.index, extIndex}} {
		o, err := p.create(f.ext)
		if err != nil {
			return nil, err
		}
		*f.to = bufio.NewWriterSize(o, 1<<18)
	}
	return w, nil
}

func (w *tokenWriter) flush() error {
	for _, f := range []*bufio.Writer{w.tokens, w.ids, w.index} {
		if err := f.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// edit removes frequent lines and looks for benchmark items.
func (w *tokenWriter) edit(d *doc.Document, number uint64, st *doc.Stats) *doc.Drop {
	lines := &w.b.config.Dedup.Lines
	if len(w.b.frequent) > 0 {
		n := 0
		left := lines.Strip(d.Words(), number, w.b.frequent, func(line string) {
			n++
			st.Add("lines."+ruleLines, 1)
			st.Sample("lines."+ruleLines, line)
		})
		if n > 0 {
			if chars := utf8.RuneCountInString(strings.TrimSpace(left)); chars < lines.MinLeft {
				return &doc.Drop{Rule: ruleLines, Detail: fmt.Sprintf("%d characters are left without %d lines that stand in more than %d documents, at least %d needed", chars, n, lines.MaxDocuments, lines.MinLeft)}
			}
			d.Text = left
		}
	}
	if len(w.b.config.Decontaminate.Sets) == 0 {
		return nil
	}
	r := w.finder.Clean(d.Words())
	if r.Matches > 0 {
		st.Add("decontaminate."+r.Set, 1)
		st.Sample("decontaminate."+r.Set, r.Matched)
	}
	if r.Dropped {
		return &doc.Drop{Rule: ruleDecontaminate, Detail: r.Detail}
	}
	d.Text = r.Text
	return nil
}

// write tokenises a document. One whose text is empty has nothing to learn from.
func (w *tokenWriter) write(d *doc.Document, t *tokenized) error {
	if d.Text == "" {
		t.drop(d, doc.Drop{Rule: ruleEmpty, Detail: "no text"}, 0, nil)
		return nil
	}
	c := w.b.config
	w.textBuf = append(w.textBuf[:0], d.Text...)
	w.encoded = w.bulk.AppendEncode(w.encoded[:0], w.textBuf, tokenizer.EncodeOptions{BOS: c.BOS, EOS: c.EOS})
	t.keep(len(d.Text))
	t.Documents++
	t.length(len(w.encoded))
	w.buf = appendTokens(w.buf[:0], w.encoded, w.b.width)
	if _, err := w.tokens.Write(w.buf); err != nil {
		return err
	}
	if _, err := w.ids.WriteString(d.ID); err != nil {
		return err
	}
	sum := sha256.Sum256(w.textBuf)
	w.last.end += uint64(len(w.encoded))
	w.last.idEnd += uint64(len(d.ID))
	w.last.hash = binary.LittleEndian.Uint64(sum[:])
	if w.b.isValid(w.last.hash) {
		t.ValidDocs++
		t.ValidTokens += int64(len(w.encoded))
	}
	w.buf = w.buf[:0]
	for _, v := range []uint64{w.last.end, w.last.idEnd, w.last.hash} {
		w.buf = binary.LittleEndian.AppendUint64(w.buf, v)
	}
	_, err := w.index.Write(w.buf)
	return err
}

// appendTokens appends ids as the shards have them.
func appendTokens(b []byte, ids []int32, width int) []byte {
	if width == 2 {
		for _, id := range ids {
			b = binary.LittleEndian.AppendUint16(b, uint16(id))
		}
		return b
	}
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint32(b, uint32(id))
	}
	return b
}

// isValid says whether a document with this hash is for validation. Texts that
// are the same are in the same split.
func (b *build) isValid(hash uint64) bool {
	return float64(words.Mix(words.Mix(b.config.Seed, seedValid), hash)>>11)/(1<<53) < b.config.Valid
}

// What the seed is mixed with, so that its uses do not depend on each other.
const (
	seedValid = 1 + iota
	seedDraw
	seedOrder
)

// tokenUnitFiles are a unit's files of the tokens stage, mapped.
type tokenUnitFiles struct {
	tokens, ids, index *mmap.File
	width              int
}

func (b *build) openTokens(unit int) (*tokenUnitFiles, error) {
	u := &tokenUnitFiles{width: b.width}
	for _, f := range []struct {
		to  **mmap.File
		ext string
	}{{&u.tokens, extTokens}, {&u.ids, extIDs}, {&u.index, extIndex}} {
		var err error
		if *f.to, err = mmap.Open(b.store.path(tokensDir, unitName(unit)+f.ext)); err != nil {
			u.close()
			return nil, err
		}
	}
	if n := len(u.index.Bytes()) / indexSize; n != b.tokenized[unit].Documents {
		u.close()
		return nil, fmt.Errorf("%s: %d documents, %d expected", u.index.Name(), n, b.tokenized[unit].Documents)
	}
	return u, nil
}

func (u *tokenUnitFiles) close() {
	for _, f := range []*mmap.File{u.tokens, u.ids, u.index} {
		if f != nil {
			_ = f.Close()
		}
	}
}

func (u *tokenUnitFiles) at(place int) indexRecord {
	if place < 0 {
		return indexRecord{}
	}
	b := u.index.Bytes()[place*indexSize:]
	return indexRecord{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b[16:])}
}

// document returns a document's ID and appends its tokens.
func (u *tokenUnitFiles) document(place int, ids []int32) (string, []int32) {
	from, to := u.at(place-1), u.at(place)
	b := u.tokens.Bytes()[from.end*uint64(u.width) : to.end*uint64(u.width)]
	if u.width == 2 {
		for ; len(b) > 0; b = b[2:] {
			ids = append(ids, int32(binary.LittleEndian.Uint16(b)))
		}
	} else {
		for ; len(b) > 0; b = b[4:] {
			ids = append(ids, int32(binary.LittleEndian.Uint32(b)))
		}
	}
	return string(u.ids.Bytes()[from.idEnd:to.idEnd]), ids
}
