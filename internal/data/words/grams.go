package words

// gramBase is the base of the polynomial that Grams rolls; any odd number of
// random bits does.
const gramBase = 0xd6e8feb86659fd93

// Content appends the hashes of the words that have letters or digits, and their
// places in t.Words. Punctuation that stands alone does not break an n-gram.
func (t *Text) Content(hashes []uint64, places []int32) ([]uint64, []int32) {
	for i := range t.Words {
		if w := &t.Words[i]; w.Flags&(Letter|Digit) != 0 {
			hashes = append(hashes, w.Hash)
			places = append(places, int32(i))
		}
	}
	return hashes, places
}

// Gram returns the hash of a few words in their order.
func Gram(hashes []uint64) uint64 {
	var p uint64
	for _, h := range hashes {
		p = p*gramBase + h
	}
	return Mix(0, p)
}

// Grams appends Gram(hashes[i:i+n]) for each i where n words follow.
func Grams(to, hashes []uint64, n int) []uint64 {
	if n < 1 || len(hashes) < n {
		return to
	}
	drop := uint64(1) // base^n
	for range n {
		drop *= gramBase
	}
	var p uint64
	for i, h := range hashes {
		p = p*gramBase + h
		if i >= n {
			p -= hashes[i-n] * drop
		}
		if i >= n-1 {
			to = append(to, Mix(0, p))
		}
	}
	return to
}
