package par

import (
	"sync/atomic"
	"testing"
	"time"
)

type countTask struct {
	hits []atomic.Int32
	fn   func(worker, part int)
}

func (c *countTask) Part(worker, part int) {
	c.hits[part].Add(1)
	if c.fn != nil {
		c.fn(worker, part)
	}
}

func TestEveryPartOnce(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 8} {
		p := New(workers)
		for step := 0; step < 50; step++ {
			p.Begin()
			for parts := 0; parts < 70; parts += 1 + step%7 {
				task := &countTask{hits: make([]atomic.Int32, parts)}
				p.Run(task, parts)
				for i := range task.hits {
					if n := task.hits[i].Load(); n != 1 {
						t.Fatalf("%d workers, %d parts: part %d ran %d times", workers, parts, i, n)
					}
				}
			}
			if step%10 == 0 {
				time.Sleep(100 * time.Microsecond) // let workers park inside a step
				task := &countTask{hits: make([]atomic.Int32, 100)}
				p.Run(task, 100)
			}
			if err := p.End(); err != nil {
				t.Fatal(err)
			}
		}
		p.Close()
	}
}

// faultAt stands for the runtime's error of a memory fault.
type faultAt struct{}

func (faultAt) Error() string { return "fault" }
func (faultAt) Addr() uintptr { return 0x123 }

func TestFaultBecomesError(t *testing.T) {
	for _, workers := range []int{1, 3} {
		p := New(workers)
		p.Begin()
		task := &countTask{hits: make([]atomic.Int32, 40), fn: func(_, part int) {
			if part%13 == 5 {
				panic(faultAt{})
			}
		}}
		p.Run(task, 40)
		for i := range task.hits {
			if task.hits[i].Load() != 1 {
				t.Errorf("part %d ran %d times", i, task.hits[i].Load())
			}
		}
		err := p.End()
		if f, ok := err.(*Fault); !ok || f.Address != 0x123 {
			t.Fatalf("End gave %v", err)
		}
		p.Begin()
		if err := p.End(); err != nil {
			t.Fatalf("the next step still has %v", err)
		}
		p.Close()
	}
}

type sumTask struct {
	x   []int32
	sum [64]int64
}

func (s *sumTask) Part(_, part int) {
	var n int64
	for _, v := range s.x[part*1000 : part*1000+1000] {
		n += int64(v)
	}
	s.sum[part] = n
}

func TestRunAllocatesNothing(t *testing.T) {
	p := New(2)
	defer p.Close()
	task := &sumTask{x: make([]int32, 64000)}
	p.Begin()
	n := testing.AllocsPerRun(100, func() { p.Run(task, 64) })
	if err := p.End(); err != nil {
		t.Fatal(err)
	}
	if n != 0 {
		t.Errorf("%v allocations per Run", n)
	}
}

func BenchmarkRun(b *testing.B) {
	p := New(2)
	defer p.Close()
	task := &sumTask{x: make([]int32, 64000)}
	p.Begin()
	for b.Loop() {
		p.Run(task, 4)
	}
	if err := p.End(); err != nil {
		b.Fatal(err)
	}
}
