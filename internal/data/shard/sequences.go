package shard

import (
	"fmt"
	"math/bits"
	"sort"

	"github.com/cria-llm/cria/internal/sys/mmap"
)

// Sequences is an endless stream of packed sequences in an order that a seed
// fixes. Position k alone says what comes: a training run resumes by one integer.
//
// The split is one long row of tokens, cut into sequences of Length tokens that
// overlap by one, because each token but the first of a sequence is a target.
// Each epoch visits the sequences in an order of its own and cuts the row
// (a ring, for this) at places of its own: fewer than Length tokens are left out
// of an epoch, others in each.
type Sequences struct {
	split  *Split
	seed   uint64
	length int64
	n      int64 // sequences per epoch
	fixed  bool
}

// Sequence is one packed sequence. Its slices are reused by At.
type Sequence struct {
	Tokens []int32 // Length+1: inputs are Tokens[:Length], their targets Tokens[1:]
	Learn  []bool  // of each of Tokens, if it is learned as a target
	Parts  []Part  // of documents, in order; they cover Tokens
}

// Part is a piece of one document inside of a sequence: it begins at
// Tokens[Start] and reaches to the next part's Start.
type Part struct {
	Start    int
	Document int64 // within the split
	Offset   int64 // of Tokens[Start] within the document; not 0 where the sequence begins in mid-document
}

// Shuffled returns the stream for training with sequences of length input tokens.
func (s *Split) Shuffled(seed uint64, length int) (*Sequences, error) {
	if length < 1 {
		return nil, fmt.Errorf("sequences of %d tokens; they must have at least one", length)
	}
	if s.tokens <= int64(length) {
		return nil, fmt.Errorf("%s: the split has %d tokens, too few for one sequence of %d and its last target", s.set.dir, s.tokens, length)
	}
	return &Sequences{split: s, seed: seed, length: int64(length), n: s.tokens / int64(length)}, nil
}

// InOrder returns the stream for validation: every token but the very first is a
// target once per epoch, so the last sequence may be shorter. Nothing is shuffled.
func (s *Split) InOrder(length int) (*Sequences, error) {
	if length < 1 {
		return nil, fmt.Errorf("sequences of %d tokens; they must have at least one", length)
	}
	if s.tokens < 2 {
		return nil, fmt.Errorf("%s: the split has %d tokens; there is nothing to predict", s.set.dir, s.tokens)
	}
	l := int64(length)
	return &Sequences{split: s, length: l, n: (s.tokens - 1 + l - 1) / l, fixed: true}, nil
}

// PerEpoch returns how many sequences an epoch has.
func (q *Sequences) PerEpoch() int64 { return q.n }

// At sets to to the sequence at position k, 0 or more. It may be called by
// several goroutines.
func (q *Sequences) At(k int64, to *Sequence) error {
	if k < 0 {
		return fmt.Errorf("position %d of a stream of sequences; it must not be negative", k)
	}
	epoch, i := uint64(k/q.n), uint64(k%q.n)
	start, n := int64(i)*q.length, q.length+1
	if q.fixed {
		n = min(n, q.split.tokens-start)
	} else {
		key := mix(q.seed ^ mix(epoch))
		start = int64(permute(i, uint64(q.n), key)) * q.length
		start = (start + int64(mix(key)%uint64(q.split.tokens))) % q.split.tokens
	}
	to.Tokens, to.Learn, to.Parts = to.Tokens[:0], to.Learn[:0], to.Parts[:0]
	return mmap.Guard(func() error { return q.split.row(start, n, to) })
}

// row appends n tokens of the ring from position at, and their parts.
func (s *Split) row(at, n int64, to *Sequence) error {
	for n > 0 {
		m := s.shards[sort.Search(len(s.shards), func(i int) bool { return s.shards[i].firstToken > at })-1]
		lo := at - m.firstToken
		hi := min(lo+n, m.Tokens)
		for i, t := m.docAt(lo), lo; t < hi; i++ {
			begin, end, err := m.extent(i)
			if err != nil {
				return err
			}
			if t < begin || t >= end {
				return fmt.Errorf("%s: the ends of documents do not rise at document %d: the file is damaged, build or copy the shard again", m.ends.Name(), i)
			}
			to.Parts = append(to.Parts, Part{Start: len(to.Tokens) + int(t-lo), Document: m.firstDoc + i, Offset: t - begin})
			t = end
		}
		var err error
		if to.Tokens, err = m.read(to.Tokens, lo, hi, s.set.index.VocabSize); err != nil {
			return err
		}
		to.Learn = m.learned(to.Learn, lo, hi)
		n -= hi - lo
		if at += hi - lo; at == s.tokens {
			at = 0
		}
	}
	return nil
}

// permute maps i to another number below n, each to another one: a Feistel
// network on the smallest even number of bits that hold n, applied again until
// the number is below n (cycle walking; fewer than four times on average).
// It needs no memory, whatever n is.
func permute(i, n, key uint64) uint64 {
	half := max(1, (bits.Len64(n-1)+1)/2)
	mask := uint64(1)<<half - 1
	for {
		l, r := i>>half, i&mask
		for round := range uint64(6) {
			l, r = r, l^(mix(key+r+round<<56)&mask)
		}
		if i = l<<half | r; i < n {
			return i
		}
	}
}

// mix is SplitMix64's output function (Steele, Lea and Flood, "Fast splittable
// pseudorandom number generators", 2014) of x plus its increment.
func mix(x uint64) uint64 {
	x += 0x9E3779B97F4A7C15
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}
