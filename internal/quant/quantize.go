package quant

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cria-llm/cria/internal/tensor"
)

// Quantize encodes src, rows of rowLen elements, as dt into dst. importance, if
// not nil, weighs the columns' errors (rowLen values). A value that is not
// finite is an error that names its index: no block format can hold it.
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
			binary.LittleEndian.PutUint16(dst[2*i:], F32ToF16(v))
		}
		return nil
	case tensor.BF16:
		for i, v := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], F32ToBF16(v))
		}
		return nil
	}
	for i, v := range src {
		if v-v != 0 {
			return fmt.Errorf("quant: element %d is %v; %s holds finite numbers only (is the model file damaged?)", i, v, dt)
		}
	}
	n, bb := dt.BlockElems(), dt.BlockBytes()
	enc := blockEncoders[dt]
	if enc == nil {
		panic(fmt.Sprintf("quant: no codec for %s", dt))
	}
	for b := 0; b*n < len(src); b++ {
		var w []float32
		if importance != nil {
			w = importance[b*n%rowLen : b*n%rowLen+n]
		}
		enc(dst[b*bb:(b+1)*bb:(b+1)*bb], src[b*n:(b+1)*n:(b+1)*n], w)
	}
	return nil
}

// blockEncoders encode one block each; w weighs the elements' errors and may be
// nil.
var blockEncoders = map[tensor.DType]func(b []byte, x, w []float32){
	tensor.Q4_0: encodeQ4_0, tensor.Q4_1: encodeQ4_1, tensor.Q5_0: encodeQ5_0, tensor.Q5_1: encodeQ5_1,
	tensor.Q8_0: encodeQ8_0,
}

// extreme returns the value of the largest magnitude, the first among equals.
func extreme(x []float32) (v float32) {
	amax := float32(0)
	for _, f := range x {
		if a := abs(f); a > amax {
			amax, v = a, f
		}
	}
	return v
}

func abs(f float32) float32 { return math.Float32frombits(math.Float32bits(f) &^ (1 << 31)) }

// inverse is 1/d, or 0 for 0.
func inverse(d float32) float32 {
	if d == 0 {
		return 0
	}
	return 1 / d
}

func putHalf(b []byte, i int, f float32) { binary.LittleEndian.PutUint16(b[i:], F32ToF16(f)) }

// encodeQ4_0 maps the value of the largest magnitude to -8.
func encodeQ4_0(b []byte, x, _ []float32) {
	d := extreme(x) / -8
	id := inverse(d)
	putHalf(b, 0, d)
	for j := range 16 {
		lo := min(15, int8(float32(x[j]*id)+8.5))
		hi := min(15, int8(float32(x[j+16]*id)+8.5))
		b[2+j] = byte(lo) | byte(hi)<<4
	}
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

// encodeQ4_1 maps the block's range to 0..15.
func encodeQ4_1(b []byte, x, _ []float32) {
	lo, hi := span(x)
	d := (hi - lo) / 15
	id := inverse(d)
	putHalf(b, 0, d)
	putHalf(b, 2, lo)
	for j := range 16 {
		q0 := min(15, int8(float32((x[j]-lo)*id)+0.5))
		q1 := min(15, int8(float32((x[j+16]-lo)*id)+0.5))
		b[4+j] = byte(q0) | byte(q1)<<4
	}
}

// encodeQ5_0 maps the value of the largest magnitude to -16.
func encodeQ5_0(b []byte, x, _ []float32) {
	d := extreme(x) / -16
	id := inverse(d)
	putHalf(b, 0, d)
	var high uint32
	for j := range 16 {
		q0 := byte(min(31, int8(float32(x[j]*id)+16.5)))
		q1 := byte(min(31, int8(float32(x[j+16]*id)+16.5)))
		b[6+j] = q0&15 | q1&15<<4
		high |= uint32(q0>>4)<<j | uint32(q1>>4)<<(j+16)
	}
	binary.LittleEndian.PutUint32(b[2:], high)
}

// encodeQ5_1 maps the block's range to 0..31.
func encodeQ5_1(b []byte, x, _ []float32) {
	lo, hi := span(x)
	d := (hi - lo) / 31
	id := inverse(d)
	putHalf(b, 0, d)
	putHalf(b, 2, lo)
	var high uint32
	for j := range 16 {
		q0 := uint8(float32((x[j]-lo)*id) + 0.5)
		q1 := uint8(float32((x[j+16]-lo)*id) + 0.5)
		b[8+j] = q0&15 | q1&15<<4
		high |= uint32(q0>>4&1)<<j | uint32(q1>>4&1)<<(j+16)
	}
	binary.LittleEndian.PutUint32(b[4:], high)
}

// encodeQ8_0 maps the largest magnitude to 127, rounding half away from zero.
func encodeQ8_0(b []byte, x, _ []float32) {
	d := abs(extreme(x)) / 127
	id := inverse(d)
	putHalf(b, 0, d)
	for j, v := range x {
		b[2+j] = byte(int8(math.Round(float64(float32(v * id)))))
	}
}
