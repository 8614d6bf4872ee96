//go:build amd64 && !purego

package kernel

import "unsafe"

//go:noescape
func avx2WidenF16(dst *float32, src unsafe.Pointer, n int)

//go:noescape
func avx2WidenBF16(dst *float32, src unsafe.Pointer, n int)
