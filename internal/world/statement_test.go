package world

import "testing"

// TestStatements: the oracle reads every statement with its end and agrees, and
// disagrees where the end is another's.
func TestStatements(t *testing.T) {
	w := New(1)
	all := w.Statements()
	kinds := map[string]int{}
	for i, q := range all {
		kinds[q.Kind]++
		if r := w.CheckCut(q.Text + " " + q.Answer); !r.OK() {
			t.Fatalf("%s %s: %s", q.Text, q.Answer, r.String())
		}
		if other := all[(i+1)%len(all)]; other.Kind == q.Kind && other.Answer != q.Answer {
			if r := w.CheckCut(q.Text + " " + other.Answer); r.OK() {
				t.Errorf("%s %s: nothing found", q.Text, other.Answer)
			}
		}
	}
	if len(kinds) != len(statements) || kinds["friend"] != 72 || kinds["kept"] != 64 {
		t.Errorf("kinds: %v", kinds)
	}
}
