package data

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cria-llm/cria/internal/data/dedup"
	"github.com/cria-llm/cria/internal/data/doc"
	"github.com/cria-llm/cria/internal/data/read"
	"github.com/cria-llm/cria/internal/data/words"
)

// unitName is the name of a unit's files.
func unitName(unit int) string { return fmt.Sprintf("%06d", unit) }

// cleaned is the result of the clean stage for one unit.
type cleaned struct {
	Tally
	Documents int `json:"documents"` // in the unit's files
}

// cleanUnit reads a unit, runs the steps, and writes what is kept.
func (b *build) cleanUnit(ctx context.Context, unit int, p *piece) (c cleaned, err error) {
	start := time.Now()
	u := &b.plan.Units[unit]
	r, err := read.Open(*u, b.source(u.Source).Read, &c.Stats)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	w, err := newUnitWriter(p, &b.config.Dedup)
	if err != nil {
		return c, err
	}
	defer w.close()
	var d doc.Document
	for n := 0; ; n++ {
		if n%64 == 0 && ctx.Err() != nil {
			return c, ctx.Err()
		}
		if err := r.Next(&d); err == io.EOF {
			break
		} else if err != nil {
			return c, err
		}
		size := len(d.Text)
		c.In.add(size)
		if drop := b.runSteps(&d, &c.Stats); drop != nil {
			c.drop(&d, *drop, size, nil)
			continue
		}
		c.keep(len(d.Text))
		if c.Documents++; c.Documents > maxDocuments {
			return c, fmt.Errorf("%s: more than %d documents in one unit; cut the file into several", u.Path, uint64(maxDocuments))
		}
		if err := w.write(&d); err != nil {
			return c, err
		}
	}
	c.Seconds = time.Since(start).Seconds()
	return c, w.flush()
}

// runSteps runs a document through the steps until one drops it.
func (b *build) runSteps(d *doc.Document, st *doc.Stats) *doc.Drop {
	for _, s := range b.steps {
		if drop := s.Process(d, st); drop != nil {
			return drop
		}
	}
	if len(d.Text) > maxText {
		return &doc.Drop{Rule: "size", Detail: fmt.Sprintf("%d bytes, at most %d possible", len(d.Text), uint64(maxText))}
	}
	return nil
}

// unitWriter writes a unit's files.
type unitWriter struct {
	config     *dedup.Config
	out        *bufio.Writer // of docs
	docs       *docsWriter
	keys       *bufio.Writer
	lines      *bufio.Writer // nil where lines are not compared
	signer     *dedup.Signer
	key        docKey
	buf        []byte
	lineHashes []uint64
}

func newUnitWriter(p *piece, c *dedup.Config) (*unitWriter, error) {
	w := &unitWriter{config: c}
	create := func(ext string) (*bufio.Writer, error) {
		o, err := p.create(ext)
		return bufio.NewWriterSize(o, 1<<18), err
	}
	var err error
	if w.out, err = create(extDocs); err != nil {
		return nil, err
	}
	w.docs = newDocsWriter(w.out)
	if w.keys, err = create(extKeys); err != nil {
		return nil, err
	}
	if c.Lines.Enabled {
		if w.lines, err = create(extLines); err != nil {
			return nil, err
		}
	}
	if c.Near.Enabled {
		w.signer = dedup.NewSigner(c.Near)
		w.key.sig = make([]uint16, c.Near.Size())
	}
	return w, nil
}

func (w *unitWriter) write(d *doc.Document) error {
	if err := w.docs.write(d); err != nil {
		return err
	}
	k := &w.key
	k.content, k.domain, k.signed = [2]uint64{}, 0, false
	k.bytes, k.personal = uint64(len(d.Text)), uint64(d.Personal)
	if w.config.Exact {
		k.content = dedup.ContentHash(d.Text)
	}
	if d.Domain != "" {
		k.domain = words.Hash(d.Domain)
	}
	if w.signer != nil {
		if k.signed = w.signer.Sign(k.sig, d.Words()); !k.signed {
			clear(k.sig)
		}
	}
	w.buf = k.append(w.buf[:0])
	if _, err := w.keys.Write(w.buf); err != nil {
		return err
	}
	if w.lines == nil {
		return nil
	}
	w.lineHashes = w.config.Lines.Keys(w.lineHashes[:0], d.Words())
	w.buf = binary.LittleEndian.AppendUint64(w.buf[:0], uint64(len(w.lineHashes)))
	for _, h := range w.lineHashes {
		w.buf = binary.LittleEndian.AppendUint64(w.buf, h)
	}
	_, err := w.lines.Write(w.buf)
	return err
}

func (w *unitWriter) flush() error {
	err := errors.Join(w.docs.close(), w.out.Flush(), w.keys.Flush())
	if w.lines != nil {
		err = errors.Join(err, w.lines.Flush())
	}
	return err
}

// close frees the encoder; after flush it does nothing.
func (w *unitWriter) close() { _ = w.docs.close() }
