package kernel

// The .s files of the amd64 sets and their dispatch are generated.

//go:generate go run -C _asm ./float -part dispatch -out ../tile_dispatch_amd64.go
//go:generate go run -C _asm ./float -part tile512 -out ../tile_avx512_amd64.s
//go:generate go run -C _asm ./float -part tile2 -out ../tile_avx2_amd64.s
//go:generate go run -C _asm ./float -part elem2 -out ../elem_avx2_amd64.s
