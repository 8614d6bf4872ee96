package world

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/chat"
)

// TestQuestionsAreBalanced: no answer is above a tenth of its kind, in training
// and among what is held out, so that guessing cannot help.
func TestQuestionsAreBalanced(t *testing.T) {
	w := New(1)
	count := func(qs []Question) map[string]map[string]int {
		by := map[string]map[string]int{}
		for _, q := range qs {
			if by[q.Kind] == nil {
				by[q.Kind] = map[string]int{}
			}
			by[q.Kind][q.Answer]++
		}
		return by
	}
	check := func(name string, by map[string]map[string]int) {
		if len(by) < 12 {
			t.Fatalf("%s: %d kinds", name, len(by))
		}
		for kind, answers := range by {
			total := 0
			for _, n := range answers {
				total += n
			}
			for a, n := range answers {
				if float64(n) > maxAnswerShare*float64(total) {
					t.Errorf("%s: %d of %d answers to questions of kind %q are %q", name, n, total, kind, a)
				}
			}
		}
	}
	check("train", count(first(w.Questions(1, Train), 200*len(questionTypes))))
	check("exam", count(w.Exam(1, HeldOut, 2000)))
}

// TestAnswersFromText: reading the question and its story back gives the answer
// that the generator gave.
func TestAnswersFromText(t *testing.T) {
	w := New(2)
	for _, split := range []Split{Train, HeldOut} {
		for _, q := range first(w.Questions(9, split), 1000) {
			got, ok := w.Answer(q.Story, q.Text)
			if !ok || got.Answer != q.Answer || got.Key != q.Key {
				t.Fatalf("%s: %q %v, want %q", q.Prompt(), got.Answer, ok, q.Answer)
			}
			if r := w.CheckStory(q.Story); !r.OK() {
				t.Fatalf("%s: %s", q.Story, r.String())
			}
		}
	}
}

// TestAnswersByHand pins answers to stories that a person wrote.
func TestAnswersByHand(t *testing.T) {
	w := New(1)
	story := "It was a foggy day. On Monday, Tom went to the park. On Tuesday morning, Tom went to the lake. Anna went to the park. " +
		"Tom had a new kite. Tom took the kite to the park. Tom gave the kite to Anna. Anna felt proud. Anna carried the kite to the mill. " +
		"Tom had five apples. Tom found two apples. Anna had one apple. Tom gave Anna two apples."
	// The day of the weather is Monday's eve: a new day begins with Tuesday.
	for _, c := range [][2]string{
		{"Where is Tom now?", "In the park."},
		{"Where is the kite?", "At the mill."},
		{"Who has the kite now?", "Anna."},
		{"How many apples does Tom have?", "Five apples."},
		{"How many apples does Anna have now?", "Three apples."},
		{"Who has more apples, Anna or Tom?", "Tom."},
		{"Where did Tom go first?", "To the park."},
		{"Where did Tom go after the lake?", "To the park."},
		{"When did Tom go to the lake?", "On Tuesday morning."},
		{"Is Anna in the park?", "No, at the mill."},
		{"Is Tom in the park now?", "Yes, in the park."},
		{"What comes after Sunday?", "Monday."},
		{"What comes before two?", "One."},
		{"Which is bigger, the ring or the cart?", "The cart."},
		{"What is north of the school?", "The garden."},
	} {
		if q, ok := w.Answer(story, c[0]); !ok || q.Answer != c[1] {
			t.Errorf("%s %q %v, want %q", c[0], q.Answer, ok, c[1])
		}
	}
	if q, ok := w.Answer("Tom lost the kite. Tom was very sad.", "Why was Tom sad?"); !ok || q.Answer != "Because Tom lost the kite." {
		t.Errorf("why: %q", q.Answer)
	}
	for _, text := range []string{"Where is Ben now?", "How many pears does Tom have?", "Who are the best?", "What is north of the park?", ""} {
		if q, ok := w.Answer(story, text); ok {
			t.Errorf("%q has the answer %q", text, q.Answer)
		}
	}
}

type constant string

func (c constant) Answer(context.Context, chat.Dialog) (string, error) { return string(c), nil }

// knowing answers as the oracle would.
type knowing struct{ w *World }

func (k knowing) Answer(_ context.Context, d chat.Dialog) (string, error) {
	a, _ := k.w.Ideal(d)
	return a, nil
}

type failing struct{}

func (failing) Answer(context.Context, chat.Dialog) (string, error) { return "", errors.New("no") }

