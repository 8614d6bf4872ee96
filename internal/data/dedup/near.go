package dedup

import (
	"fmt"

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
	a, b   []uint64 // of the k-th hash function h*a+b mod 2^64
	hashes []uint64
	places []int32
	grams  []uint64
	min    []uint64
}

// NewSigner makes a signer; all signers of one configuration are the same.
func NewSigner(n Near) *Signer {
	s := &Signer{near: n, min: make([]uint64, n.Size())}
	x := uint64(0)
	for range n.Size() {
		x = words.Mix(x, 1)
		s.a = append(s.a, x|1)
		x = words.Mix(x, 2)
		s.b = append(s.b, x)
	}
	return s
}

// Sign sets sig, of near.Size() values, and says whether the text has words;
// without any there is nothing to compare. Signatures keep 16 bits of each
// minimum: two different minima agree in one of 65,536 cases.
func (s *Signer) Sign(sig []uint16, t *words.Text) bool {
	s.hashes, s.places = t.Content(s.hashes[:0], s.places[:0])
	if len(s.hashes) == 0 {
		return false
	}
	// A text shorter than an n-gram is one n-gram.
	s.grams = words.Grams(s.grams[:0], s.hashes, min(s.near.NGram, len(s.hashes)))
	for k := range s.min {
		s.min[k] = ^uint64(0)
	}
	const block = 512 // n-grams, which stay in L1 while all functions read them
	for rest := s.grams; len(rest) > 0; {
		part := rest[:min(block, len(rest))]
		rest = rest[len(part):]
		s.lower(part)
	}
	for k, m := range s.min {
		sig[k] = uint16(words.Mix(0, m))
	}
	return true
}

// lower takes the minima with a block of n-grams, four functions at a time.
func (s *Signer) lower(grams []uint64) {
	k := 0
	for ; k+4 <= len(s.min); k += 4 {
		m := s.min[k : k+4 : k+4]
		m0, m1, m2, m3 := m[0], m[1], m[2], m[3]
		a := s.a[k : k+4 : k+4]
		a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
		b := s.b[k : k+4 : k+4]
		b0, b1, b2, b3 := b[0], b[1], b[2], b[3]
		for _, h := range grams {
			m0 = min(m0, h*a0+b0)
			m1 = min(m1, h*a1+b1)
			m2 = min(m2, h*a2+b2)
			m3 = min(m3, h*a3+b3)
		}
		m[0], m[1], m[2], m[3] = m0, m1, m2, m3
	}
	for ; k < len(s.min); k++ {
		for _, h := range grams {
			s.min[k] = min(s.min[k], h*s.a[k]+s.b[k])
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
