package world

import "strings"

// Summary is what the world holds, for people.
type Summary struct {
	Entities     map[string]int `json:"entities"`
	Questions    []string       `json:"questions"`
	Dialogs      []string       `json:"dialogs"`
	Instructions int            `json:"instructions"`
	Constraints  int            `json:"constraints"`
	Kinds        int            `json:"sentence_kinds"`
	Templates    int            `json:"templates"`
}

// Summary returns what the world holds.
func (w *World) Summary() Summary {
	s := Summary{Entities: w.Entities(), Questions: QuestionKinds(), Dialogs: DialogKinds, Instructions: len(Instructions),
		Constraints: len(Constraints), Kinds: len(kinds)}
	for _, k := range kinds {
		s.Templates += len(k.templates)
	}
	return s
}

// Profile returns all that may be told about a person, as a text.
func (w *World) Profile(name string) (text string, ok bool) {
	p := w.lex.ids[clPerson][name]
	if p == 0 {
		return "", false
	}
	sc := w.factWriter(w.rng("profile", 0))
	for i := range personFacts {
		sc.personFact(p, i)
	}
	return strings.Join(sc.out, "\n"), true
}
