package read

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/cria-llm/cria/internal/data/doc"
)

// ErrExpands is found in the error of a compressed file that becomes larger than
// the limits allow.
var ErrExpands = errors.New("expands beyond the limit")

// expand unpacks a file as it is read, up to the limits.
func expand(f io.Reader, compression string, u doc.Unit, l *Limits) (io.Reader, io.Closer, error) {
	var r io.Reader
	var c io.Closer
	switch compression {
	case "gz":
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, nil, err
		}
		r, c = z, z
	case "zst":
		// One goroutine: the pipeline's workers are what runs in parallel.
		z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(uint64(l.Window)))
		if err != nil {
			return nil, nil, err
		}
		rc := z.IOReadCloser()
		r, c = rc, rc
	}
	const free = 64 << 20 // before the ratio counts
	most, field := l.Expanded, "limits.expanded"
	if byRatio := max(free, u.Size*min(l.Ratio, (1<<62)/max(u.Size, 1))); byRatio < most {
		most, field = byRatio, "limits.ratio"
	}
	return &limited{r: r, left: most, most: most, field: field}, c, nil
}

// limited fails where io.LimitedReader ends in silence.
type limited struct {
	r          io.Reader
	left, most int64
	field      string
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	l.left -= int64(n)
	if l.left < 0 {
		return 0, fmt.Errorf("%w: more than %d bytes (%s)", ErrExpands, l.most, l.field)
	}
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = fmt.Errorf("%w (limits.window)", err)
	}
	return n, err
}
