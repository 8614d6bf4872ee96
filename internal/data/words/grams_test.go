package words

import (
	"slices"
	"testing"
)

// TestGrams: rolling gives what each n-gram gives by itself, and n-grams are
// equal exactly where their words are.
func TestGrams(t *testing.T) {
	var text Text
	text.Parse("The cat — sat on the mat. the CAT sat, on the mat; on sat cat")
	hashes, places := text.Content(nil, nil)
	if len(hashes) != 15 || len(places) != 15 || places[2] != 3 {
		t.Fatalf("%d words with letters at %v", len(hashes), places)
	}
	for n := 1; n <= 16; n++ {
		got := Grams(nil, hashes, n)
		var want []uint64
		for i := 0; i+n <= len(hashes); i++ {
			want = append(want, Gram(hashes[i:i+n]))
		}
		if !slices.Equal(got, want) {
			t.Errorf("n = %d: rolling gives other hashes", n)
		}
		for i := range got {
			for j := range got {
				if same := slices.Equal(hashes[i:i+n], hashes[j:j+n]); same != (got[i] == got[j]) {
					t.Errorf("n = %d: grams %d and %d: same words %v, same hash %v", n, i, j, same, !same)
				}
			}
		}
	}
}
