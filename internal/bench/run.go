package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/sys/arena"
	"github.com/cria-llm/cria/internal/sys/meminfo"
	"github.com/cria-llm/cria/internal/tensor"
)

const (
	readBuffer  = 1 << 30                // bytes streamed for the read limit
	readRound   = 200 * time.Millisecond // of the read limit per round
	decodeRound = 400 * time.Millisecond // of decoding per round
	limitTime   = 300 * time.Millisecond // of one compute limit
	maxSpread   = 0.1                    // of the quartiles of a steady run
	maxRuns     = 3                      // until a run is steady
	maxFraction = 1.05                   // above it something other than memory was read
	cacheFactor = 4                      // bytes per token below this many last-level caches are in cache
)

// Progress is told what is being measured.
type Progress func(stage string, done, total int)

// Runner measures one model on one device.
type Runner struct {
	Device   *cpu.Device
	Model    *llama.Model
	Cache    tensor.DType
	Matrices tensor.DType // the type that most of the model's matrix elements have
	Config   Config
	Progress Progress // may be nil

	cost   Cost
	buf    *arena.Arena
	kv     device.KV
	pages  []int32
	logits []float32
	ids    []int32 // random tokens, as many as the longest sequence
	pos    int     // where decoding stands
}

// Run measures prefill, decode and the machine. It leaves LoadS to the caller,
// who loaded the model.
func (r *Runner) Run(ctx context.Context) (res Result, err error) {
	if err := r.Config.Validate(r.Model.Context); err != nil {
		return res, err
	}
	if err := r.prepare(); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, r.kv.Close()) }()
	if res.Prefill, err = r.prefill(ctx, &res.Machine); err != nil {
		return res, err
	}
	res.PeakRSSBytes = meminfo.PeakRSS()
	if r.buf, err = newReadBuffer(); err != nil {
		return res, err
	}
	defer func() { err = errors.Join(err, r.buf.Free()) }()
	res.Decode, err = r.decode(ctx, &res.Machine)
	return res, err
}

func (r *Runner) prepare() error {
	m := r.Model
	longest := max(r.Config.Prompt, r.Config.Tokens)
	pages := (longest + device.PageTokens - 1) / device.PageTokens
	var err error
	if r.kv, err = m.NewKV(pages, r.Cache); err != nil {
		return err
	}
	r.cost = CostOf(&m.Config, m.WeightBytes(), r.Cache)
	r.pages = make([]int32, pages)
	for i := range r.pages {
		r.pages[i] = int32(i)
	}
	r.logits = make([]float32, m.Config.VocabSize)
	rng := rand.New(rand.NewPCG(1, 2)) // which tokens does not matter; the same ones each time
	r.ids = make([]int32, longest)
	for i := range r.ids {
		r.ids[i] = int32(rng.IntN(m.Config.VocabSize))
	}
	return nil
}

// roomToRead refuses to take the read limit's memory from a machine that has
// not got it: it would swap, or end the process.
func roomToRead(m meminfo.Memory) error {
	if m.Available != 0 && m.Available < readBuffer+readBuffer/8 {
		return fmt.Errorf("bench: the read limit is measured on %d MiB of memory, and %d MiB are available; close other programs (`cria doctor --quick` measures nothing)",
			readBuffer>>20, m.Available>>20)
	}
	return nil
}

// newReadBuffer maps the memory of the read limit and touches every page: pages
// never written to would all be one page of zeros.
func newReadBuffer() (*arena.Arena, error) {
	if err := roomToRead(meminfo.Read()); err != nil {
		return nil, err
	}
	buf, err := arena.New(readBuffer)
	if err != nil {
		return nil, err
	}
	b := buf.Bytes()
	for i := 0; i < len(b); i += 64 {
		b[i] = byte(i >> 6)
	}
	return buf, nil
}

func (r *Runner) tell(stage string, done, total int) {
	if r.Progress != nil {
		r.Progress(stage, done, total)
	}
}

