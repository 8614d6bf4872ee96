// Package cpu is the device that computes on the machine's own cores. It cuts
// every op of the contract into parts by shape, runs them on a worker pool and
// leaves the arithmetic to package kernel.
package cpu

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/sys/arena"
	"github.com/cria-llm/cria/internal/sys/meminfo"
	"github.com/cria-llm/cria/internal/sys/mmap"
	"github.com/cria-llm/cria/internal/sys/par"
)

// MaxRows is the micro-batch: a product with more activation rows is done in
// pieces of this many, so that the quantised activations of a piece stay near
// the core (DESIGN: micro-batch 256 in prefill).
const MaxRows = device.MicroBatch

// Options choose how the device computes. The zero value means the best
// kernels of this machine and all cores that the process may use.
type Options struct {
	Workers int    // 0: par.DefaultWorkers
	Kernels string // "" : CRIA_CPU, else the fastest set
	// Stream leaves block-quantised matrices in their mapped file and packs each
	// panel as it is used: slower, the same bits, and the only way to run a model
	// that is larger than memory.
	Stream bool
}

// Device implements device.Device on the CPU.
type Device struct {
	pool *par.Pool
	set  *kernel.Set

	stream bool

	mu     sync.Mutex // guards the arena list
	arenas map[*arena.Arena]struct{}

	act32, act256 kernel.Act           // quantised activations of the current product
	actMem        map[int]*arena.Arena // their memory, by elements of a block
	scratch       []workerScratch

	// Reused descriptions of the running op, so that no op allocates.
	mm      matMulTask
	quant   quantTask
	rows    rowTask
	attn    attnTask
	storeKV storeTask
	gemms   gemmTask

	// The same of training, and scratch that its ops share.
	elems     elemTask
	grads     gradTask
	widenRows widenTask
	self      selfTask
	heads     headTask
	wide      buffer // rows of a read-only matrix
	gains     buffer // gradients of a gain by parts
	logits    buffer
	hidden    buffer // rows of hidden states that do not follow each other, and their gradients
}

var _ device.Trainer = (*Device)(nil)

// workerScratch is one worker's private memory.
type workerScratch struct {
	unpacked kernel.Unpacked
	packed   []byte    // one panel of a matrix that stays mapped
	column   []float32 // one panel's outputs, for a matrix's ragged end
	attn     kernel.AttnState
	q        []float32 // queries of one attention piece
	lo, hi   []int32
	gemm     gemmScratch

	// Of training: scores and their gradients of one block of queries, and the
	// state of each of its softmaxes.
	scores, dscores []float32
	largest, total  []float32

	_ [64]byte // keep workers' headers on different cache lines
}

// New makes a CPU device and starts its workers.
func New(opt Options) (*Device, error) {
	var set *kernel.Set
	var err error
	if opt.Kernels != "" {
		set, err = kernel.Choose(opt.Kernels)
	} else {
		set, err = kernel.Default()
	}
	if err != nil {
		return nil, err
	}
	n := opt.Workers
	if n == 0 {
		n = par.DefaultWorkers()
	}
	if n < 1 || n > par.MaxWorkers {
		return nil, fmt.Errorf("cpu: %d threads asked for; 1 to %d are possible", n, par.MaxWorkers)
	}
	// One more than the workers, so that the collector and whoever else has work
	// find a place while they compute (DESIGN, Memory and threads).
	if runtime.GOMAXPROCS(0) < n+1 {
		runtime.GOMAXPROCS(n + 1)
	}
	d := &Device{
		pool:    par.New(n),
		set:     set,
		stream:  opt.Stream,
		arenas:  map[*arena.Arena]struct{}{},
		actMem:  map[int]*arena.Arena{},
		scratch: make([]workerScratch, n),
	}
	d.mm.d, d.quant.d, d.rows.d, d.attn.d, d.storeKV.d = d, d, d, d, d
	return d, nil
}

// memoryReserve is what a model must leave of the memory that is free, where half
// of that is not less: for activations, the beginning of a cache, and the rest of
// the system.
const memoryReserve = 512 << 20

// Fits says whether weights of so many bytes find a place in memory now. Where
// block-quantised ones do not, Options.Stream is needed.
func Fits(bytes int64) bool { return fits(bytes, int64(meminfo.Read().Available)) }

// fits is Fits with so much memory available, 0 being unknown.
func fits(bytes, available int64) bool {
	return available == 0 || bytes <= available-min(memoryReserve, available/2)
}

