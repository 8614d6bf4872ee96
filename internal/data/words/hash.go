package words

import "math/bits"

// The hash is a chain of 64x64-bit products folded to 64 bits (the step of
// wyhash), over eight bytes at a time. It is made for speed on short words; it
// withstands no one who looks for collisions, and needs not: a collision makes
// two words count as one.
const (
	seed  = 0x9e3779b97f4a7c15
	prime = 0xa0761d6478bd642f
)

// Mix folds x into the hash h. Mix(h, x) is Mix(x, h): a chain begins with a hash
// that was mixed, so that it knows the order of what follows.
func Mix(h, x uint64) uint64 {
	hi, lo := bits.Mul64(h^x^seed, prime)
	return hi ^ lo
}

// Hash hashes a text as it is.
func Hash(s string) uint64 {
	h := uint64(len(s))
	i := 0
	for ; i+8 <= len(s); i += 8 {
		h = Mix(h, load(s, i))
	}
	if i < len(s) {
		h = Mix(h, tail(s, i, len(s)))
	}
	return h
}

// hashLower is Hash of s[start:end], all ASCII, with its letters in lower case.
func hashLower(s string, start, end int) uint64 {
	h := uint64(end - start)
	i := start
	for ; i+8 <= end; i += 8 {
		h = Mix(h, lower(load(s, i)))
	}
	if i < end {
		h = Mix(h, lower(tail(s, i, end)))
	}
	return h
}

// hashBytes is Hash of bytes.
func hashBytes(b []byte) uint64 {
	h := uint64(len(b))
	i := 0
	for ; i+8 <= len(b); i += 8 {
		b := b[i : i+8]
		h = Mix(h, uint64(b[0])|uint64(b[1])<<8|uint64(b[2])<<16|uint64(b[3])<<24|
			uint64(b[4])<<32|uint64(b[5])<<40|uint64(b[6])<<48|uint64(b[7])<<56)
	}
	if i < len(b) {
		var x uint64
		for k, c := range b[i:] {
			x |= uint64(c) << (8 * k)
		}
		h = Mix(h, x)
	}
	return h
}

// load reads eight bytes in little-endian order.
func load(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// tail reads the one to seven bytes s[i:end].
func tail(s string, i, end int) uint64 {
	if i+8 <= len(s) {
		return load(s, i) & (1<<(8*(end-i)) - 1)
	}
	var x uint64
	for k := i; k < end; k++ {
		x |= uint64(s[k]) << (8 * (k - i))
	}
	return x
}

// lower makes the ASCII capitals of eight bytes small, all at once.
func lower(x uint64) uint64 {
	const ones = 0x0101010101010101
	low := x & (0x7f * ones)
	fromA := low + (0x80-'A')*ones  // high bit: at least 'A'
	aboveZ := low + (0x7f-'Z')*ones // high bit: above 'Z'
	capital := (fromA ^ aboveZ) &^ x & (0x80 * ones)
	return x | capital>>2
}
