package kernel

import (
	"encoding/binary"

	"github.com/cria-llm/cria/internal/tensor"
)

// blockLayout says where a block's fields lie in the file's encoding, in the
// order in which a panel holds them. In a panel of R rows, block b begins at
// b*R*BlockBytes; there
//
//	half field h of row r    lies at 2*R*h + 2*r
//	4-byte group g of row r  lies at 2*R*len(halves) + 4*R*g + 4*r
//
// and every byte has the value that it has in the file. Groups are listed as
// runs of consecutive ones.
type blockLayout struct {
	halves []int
	runs   []groupRun
	groups int // total of the runs
}

// groupRun is n 4-byte groups from byte at of a file block.
type groupRun struct{ at, n int }

func newLayout(halves []int, runs ...groupRun) *blockLayout {
	l := &blockLayout{halves: halves, runs: runs}
	for _, r := range runs {
		l.groups += r.n
	}
	return l
}

// layouts gives the panel order of every block-quantised type: f16 scales and
// minima, then packed sub-scales, then upper bits, then lower bits.
var layouts = map[tensor.DType]*blockLayout{
	tensor.Q4_0:   newLayout([]int{0}, groupRun{2, 4}),                                         // d; nibbles
	tensor.Q4_1:   newLayout([]int{0, 2}, groupRun{4, 4}),                                      // d, m; nibbles
	tensor.Q5_0:   newLayout([]int{0}, groupRun{2, 1}, groupRun{6, 4}),                         // d; fifth bits, nibbles
	tensor.Q5_1:   newLayout([]int{0, 2}, groupRun{4, 1}, groupRun{8, 4}),                      // d, m; fifth bits, nibbles
	tensor.Q8_0:   newLayout([]int{0}, groupRun{2, 8}),                                         // d; bytes
	tensor.IQ4_NL: newLayout([]int{0}, groupRun{2, 4}),                                         // d; nibbles
	tensor.Q2_K:   newLayout([]int{80, 82}, groupRun{0, 4}, groupRun{16, 16}),                  // d, dmin; scales and minima, bit pairs
	tensor.Q3_K:   newLayout([]int{108}, groupRun{96, 3}, groupRun{0, 8}, groupRun{32, 16}),    // d; scales, third bits, bit pairs
	tensor.Q4_K:   newLayout([]int{0, 2}, groupRun{4, 3}, groupRun{16, 32}),                    // d, dmin; scales and minima, nibbles
	tensor.Q5_K:   newLayout([]int{0, 2}, groupRun{4, 3}, groupRun{16, 8}, groupRun{48, 32}),   // d, dmin; scales and minima, fifth bits, nibbles
	tensor.Q6_K:   newLayout([]int{208}, groupRun{192, 4}, groupRun{128, 16}, groupRun{0, 32}), // d; scales, upper bit pairs, nibbles
	tensor.IQ4_XS: newLayout([]int{0, 2}, groupRun{4, 1}, groupRun{8, 32}),                     // d, upper scale bits; lower scale bits, nibbles
}

// packer returns the Pack of a type for panels of panelRows rows.
func packer(dt tensor.DType, panelRows int) func(dst, src []byte, nrows, k int) {
	l := layouts[dt]
	return func(dst, src []byte, nrows, k int) {
		rowBytes := dt.RowBytes(k)
		src = src[:nrows*rowBytes]
		for row := 0; row < nrows; row += panelRows {
			n := min(panelRows, nrows-row)
			panel := dst[row*rowBytes : (row+panelRows)*rowBytes]
			if n < panelRows {
				clear(panel)
			}
			file := src[row*rowBytes : (row+n)*rowBytes]
			r := 0
			for ; r+2 <= n; r += 2 {
				l.packTwo(panel, file[r*rowBytes:(r+1)*rowBytes], file[(r+1)*rowBytes:(r+2)*rowBytes], r, panelRows, dt.BlockBytes())
			}
			if r < n {
				l.packRow(panel, file[r*rowBytes:], r, panelRows, dt.BlockBytes())
			}
		}
	}
}

// packRow writes row r of a panel.
func (l *blockLayout) packRow(panel, row []byte, r, panelRows, blockBytes int) {
	for ; len(row) > 0; row, panel = row[blockBytes:], panel[panelRows*blockBytes:] {
		p := panel[2*r:]
		for _, at := range l.halves {
			binary.LittleEndian.PutUint16(p, binary.LittleEndian.Uint16(row[at:]))
			p = p[2*panelRows:]
		}
		p = p[2*r:]
		for _, run := range l.runs {
			s := row[run.at : run.at+4*run.n]
			for ; len(s) >= 4; s = s[4:] {
				binary.LittleEndian.PutUint32(p, binary.LittleEndian.Uint32(s))
				p = p[min(4*panelRows, len(p)):]
			}
		}
	}
}

// packTwo writes rows r and r+1 of a panel: a group of each is one word of 8
// bytes, and two such words are loaded at once.
func (l *blockLayout) packTwo(panel, a, b []byte, r, panelRows, blockBytes int) {
	const low = 1<<32 - 1
	for ; len(a) >= blockBytes && len(b) >= blockBytes; a, b, panel = a[blockBytes:], b[blockBytes:], panel[panelRows*blockBytes:] {
		to := 2 * r
		for _, at := range l.halves {
			binary.LittleEndian.PutUint16(panel[to:], binary.LittleEndian.Uint16(a[at:]))
			binary.LittleEndian.PutUint16(panel[to+2:], binary.LittleEndian.Uint16(b[at:]))
			to += 2 * panelRows
		}
		to += 2 * r
		for _, run := range l.runs {
			x, y := a[run.at:run.at+4*run.n], b[run.at:run.at+4*run.n]
			for ; len(x) >= 8 && len(y) >= 8; x, y = x[8:], y[8:] {
				v, w := binary.LittleEndian.Uint64(x), binary.LittleEndian.Uint64(y)
				binary.LittleEndian.PutUint64(panel[to:], v&low|w<<32)
				binary.LittleEndian.PutUint64(panel[to+4*panelRows:], v>>32|w&^low)
				to += 8 * panelRows
			}
			if len(x) > 0 {
				v, w := binary.LittleEndian.Uint32(x), binary.LittleEndian.Uint32(y)
				binary.LittleEndian.PutUint64(panel[to:], uint64(v)|uint64(w)<<32)
				to += 4 * panelRows
			}
		}
	}
}