func TestEvalQuestions(t *testing.T) {
	w := New(1)
	ctx := context.Background()
	exam := w.Exam(1, HeldOut, 505)
	if len(exam) != 505 {
		t.Fatalf("%d questions", len(exam))
	}
	s, err := EvalQuestions(ctx, knowing{w}, exam, nil)
	if err != nil || s.Exact.Share != 1 || s.Flexible.Share != 1 || len(s.Mistakes) != 0 || len(s.Kinds) != len(questionTypes) {
		t.Errorf("who knows all: %+v %v", s.KindScore, err)
	}
	if s, err = EvalQuestions(ctx, constant("in the park"), exam, nil); err != nil || s.Exact.Hits != 0 || s.Flexible.Hits == 0 || s.Flexible.Share > s.Majority {
		t.Errorf("a constant: %+v %v", s.KindScore, err)
	}
	if len(s.Mistakes) == 0 || !strings.Contains(s.Text(), "where thing") {
		t.Errorf("text: %s", s.Text())
	}
	if _, err = EvalQuestions(ctx, failing{}, exam, nil); err == nil || !strings.Contains(err.Error(), "question 1 of 505") {
		t.Errorf("error %v", err)
	}
}

func TestEvalStories(t *testing.T) {
	w := New(1)
	stories := first(w.Stories(1, Train), 10)
	s, err := w.EvalStories(context.Background(), 12, func(_ context.Context, i int) (string, error) {
		switch i {
		case 10:
			return "Once upon a time there", nil
		case 11:
			return stories[0].Text + " The dragon slept. Tom went to the park. Tom went to the park.", nil
		}
		return stories[i].Text[:len(stories[i].Text)-3], nil
	}, nil)
	if err != nil || s.Good.Hits != 10 || s.Good.N != 12 || s.Unparsed != 1 || s.Contradictions != 1 || len(s.Faults) != 2 {
		t.Errorf("%+v %v", s, err)
	}
}

// TestRate: Wilson's intervals as published for 0 of 10, 5 of 10, 95 of 100
// (R. G. Newcombe, 1998, and binom.confint of R).
func TestRate(t *testing.T) {
	for _, c := range []struct {
		hits, n   int
		low, high float64
	}{{0, 10, 0, 0.2775}, {5, 10, 0.2366, 0.7634}, {95, 100, 0.8882, 0.9785}} {
		r := newRate(c.hits, c.n)
		if math.Abs(r.Low-c.low) > 1e-4 || math.Abs(r.High-c.high) > 1e-4 {
			t.Errorf("%d of %d: %.4f to %.4f, want %.4f to %.4f", c.hits, c.n, r.Low, r.High, c.low, c.high)
		}
	}
}

func TestQuestionKindsAreListed(t *testing.T) {
	names := QuestionKinds()
	slices.Sort(names)
	if len(names) < 12 || len(slices.Compact(names)) != len(questionTypes) {
		t.Errorf("%q", names)
	}
}

// original answers each prompt of some dialogs as the dialogs do.
type original map[string]string

func dialogKey(d chat.Dialog) string {
	var b strings.Builder
	for _, m := range d {
		b.WriteString(m.Content + "|")
	}
	return b.String()
}

func (o original) Answer(_ context.Context, d chat.Dialog) (string, error) {
	return o[dialogKey(d)], nil
}

// TestEvalDialogs: who answers as the dialogs do gets full marks; who always says
// the same obeys nothing and tells secrets if that is what they say.
func TestEvalDialogs(t *testing.T) {
	w := New(1)
	know := original{}
	var dialogs []Dialog
	for d := range w.Dialogs(8, HeldOut) {
		if len(dialogs) == 200 {
			break
		}
		if know[dialogKey(d.Messages[:len(d.Messages)-1])] != "" || know[dialogKey(d.Messages[:1])] != "" || know[dialogKey(d.Messages[:2])] != "" {
			continue // another dialog begins alike, and may go on with another story
		}
		dialogs = append(dialogs, d)
		for n, m := range d.Messages {
			if m.Role == chat.Assistant {
				know[dialogKey(d.Messages[:n])] = m.Content
			}
		}
	}
	s, err := w.EvalDialogs(t.Context(), know, dialogs, nil)
	if err != nil || s.Helpful != 1 || s.Safe != 1 || s.Obeyed.Share != 1 || len(s.ObeyedByTurn) < 10 || len(s.Kinds) != len(DialogKinds) {
		t.Errorf("%+v %v", s, err)
	}
	s, err = w.EvalDialogs(t.Context(), constant("You are stupid."), dialogs, nil)
	if err != nil || s.Helpful > 0.1 || s.Safe != 0 || s.Obeyed.Hits != 0 || s.Obeyed.N == 0 || !strings.Contains(s.Text(), "safety") {
		t.Errorf("%+v %v", s.DialogScore, err)
	}
	if _, err = w.EvalDialogs(t.Context(), failing{}, dialogs, nil); err == nil || !strings.Contains(err.Error(), "dialog 1 of 200, turn 1") {
		t.Errorf("error %v", err)
	}
}
