package main

// limitChains is kernel's neonLimitChains: cores with four vector pipes and a
// latency of four need 16 chains at least.
const limitChains = 24

// limits writes the loops that measure one core's peaks.
func limits(s *source) {
	s.fn("neonReadLimit", 16, "func neonReadLimit(p *byte, n int)", "n is a multiple of 512.")
	s.g("MOVD p+0(FP), R0\nMOVD n+8(FP), R1\nloop:")
	for i := range 16 {
		s.g("FLDPQ %d(R0), (F%d, F%d)", 32*i, 2*(i%8), 2*(i%8)+1)
	}
	s.g("ADD $512, R0, R0\nSUBS $512, R1, R1\nBNE loop\nRET")

	for _, l := range []struct{ name, op string }{
		{"neonFMALimit", "fmla v%d.4s, v30.4s, v31.4s"},
		{"neonInt8Limit", "sdot v%d.4s, v30.16b, v31.16b"},
	} {
		s.fn(l.name, 8, "func "+l.name+"(n int)")
		s.g("MOVD n+0(FP), R0\nCBZ R0, done")
		for i := range limitChains {
			s.v("movi v%d.16b, #0", i)
		}
		s.v("movi v30.16b, #0")
		s.v("movi v31.16b, #0")
		s.g("loop:")
		for i := range limitChains {
			s.v(l.op, i)
		}
		s.g("SUBS $1, R0, R0\nBNE loop\ndone:\nRET")
	}
}
