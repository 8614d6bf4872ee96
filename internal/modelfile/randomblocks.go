package modelfile

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// blockScales says where a block has its f16 scale and, where it is no -1, its
// f16 minimum, and how many times the scale the minimum is when elements of
// random bits have a mean of 0.
type blockScales struct {
	scale, minimum int
	ratio          float64
}

// blockTypes are all block-quantised ones. A minimum is to cancel the mean of an
// element's bits: 1.5, 7.5 and 15.5 for 2, 4 and 5 bits; K-quants subtract it.
var blockTypes = map[tensor.DType]blockScales{
	tensor.Q4_0: {0, -1, 0}, tensor.Q4_1: {0, 2, -7.5}, tensor.Q5_0: {0, -1, 0}, tensor.Q5_1: {0, 2, -15.5}, tensor.Q8_0: {0, -1, 0},
	tensor.Q2_K: {80, 82, 1.5}, tensor.Q3_K: {108, -1, 0}, tensor.Q4_K: {0, 2, 7.5}, tensor.Q5_K: {0, 2, 15.5}, tensor.Q6_K: {208, -1, 0},
	tensor.IQ4_NL: {0, -1, 0}, tensor.IQ4_XS: {0, -1, 0},
}

// randomBlocks fills dst with blocks of random bits whose elements have the given
// standard deviation.
func randomBlocks(dst []byte, typ tensor.DType, rng *rand.Rand, std float64) {
	n := len(dst) / 8 * 8
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], rng.Uint64())
	}
	for i := n; i < len(dst); i++ {
		dst[i] = byte(rng.Uint32())
	}
	setScales(dst, typ, std/unitDeviation(typ))
}

// setScales puts scales in place of random bits and keeps their sign: no type's
// values then lean to one side.
func setScales(b []byte, typ tensor.DType, scale float64) {
	s := blockTypes[typ]
	for ; len(b) > 0; b = b[typ.BlockBytes():] {
		sign := uint16(b[s.scale+1]&0x80) << 8
		binary.LittleEndian.PutUint16(b[s.scale:], quant.F32ToF16(float32(scale))|sign)
		if s.minimum >= 0 {
			binary.LittleEndian.PutUint16(b[s.minimum:], quant.F32ToF16(float32(scale*s.ratio))^sign)
		}
	}
}

var unitDeviations sync.Map

// unitDeviation measures the deviation of random bits at a scale of 1.
func unitDeviation(typ tensor.DType) float64 {
	if d, ok := unitDeviations.Load(typ); ok {
		return d.(float64)
	}
	const blocks = 1000
	b, x := make([]byte, blocks*typ.BlockBytes()), make([]float32, blocks*typ.BlockElems())
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	setScales(b, typ, 1)
	quant.Dequantize(typ, x, b)
	var squares float64
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	d := math.Sqrt(squares / float64(len(x)))
	unitDeviations.Store(typ, d)
	return d
}
