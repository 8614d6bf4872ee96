package world

import (
	"context"
	"testing"

	"github.com/cria-llm/cria/internal/chat"
)

// ending ends what it is asked with.
type ending map[string]string

func (e ending) Answer(_ context.Context, d chat.Dialog) (string, error) {
	return " " + e[d[len(d)-1].Content], nil
}

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
	ends := ending{}
	for _, q := range all {
		ends[q.Text] = q.Answer
	}
	scores, err := EvalQuestions(t.Context(), ends, all, nil)
	if err != nil || scores.Exact.Hits != len(all) || scores.Exact.N != 780 {
		t.Errorf("who knows all facts scores %d of %d (%v)", scores.Exact.Hits, scores.Exact.N, err)
	}
	if len(kinds) != len(statements) || kinds["friend"] != 72 || kinds["kept"] != 64 {
		t.Errorf("kinds: %v", kinds)
	}
}
