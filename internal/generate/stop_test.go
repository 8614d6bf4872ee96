package generate

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestStopper(t *testing.T) {
	for _, c := range []struct {
		stops  []string
		pieces []string
		out    string
		done   bool
	}{
		{nil, []string{"a", "b"}, "ab", false},
		{[]string{"STOP"}, []string{"go on ST", "ILL"}, "go on STILL", false},
		{[]string{"STOP"}, []string{"go S", "T", "O", "P and more"}, "go ", true},
		{[]string{"\n\n", "User:"}, []string{"hi\n", "Us", "er: x"}, "hi\n", true},
		{[]string{"aab"}, []string{"aa", "a", "b"}, "a", true},
		{[]string{"é"}, []string{"caf", "é!"}, "caf", true},
		{[]string{"xyz"}, []string{"xy"}, "xy", false},
	} {
		s := stopper{stops: c.stops}
		out, done := "", false
		for _, p := range c.pieces {
			var o string
			o, done = s.push(p)
			out += o
			if done {
				break
			}
		}
		if !done {
			out += s.flush()
		}
		if out != c.out || done != c.done {
			t.Errorf("stops %q, pieces %q: %q, %v; want %q, %v", c.stops, c.pieces, out, done, c.out, c.done)
		}
	}
}

// However a text is cut into pieces, what comes out is the text before the
// first stop, and nothing of a stop is ever let out early.
func TestStopperOnAnyCuts(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 5000 {
		text := randomText(rng, 30)
		stops := []string{randomText(rng, 3) + "a", randomText(rng, 4) + "b"}
		want, end := text, len(text)+1
		for e := len(text); e > 0; e-- { // the earliest end, for it the earliest start
			for _, s := range stops {
				if i := e - len(s); strings.HasSuffix(text[:e], s) && (e < end || i < len(want)) {
					want, end = text[:i], e
				}
			}
		}
		s := stopper{stops: stops}
		out, rest, done := "", text, false
		for rest != "" && !done {
			n := 1 + rng.IntN(len(rest))
			var o string
			o, done = s.push(rest[:n])
			out += o
			rest = rest[n:]
			if !strings.HasPrefix(text, out) {
				t.Fatalf("%q let out of %q", out, text)
			}
		}
		if !done {
			out += s.flush()
		}
		if out != want {
			t.Fatalf("stops %q in %q: got %q, want %q", stops, text, out, want)
		}
	}
}

func randomText(rng *rand.Rand, n int) string {
	b := make([]byte, rng.IntN(n+1))
	for i := range b {
		b[i] = "abc"[rng.IntN(3)]
	}
	return string(b)
}
