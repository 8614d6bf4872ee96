package kernel

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cria-llm/cria/internal/tensor"
)

// quantBench is a matrix beyond the caches, packed for a set, in huge pages
// where there are any.
type quantBench struct {
	s       *Set
	dt      tensor.DType
	k, n    int // columns, panels
	panels  []byte
	panel   int // bytes of one
	act     *Act
	y       []float32
	threads int
}

// benchCols is how many activation rows a benchmark's matrix product has.
const benchCols = 256

var benchBuffer []byte

func newQuantBench(b *testing.B, s *Set, dt tensor.DType, k, size, threads int) *quantBench {
	r := newRand(1)
	q := &quantBench{s: s, dt: dt, k: k, panel: s.PanelRows * dt.RowBytes(k), threads: threads}
	q.n = size / q.panel / 16 * 16
	if benchBuffer == nil {
		benchBuffer = hugeBytes(b, 512<<20)
	}
	q.panels = benchBuffer[:q.n*q.panel]
	src := fills[0].matrix(r, dt, 16*s.PanelRows, k)
	s.Quant[dt].Pack(q.panels, src, 16*s.PanelRows, k)
	for at := 16 * q.panel; at < len(q.panels); at += 16 * q.panel {
		copy(q.panels[at:], q.panels[:16*q.panel])
	}
	q.act = fills[0].acts(b, r, dt, benchCols, k)
	q.y = make([]float32, benchCols*q.n*s.PanelRows)
	return q
}

// split runs f on every thread's share of the panels, in calls of about 128 KiB.
func (q *quantBench) split(f func(first, n int)) {
	var wg sync.WaitGroup
	step := max(1, 128<<10/q.panel)
	for t := range q.threads {
		wg.Add(1)
		go func() {
			defer wg.Done()
			lo, hi := q.n*t/q.threads, q.n*(t+1)/q.threads
			for ; lo < hi; lo += step {
				f(lo, min(step, hi-lo))
			}
		}()
	}
	wg.Wait()
}

func (q *quantBench) bytes(first, n int) []byte {
	return q.panels[first*q.panel : (first+n)*q.panel]
}

// small multiplies n panels with cols columns the way a caller does.
func (q *quantBench) small(first, n, cols int, u *Unpacked) {
	f, pr := q.s.Quant[q.dt], q.s.PanelRows
	y, ldy := q.y[first*pr:], q.n*pr
	switch {
	case cols == 1 && f.Vec != nil:
		f.Vec(y, q.bytes(first, n), n, q.act, 0)
	case f.Small != nil && cols <= f.MaxSmall:
		f.Small(y, ldy, q.bytes(first, n), n, q.act, 0, cols)
	default:
		for i := range n {
			f.Unpack(u, q.bytes(first+i, 1), q.k)
			f.Mat(y[i*pr:], ldy, u, q.act, 0, cols)
		}
	}
}

// BenchmarkQuantVec reads a matrix of 256 MiB for 1 to 8 columns. It takes
// turns with the read limit, whose drift it shares, and reports the median of
// the ratios.
func BenchmarkQuantVec(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Set) {
		for _, dt := range quantDTypes() {
			for _, threads := range []int{1, 2} {
				for _, cols := range []int{1, 2, 4, 8} {
					b.Run(fmt.Sprintf("%s/threads=%d/cols=%d", dt, threads, cols), func(b *testing.B) {
						q := newQuantBench(b, s, dt, 4096, 256<<20, threads)
						var read, work []float64
						for b.Loop() {
							t0 := time.Now()
							q.split(func(first, n int) { s.Limits.Read(q.bytes(first, n)) })
							t1 := time.Now()
							q.split(func(first, n int) {
								var u *Unpacked
								if s.Quant[dt].Vec == nil {
									u = scratchOf(first, q)
								}
								q.small(first, n, cols, u)
							})
							read = append(read, t1.Sub(t0).Seconds())
							work = append(work, time.Since(t1).Seconds())
						}
						size := float64(len(q.panels))
						b.ReportMetric(size/median(work)/1e9, "GB/s")
						b.ReportMetric(size/median(read)/1e9, "readlimit-GB/s")
						b.ReportMetric(median(read)/median(work), "of-limit")
						b.ReportMetric(0, "ns/op")
					})
				}
			}
		}
	})
}

// BenchmarkQuantMat multiplies panels, unpacking included, with a micro-batch.
func BenchmarkQuantMat(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Set) {
		for _, dt := range quantDTypes() {
			for _, cols := range []int{12, benchCols} {
				b.Run(fmt.Sprintf("%s/cols=%d", dt, cols), func(b *testing.B) {
					q := newQuantBench(b, s, dt, 4096, 8<<20, 1)
					f, pr := s.Quant[dt], s.PanelRows
					var u Unpacked
					var peak, work, unpack []float64
					at := 0
					for b.Loop() {
						t0 := time.Now()
						s.Limits.Int8Dot(1 << 14)
						t1 := time.Now()
						f.Unpack(&u, q.bytes(at, 1), q.k)
						t2 := time.Now()
						f.Mat(q.y, pr, &u, q.act, 0, cols)
						peak = append(peak, t1.Sub(t0).Seconds())
						unpack = append(unpack, t2.Sub(t1).Seconds())
						work = append(work, time.Since(t1).Seconds())
						at = (at + 1) % q.n
					}
					rate := 2 * float64(pr*cols*q.k) / median(work) / 1e9
					limit := float64(s.Limits.Ops.Int8<<14) / median(peak) / 1e9
					b.ReportMetric(rate, "GOP/s")
					b.ReportMetric(limit, "peak-GOP/s")
					b.ReportMetric(rate/limit, "of-peak")
					b.ReportMetric(1e6*median(unpack), "unpack-us")
					b.ReportMetric(0, "ns/op")
				})
			}
		}
	})
}

// BenchmarkQuantPack packs 128 MiB on one thread.
func BenchmarkQuantPack(b *testing.B) {
	eachBench(b, func(b *testing.B, s *Set) {
		for _, dt := range quantDTypes() {
			b.Run(dt.String(), func(b *testing.B) {
				const k = 4096
				rows := 128 << 20 / dt.RowBytes(k) / 16 * 16
				if benchBuffer == nil {
					benchBuffer = hugeBytes(b, 512<<20)
				}
				src := benchBuffer[:rows*dt.RowBytes(k)]
				dst := benchBuffer[256<<20:][:len(src)]
				for b.Loop() {
					s.Quant[dt].Pack(dst, src, rows, k)
				}
				rate(b, float64(len(src)), "GB/s")
			})
		}
	})
}

var benchScratch [2]Unpacked

func scratchOf(first int, q *quantBench) *Unpacked {
	return &benchScratch[min(first*q.threads/q.n, 1)]
}

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	return s[len(s)/2]
}
