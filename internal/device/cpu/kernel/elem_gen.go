package kernel

// The AVX2 kernels of activations and of the KV cache are generated; the
// AVX-512 set uses them too.

//go:generate go run -C _asm ./elem2 -part dispatch -out ../attn_dispatch_avx2_amd64.go
//go:generate go run -C _asm ./elem2 -part vec -out ../vec_avx2_amd64.s
//go:generate go run -C _asm ./elem2 -part act -out ../act_avx2_amd64.s
//go:generate go run -C _asm ./elem2 -part attn -out ../attn_avx2_amd64.s
