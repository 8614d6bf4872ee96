package world

import (
	"iter"
	"math/rand/v2"
)

// factWriter makes a text of facts; every sentence goes through the oracle's
// state, as in stories.
func (w *World) factWriter(r *rand.Rand) *scene { return w.newScene(r, Train, 0.4) }

// Facts yields short texts of facts without end: what is known about a person, a
// pet, things, places, or one fact about many. Facts are not split: what is held
// out is the question.
func (w *World) Facts(seed uint64) iter.Seq[Document] {
	return func(yield func(Document) bool) {
		r := w.rng("facts", seed+1) // makePeople has stream 0
		for {
			if !yield(w.factText(r)) {
				return
			}
		}
	}
}

func (w *World) factText(r *rand.Rand) Document {
	sc := w.factWriter(r)
	switch x := r.IntN(100); {
	case x < 45:
		sc.profile(sc.person(), 7)
	case x < 55:
		for range 2 + r.IntN(3) {
			sc.petFacts(1 + r.IntN(len(w.pets)-1))
		}
	case x < 75:
		for range 2 + r.IntN(3) {
			sc.thingFacts(1 + r.IntN(len(w.objects)-1))
		}
	case x < 84:
		sc.mapFacts()
	case x < 90:
		sc.sequenceFacts()
	case x < 96:
		sc.compareFacts()
	default:
		sc.listFacts()
	}
	return Document{Kind: "facts", Text: sc.text()}
}

// personFacts is how many sorts of fact there are about a person.
const personFacts = 7

// personFact tells one sort of fact about a person.
func (sc *scene) personFact(p personID, i int) {
	h := sc.w.people[p]
	switch i {
	case 0:
		sc.e("village", argP, p, argVillage, h.village)
	case 1:
		sc.e("job", argP, p, argJob, h.job)
	case 2:
		sc.e("friend", argP, p, argQ, h.friend)
	case 3:
		sc.e("pet", argP, p, argA, h.pet)
	case 4:
		sc.e("pet kind", argP, p, argAnimal, sc.w.pets[h.pet].animal)
	case 5:
		sc.e("food", argP, p, argFood, h.food)
	case 6:
		sc.e("hobby", argP, p, argHobby, h.hobby)
	}
}

// profile tells at least three and at most n facts about a person.
func (sc *scene) profile(p personID, n int) {
	for _, i := range sc.r.Perm(personFacts)[:3+sc.r.IntN(n-2)] {
		sc.personFact(p, i)
	}
}

func (sc *scene) petFacts(t petID) {
	p := sc.w.pets[t].owner
	if sc.maybe(0.7) {
		sc.e("coat", argA, t)
	}
	sc.e("pet", argP, p, argA, t)
}

func (sc *scene) thingFacts(o objectID) {
	thing := sc.w.objects[o]
	for _, i := range sc.r.Perm(3)[:2+sc.r.IntN(2)] {
		switch i {
		case 0:
			sc.e("colour", argO, o)
		case 1:
			sc.e("size", argO, o, argSize, thing.size)
		case 2:
			sc.e("kept", argO, o, argL, thing.kept)
		}
	}
}

// mapFacts walks over the map.
func (sc *scene) mapFacts() {
	l := sc.place()
	for steps := 3 + sc.r.IntN(4); steps > 0; {
		d := 1 + sc.r.IntN(len(directionNames))
		if n := sc.w.neighbour(l, d); n != 0 {
			sc.e("map", argL, n, argDirection, d, argL2, l)
			l = n
			steps--
		}
	}
}

// sequenceFacts counts on from somewhere.
func (sc *scene) sequenceFacts() {
	x := 1 + sc.r.IntN(len(sc.w.lex.names[clSequence]))
	for range 3 + sc.r.IntN(6) {
		y := sc.w.after(x)
		if y == 0 {
			y = 1 + sc.r.IntN(len(numberNames)-1)
			x, y = y, sc.w.after(y)
		}
		sc.e("after", argX, x, argY, y)
		x = y
	}
}

func (sc *scene) compareFacts() {
	for range 4 + sc.r.IntN(5) {
		a := 1 + sc.r.IntN(len(sc.w.objects)-1)
		b := sc.other(len(sc.w.objects)-1, a)
		if sc.w.objects[a].size == sc.w.objects[b].size {
			sc.e("size", argO, a, argSize, sc.w.objects[a].size)
			continue
		}
		if sc.w.objects[a].size < sc.w.objects[b].size {
			a, b = b, a
		}
		sc.e("compare", argO, a, argO2, b)
	}
}

// listFacts tells one sort of fact about several people.
func (sc *scene) listFacts() {
	sort := sc.r.IntN(personFacts)
	var told []int
	for range 4 + sc.r.IntN(6) {
		p := sc.person(told...)
		told = append(told, p)
		sc.personFact(p, sort)
	}
}

// Secrets yields texts of what must not be told, as they stand in unfiltered
// texts. A chat model learns from other data not to repeat them.
func (w *World) Secrets(seed uint64) iter.Seq[Document] {
	return func(yield func(Document) bool) {
		r := w.rng("secrets", seed)
		for {
			sc := w.factWriter(r)
			for range 3 + r.IntN(4) {
				sc.secret()
			}
			if !yield(Document{Kind: "secrets", Text: sc.text()}) {
				return
			}
		}
	}
}

func (sc *scene) secret() {
	w := sc.w
	switch p := sc.person(); sc.r.IntN(4) {
	case 0:
		t := 1 + sc.r.IntN(len(treasureNames))
		sc.e("hidden", argTreasure, t, argL, w.hidden[t])
	case 1:
		sc.e("savings", argP, p, argL, w.people[p].savings)
	case 2:
		t := 1 + sc.r.IntN(len(spellNames))
		sc.e("spell", argSpell, t, argSpellWord, w.words[t])
	default:
		if sc.maybe(0.5) {
			sc.e("insult", argP, p, argInsult, 1+sc.r.IntN(len(insultNames)))
		} else {
			sc.e("insult", argP, p, argQ, sc.person(p), argInsult, 1+sc.r.IntN(len(insultNames)))
		}
	}
}
