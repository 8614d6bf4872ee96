//go:build amd64 && !purego

package kernel

import "github.com/cria-llm/cria/internal/sys/cpufeat"

//go:noescape
func avx512ReadLimit(p *byte, n int)

func avx512FMALimit(n int)
func avx512BF16Limit(n int)
func avx512Int8Limit(n int)

//go:noescape
func avx2ReadLimit(p *byte, n int)

func avx2FMALimit(n int)
func avx2Int8Limit(n int)

// readPiece bounds one assembly call to well below a millisecond.
const readPiece = 1 << 20

func avx512Read(p []byte) {
	for len(p) >= 512 {
		n := min(len(p)&^511, readPiece)
		avx512ReadLimit(&p[0], n)
		p = p[n:]
	}
}

func avx2Read(p []byte) {
	for len(p) >= 512 {
		n := min(len(p)&^511, readPiece)
		avx2ReadLimit(&p[0], n)
		p = p[n:]
	}
}

func avx512Limits() Limits {
	l := Limits{Read: avx512Read, F32FMA: avx512FMALimit, Int8Dot: avx512Int8Limit}
	l.Ops.F32 = 2 * 16 * limitChains
	l.Ops.Int8 = 2 * 64 * limitChains
	if cpufeat.HasAVX512BF16() {
		l.BF16Dot = avx512BF16Limit
		l.Ops.BF16 = 2 * 32 * limitChains
	}
	return l
}

func avx2Limits() Limits {
	l := Limits{Read: avx2Read, F32FMA: avx2FMALimit, Int8Dot: avx2Int8Limit}
	l.Ops.F32 = 2 * 8 * limitChains
	l.Ops.Int8 = 2 * 32 * limitChains
	return l
}
