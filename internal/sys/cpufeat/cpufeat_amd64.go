package cpufeat

import "golang.org/x/sys/cpu"

// HasAVX2 reports what the AVX2 kernels need: AVX2, FMA and F16C.
func HasAVX2() bool { return cpu.X86.HasAVX2 && cpu.X86.HasFMA && cpu.X86.HasF16C }

// HasAVX512 reports what the AVX-512 kernels need: F, BW, DQ, VL and VNNI, and
// all of HasAVX2.
func HasAVX512() bool {
	x := &cpu.X86
	return HasAVX2() && x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL && x.HasAVX512VNNI
}

// HasAVX512BF16 reports AVX-512 with bfloat16 dot products.
func HasAVX512BF16() bool { return HasAVX512() && cpu.X86.HasAVX512BF16 }

func features() []Feature {
	x := &cpu.X86
	return []Feature{
		{"avx2", x.HasAVX2}, {"fma", x.HasFMA}, {"f16c", x.HasF16C}, {"avx_vnni", x.HasAVXVNNI},
		{"avx512f", x.HasAVX512F}, {"avx512bw", x.HasAVX512BW}, {"avx512dq", x.HasAVX512DQ}, {"avx512vl", x.HasAVX512VL},
		{"avx512_vnni", x.HasAVX512VNNI}, {"avx512_bf16", x.HasAVX512BF16},
		{"amx_tile", x.HasAMXTile}, {"amx_int8", x.HasAMXInt8}, {"amx_bf16", x.HasAMXBF16},
	}
}
