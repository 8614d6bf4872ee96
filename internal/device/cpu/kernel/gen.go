package kernel

// The .s files of the amd64 sets and their dispatch are generated. Run
// testdata/avx512/gen.sh after them.

//go:generate go run -C _asm ./float -part dispatch -out ../tile_dispatch_amd64.go
//go:generate go run -C _asm ./float -part tile512 -out ../tile_avx512_amd64.s
//go:generate go run -C _asm ./float -part tile2 -out ../tile_avx2_amd64.s
//go:generate go run -C _asm ./float -part elem2 -out ../elem_avx2_amd64.s
//go:generate go run -C _asm ./float -part limits512 -out ../limits_avx512_amd64.s
//go:generate go run -C _asm ./float -part limits2 -out ../limits_avx2_amd64.s

// So are those of the arm64 set. Run testdata/neon/gen.sh after them.

//go:generate go run -C _asm ./neon -part dispatch -out ../dispatch_neon_arm64.go
//go:generate go run -C _asm ./neon -part tile -out ../tile_neon_arm64.s
//go:generate go run -C _asm ./neon -part elem -out ../elem_neon_arm64.s
//go:generate go run -C _asm ./neon -part attn -out ../attn_neon_arm64.s
//go:generate go run -C _asm ./neon -part vec -out ../vec_neon_arm64.s
//go:generate go run -C _asm ./neon -part quantmat -out ../quantmat_neon_arm64.s
//go:generate go run -C _asm ./neon -part unpack -out ../unpack_neon_arm64.s
//go:generate go run -C _asm ./neon -part limits -out ../limits_neon_arm64.s
