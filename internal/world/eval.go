package world

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/chat"
)

// Answerer is anything that answers dialogs: a model, or a person.
type Answerer interface {
	Answer(ctx context.Context, messages chat.Dialog) (string, error)
}

// Rate is a share with its 95% interval (Wilson's).
type Rate struct {
	N     int     `json:"n"`
	Hits  int     `json:"hits"`
	Share float64 `json:"share"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// newRate computes the interval of E. B. Wilson (1927), which is right also near
// 0 and 1.
func newRate(hits, n int) Rate {
	if n == 0 {
		return Rate{High: 1}
	}
	const z = 1.959963984540054
	p, m := float64(hits)/float64(n), float64(n)
	mid := (p + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(p*(1-p)/m+z*z/(4*m*m))
	return Rate{N: n, Hits: hits, Share: p, Low: max(0, mid-half), High: min(1, mid+half)}
}

// KindScore is the score of one kind of question.
type KindScore struct {
	Kind     string  `json:"kind"`
	Exact    Rate    `json:"exact"`    // the answer is the right one, letter by letter
	Flexible Rate    `json:"flexible"` // its first sentence is, case and marks aside
	Majority float64 `json:"majority"` // score of the best single answer to all questions of the kind
}

// Mistake is a wrong answer, for people to look at.
type Mistake struct {
	Kind, Prompt, Want, Got string
}

// QuestionScores is the result of an examination.
type QuestionScores struct {
	KindScore             // of all together: the majority answer is each kind's
	Kinds     []KindScore `json:"kinds"`
	Mistakes  []Mistake   `json:"mistakes"` // the first few of each kind
}

// mistakesPerKind bounds the list of mistakes.
const mistakesPerKind = 3

// maxAnswerShare bounds the share of one answer among the questions of a kind, so
// that guessing cannot help.
const maxAnswerShare = 0.1

// Exam returns n questions of a split, as many of each kind as of the others
// (give or take one), no answer more than a tenth of its kind.
func (w *World) Exam(seed uint64, split Split, n int) []Question {
	r := w.rng("exam", seed)
	out := make([]Question, 0, n)
	for i := range questionTypes {
		t := &questionTypes[i]
		want := n/len(questionTypes) + btoi(i < n%len(questionTypes))
		most := max(1, int(maxAnswerShare*float64(want)))
		count := map[string]int{}
		for got := 0; got < want; {
			q := w.question(r, t, split)
			if want >= len(numberNames) && count[q.Answer] == most {
				continue
			}
			count[q.Answer]++
			got++
			out = append(out, q)
		}
	}
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// flexible is what of an answer counts for the flexible score.
func flexible(s string) string {
	if all := sentences(s); len(all) > 0 {
		s = all[0]
	}
	return strings.ToLower(strings.Trim(strings.TrimSpace(s), `.!?" `))
}

// EvalQuestions examines an answerer. progress may be nil.
func EvalQuestions(ctx context.Context, a Answerer, exam []Question, progress func(done, total int)) (s QuestionScores, err error) {
	type count struct {
		n, exact, flexible int
		answers            map[string]int
		mistakes           int
	}
	tallies := map[string]*count{}
	for i, q := range exam {
		got, err := a.Answer(ctx, chat.Dialog{{Role: chat.User, Content: q.Prompt()}})
		if err != nil {
			return s, fmt.Errorf("question %d of %d: %w", i+1, len(exam), err)
		}
		t := tallies[q.Kind]
		if t == nil {
			t = &count{answers: map[string]int{}}
			tallies[q.Kind] = t
		}
		t.n++
		t.answers[q.Answer]++
		if strings.TrimSpace(got) == q.Answer {
			t.exact++
		} else if t.mistakes < mistakesPerKind {
			t.mistakes++
			s.Mistakes = append(s.Mistakes, Mistake{q.Kind, q.Prompt(), q.Answer, got})
		}
		t.flexible += btoi(flexible(got) == flexible(q.Answer))
		if progress != nil {
			progress(i+1, len(exam))
		}
	}
	var sum count
	best := 0
	for _, kind := range QuestionKinds() {
		t := tallies[kind]
		if t == nil {
			continue
		}
		most := 0
		for _, n := range t.answers {
			most = max(most, n)
		}
		s.Kinds = append(s.Kinds, KindScore{kind, newRate(t.exact, t.n), newRate(t.flexible, t.n), float64(most) / float64(t.n)})
		sum.n, sum.exact, sum.flexible, best = sum.n+t.n, sum.exact+t.exact, sum.flexible+t.flexible, best+most
	}
	s.KindScore = KindScore{"all", newRate(sum.exact, sum.n), newRate(sum.flexible, sum.n), float64(best) / float64(max(1, sum.n))}
	slices.SortStableFunc(s.Mistakes, func(a, b Mistake) int { return strings.Compare(a.Kind, b.Kind) })
	return s, nil
}

