package dedup

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/data/words"
)

func parse(s string) *words.Text {
	var t words.Text
	t.Parse(s)
	return &t
}

// prose makes n random words of a vocabulary of 2,000.
func prose(r *rand.Rand, n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("w%d", r.IntN(2000))
	}
	return list
}

// jaccard is the resemblance by definition, on strings.
func jaccard(a, b []string, n int) float64 {
	set := func(l []string) map[string]bool {
		m := map[string]bool{}
		for i := 0; i+n <= len(l); i++ {
			m[strings.Join(l[i:i+n], " ")] = true
		}
		return m
	}
	x, y := set(a), set(b)
	both := 0
	for k := range x {
		if y[k] {
			both++
		}
	}
	return float64(both) / float64(len(x)+len(y)-both)
}

// TestResemblance: over many pairs the estimate has no bias, and the spread that
// 1,200 independent hash functions give.
func TestResemblance(t *testing.T) {
	n := DefaultNear()
	n.Bands, n.Rows = 200, 6
	s := NewSigner(n)
	r := rand.New(rand.NewPCG(3, 4))
	var sum, squares, expected float64
	const pairs = 60
	for range pairs {
		a := prose(r, 300)
		b := slices.Clone(a)
		for range r.IntN(60) {
			b[r.IntN(len(b))] = "changed"
		}
		x, y := make([]uint16, n.Size()), make([]uint16, n.Size())
		if !s.Sign(x, parse(strings.Join(a, " "))) || !s.Sign(y, parse(strings.ToUpper(strings.Join(b, ", ")))) {
			t.Fatal("no words")
		}
		j := jaccard(a, b, n.NGram)
		diff := Resemblance(x, y) - j
		if math.Abs(diff) > 0.08 { // more than 5 standard errors
			t.Errorf("the resemblance is %.3f, the estimate is off by %.3f", j, diff)
		}
		sum += diff
		squares += diff * diff
		expected += j * (1 - j) / float64(n.Size())
	}
	if bias := sum / pairs; math.Abs(bias) > 4*math.Sqrt(expected)/pairs {
		t.Errorf("the estimates are off by %.4f on average", bias)
	}
	if ratio := squares / expected; ratio < 0.5 || ratio > 1.7 {
		t.Errorf("the estimates' variance is %.2f times what independent functions have", ratio)
	}
}

// TestCompared: how many pairs share a band key follows 1-(1-s^r)^b.
func TestCompared(t *testing.T) {
	n := DefaultNear()
	s := NewSigner(n)
	r := rand.New(rand.NewPCG(8, 9))
	var met, expected, variance float64
	for range 300 {
		a := prose(r, 200)
		b := slices.Clone(a)
		for range 4 + r.IntN(14) {
			b[r.IntN(len(b))] = "changed"
		}
		x, y := make([]uint16, n.Size()), make([]uint16, n.Size())
		s.Sign(x, parse(strings.Join(a, " ")))
		s.Sign(y, parse(strings.Join(b, " ")))
		for band := range n.Bands {
			if n.BandKey(x, band) == n.BandKey(y, band) {
				met++
				break
			}
		}
		p := 1 - math.Pow(1-math.Pow(jaccard(a, b, n.NGram), float64(n.Rows)), float64(n.Bands))
		expected += p
		variance += p * (1 - p)
	}
	if math.Abs(met-expected) > 4*math.Sqrt(variance) {
		t.Errorf("%g of 300 pairs are compared, %.1f ± %.1f expected", met, expected, math.Sqrt(variance))
	}
}

func TestSignShortTexts(t *testing.T) {
	n := DefaultNear()
	s := NewSigner(n)
	sign := func(text string) []uint16 {
		sig := make([]uint16, n.Size())
		if !s.Sign(sig, parse(text)) {
			return nil
		}
		return sig
	}
	if sign("") != nil || sign("— … !") != nil {
		t.Error("a text without words has a signature")
	}
	if Resemblance(sign("Two words."), sign("two WORDS")) != 1 {
		t.Error("two words are not the same two words")
	}
	if r := Resemblance(sign("Two words."), sign("Two swords.")); r > 0.1 {
		t.Errorf("other words resemble with %.2f", r)
	}
}

