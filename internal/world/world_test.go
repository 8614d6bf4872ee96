package world

import (
	"fmt"
	"strings"
	"testing"
)

func TestPrint(t *testing.T) {
	w := New(1)
	n := 0
	types := map[string]int{}
	tot := 0
	for d := range w.Base(1) {
		if n < 30 && d.Kind != "story" {
			fmt.Println(d.Kind, d.Text)
		}
		if r := w.CheckStory(d.Text); !r.OK() {
			t.Error(r.String())
		}
		for _, x := range tokens(d.Text) {
			types[x]++
			tot++
		}
		if n++; n == 20000 {
			break
		}
	}
	fmt.Println(len(types), tot, tot/n)
	_ = strings.Fields
	n = 0
	for q := range w.Questions(1, HeldOut) {
		if q.Kind == "how many" || q.Kind == "who has more" {
			fmt.Println(q.Kind, "|", q.Prompt(), "|", q.Answer, "|", q.Key)
		}
		if a, ok := w.Answer(q.Story, q.Text); !ok || a.Answer != q.Answer {
			t.Error(q, a)
		}
		if n++; n == 500 {
			break
		}
	}
}
