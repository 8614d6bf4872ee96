package tokenizer

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// nextPiece is one step of training by its definition: encode every word with the
// pieces so far, count the texts that neighbours make, take the most frequent.
func nextPiece(t *testing.T, words map[string]int64, chars string, pieces []string, maxChars int) (best string) {
	tk, err := build(smallPieces(chars, pieces...), settings{byteFallback: true})
	if err != nil {
		t.Fatal(err)
	}
	counts := map[string]int64{}
	for word, n := range words {
		var out output
		tk.encodeGlobal(&out, word)
		for i := 1; i < len(out.ids); i++ {
			if text := tk.Piece(out.ids[i-1]).Text + tk.Piece(out.ids[i]).Text; utf8.RuneCountInString(text) <= maxChars {
				counts[text] += n
			}
		}
	}
	for text, n := range counts {
		a, b := utf8.RuneCountInString(text), utf8.RuneCountInString(best)
		if best == "" || n > counts[best] || n == counts[best] && (a < b || a == b && text < best) {
			best = text
		}
	}
	return best
}

// TestMergerFollowsTheDefinition compares all steps of random trainings. Few
// letters and long words make texts that arise in several ways and overlap
// themselves.
func TestMergerFollowsTheDefinition(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for round := range 150 {
		alphabet := []rune("abcé日")[:2+rng.IntN(4)]
		maxChars := 2 + rng.IntN(7)
		words := map[string]int64{}
		for range 1 + rng.IntN(25) {
			w := ""
			for range 1 + rng.IntN(14) {
				w += string(alphabet[rng.IntN(len(alphabet))])
			}
			words[w] += 1 + rng.Int64N(4)
		}
		m, err := newMerger(alphabet, maxChars, 1000, int64(len(words)))
		if err != nil {
			t.Fatal(err)
		}
		for w, n := range words { // in any order
			var ids []int32
			for _, r := range w {
				ids = append(ids, int32(slices.Index(alphabet, r)))
			}
			m.load(ids, n)
		}
		m.start()
		if err := m.run(context.Background(), 60, func(int) {}); err != nil {
			t.Fatal(err)
		}
		got := m.texts[m.chars:]
		var want []string
		for len(want) < 60 {
			best := nextPiece(t, words, string(alphabet), want, maxChars)
			if best == "" {
				break
			}
			want = append(want, best)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: words %v, at most %d characters:\n%q, want\n%q", round, words, maxChars, got, want)
		}
	}
}

// TestMergerGaps: nothing merges across a character outside of the alphabet.
func TestMergerGaps(t *testing.T) {
	m, err := newMerger([]rune("ab"), 8, 100, 10)
	if err != nil {
		t.Fatal(err)
	}
	m.load([]int32{0, noSymbol, 1, 0}, 3)
	m.load([]int32{noSymbol, 0}, 100)
	m.start()
	if err := m.run(context.Background(), 10, func(int) {}); err != nil || !slices.Equal(m.pieces(), []string{"ba"}) {
		t.Errorf("%q, %v", m.pieces(), err)
	}
}

// TestSpacesComeLast: a word behind a run of spaces keeps its own space, although
// the run is the more frequent piece.
func TestSpacesComeLast(t *testing.T) {
	c := DefaultTrainConfig()
	c.VocabSize, c.HardVocabLimit = 290, false
	tk, _, err := Train(context.Background(), c, TextSource("t", strings.Repeat("        x\n", 90)+strings.Repeat("it\n", 20)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, id := range tk.Encode("     it", EncodeOptions{}) {
		got = append(got, tk.Piece(id).Text)
	}
	if got[len(got)-1] != "▁it" {
		t.Errorf("%q", got)
	}
	for id := int32(260); id < int32(tk.VocabSize()); id++ {
		if tk.Piece(id).Score >= tk.Piece(id-1).Score {
			t.Errorf("scores do not fall by id: %v behind %v", tk.Piece(id), tk.Piece(id-1))
		}
	}
}
