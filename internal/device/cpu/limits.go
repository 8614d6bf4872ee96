package cpu

import (
	"time"
)

// Compute is a kind of arithmetic whose peak can be measured.
type Compute uint8

// The three kinds of multiply-add that kernels are made of.
const (
	ComputeF32  Compute = iota // f32 fused multiply-add
	ComputeBF16                // bf16 dot product with f32 sums
	ComputeInt8                // int8 dot product with int32 sums
)

// readPart is how much of the buffer one part streams: well under a
// millisecond of work, so that the collector never waits long for a part.
const readPart = 2 << 20

// computePart is the length of one part of a compute measurement.
const computePart = 500 * time.Microsecond

// limitTask is one measuring op: it streams a buffer, or runs chains.
type limitTask struct {
	read func([]byte)
	buf  []byte
	run  func(int)
	n    int
}

func (t *limitTask) Part(_, part int) {
	if t.run != nil {
		t.run(t.n)
		return
	}
	lo := part * readPart
	t.read(t.buf[lo:min(lo+readPart, len(t.buf))])
}

// MeasureRead streams buf with the widest loads of the kernel set, again and
// again for at least the given time, on all workers or on the caller alone,
// and returns bytes per second. buf should be far larger than the caches, and
// written to before. ok is false where the set cannot measure this.
func (d *Device) MeasureRead(buf []byte, atLeast time.Duration, alone bool) (perSecond float64, ok bool) {
	if d.set.Limits.Read == nil || len(buf) == 0 {
		return 0, false
	}
	t := &limitTask{read: d.set.Limits.Read, buf: buf}
	parts := (len(buf) + readPart - 1) / readPart
	n, elapsed := d.repeat(t, parts, atLeast, alone)
	return float64(n) * float64(len(buf)) / elapsed.Seconds(), true
}

// MeasureCompute runs independent chains of one kind of multiply-add on all
// workers for at least the given time and returns operations per second, two
// per multiply-add. ok is false where the kernel set has no such instruction.
func (d *Device) MeasureCompute(kind Compute, atLeast time.Duration) (perSecond float64, ok bool) {
	l := &d.set.Limits
	run, ops := l.F32FMA, l.Ops.F32
	switch kind {
	case ComputeBF16:
		run, ops = l.BF16Dot, l.Ops.BF16
	case ComputeInt8:
		run, ops = l.Int8Dot, l.Ops.Int8
	}
	if run == nil {
		return 0, false
	}
	t := &limitTask{run: run, n: calibrate(run)}
	// Enough parts for the workers to share evenly, whenever each wakes up.
	parts := 32 * d.Workers()
	n, elapsed := d.repeat(t, parts, atLeast, false)
	return float64(n) * float64(parts) * float64(t.n) * float64(ops) / elapsed.Seconds(), true
}

// repeat runs a task until the time is over and returns how often it ran.
func (d *Device) repeat(t *limitTask, parts int, atLeast time.Duration, alone bool) (n int, elapsed time.Duration) {
	d.pool.Begin()
	defer d.pool.End() // only mapped files fault; this memory is the process's own
	for start := time.Now(); elapsed < atLeast || n == 0; n++ {
		if alone {
			for p := range parts {
				t.Part(0, p)
			}
		} else {
			d.pool.Run(t, parts)
		}
		elapsed = time.Since(start)
	}
	return n, elapsed
}

// calibrate finds the n for which run(n) lasts about computePart.
func calibrate(run func(int)) int {
	n := 64
	for {
		start := time.Now()
		run(n)
		if d := time.Since(start); d > computePart/4 {
			return max(1, int(float64(n)*float64(computePart)/float64(d)))
		}
		n *= 2
	}
}
