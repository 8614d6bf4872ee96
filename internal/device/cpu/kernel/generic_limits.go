package kernel

import (
	"encoding/binary"
	"runtime"
)

// genericLimits measures what plain Go reaches: scalar loops, for comparison
// only.
func genericLimits() Limits {
	l := Limits{Read: genericRead, F32FMA: genericFMA}
	l.Ops.F32 = 2 * limitChains
	return l
}

// limitChains is the number of independent chains in every compute limit:
// more than latency times throughput of the instructions measured.
const limitChains = 12

func genericRead(p []byte) {
	var s uint64
	for ; len(p) >= 8; p = p[8:] {
		s ^= binary.LittleEndian.Uint64(p)
	}
	runtime.KeepAlive(s) // or the loop would be removed
}

func genericFMA(n int) {
	var a [limitChains]float32
	for range n {
		for i := range a {
			a[i] = float32(a[i]*0.5) + 1
		}
	}
	runtime.KeepAlive(a)
}
