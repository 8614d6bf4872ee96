package world

import (
	"fmt"
	"strings"
)

// Report is what the oracle says about a text.
type Report struct {
	Sentences      int
	Unparsed       []string // sentences that are not of the world's language
	Contradictions []string // "sentence: what it contradicts"
}

// OK says that every sentence was understood and none contradicts anything.
func (r *Report) OK() bool { return len(r.Unparsed) == 0 && len(r.Contradictions) == 0 }

func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d sentences, %d not understood, %d contradictions", r.Sentences, len(r.Unparsed), len(r.Contradictions))
	for _, s := range r.Unparsed {
		fmt.Fprintf(&b, "\n  not understood: %s", s)
	}
	for _, s := range r.Contradictions {
		fmt.Fprintf(&b, "\n  contradiction: %s", s)
	}
	return b.String()
}

// reading is a text read sentence by sentence.
type reading struct {
	Report
	state  *state
	events []event // with pronouns resolved
}

// CheckStory reads a story and simulates it. Statements of fact may stand in it
// too.
func (w *World) CheckStory(text string) Report { return w.read(text).Report }

// CheckCut is CheckStory for a text that was cut at a number of tokens: a last
// sentence without an end is left out.
func (w *World) CheckCut(text string) Report {
	text = strings.TrimRight(text, " \n")
	all := sentences(text)
	if len(all) > 0 && !complete(all[len(all)-1]) {
		text = strings.TrimSuffix(text, all[len(all)-1])
	}
	return w.CheckStory(text)
}

// complete says that a sentence has its end.
func complete(s string) bool {
	s, quote := strings.CutSuffix(s, `"`)
	return s != "" && strings.IndexByte(".!?", s[len(s)-1]) >= 0 && (strings.Count(s, `"`)%2 == 1) == quote
}

func (w *World) read(text string) *reading {
	r := &reading{state: newState(w)}
	for _, line := range sentences(text) {
		r.Sentences++
		k, a, ok := w.parse(line, inStory|inFacts|inSecrets)
		if !ok {
			r.Unparsed = append(r.Unparsed, line)
			continue
		}
		subject := r.state.subject
		for _, why := range r.state.apply(event{k, a}) {
			r.Contradictions = append(r.Contradictions, line+": "+why)
		}
		if a[argP] < 0 {
			a[argP] = subject
		}
		r.events = append(r.events, event{k, a})
	}
	return r
}
