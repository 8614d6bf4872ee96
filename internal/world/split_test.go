package world

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/chat"
)

// combos reads a text and returns the combinations that it has: who has to do
// with which thing in its stories. It knows nothing of how the text was made.
func storyCombos(w *World, text string) (out []string) {
	for _, e := range w.read(plainStory(text)).events {
		if o := e.args[argO]; o != 0 && e.kind.group == inStory {
			for _, p := range []int{e.args[argP], e.args[argQ]} {
				if p > 0 {
					out = append(out, w.pairKey(p, o))
				}
			}
		}
	}
	return out
}

// dialogCombos reads a dialog turn by turn: stories, questions with the
// instructions in force, prompts of the safety policy.
func dialogCombos(w *World, d chat.Dialog) (out []string) {
	for n, m := range d {
		switch m.Role {
		case chat.Assistant:
			out = append(out, storyCombos(w, bareStory(m.Content))...)
			continue
		case chat.System:
			continue
		}
		t := w.readTask(d[:n+1])
		if story, _, ok := cutLast(m.Content, "\n"); ok {
			out = append(out, storyCombos(w, t.without(story))...)
		}
		if t.kind == nil {
			out = append(out, "not understood: "+t.message)
			continue
		}
		k, a := t.kind, t.args
		if k.name == "and" {
			k, a, _ = w.parse(t.previous, inQuestion)
			a[argP] = t.args[argP]
		}
		if k.name == "ask story" && a[argO] != 0 && a[argP] != 0 {
			out = append(out, w.pairKey(a[argP], a[argO]))
		}
		if q, ok := w.answerTo(t.story, k, a); ok {
			out = append(out, q.Key)
			for _, i := range t.instructions {
				out = append(out, doKey(i, q.Kind))
			}
		}
		for _, c := range t.constraints {
			out = append(out, "do|"+c.ID+"|"+w.people[a[argP]].name)
		}
		if strings.HasPrefix(k.name, "harm ") || strings.HasPrefix(k.name, "soft ") {
			for _, tp := range w.grammar.byKind[k.name] {
				if read, ok := w.match(tp, tokens(t.message)); ok {
					out = append(out, w.harmKey(tp, read))
				}
			}
		}
	}
	return out
}

// bareStory leaves an answer of one or two words out: it is no story.
func bareStory(s string) string {
	if len(tokens(s)) < 12 {
		return ""
	}
	return s
}

// TestTrainHasNothingHeldOut reads training texts, whatever generated them, and
// finds no held-out combination.
func TestTrainHasNothingHeldOut(t *testing.T) {
	w := New(1)
	seen := 0
	check := func(combos []string, text any) {
		for _, c := range combos {
			seen++
			if w.IsHeldOut(c) || strings.HasPrefix(c, "not understood") {
				t.Fatalf("training has %q in %v", c, text)
			}
		}
	}
	for _, d := range first(w.Base(11), 3000) {
		check(storyCombos(w, d.Text), d.Text)
	}
	for _, d := range first(w.Dialogs(11, Train), 1000) {
		check(dialogCombos(w, d.Messages), d.Messages)
	}
	if seen < 10000 {
		t.Errorf("only %d combinations were read", seen)
	}
}

// TestHeldOutIsNewAndKnown: every held-out item has a combination that is held
// out, and all of its words and wordings occur in training.
func TestHeldOutIsNewAndKnown(t *testing.T) {
	w := New(1)
	known, asked := map[string]bool{}, map[string]bool{}
	learn := func(text string) {
		for _, tok := range tokens(text) {
			known[strings.ToLower(tok)] = true
		}
	}
	for _, d := range first(w.Base(1), 1000) {
		learn(d.Text)
	}
	for _, d := range first(w.Dialogs(1, Train), 2000) {
		for _, m := range d.Messages {
			learn(m.Content)
		}
		if k, _, ok := w.parseLast(d.Messages[len(d.Messages)-2].Content); ok {
			asked[k.name] = true
		}
	}
	for _, d := range first(w.Instructions(1, Train), 1000) {
		for _, m := range d.Messages {
			learn(m.Content)
		}
	}
	test := func(text string, keys []string) {
		if !slices.ContainsFunc(keys, w.IsHeldOut) {
			t.Errorf("nothing of this is held out: %q %s", keys, text)
		}
		for _, tok := range tokens(text) {
			low := strings.ToLower(tok)
			stem := low[:len(low)-1] // of a word in Lumo
			if !known[low] && !(known[stem] && lumoKnown[low]) {
				t.Errorf("training never has the word %q: %s", tok, text)
			}
		}
	}
	for _, q := range w.Exam(1, HeldOut, 1000) {
		test(q.Prompt()+" "+q.Answer, []string{q.Key})
		if !asked[q.ask] {
			t.Errorf("training never asks a question of the sort %q", q.ask)
		}
	}
	for _, d := range first(w.Stories(1, HeldOut), 300) {
		test(d.Text, []string{d.Key})
		if !slices.Contains(storyCombos(w, d.Text), d.Key) {
			t.Errorf("the text has not its own combination %q: %s", d.Key, d.Text)
		}
	}
	for _, d := range first(w.Dialogs(1, HeldOut), 300) {
		var all []string
		for _, m := range d.Messages {
			all = append(all, m.Content)
		}
		if read := dialogCombos(w, d.Messages); !slices.ContainsFunc(read, w.IsHeldOut) {
			t.Errorf("a reader finds nothing held out in %q", all)
		}
		test(strings.Join(all, " "), d.Keys)
	}
}

// TestSharesHeldOut: about as much is held out as split.go says.
func TestSharesHeldOut(t *testing.T) {
	w := New(1)
	held := 0
	for _, h := range w.held {
		held += btoi(h)
	}
	if share := float64(held) / float64(len(w.held)); share < 0.2 || share > 0.3 {
		t.Errorf("%.2f of the questions about facts are held out", share)
	}
	held = 0
	for i := range 10000 {
		held += btoi(fraction(fmt.Sprint("some key ", i)) < heldRest/100.0)
	}
	if held < 900 || held > 1100 {
		t.Errorf("%d of 10000 keys are held out", held)
	}
}

// TestDeterminism: the bytes of a seed are the same in every run and on every
// machine, and other seeds give others. A change of the generator changes the
// golden sums: models trained before then know another world.
func TestDeterminism(t *testing.T) {
	golden := map[string]string{
		"base": goldenBase,
		"chat": goldenChat,
	}
	for _, kind := range slices.Sorted(maps.Keys(golden)) {
		sum := func(world, seed uint64, docs int) string {
			h := sha256.New()
			if _, err := New(world).Write(t.Context(), h, GenConfig{Kind: kind, Docs: docs, Seed: seed}, nil); err != nil {
				t.Fatal(err)
			}
			return hex.EncodeToString(h.Sum(nil))[:16]
		}
		if got := sum(1, 1, 1000); got != golden[kind] {
			t.Errorf("%s: sum %s, want %s", kind, got, golden[kind])
		}
		if one := sum(1, 1, 20); one == sum(1, 2, 20) || one == sum(2, 1, 20) {
			t.Errorf("%s: two seeds give the same texts", kind)
		}
	}
}

const (
	goldenBase = "104468cf054f1249"
	goldenChat = "c8e3f0e1ab443b7c"
)
