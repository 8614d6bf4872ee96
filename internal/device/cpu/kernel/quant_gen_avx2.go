package kernel

// The AVX2 kernels of the block-quantised types are generated.

//go:generate go run -C _asm ./quant2 -part dispatch -out ../quant_dispatch_avx2_amd64.go
//go:generate go run -C _asm ./quant2 -part mat -out ../quant_mat_avx2_amd64.s
//go:generate go run -C _asm ./quant2 -part unpack -out ../quant_unpack_avx2_amd64.s
//go:generate go run -C _asm ./quant2 -part pack -out ../quant_pack_avx2_amd64.s
//go:generate go run -C _asm ./quant2 -part vec -out ../quant_vec_avx2_amd64.s
//go:generate go run -C _asm ./quant2 -part Q4_0 -out ../quant_q4_0_avx2_amd64.s
//go:generate go run -C _asm ./quant2 -part Q8_0 -out ../quant_q8_0_avx2_amd64.s
//go:generate go run -C _asm ./quant2 -part Q4_K -out ../quant_q4_k_avx2_amd64.s
//go:generate go run -C _asm ./quant2 -part Q6_K -out ../quant_q6_k_avx2_amd64.s
