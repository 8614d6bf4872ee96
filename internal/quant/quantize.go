package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cria-llm/cria/internal/tensor"
)

// Quantize encodes src, rows of rowLen elements, as dt into dst. importance, if
// not nil, weighs the columns' errors (rowLen values, none negative); Q8_0 and
// the float types do not look at it. Rows are independent of each other, so
// that callers may share them out.
//
// What the type cannot hold is an error that names the element: infinity or NaN
// in a block, or a number beyond the range of the type's f16 parts.
func Quantize(dt tensor.DType, dst []byte, src []float32, rowLen int, importance []float32) error {
	if rowLen <= 0 || len(src)%rowLen != 0 || len(dst) != len(src)/rowLen*dt.RowBytes(rowLen) {
		panic(fmt.Sprintf("quant: %d elements in rows of %d into %d bytes of %s", len(src), rowLen, len(dst), dt))
	}
	if importance != nil && len(importance) != rowLen {
		panic(fmt.Sprintf("quant: %d importances for rows of %d", len(importance), rowLen))
	}
	switch dt {
	case tensor.F32:
		for i, v := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(v))
		}
		return nil
	case tensor.F16:
		for i, v := range src {
			h := F32ToF16(v)
			if h&0x7fff == 0x7c00 && v-v == 0 {
				return fmt.Errorf("quant: element %d is %v; F16 holds numbers below 65520: use BF16 or F32", i, v)
			}
			binary.LittleEndian.PutUint16(dst[2*i:], h)
		}
		return nil
	case tensor.BF16:
		for i, v := range src {
			h := F32ToBF16(v)
			if h&0x7fff == 0x7f80 && v-v == 0 {
				return fmt.Errorf("quant: element %d is %v, which BF16 would round to infinity: use F32", i, v)
			}
			binary.LittleEndian.PutUint16(dst[2*i:], h)
		}
		return nil
	}
	return quantizeBlocks(dt, dst, src, rowLen, importance)
}

// largestInBlocks is Q6_K's largest value, and no other block type holds more.
// Up to there no sum of the searches overflows, so that a block out of its own
// type's range shows by its scale.
const largestInBlocks = 65504 * 128 * 32

func quantizeBlocks(dt tensor.DType, dst []byte, src []float32, rowLen int, importance []float32) error {
	for i, v := range src {
		if abs(v) <= largestInBlocks {
			continue
		}
		if v-v != 0 {
			return fmt.Errorf("quant: element %d is %v; %s holds finite numbers only (is the model file damaged?)", i, v, dt)
		}
		return fmt.Errorf("quant: element %d is %v, which is out of the range of %s (is the model file damaged?)", i, v, dt)
	}
	for i, v := range importance {
		if !(v >= 0) || math.IsInf(float64(v), 1) {
			return fmt.Errorf("quant: the importance of column %d is %v; it must be 0 or more, and finite", i, v)
		}
	}
	enc, ok := blockEncoders[dt]
	if !ok {
		panic(fmt.Sprintf("quant: no codec for %s", dt))
	}
	n, bb := dt.BlockElems(), dt.BlockBytes()
	for row := 0; row < len(src); row += rowLen {
		var ms float32
		if importance != nil {
			ms = sumSquares(src[row:row+rowLen]) / float32(rowLen)
		}
		for col := 0; col < rowLen; col += n {
			at := row + col
			b, x := dst[at/n*bb:(at/n+1)*bb:(at/n+1)*bb], src[at:at+n:at+n]
			enc.encode(b, x, weighing(importance, col, n), ms)
			for _, h := range enc.halves {
				if b[h+1]&0x7c == 0x7c {
					return fmt.Errorf("quant: the largest of elements %d to %d is %v, which is out of the range of %s (is the model file damaged?)",
						at, at+n-1, extreme(x), dt)
				}
			}
		}
	}
	return nil
}

// weighing returns the importances of a block's columns, or nil where there are
// none or all are zero: then no error would be larger than another, and the
// block would become arbitrary.
func weighing(importance []float32, col, n int) []float32 {
	if importance == nil {
		return nil
	}
	w := importance[col : col+n : col+n]
	if extreme(w) == 0 {
		return nil
	}
	return w
}

// A blockEncoder encodes one block. imp weighs the elements' errors and may be
// nil; ms, then only, is the mean square of the row.
type blockEncoder struct {
	encode func(b []byte, x, imp []float32, ms float32)
	halves []int // where the block's f16 values lie
}

var blockEncoders = map[tensor.DType]blockEncoder{
	tensor.Q4_0: {encodeQ4_0, []int{0}}, tensor.Q4_1: {encodeQ4_1, []int{0, 2}},
	tensor.Q5_0: {encodeQ5_0, []int{0}}, tensor.Q5_1: {encodeQ5_1, []int{0, 2}},
	tensor.Q8_0: {encodeQ8_0, []int{0}}, tensor.IQ4_NL: {encodeIQ4NL, []int{0}},
	tensor.Q2_K: {encodeQ2K, []int{80, 82}}, tensor.Q3_K: {encodeQ3K, []int{108}},
	tensor.Q4_K: {encodeQ4K, []int{0, 2}}, tensor.Q5_K: {encodeQ5K, []int{0, 2}},
	tensor.Q6_K: {encodeQ6K, []int{208}}, tensor.IQ4_XS: {encodeIQ4XS, []int{0}},
}

