//go:build !linux

package kernel

import "testing"

// guarded returns zeroed memory for n elements.
func guarded[T any](_ testing.TB, n int) []T { return make([]T, n) }

// hugeBytes returns zeroed memory.
func hugeBytes(_ testing.TB, n int) []byte { return make([]byte, n) }
