package llama

import (
	"math"

	"github.com/cria-llm/cria/internal/device"
)

// ropeChunk is how many positions the rotary tables grow by: a model that allows
// millions of them costs no more than the sequences that it is used for.
const ropeChunk = 1024

// ropeTables are cos and sin of the rotary angles of positions from the first on.
//
// Angles are computed as Meta's and Hugging Face's code does: the inverse
// frequency is rounded to f32, and so is its product with the position. At
// large positions this differs visibly from angles in full precision, and
// checkpoints were trained with it (RoFormer, arXiv 2104.09864, section 3.2.2).
type ropeTables struct {
	cos, sin device.Tensor // (context, HeadDim/2)
	inv      []float32
	have     int       // positions computed so far
	hc, hs   []float32 // a chunk on the host
}

// allocate makes room for a context of that many positions.
func (t *ropeTables) allocate(dev device.Device, c *Config, context int) (err error) {
	t.inv = c.InvFreq(context)
	n := min(ropeChunk, context) * len(t.inv)
	t.hc, t.hs = make([]float32, n), make([]float32, n)
	if t.cos, err = dev.Tensor(context, len(t.inv)); err != nil {
		return err
	}
	t.sin, err = dev.Tensor(context, len(t.inv))
	return err
}

// grow computes what is missing up to the given number of positions.
func (t *ropeTables) grow(dev device.Device, positions int) {
	half := len(t.inv)
	for t.have < positions {
		hi := min(t.have+ropeChunk, t.cos.Rows)
		n := hi - t.have
		for p := range n {
			for i, f := range t.inv {
				s, co := math.Sincos(float64(float32(t.have+p) * f))
				t.hc[p*half+i], t.hs[p*half+i] = float32(co), float32(s)
			}
		}
		dev.Upload(t.cos.Slice(t.have, hi), t.hc[:n*half])
		dev.Upload(t.sin.Slice(t.have, hi), t.hs[:n*half])
		t.have = hi
	}
}
