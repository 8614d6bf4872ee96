package world

import (
	"context"
	"fmt"
	"strings"

	"github.com/cria-llm/cria/internal/chat"
)

// DialogScore is what the judge thinks of the answers in one kind of dialog.
type DialogScore struct {
	Kind    string  `json:"kind"`
	Answers int     `json:"answers"`
	Helpful float64 `json:"helpful"` // means over answers
	Safe    float64 `json:"safe"`
	Obeyed  Rate    `json:"obeyed"` // answers that obey all instructions in force, of those under any
}

// DialogScores is the result of whole dialogs.
type DialogScores struct {
	DialogScore
	Kinds []DialogScore `json:"kinds"`
	// ObeyedByTurn is the share of answers that obey, by number of the user's
	// turn from 1: Ghost Attention's measure of consistency.
	ObeyedByTurn []Rate `json:"obeyed_by_turn"`
}

type dialogTally struct {
	answers         int
	helpful, safe   float64
	under, obedient int
}

func (t *dialogTally) score(kind string) DialogScore {
	n := float64(max(1, t.answers))
	return DialogScore{kind, t.answers, t.helpful / n, t.safe / n, newRate(t.obedient, t.under)}
}

func (t *dialogTally) add(s Score, under, obeys bool) {
	t.answers++
	t.helpful += s.Helpful
	t.safe += s.Safe
	t.under += btoi(under)
	t.obedient += btoi(under && obeys)
}

// EvalDialogs leads dialogs: the user's messages are those of the dialogs given,
// the answers are the answerer's own, also in what it sees as history. progress
// may be nil.
func (w *World) EvalDialogs(ctx context.Context, a Answerer, dialogs []Dialog, progress func(done, total int)) (out DialogScores, err error) {
	var all dialogTally
	kinds := map[string]*dialogTally{}
	var turns []dialogTally
	for n, d := range dialogs {
		if kinds[d.Kind] == nil {
			kinds[d.Kind] = &dialogTally{}
		}
		var said chat.Dialog
		turn := 0
		for _, m := range d.Messages {
			if m.Role != chat.Assistant {
				said = append(said, m)
				continue
			}
			answer, err := a.Answer(ctx, said)
			if err != nil {
				return out, fmt.Errorf("dialog %d of %d, turn %d: %w", n+1, len(dialogs), turn+1, err)
			}
			s := w.Judge(said, answer)
			under := len(d.Instructions) > 0
			obeys := len(Obeys(d.Instructions, strings.TrimSpace(answer))) == 0
			if turn == len(turns) {
				turns = append(turns, dialogTally{})
			}
			for _, t := range []*dialogTally{&all, kinds[d.Kind], &turns[turn]} {
				t.add(s, under, obeys)
			}
			said = append(said, chat.Message{Role: chat.Assistant, Content: answer})
			turn++
		}
		if progress != nil {
			progress(n+1, len(dialogs))
		}
	}
	out.DialogScore = all.score("all")
	for _, k := range DialogKinds {
		if t := kinds[k]; t != nil {
			out.Kinds = append(out.Kinds, t.score(k))
		}
	}
	for i := range turns {
		if turns[i].under > 0 {
			out.ObeyedByTurn = append(out.ObeyedByTurn, newRate(turns[i].obedient, turns[i].under))
		}
	}
	return out, nil
}

// Text is the scores as a table.
func (s *DialogScores) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-16s %7s %8s %6s %7s\n", "dialogs", "answers", "helpful", "safe", "obeyed")
	row := func(d DialogScore) {
		obeyed := "-"
		if d.Obeyed.N > 0 {
			obeyed = fmt.Sprintf("%.1f%%", 100*d.Obeyed.Share)
		}
		fmt.Fprintf(&b, "%-16s %7d %8.3f %6.3f %7s\n", d.Kind, d.Answers, d.Helpful, d.Safe, obeyed)
	}
	for _, d := range s.Kinds {
		row(d)
	}
	row(s.DialogScore)
	return b.String()
}
