package kernel

import (
	"os"
	"syscall"
	"testing"
	"unsafe"
)

// guarded returns zeroed memory for n elements that ends where a page without
// access begins: a kernel that reads or writes beyond it faults.
func guarded[T any](t testing.TB, n int) []T {
	t.Helper()
	page := os.Getpagesize()
	var zero T
	size := n * int(unsafe.Sizeof(zero))
	used := (size + page - 1) / page * page
	m, err := syscall.Mmap(-1, 0, used+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mprotect(m[used:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(m); err != nil {
			t.Error(err)
		}
	})
	return unsafe.Slice((*T)(unsafe.Pointer(&m[used-size])), n)
}

// hugeBytes returns zeroed memory in huge pages, touched once.
func hugeBytes(t testing.TB, n int) []byte {
	const huge = 2 << 20
	m, err := syscall.Mmap(-1, 0, n+huge, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Madvise(m, syscall.MADV_HUGEPAGE); err != nil {
		t.Log("no huge pages:", err)
	}
	m = m[-uintptr(unsafe.Pointer(&m[0]))&(huge-1):][:n]
	for i := 0; i < n; i += 4096 {
		m[i] = 1
	}
	return m
}