func TestBucket(t *testing.T) {
	n := Near{NGram: 1, Bands: 1, Rows: 4, Threshold: 0.75}
	sigs := map[uint64][]uint16{
		1: {1, 2, 3, 4}, 2: {9, 9, 9, 9}, 3: {1, 2, 3, 0}, 4: {9, 9, 9, 9}, 5: {1, 2, 0, 0},
	}
	var got [][2]uint64
	full, err := n.Bucket([]uint64{1, 2, 3, 4, 5}, func(d uint64) []uint16 { return sigs[d] }, func(a, b uint64) error {
		got = append(got, [2]uint64{a, b})
		return nil
	})
	if want := [][2]uint64{{1, 3}, {2, 4}}; full || err != nil || !slices.Equal(got, want) {
		t.Errorf("pairs %v, full %v, %v; want %v", got, full, err, want)
	}
	var many []uint64
	for d := range uint64(maxHeads + 1) {
		many = append(many, d)
	}
	full, _ = n.Bucket(many, func(d uint64) []uint16 { return []uint16{uint16(d), uint16(d), uint16(d), uint16(d)} }, nil)
	if !full {
		t.Error("more heads than are compared were not reported")
	}
}

func TestClusters(t *testing.T) {
	var c Clusters
	for _, p := range [][2]uint64{{7, 9}, {3, 4}, {9, 12}, {4, 12}, {20, 21}, {21, 20}} {
		c.Join(p[0], p[1])
	}
	for doc, want := range map[uint64]uint64{3: 3, 4: 3, 7: 3, 9: 3, 12: 3, 20: 20, 21: 20, 5: 5} {
		if got := c.First(doc); got != want {
			t.Errorf("the first of %d's cluster is %d, want %d", doc, got, want)
		}
	}
	var dropped []string
	c.Dropped(func(doc, first uint64) { dropped = append(dropped, fmt.Sprint(doc, "<", first)) })
	if got := strings.Join(dropped, " "); got != "4<3 7<3 9<3 12<3 21<20" {
		t.Errorf("dropped are %s", got)
	}
}

func TestLines(t *testing.T) {
	l := Lines{Enabled: true, MaxDocuments: 1, MinChars: 5}
	text := "Menu home about\nA sentence of its own.\n\n  Menu home about  \nYes.\nlast line here"
	keys := l.Keys(nil, parse(text))
	if len(keys) != 3 || !slices.IsSorted(keys) {
		t.Fatalf("%d lines count, want 3", len(keys))
	}
	menu, last := words.Hash("Menu home about"), words.Hash("last line here")
	for _, c := range []struct {
		doc      uint64
		frequent Frequent
		want     string
		removed  int
	}{
		{5, Frequent{}, text, 0},
		{5, Frequent{menu: 5}, "Menu home about\nA sentence of its own.\n\nYes.\nlast line here", 1},
		{6, Frequent{menu: 5}, "A sentence of its own.\n\nYes.\nlast line here", 2},
		{6, Frequent{menu: 5, last: 5}, "A sentence of its own.\n\nYes.\n", 3},
		{6, Frequent{words.Hash("Yes."): 1}, text, 0}, // too short to count
	} {
		n := 0
		got := l.Strip(parse(text), c.doc, c.frequent, func(string) { n++ })
		if got != c.want || n != c.removed {
			t.Errorf("document %d with %v: %q, %d removed; want %q, %d", c.doc, c.frequent, got, n, c.want, c.removed)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	r := rand.New(rand.NewPCG(3, 4))
	text := strings.Join(prose(r, 100_000), " ")
	t := parse(text)
	s := NewSigner(DefaultNear())
	sig := make([]uint16, s.near.Size())
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s.Sign(sig, t)
	}
}
