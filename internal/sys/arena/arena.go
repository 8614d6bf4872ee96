// Package arena gives memory outside Go's heap: large, zeroed, aligned to huge
// pages where the system has them, and given back at once when freed. Weights,
// caches and activations live there, so that the collector neither scans nor
// counts them.
package arena

import (
	"fmt"
	"unsafe"
)

// HugePage is the alignment of every arena that is at least this large.
const HugePage = 2 << 20

// Arena is one piece of anonymous memory. Its bytes are zero at first and are
// only backed by physical memory once touched.
type Arena struct {
	buf []byte // what the caller sees
	raw []byte // what was mapped
}

// New maps n bytes. n == 0 gives an empty arena.
func New(n int) (*Arena, error) {
	if n < 0 {
		panic(fmt.Sprintf("arena: negative size %d", n))
	}
	if n == 0 {
		return &Arena{}, nil
	}
	extra := 0
	if n >= HugePage {
		extra = HugePage
	}
	raw, err := mapAnon(n + extra)
	if err != nil {
		return nil, fmt.Errorf("arena: cannot get %d bytes of memory: %w; close other programs or use a smaller model or context", n, err)
	}
	off := 0
	if extra > 0 {
		if r := int(uintptr(unsafe.Pointer(&raw[0])) % HugePage); r != 0 {
			off = HugePage - r
		}
	}
	a := &Arena{buf: raw[off : off+n : off+n], raw: raw}
	if extra > 0 {
		adviseHuge(a.buf)
	}
	return a, nil
}

// Bytes returns the arena's memory. It must not be used after Free.
func (a *Arena) Bytes() []byte { return a.buf }

// Float32s returns the arena's memory as float32 values.
func (a *Arena) Float32s() []float32 {
	if len(a.buf) < 4 {
		return nil
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(&a.buf[0])), len(a.buf)/4)
}

// Free gives the memory back to the system. A second call does nothing.
func (a *Arena) Free() error {
	raw := a.raw
	a.raw, a.buf = nil, nil
	if raw == nil {
		return nil
	}
	return unmap(raw)
}
