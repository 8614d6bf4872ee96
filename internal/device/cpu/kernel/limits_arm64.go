//go:build arm64 && !purego

package kernel

//go:noescape
func neonReadLimit(p *byte, n int)

func neonFMALimit(n int)
func neonInt8Limit(n int)

// readPiece bounds one assembly call to well below a millisecond.
const readPiece = 1 << 20

func neonRead(p []byte) {
	for len(p) >= 512 {
		n := min(len(p)&^511, readPiece)
		neonReadLimit(&p[0], n)
		p = p[n:]
	}
}

func neonLimits() Limits {
	l := Limits{Read: neonRead, F32FMA: neonFMALimit, Int8Dot: neonInt8Limit}
	l.Ops.F32 = 2 * 4 * limitChains
	l.Ops.Int8 = 2 * 16 * limitChains
	return l
}
