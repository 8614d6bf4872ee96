package kernel

// The kernels of products in training are generated; the AVX-512 set takes the
// AVX2 packers.

//go:generate go run -C _asm ./gemm -part dispatch -out ../gemm_dispatch_amd64.go
//go:generate go run -C _asm ./gemm -part tile2 -out ../gemm_avx2_amd64.s
//go:generate go run -C _asm ./gemm -part tile512 -out ../gemm_avx512_amd64.s
//go:generate go run -C _asm ./gemm -part pack2 -out ../gemm_pack_avx2_amd64.s
//go:generate go run -C _asm ./gemm -part pairs2 -out ../gemm_pairs_avx2_amd64.s
//go:generate go run -C _asm ./neon -part gemm -out ../gemm_neon_arm64.s
