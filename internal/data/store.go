package data

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/klauspost/compress/s2"

	"github.com/cria-llm/cria/internal/data/dedup"
	"github.com/cria-llm/cria/internal/data/doc"
	"github.com/cria-llm/cria/internal/sys/mmap"
)

// Documents are numbered by their unit and their place among the documents that
// the unit's clean stage kept. The order of numbers is that of the configuration.
func docNumber(unit, place int) uint64 { return uint64(unit)<<32 | uint64(place) }

func unitOf(doc uint64) int  { return int(doc >> 32) }
func placeOf(doc uint64) int { return int(doc & math.MaxUint32) }

// maxDocuments is how many documents a unit may have.
const maxDocuments = math.MaxUint32

// The files of a unit after the clean stage. NNNNNN.docs is a stream of documents
// in S2 (much faster than zstd here, and with checksums as well), NNNNNN.keys has one record of fixed size for each, NNNNNN.lines the
// keys of each document's lines: their number, then the keys, as uint64.
const (
	extDocs  = ".docs"
	extKeys  = ".keys"
	extLines = ".lines"
)

// docsWriter writes NNNNNN.docs.
type docsWriter struct {
	z   *s2.Writer
	buf []byte
}

func newDocsWriter(w io.Writer) *docsWriter {
	return &docsWriter{z: s2.NewWriter(w, s2.WriterConcurrency(1))}
}

func (w *docsWriter) write(d *doc.Document) error {
	b := w.buf[:0]
	for _, s := range []string{d.ID, d.Domain, d.Lang} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Text)))
	w.buf = append(b, d.Text...)
	_, err := w.z.Write(w.buf)
	return err
}

func (w *docsWriter) close() error { return w.z.Close() }

// docsReader reads NNNNNN.docs.
type docsReader struct {
	r   *bufio.Reader
	buf []byte
}

func newDocsReader(r io.Reader) *docsReader {
	return &docsReader{r: bufio.NewReaderSize(s2.NewReader(r), 1<<16)}
}

// next reads a document; io.EOF after the last.
func (r *docsReader) next(d *doc.Document) (err error) {
	d.Reset()
	for i, to := range []*string{&d.ID, &d.Domain, &d.Lang, &d.Text} {
		n, err := binary.ReadUvarint(r.r)
		if err == io.EOF && i == 0 {
			return io.EOF
		}
		if err != nil {
			return unexpected(err)
		}
		if n > maxText {
			return fmt.Errorf("a text of %d bytes is stated", n)
		}
		if *to, err = r.text(int(n)); err != nil {
			return unexpected(err)
		}
	}
	return nil
}

// maxText is the longest text of a document in bytes: what package words takes.
const maxText = math.MaxUint32

// text reads n bytes; memory grows with what is really there.
func (r *docsReader) text(n int) (string, error) {
	r.buf = r.buf[:0]
	for len(r.buf) < n {
		from := len(r.buf)
		step := min(n-from, 1<<20)
		r.buf = slices.Grow(r.buf, step)[:from+step]
		if _, err := io.ReadFull(r.r, r.buf[from:]); err != nil {
			return "", err
		}
	}
	return string(r.buf), nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// docKey is what documents are compared by.
type docKey struct {
	content  [2]uint64 // of the text; 0 where exact duplicates are not looked for
	domain   uint64    // hash of the domain; 0 for none
	bytes    uint64
	personal uint64
	signed   bool // sig is there: the text has words
	sig      []uint16
}

const keyHead = 5*8 + 1

// keySize is the size of a record of NNNNNN.keys.
func keySize(n *dedup.Near) int {
	if !n.Enabled {
		return keyHead
	}
	return keyHead + 2*n.Size()
}

func (k *docKey) append(b []byte) []byte {
	for _, v := range []uint64{k.content[0], k.content[1], k.domain, k.bytes, k.personal} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	if k.signed {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, v := range k.sig {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

// keysFile is NNNNNN.keys, mapped.
type keysFile struct {
	f    *mmap.File
	size int
}

func openKeys(path string, n *dedup.Near) (*keysFile, error) {
	f, err := mmap.Open(path)
	if err != nil {
		return nil, err
	}
	return &keysFile{f, keySize(n)}, nil
}

func (k *keysFile) len() int { return len(k.f.Bytes()) / k.size }

// at returns the record of a document, without its signature.
func (k *keysFile) at(place int) docKey {
	b := k.f.Bytes()[place*k.size:]
	u := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	return docKey{content: [2]uint64{u(0), u(1)}, domain: u(2), bytes: u(3), personal: u(4), signed: b[keyHead-1] != 0}
}

// sig sets to to the signature of a document, which must have one.
func (k *keysFile) sig(place int, to []uint16) []uint16 {
	b := k.f.Bytes()[place*k.size+keyHead : (place+1)*k.size]
	for to = to[:0]; len(b) > 0; b = b[2:] {
		to = append(to, binary.LittleEndian.Uint16(b))
	}
	return to
}