// forward computes n tokens at positions pos and up, with the last one's logits.
func (r *Runner) forward(pos, n int) error {
	b := llama.Batch{
		Tokens:  r.ids[pos : pos+n],
		Spans:   []device.Span{{N: n, Pos: pos, Pages: r.pages}},
		Outputs: []int32{int32(n - 1)},
	}
	return r.Model.Forward(&b, r.kv, r.logits)
}

// computeLimits are one reading of the compute limits, in operations per second.
type computeLimits struct{ f32, bf16, int8 float64 }

func measureLimits(d *cpu.Device) computeLimits {
	var l computeLimits
	l.f32, _ = d.MeasureCompute(cpu.ComputeF32, limitTime)
	l.bf16, _ = d.MeasureCompute(cpu.ComputeBF16, limitTime)
	l.int8, _ = d.MeasureCompute(cpu.ComputeInt8, limitTime)
	return l
}

// binding picks the limit that prefill runs against: block-quantised matrices
// are multiplied in int8, all others in f32.
func (r *Runner) binding(l computeLimits) (name string, perSecond float64) {
	if r.Matrices.IsQuant() {
		return "int8", l.int8
	}
	return "f32", l.f32
}

// prefill measures prompts between two readings of the compute limits, and
// again where the two do not agree.
func (r *Runner) prefill(ctx context.Context, m *Machine) (Speed, error) {
	var s Speed
	for s.Runs = 1; ; s.Runs++ {
		r.tell("prefill", 0, r.Config.Repeats+1)
		before := measureLimits(r.Device)
		var seconds []float64
		for i := range r.Config.Repeats + 1 {
			if err := ctx.Err(); err != nil {
				return s, err
			}
			start := time.Now()
			if err := r.forward(0, r.Config.Prompt); err != nil {
				return s, err
			}
			if i > 0 { // the first one warms up
				seconds = append(seconds, time.Since(start).Seconds())
			}
			r.tell("prefill", i+1, r.Config.Repeats+1)
		}
		after := measureLimits(r.Device)
		m.F32GFLOPS = giga(before.f32, after.f32)
		m.BF16GFLOPS = giga(before.bf16, after.bf16)
		m.Int8GOPS = giga(before.int8, after.int8)

		took := median(seconds)
		s.TokensPerS = float64(r.Config.Prompt) / took
		var a, b float64
		s.Limit, a = r.binding(before)
		_, b = r.binding(after)
		switch {
		case a == 0:
			s.Reason = fmt.Sprintf("the kernels in use (%s) have no instruction to measure the %s limit with", r.Device.Kernels().Name, s.Limit)
			return s, nil
		case agree(a, b):
			f := float64(r.cost.PrefillFLOPs(r.Config.Prompt)) / took / ((a + b) / 2)
			s.Fraction = &f
			return s, nil
		case s.Runs == maxRuns:
			s.Reason = fmt.Sprintf("the %s limit moved from %.0f to %.0f G/s during the run, in %d runs: the machine is busy with something else", s.Limit, a/1e9, b/1e9, maxRuns)
			return s, nil
		}
	}
}

// giga returns the mean of two readings in units of 1e9, nil where there is none.
func giga(a, b float64) *float64 {
	if a == 0 || b == 0 {
		return nil
	}
	v := (a + b) / 2 / 1e9
	return &v
}

