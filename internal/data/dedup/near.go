package dedup

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/cria-llm/cria/internal/data/words"
)

// Near finds documents that are nearly the same by MinHash signatures (Broder,
// "On the resemblance and containment of documents", 1997) and locality-sensitive
// hashing: a signature's values are cut into bands, and documents that agree in
// a whole band are compared. With b bands of r rows, documents of resemblance s
// (Jaccard index of their sets of n-grams) are compared with probability
// 1-(1-s^r)^b.
type Near struct {
	Enabled   bool    `yaml:"enabled"`
	NGram     int     `yaml:"ngram"`     // words per n-gram; Llama 1 and FineWeb: 5
	Bands     int     `yaml:"bands"`     // 20 bands of 6 rows compare 99.8% at 0.8 and 92% at 0.7
	Rows      int     `yaml:"rows"`      //
	Threshold float64 `yaml:"threshold"` // estimated resemblance from which documents count as one
}

// DefaultNear: FineWeb has 14 bands of 8 rows and no estimate behind them, which
// finds half of the pairs at a resemblance of 0.69. With an estimate bands may be
// wide, and the threshold decides (ours).
func DefaultNear() Near {
	return Near{Enabled: true, NGram: 5, Bands: 20, Rows: 6, Threshold: 0.7}
}

// Check validates the settings.
func (n *Near) Check() error {
	switch {
	case n.NGram < 1 || n.NGram > 100:
		return fmt.Errorf("ngram: %d; it must be from 1 to 100 words", n.NGram)
	case n.Bands < 1 || n.Rows < 1 || n.Bands*n.Rows > 4096 || n.Bands > 4096 || n.Rows > 4096:
		return fmt.Errorf("bands: %d, rows: %d; both must be at least 1, their product at most 4096", n.Bands, n.Rows)
	case !(n.Threshold > 0 && n.Threshold <= 1):
		return fmt.Errorf("threshold: %g; it must be above 0 and at most 1", n.Threshold)
	}
	return nil
}

// Size returns the number of values in a signature.
func (n *Near) Size() int { return n.Bands * n.Rows }

// Signer makes signatures. It is for one goroutine.
type Signer struct {
	near   Near
	a, b   []uint64 // of the hash function h*a+b mod 2^64 of each round
	hashes []uint64
	places []int32
	grams  []uint64
	min    []uint64
	more   []uint64 // minima of one round
}

// NewSigner makes a signer; all signers of one configuration are the same.
func NewSigner(n Near) *Signer {
	s := &Signer{near: n, min: make([]uint64, n.Size()), more: make([]uint64, n.Size())}
	x := uint64(0)
	for range 2 * n.Size() {
		x = words.Mix(x, 1)
		s.a = append(s.a, x|1)
		x = words.Mix(x, 2)
		s.b = append(s.b, x)
	}
	return s
}

// none is the minimum of no n-grams.
const none = ^uint64(0)

// Sign sets sig, of near.Size() values, and says whether the text has words;
// without any there is nothing to compare. Signatures keep 16 bits of each
// minimum: two different minima agree in one of 65,536 cases.
//
// The minima are those of Dahlgaard, Knudsen and Thorup, "Fast similarity
// sketching" (FOCS 2017, arXiv 1704.04370): a round throws each n-gram into one
// of the values' bins and takes minima there; bins that are still empty wait for
// the next round, and those that k rounds left empty are given all n-grams. Each
// value is the minimum of a random order of the n-grams, as in MinHash, and
// estimates are at least as close, but a long text takes two rounds instead of
// k functions.
func (s *Signer) Sign(sig []uint16, t *words.Text) bool {
	s.hashes, s.places = t.Content(s.hashes[:0], s.places[:0])
	if len(s.hashes) == 0 {
		return false
	}
	// A text shorter than an n-gram is one n-gram.
	s.grams = words.Grams(s.grams[:0], s.hashes, min(s.near.NGram, len(s.hashes)))
	for k := range s.min {
		s.min[k] = none
	}
	k := uint64(len(s.min))
	a, b, all := s.a[0], s.b[0], s.min
	for _, h := range s.grams {
		bin, v := bits.Mul64(h*a+b, k)
		all[bin] = min(all[bin], v)
	}
	for round := 1; round < 2*len(s.min) && slices.Contains(s.min, none); round++ {
		s.fill(round)
	}
	for k, m := range s.min {
		sig[k] = uint16(words.Mix(0, m))
	}
	return true
}

// fill is a round for the bins that are empty.
func (s *Signer) fill(round int) {
	a, b, k := s.a[round], s.b[round], len(s.min)
	if round >= k {
		if s.min[round-k] == none {
			for _, h := range s.grams {
				s.min[round-k] = min(s.min[round-k], h*a+b)
			}
		}
		return
	}
	for i := range s.more {
		s.more[i] = none
	}
	for _, h := range s.grams {
		if bin, v := bits.Mul64(h*a+b, uint64(k)); s.min[bin] == none {
			s.more[bin] = min(s.more[bin], v)
		}
	}
	for i, m := range s.min {
		if m == none {
			s.min[i] = s.more[i]
		}
	}
}

// BandKey is the hash of a signature's band; documents of one key are compared.
func (n *Near) BandKey(sig []uint16, band int) uint64 {
	h := uint64(band)
	for _, v := range sig[band*n.Rows : (band+1)*n.Rows] {
		h = words.Mix(h, uint64(v))
	}
	return h
}

// Resemblance estimates the Jaccard index of two documents: the share of values
// on which their signatures agree, with a standard error of at most
// 0.5/sqrt(Size) (0.046 for 120 values).
func Resemblance(a, b []uint16) float64 {
	same := 0
	for k := range a {
		if a[k] == b[k] {
			same++
		}
	}
	return float64(same) / float64(len(a))
}

// maxHeads bounds how many different documents of one band key each further one
// is compared with. Documents that agree in a band but not overall are rare, so
// that only texts made from one template with much else in them come near it.
const maxHeads = 64

// Bucket compares the documents of one band key, in rising order, and returns
// for each of those that are nearly the same as an earlier one that pair. full
// says that maxHeads was reached, so some pairs may not have been compared.
func (n *Near) Bucket(docs []uint64, sig func(doc uint64) []uint16, pair func(first, later uint64) error) (full bool, err error) {
	var heads []uint64
	for _, d := range docs {
		s, found := sig(d), false
		for _, h := range heads {
			if Resemblance(sig(h), s) >= n.Threshold {
				found = true
				if err := pair(h, d); err != nil {
					return full, err
				}
				break
			}
		}
		switch {
		case found:
		case len(heads) < maxHeads:
			heads = append(heads, d)
		default:
			full = true
		}
	}
	return full, nil
}
