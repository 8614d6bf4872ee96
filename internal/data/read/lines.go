package read

import (
	"bufio"
	"bytes"
	"io"
)

// pieces reads what stands between separators, with its place, in memory that
// is bounded by max.
type pieces struct {
	r    *bufio.Reader
	sep  []byte
	max  int64
	at   int64 // of the next byte to be read
	buf  []byte
	done bool
}

// piece is one of them.
type piece struct {
	data   []byte // valid until the next call; nil if long
	start  int64
	end    int64 // where the separator begins
	long   bool  // more than max bytes: data is left out
	closed bool  // the separator follows; false only at the end of the file
}

func newPieces(r io.Reader, sep string, at, max int64) *pieces {
	return &pieces{r: bufio.NewReaderSize(r, 1<<16), sep: []byte(sep), max: max, at: at}
}

// next returns io.EOF behind the last piece. An empty piece behind a separator
// at the end of the file is none.
func (p *pieces) next() (piece, error) {
	if p.done {
		return piece{}, io.EOF
	}
	out := piece{start: p.at}
	p.buf = p.buf[:0]
	last := p.sep[len(p.sep)-1]
	for {
		chunk, err := p.r.ReadSlice(last)
		p.at += int64(len(chunk))
		p.buf = append(p.buf, chunk...)
		if n := p.at - out.start; n > p.max+int64(len(p.sep)) {
			out.long = true
		}
		closed := bytes.HasSuffix(p.buf, p.sep)
		if out.long {
			// The end of what was read is enough to find the separator.
			if keep := len(p.sep); len(p.buf) > keep {
				p.buf = append(p.buf[:0], p.buf[len(p.buf)-keep:]...)
			}
		}
		switch {
		case closed:
			out.closed = true
			out.end = p.at - int64(len(p.sep))
			if !out.long {
				out.data = p.buf[:len(p.buf)-len(p.sep)]
			}
			return out, nil
		case err == io.EOF:
			p.done = true
			if p.at == out.start {
				return piece{}, io.EOF
			}
			out.end = p.at
			if !out.long {
				out.data = p.buf
			}
			if int64(len(out.data)) > p.max {
				out.long, out.data = true, nil
			}
			return out, nil
		case err != nil && err != bufio.ErrBufferFull:
			return piece{}, err
		}
	}
}

// ranged gives the pieces that begin in the unit's range: the first one that
// begins at or behind its start, and all until one begins at or behind its end.
type ranged struct {
	*pieces
	end int64
}

func newRanged(b *base, r io.Reader, sep string) (*ranged, error) {
	at := b.unit.Start
	if at > 0 {
		// A separator that ends right at the start makes a piece begin there.
		at = max(0, at-int64(len(sep)))
		if _, err := b.file.Seek(at, io.SeekStart); err != nil {
			return nil, err
		}
	}
	p := &ranged{newPieces(r, sep, at, b.config.Limits.Record), b.unit.End}
	if b.expander != nil {
		p.end = 1<<63 - 1 // ranges are of the packed file: it is one unit
	}
	if b.unit.Start > 0 {
		for p.at < b.unit.Start {
			if _, err := p.pieces.next(); err == io.EOF {
				break
			} else if err != nil {
				return nil, b.failed(p.at, err)
			}
		}
	}
	return p, nil
}

func (p *ranged) next() (piece, error) {
	if p.at >= p.end && p.end > 0 {
		return piece{}, io.EOF
	}
	return p.pieces.next()
}
