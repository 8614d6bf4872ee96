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
