package kernel

// The AVX2 kernels of training are generated; the AVX-512 set uses them too.

//go:generate go run -C _asm ./elem2 -part train -out ../train_avx2_amd64.s