// decode takes turns between the read limit and decoding, and again where the
// rounds' quartiles are too far apart.
func (r *Runner) decode(ctx context.Context, m *Machine) (Speed, error) {
	var s Speed
	s.Limit = "read"
	if one, ok := r.Device.MeasureRead(r.buf.Bytes(), readRound, true); ok {
		v := one / 1e9
		m.ReadOneGBps = &v
	}
	m.LastLevelCache = r.Config.LLC
	rounds := max(MinRounds, 4*r.Config.Repeats)
	for s.Runs = 1; ; s.Runs++ {
		r.pos = 0
		if _, err := r.decodeFor(ctx, decodeRound); err != nil { // warms up
			return s, err
		}
		r.pos = 0
		tokens, seconds, done := 0, 0.0, 0
		readable := true
		t, err := takeTurns(rounds,
			func() (float64, error) {
				v, ok := r.Device.MeasureRead(r.buf.Bytes(), readRound, false)
				readable = readable && ok
				return v, ctx.Err()
			},
			func() (float64, error) {
				c, err := r.decodeFor(ctx, decodeRound)
				tokens += c.tokens
				seconds += c.seconds
				done++
				r.tell("decode", done, rounds)
				return float64(c.bytes) / c.seconds, err
			})
		if err != nil {
			return s, err
		}
		s.TokensPerS = float64(tokens) / seconds
		if !readable {
			s.Reason = fmt.Sprintf("the kernels in use (%s) cannot measure the read limit", r.Device.Kernels().Name)
			return s, nil
		}
		read := median(t.limits) / 1e9
		m.ReadGBps = &read
		if judge(&s, t.ratios, r.cost.WeightBytes, r.Config.LLC) {
			return s, nil
		}
	}
}

// judge turns the rounds' ratios into a fraction and says why there is none.
// It returns false where the run should be repeated.
func judge(s *Speed, ratios []float64, bytesPerToken, llc int) (done bool) {
	if bytesPerToken < cacheFactor*llc {
		s.Reason = fmt.Sprintf("in cache: a token reads %.1f MB, less than %d times the last-level cache of %.1f MB", float64(bytesPerToken)/1e6, cacheFactor, float64(llc)/1e6)
		return true
	}
	q1, mid, q3 := quartiles(ratios)
	s.Fraction, s.Quartiles, s.Reason = &mid, &[2]float64{q1, q3}, ""
	if q3-q1 > maxSpread {
		s.Reason = fmt.Sprintf("not steady: the quartiles are more than %.1f apart after %d runs; the machine is busy with something else", maxSpread, s.Runs)
		return s.Runs == maxRuns
	}
	if mid > maxFraction {
		s.Reason = "above the read limit: part of the weights comes from a cache larger than this system reports"
	}
	return true
}

// decoded is what one stretch of decoding did.
type decoded struct {
	tokens, bytes int
	seconds       float64
}

// decodeFor decodes for at least d, from where the last call stopped; after
// Config.Tokens tokens the sequence starts anew.
func (r *Runner) decodeFor(ctx context.Context, d time.Duration) (decoded, error) {
	var c decoded
	for start := time.Now(); c.seconds < d.Seconds(); c.seconds = time.Since(start).Seconds() {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		if err := r.forward(r.pos, 1); err != nil {
			return c, err
		}
		c.tokens++
		c.bytes += r.cost.DecodeBytes(r.pos)
		if r.pos++; r.pos == r.Config.Tokens {
			r.pos = 0
		}
	}
	return c, nil
}

// MeasureMachine reads the machine's limits alone, for `cria doctor`.
func MeasureMachine(d *cpu.Device) (m Machine, err error) {
	buf, err := newReadBuffer()
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, buf.Free()) }()
	gauge := func(v float64, ok bool) *float64 {
		if !ok {
			return nil
		}
		v /= 1e9
		return &v
	}
	m.ReadGBps = gauge(d.MeasureRead(buf.Bytes(), 2*readRound, false))
	m.ReadOneGBps = gauge(d.MeasureRead(buf.Bytes(), 2*readRound, true))
	m.F32GFLOPS = gauge(d.MeasureCompute(cpu.ComputeF32, limitTime))
	m.BF16GFLOPS = gauge(d.MeasureCompute(cpu.ComputeBF16, limitTime))
	m.Int8GOPS = gauge(d.MeasureCompute(cpu.ComputeInt8, limitTime))
	return m, nil
}
