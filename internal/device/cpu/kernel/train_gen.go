package kernel

// The kernels of training are generated; the AVX-512 set uses those of AVX2.

//go:generate go run -C _asm ./elem2 -part train -out ../train_avx2_amd64.s
//go:generate go run -C _asm ./neon -part train -out ../train_neon_arm64.s
