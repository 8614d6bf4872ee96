//go:build arm64 && !purego

package kernel

//go:noescape
func neonReadLimit(p *byte, n int)

func neonFMALimit(n int)
func neonInt8Limit(n int)

// neonLimitChains is the number of independent chains of the compute limits:
// some cores have four vector pipes and a latency of four.
const neonLimitChains = 24

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
	l.Ops.F32 = 2 * 4 * neonLimitChains
	l.Ops.Int8 = 2 * 16 * neonLimitChains
	return l
}