// extreme returns the value of the largest magnitude, the first among equals.
func extreme(x []float32) float32 {
	var top, bits uint32 // magnitudes are ordered as their bits
	for _, f := range x {
		b := math.Float32bits(f)
		if a := b &^ (1 << 31); a > top && a <= 0x7f800000 {
			top, bits = a, b
		}
	}
	return math.Float32frombits(bits)
}

func abs(f float32) float32 { return math.Float32frombits(math.Float32bits(f) &^ (1 << 31)) }

// inverse is 1/d, or 0 where d is 0 or so small that 1/d overflows.
func inverse(d float32) float32 {
	id := 1 / d
	if math.IsInf(float64(id), 0) {
		return 0
	}
	return id
}

func putHalf(b []byte, i int, f float32) { binary.LittleEndian.PutUint16(b[i:], F32ToF16(f)) }

// packQ4 packs 32 codes of four bits: low nibbles are the first half.
func packQ4(b []byte, q *[32]uint8) {
	for j := range 16 {
		b[j] = q[j]&15 | q[j+16]<<4
	}
}

// packQ5 packs 32 codes of five bits: 32 fifth bits, then as packQ4.
func packQ5(b []byte, q *[32]uint8) {
	var high uint32
	for j, v := range q {
		high |= uint32(v>>4) << j
	}
	binary.LittleEndian.PutUint32(b, high)
	packQ4(b[4:], q)
}

// codes32 returns the codes of Q4_0 and Q5_0, in [0, 2n), and the scale. Without
// importances the value of the largest magnitude becomes -n.
func codes32(x, imp []float32, ms float32, n int32) (q [32]uint8, d float32) {
	if imp != nil {
		var w [32]float32
		importanceWeights(w[:], x, imp, ms)
		d = fitSymmetric(q[:], x, w[:], n)
		return q, d
	}
	d = extreme(x) / float32(-n)
	id := inverse(d)
	if id == 0 && d != 0 { // such blocks decode to zeros; ggml's codes are 0
		return q, d
	}
	for j, v := range x {
		q[j] = uint8(min(2*n-1, int32(float32(v*id)+(float32(n)+0.5))))
	}
	return q, d
}

// codesMin32 returns the codes of Q4_1 and Q5_1, in [0, n], the scale and the
// minimum. Without importances the block's range is mapped to [0, n].
func codesMin32(x, imp []float32, ms float32, n int32) (q [32]uint8, d, m float32) {
	if imp != nil {
		var w [32]float32
		importanceWeights(w[:], x, imp, ms)
		d, m = fitAffine(q[:], x, w[:], n, searchWeighted)
		return q, d, -m
	}
	lo, hi := span(x)
	d = (hi - lo) / float32(n)
	id := inverse(d)
	for j, v := range x {
		q[j] = uint8(min(n, int32(float32((v-lo)*id)+0.5)))
	}
	return q, d, lo
}

func encodeQ4_0(b []byte, x, imp []float32, ms float32) {
	q, d := codes32(x, imp, ms, 8)
	putHalf(b, 0, d)
	packQ4(b[2:18], &q)
}

func encodeQ4_1(b []byte, x, imp []float32, ms float32) {
	q, d, m := codesMin32(x, imp, ms, 15)
	putHalf(b, 0, d)
	putHalf(b, 2, m)
	packQ4(b[4:20], &q)
}

func encodeQ5_0(b []byte, x, imp []float32, ms float32) {
	q, d := codes32(x, imp, ms, 16)
	putHalf(b, 0, d)
	packQ5(b[2:22], &q)
}

func encodeQ5_1(b []byte, x, imp []float32, ms float32) {
	q, d, m := codesMin32(x, imp, ms, 31)
	putHalf(b, 0, d)
	putHalf(b, 2, m)
	packQ5(b[4:24], &q)
}

// encodeQ8_0 maps the largest magnitude to 127, rounding half away from zero.
func encodeQ8_0(b []byte, x, _ []float32, _ float32) {
	d := abs(extreme(x)) / 127
	id := inverse(d)
	putHalf(b, 0, d)
	for j, v := range x {
		b[2+j] = byte(int8(roundAway(float32(v * id))))
	}
}

// roundAway rounds half away from zero, for magnitudes below 2^22.
func roundAway(f float32) int32 {
	i := nearest(f) // differs in ties only
	switch d := f - float32(i); {
	case d == 0.5 && f > 0:
		i++
	case d == -0.5 && f < 0:
		i--
	}
	return i
}

// span returns the least and the largest value.
func span(x []float32) (lo, hi float32) {
	lo, hi = x[0], x[0]
	for _, f := range x {
		if f < lo {
			lo = f
		}
		if f > hi {
			hi = f
		}
	}
	return lo, hi
}
