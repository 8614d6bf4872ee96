package llama

import "math"

// RopeTables returns cos and sin of every rotary angle, (positions, HeadDim/2)
// each, for a context of that many positions.
//
// Angles are computed as Meta's and Hugging Face's code does: the inverse
// frequency is rounded to f32, and so is its product with the position. At
// large positions this differs visibly from angles in full precision, and
// checkpoints were trained with it (RoFormer, arXiv 2104.09864, section 3.2.2).
func (c *Config) RopeTables(positions int) (cos, sin []float32) {
	half := c.HeadDim / 2
	inv := c.InvFreq(positions)
	cos = make([]float32, positions*half)
	sin = make([]float32, positions*half)
	for p := range positions {
		for i, f := range inv {
			s, co := math.Sincos(float64(float32(p) * f))
			cos[p*half+i], sin[p*half+i] = float32(co), float32(s)
		}
	}
	return cos, sin
}