// Name returns the kernel set's name and the number of workers.
func (d *Device) Name() string {
	return fmt.Sprintf("cpu/%s, %d threads", d.set.Name, d.pool.Workers())
}

// Kernels returns the kernel set in use.
func (d *Device) Kernels() *kernel.Set { return d.set }

// Workers returns the number of workers, the caller included.
func (d *Device) Workers() int { return d.pool.Workers() }

// Begin starts a step, waiting for the step of another goroutine to end.
func (d *Device) Begin() { d.pool.Begin() }

// End ends the step and returns its first fault, with the name of the mapped
// file that could not be read.
func (d *Device) End() error {
	err := d.pool.End()
	if fault, ok := errors.AsType[*par.Fault](err); ok {
		if named := mmap.FaultAt(fault.Address); named != nil {
			return fmt.Errorf("cpu: %w", named)
		}
	}
	return err
}

// Close stops the workers and frees all memory of the device; every handle
// becomes invalid.
func (d *Device) Close() error {
	d.pool.Close()
	d.mu.Lock()
	defer d.mu.Unlock()
	var first error
	for a := range d.arenas {
		if err := a.Free(); err != nil && first == nil {
			first = err
		}
	}
	d.arenas = nil
	return first
}

// newArena gets memory that Close frees.
func (d *Device) newArena(n int) (*arena.Arena, error) {
	a, err := arena.New(n)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.arenas[a] = struct{}{}
	return a, nil
}

func (d *Device) freeArena(a *arena.Arena) {
	d.mu.Lock()
	delete(d.arenas, a)
	d.mu.Unlock()
	if err := a.Free(); err != nil {
		panic(fmt.Sprintf("cpu: unmapping memory of our own failed: %v", err))
	}
}

// memory is the device's Memory.
type memory struct {
	a *arena.Arena
	f []float32
}

func (m *memory) Bytes() int { return len(m.f) * 4 }

// Tensor allocates a zeroed (rows, cols) tensor.
func (d *Device) Tensor(rows, cols int) (device.Tensor, error) {
	if rows < 0 || cols < 0 {
		panic(fmt.Sprintf("cpu: tensor of shape (%d, %d)", rows, cols))
	}
	a, err := d.newArena(rows * cols * 4)
	if err != nil {
		return device.Tensor{}, err
	}
	return device.Tensor{Mem: &memory{a, a.Float32s()}, Rows: rows, Cols: cols}, nil
}

// Free gives a tensor made by Tensor back.
func (d *Device) Free(t device.Tensor) { d.freeArena(t.Mem.(*memory).a) }

// data returns a tensor's elements.
func data(t device.Tensor) []float32 {
	n := t.Rows * t.Cols
	return t.Mem.(*memory).f[t.Off : t.Off+n : t.Off+n]
}

// Upload copies host values to a tensor of the same size.
func (d *Device) Upload(dst device.Tensor, src []float32) {
	mustLen("Upload", len(src), dst)
	copy(data(dst), src)
}

// Download copies a tensor's values to the host.
func (d *Device) Download(dst []float32, src device.Tensor) {
	mustLen("Download", len(dst), src)
	copy(dst, data(src))
}

func mustLen(op string, n int, t device.Tensor) {
	if n != t.Rows*t.Cols {
		panic(fmt.Sprintf("cpu: %s of %d values and a (%d, %d) tensor", op, n, t.Rows, t.Cols))
	}
}

// growActs makes room for MaxRows activations of k columns, so that products
// allocate nothing. Like all loading it is for one goroutine at a time.
func (d *Device) growActs(k int, block int) error {
	a := &d.act32
	sums, scales := k/32, k/32
	if block == 256 {
		a = &d.act256
		sums, scales = k/16, k/256
	}
	if cap(a.Q) >= MaxRows*k && cap(a.D) >= MaxRows*scales && cap(a.Sum) >= MaxRows*sums {
		return nil
	}
	// One arena for all three, so that the one it replaces can go.
	q, f := MaxRows*k+64, MaxRows*scales*4+64
	mem, err := d.newArena(q + f + MaxRows*sums*4 + 64)
	if err != nil {
		return err
	}
	if old := d.actMem[block]; old != nil {
		d.freeArena(old)
	}
	d.actMem[block] = mem
	b := mem.Bytes()
	a.Q = unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b))), q)
	a.D = unsafe.Slice((*float32)(unsafe.Pointer(&b[q])), f/4)
	a.Sum = unsafe.Slice((*int32)(unsafe.Pointer(&b[q+f])), (len(b)-q-f)/4)
	return nil
}
