package tokenizer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// smallPieces is a vocabulary of single characters, all bytes, and the given
// longer pieces, best first.
func smallPieces(chars string, long ...string) []Piece {
	p := []Piece{{"<unk>", 0, Unknown}, {"<s>", 0, Control}, {"</s>", 0, Control}}
	for b := range 256 {
		p = append(p, Piece{bytePiece(byte(b)), 0, Byte})
	}
	for i, l := range long {
		p = append(p, Piece{l, float32(-i), Normal})
	}
	for _, c := range chars {
		p = append(p, Piece{string(c), -1e6, Normal})
	}
	return p
}

// TestSpansAreExact compares texts cut into segments and windows with the same
// texts merged as a whole.
func TestSpansAreExact(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 400 {
		alphabet := []string{"a", "b", "c", "▁", "é", "日"}[:2+rng.IntN(5)]
		text := func(n int) (s string) {
			for range n {
				s += alphabet[rng.IntN(len(alphabet))]
			}
			return s
		}
		seen := map[string]bool{}
		var long []string
		for range 1 + rng.IntN(40) {
			if l := text(2 + rng.IntN(5)); !seen[l] {
				seen[l] = true
				long = append(long, l)
			}
		}
		pieces := smallPieces("ab▁", long...)
		for i := range pieces {
			if rng.IntN(3) == 0 { // equal scores: the leftmost wins
				pieces[i].Score = -5
			}
		}
		tk, err := build(pieces, settings{byteFallback: true, dummyPrefix: rng.IntN(2) == 0})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{1, 3, 10, 47, 48, 49, 50, 100, 300} {
			in := text(n)
			var want output
			tk.encodeGlobal(&want, in)
			for _, window := range []int{2, 5, 60, defaultWindow} {
				var got output
				tk.encodeSpan(&scratch{window: window}, &got, in)
				if !slices.Equal(got.ids, want.ids) {
					t.Fatalf("window %d, pieces %q, text %q: %d, want %d", window, long, in, got.ids, want.ids)
				}
			}
		}
	}
}
