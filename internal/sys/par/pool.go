// Package par runs the parts of one operation on a fixed set of workers, with
// no allocation and no queue: the caller publishes a task and its number of
// parts through one atomic word, every worker takes parts from it until none
// is left, and the caller, who works too, goes on when the last part is done.
//
// Parts depend on shapes only, never on the number of workers, so results are
// the same bits with any number of threads.
package par

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Task is an operation cut into parts. Part is called once for every part, on
// any worker; worker is in [0, Workers) and serves to index scratch memory.
type Task interface {
	Part(worker, part int)
}

// The published word: a sequence number, the number of parts, and the next
// part to take. Taking a part is one atomic addition; because the word carries
// all three, a worker that comes late and takes from a newer operation takes a
// valid part of that operation.
const (
	nextBits  = 21
	partsBits = 21
	nextMask  = 1<<nextBits - 1
	partsMask = 1<<partsBits - 1

	// MaxParts leaves room for every worker's last, unsuccessful take.
	MaxParts = 1<<nextBits - 1<<10
	// MaxWorkers bounds the number of unsuccessful takes between two tasks.
	MaxWorkers = 512
)

// spinFor is how long a worker looks for the next operation of a step before
// it parks: longer than the caller's work between two ops, short enough not to
// burn a core that others could use.
const spinFor = 20 * time.Microsecond

// Pool is a set of workers. One goroutine at a time may hold it, between Begin
// and End.
type Pool struct {
	workers int
	word    atomic.Uint64
	done    atomic.Int64
	task    Task
	seq     uint64

	open   atomic.Bool  // between Begin and End
	parked atomic.Int32 // workers that sleep or are about to
	wake   chan struct{}
	quit   chan struct{}
	wg     sync.WaitGroup

	turn sync.Mutex // held from Begin to End

	errMu sync.Mutex
	err   error
}

// New starts a pool of n workers, the caller of Run included.
func New(n int) *Pool {
	if n < 1 || n > MaxWorkers {
		panic(fmt.Sprintf("par: %d workers; 1 to %d are possible", n, MaxWorkers))
	}
	p := &Pool{workers: n, wake: make(chan struct{}, n), quit: make(chan struct{})}
	p.parked.Store(int32(n - 1))
	for w := 1; w < n; w++ {
		p.wg.Add(1)
		go p.worker(w)
	}
	return p
}

// Workers returns the number of workers, the caller included.
func (p *Pool) Workers() int { return p.workers }

// Begin takes the pool for one step and wakes the workers. It waits for the
// step of another goroutine to end.
func (p *Pool) Begin() {
	p.turn.Lock()
	p.err = nil
	p.open.Store(true)
	p.wakeParked()
}

// End lets the workers park and returns the first fault of the step.
func (p *Pool) End() error {
	p.open.Store(false)
	err := p.err
	p.turn.Unlock()
	return err
}

// Run does all parts of t and returns when the last one is done. It is called
// between Begin and End, by the goroutine that called Begin.
func (p *Pool) Run(t Task, parts int) {
	if parts <= 0 {
		return
	}
	if parts > MaxParts {
		panic(fmt.Sprintf("par: %d parts; at most %d are possible", parts, MaxParts))
	}
	if p.workers == 1 || parts == 1 {
		p.alone(t, parts)
		return
	}
	p.task = t
	p.done.Store(0)
	p.seq++
	p.word.Store(p.seq<<(nextBits+partsBits) | uint64(parts)<<nextBits)
	if p.parked.Load() > 0 {
		p.wakeParked()
	}
	p.take(0)
	for n := 0; p.done.Load() != int64(parts); n++ {
		if n > 1<<14 { // a worker lost its core in the middle of a part
			runtime.Gosched()
		}
	}
}

// alone runs all parts on the caller.
func (p *Pool) alone(t Task, parts int) {
	for next := 0; next < parts; {
		next = p.aloneFrom(t, next, parts)
	}
}

func (p *Pool) aloneFrom(t Task, from, parts int) (next int) {
	next = from
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer p.catch()
	for next < parts {
		next++
		t.Part(0, next-1)
	}
	return next
}

// take does parts of the published task until none is left.
func (p *Pool) take(worker int) {
	for p.takeSome(worker) {
	}
}

// takeSome reports whether it was ended by a fault and has to be called again.
func (p *Pool) takeSome(worker int) (again bool) {
	again = true
	inPart := false
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if inPart {
			p.done.Add(1)
		}
	}()
	defer p.catch()
	for {
		w := p.word.Load()
		if w&nextMask >= w>>nextBits&partsMask {
			return false
		}
		w = p.word.Add(1) - 1
		part, parts := w&nextMask, w>>nextBits&partsMask
		if part >= parts {
			return false
		}
		// The task cannot change before this part is done.
		t := p.task
		inPart = true
		t.Part(worker, int(part))
		inPart = false
		p.done.Add(1)
	}
}

// catch turns a memory fault (a mapped file that was truncated, a bad disk)
// into the step's error. Any other panic is a programmer's mistake and goes on.
func (p *Pool) catch() {
	r := recover()
	if r == nil {
		return
	}
	f, ok := r.(interface {
		error
		Addr() uintptr
	})
	if !ok {
		panic(r)
	}
	p.errMu.Lock()
	defer p.errMu.Unlock()
	if p.err == nil {
		p.err = &Fault{Address: f.Addr(), Err: f}
	}
}

// Fault is a memory fault in a part: most often a mapped file that became
// shorter, or a disk that failed, while it was read.
type Fault struct {
	Address uintptr
	Err     error
}

func (f *Fault) Error() string {
	return fmt.Sprintf("par: memory fault at %#x while computing", f.Address)
}

func (f *Fault) Unwrap() error { return f.Err }

// worker is the life of one worker.
func (p *Pool) worker(w int) {
	defer p.wg.Done()
	for {
		select {
		case <-p.wake:
		case <-p.quit:
			return
		}
		p.spin(w)
	}
}

// spin works while there is work and returns after spinFor without any. The
// worker counts as awake from the moment its waker took it off the count.
func (p *Pool) spin(w int) {
	for {
		idle := time.Now()
		for n := 0; ; n++ {
			word := p.word.Load()
			if word&nextMask < word>>nextBits&partsMask {
				p.take(w)
				idle = time.Now()
				n = 0
				continue
			}
			if n&63 == 63 && (!p.open.Load() || time.Since(idle) > spinFor) {
				break
			}
		}
		p.parked.Add(1)
		// A task published between the last look and the count above may have
		// seen no parked worker: look once more before sleeping.
		word := p.word.Load()
		if word&nextMask >= word>>nextBits&partsMask {
			return
		}
		if !p.unpark() {
			return // a waker has counted this worker off and its token waits
		}
	}
}

// unpark takes one worker off the parked count.
func (p *Pool) unpark() bool {
	for {
		n := p.parked.Load()
		if n == 0 {
			return false
		}
		if p.parked.CompareAndSwap(n, n-1) {
			return true
		}
	}
}

// wakeParked wakes every parked worker.
func (p *Pool) wakeParked() {
	for p.unpark() {
		p.wake <- struct{}{}
	}
}

// Close ends the workers. The pool must not be in a step.
func (p *Pool) Close() {
	p.turn.Lock()
	defer p.turn.Unlock()
	close(p.quit)
	p.wg.Wait()
}