// Text is the scores as a table.
func (s *QuestionScores) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-14s %5s %7s %17s %9s %9s\n", "questions", "n", "exact", "95% interval", "flexible", "majority")
	for _, k := range append(slices.Clone(s.Kinds), s.KindScore) {
		fmt.Fprintf(&b, "%-14s %5d %6.1f%%   %5.1f%% to %5.1f%% %8.1f%% %8.1f%%\n", k.Kind, k.Exact.N, 100*k.Exact.Share, 100*k.Exact.Low, 100*k.Exact.High, 100*k.Flexible.Share, 100*k.Majority)
	}
	return b.String()
}

// StoryScores is the result of reading many stories.
type StoryScores struct {
	Good           Rate     `json:"good"` // without contradiction, every sentence understood
	Sentences      int      `json:"sentences"`
	Unparsed       int      `json:"unparsed"`
	Contradictions int      `json:"contradictions"`
	Faults         []string `json:"faults"` // the first of each bad story
}

// EvalStories reads n stories, which tell makes, with the oracle. A text that
// was cut at a number of tokens may end in the middle of a sentence. A text
// without a whole sentence is not good.
func (w *World) EvalStories(ctx context.Context, n int, tell func(ctx context.Context, i int) (string, error), progress func(done, total int)) (s StoryScores, err error) {
	good := 0
	for i := range n {
		text, err := tell(ctx, i)
		if err != nil {
			return s, fmt.Errorf("story %d of %d: %w", i+1, n, err)
		}
		rep := w.CheckCut(text)
		s.Sentences += rep.Sentences
		s.Unparsed += len(rep.Unparsed)
		s.Contradictions += len(rep.Contradictions)
		switch {
		case len(rep.Unparsed) > 0:
			s.Faults = append(s.Faults, "not understood: "+rep.Unparsed[0])
		case len(rep.Contradictions) > 0:
			s.Faults = append(s.Faults, "contradiction: "+rep.Contradictions[0])
		case rep.Sentences == 0:
			s.Faults = append(s.Faults, fmt.Sprintf("no whole sentence: %q", text))
		default:
			good++
		}
		if progress != nil {
			progress(i+1, n)
		}
	}
	s.Good = newRate(good, n)
	return s, nil
}

// Text is the scores as a line, and the faults.
func (s *StoryScores) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "stories: %d of %d good (%.1f%%, 95%% interval %.1f%% to %.1f%%); %d sentences, %d not understood, %d contradictions\n",
		s.Good.Hits, s.Good.N, 100*s.Good.Share, 100*s.Good.Low, 100*s.Good.High, s.Sentences, s.Unparsed, s.Contradictions)
	for _, f := range s.Faults {
		fmt.Fprintf(&b, "  %s\n", f)
	}
	return b.String()
}

// StoryRequests returns n requests for a story about a person and a thing.
func (w *World) StoryRequests(seed uint64, split Split, n int) []string {
	r := w.rng("story requests", seed)
	out := make([]string, n)
	for i := range out {
		p, o := w.drawPair(r, split)
		out[i] = w.render(r, "ask story", args{argP: p, argO: o}, false)
	}
	return out
}
