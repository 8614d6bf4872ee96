package pii

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Score is how well one kind is found.
type Score struct {
	Kind                   string
	Labelled, Found, Right int     // spans of the kind: planted, found, found where one was planted
	Precision, Recall      float64 // Right/Found and Right/Labelled; 1 where there is nothing to divide by
}

// Evaluation is what Evaluate measures.
type Evaluation struct {
	Documents, Bytes int
	Negatives        int // pieces that look like personal data and are none
	Scores           []Score
	All              Score
	Missed, False    []string // a few passages, with what was planted or found in brackets
}

// maxPassages is how many passages of each sort an Evaluation keeps.
const maxPassages = 20

// Evaluate generates documents of prose with personal data planted in it, among
// dates, versions, prices, ISBNs and other numbers that are none, and compares
// what Find finds with what was planted. A span counts as found if one of the
// same kind covers it but for at most two bytes at each end.
func Evaluate(seed uint64) Evaluation {
	g := &generator{rng: rand.New(rand.NewPCG(seed, 0x9d1a7b3c))}
	var e Evaluation
	var counts [Kinds]Score
	for range 2000 {
		text, labels := g.document()
		e.Documents++
		e.Bytes += len(text)
		found := Find(nil, text)
		hit := make([]bool, len(labels))
		for _, f := range found {
			counts[f.Kind].Found++
			right := false
			for i, l := range labels {
				if !hit[i] && l.Kind == f.Kind && abs(l.Start-f.Start) <= 2 && abs(l.End-f.End) <= 2 {
					hit[i], right = true, true
					break
				}
			}
			if right {
				counts[f.Kind].Right++
			} else if len(e.False) < maxPassages {
				e.False = append(e.False, passage(text, f))
			}
		}
		for i, l := range labels {
			counts[l.Kind].Labelled++
			if !hit[i] && len(e.Missed) < maxPassages {
				e.Missed = append(e.Missed, passage(text, l))
			}
		}
	}
	e.Negatives = g.negatives
	e.All.Kind = "all"
	for k := range counts {
		c := &counts[k]
		c.Kind = kindNames[k]
		c.finish()
		e.Scores = append(e.Scores, *c)
		e.All.Labelled += c.Labelled
		e.All.Found += c.Found
		e.All.Right += c.Right
	}
	e.All.finish()
	return e
}

func (s *Score) finish() {
	s.Precision, s.Recall = 1, 1
	if s.Found > 0 {
		s.Precision = float64(s.Right) / float64(s.Found)
	}
	if s.Labelled > 0 {
		s.Recall = float64(s.Right) / float64(s.Labelled)
	}
}

func abs(x int) int { return max(x, -x) }

func passage(text string, s Span) string {
	return strings.ReplaceAll(fmt.Sprintf("%s[%s %s]%s", text[max(0, s.Start-30):s.Start], s.Kind, text[s.Start:s.End], text[s.End:min(len(text), s.End+20)]), "\n", " ")
}
