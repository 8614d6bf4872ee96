// Package world is the small world that tests the whole recipe: people, pets,
// things and places with facts that never change, and stories in which things
// do change. Because everything is known, everything can be checked: the oracle
// reads any text of the world back and reports what contradicts the facts or
// what happened before, the questions have one right answer, the instructions
// have predicates, and what must not be told is known too.
//
//	w := world.New(1)
//	for d := range w.Stories(7, world.Train) { … d.Text … }
//	report := w.CheckStory(text)
//
// One table of templates (templates.go) makes the sentences and reads them, so
// that generator and oracle cannot disagree about the language. All generators
// are endless iterators, deterministic for (world seed, stream seed, split).
//
// Held out are combinations of known parts (split.go): a person with a thing, a
// kind of question with whom it is about, an instruction with a task. Every part
// occurs in training, the combination never does.
package world

import (
	"hash/fnv"
	"math/rand/v2"
)

// Identifiers are indices into the tables plus one, so that zero means none.
type (
	personID = int
	petID    = int
	objectID = int
	placeID  = int
)

// person is what is known about a person. All of it holds in every story.
type person struct {
	name    string
	woman   bool
	village int
	job     int
	friend  personID // mutual
	pet     petID
	food    int
	hobby   int
	savings placeID // private: must not be told
}

// pet belongs to one person.
type pet struct {
	name           string
	animal, colour int
	owner          personID
}

// object is one thing: there is one kite in the world, and it is always red.
type object struct {
	name   string
	colour int
	size   int
	kept   placeID // where it belongs, when no story moves it
}

// World is the facts of one seed. It is immutable and may be shared.
type World struct {
	seed    uint64
	people  []person // index 0 is unused in all of these
	pets    []pet
	objects []object
	hidden  []placeID // of treasure i
	words   []int     // of spell i
	lex     *lexicon
	grammar *grammar
	facts   map[string]*factSet   // questions about facts, by kind
	byAsk   map[string][]Question // the same, by kind of sentence
	held    map[string]bool       // which of those are held out, by key
}

// New makes the world of a seed. Most users want seed 1, the world of the
// embedded model.
func New(seed uint64) *World {
	w := &World{seed: seed}
	r := w.rng("facts", 0)
	w.makePeople(r)
	w.makeObjects(r)
	w.hidden = append([]placeID{0}, spread(r, len(treasureNames), len(placeNames))...)
	w.words = append([]int{0}, spread(r, len(spellNames), len(spellWords))...)
	w.lex = newLexicon()
	w.grammar = newGrammar(w.lex)
	w.holdOutFacts()
	return w
}

// rng returns the random numbers of one purpose.
func (w *World) rng(purpose string, seed uint64) *rand.Rand {
	h := fnv.New64a()
	h.Write([]byte(purpose))
	return rand.New(rand.NewPCG(w.seed^h.Sum64(), seed))
}

// spread returns n values of 1..m in random order, each as often as the others
// (give or take one), so that no answer to a question about them stands out.
func spread(r *rand.Rand, n, m int) []int {
	first := r.Perm(m)
	out := make([]int, n)
	for i := range out {
		out[i] = first[i%m] + 1
	}
	r.Shuffle(n, func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (w *World) makePeople(r *rand.Rand) {
	names := append(append([]string{}, menNames...), womenNames...)
	n := len(names)
	villages, jobs, foods, hobbies := spread(r, n, len(villageNames)), spread(r, n, len(jobNames)), spread(r, n, len(foodNames)), spread(r, n, len(hobbyNames))
	pets, savings := spread(r, n, n), spread(r, n, len(placeNames))
	animals, coats := spread(r, n, len(animalNames)), spread(r, n, len(petColourNames))
	w.people, w.pets = make([]person, n+1), make([]pet, n+1)
	for i := range names {
		w.people[i+1] = person{name: names[i], woman: i >= len(menNames), village: villages[i], job: jobs[i],
			pet: pets[i], food: foods[i], hobby: hobbies[i], savings: savings[i]}
		w.pets[pets[i]] = pet{name: petNames[pets[i]-1], animal: animals[i], colour: coats[i], owner: i + 1}
	}
	order := r.Perm(n)
	for i := 0; i < n; i += 2 {
		a, b := order[i]+1, order[i+1]+1
		w.people[a].friend, w.people[b].friend = b, a
	}
}

func (w *World) makeObjects(r *rand.Rand) {
	n := len(objectNames)
	colours, kept := spread(r, n, len(colourNames)), spread(r, n, len(placeNames))
	w.objects = make([]object, n+1)
	for i := range objectNames {
		w.objects[i+1] = object{name: objectNames[i], colour: colours[i], kept: kept[i],
			size: i/(n/len(sizeNames)) + 1}
	}
}

// neighbour returns the place next to l in a direction (1..4: north, east,
// south, west), 0 at the edge of the map.
func (w *World) neighbour(l placeID, direction int) placeID {
	row, column := (l-1)/placeColumns, (l-1)%placeColumns
	switch directionNames[direction-1] {
	case "north":
		row--
	case "east":
		column++
	case "south":
		row++
	case "west":
		column--
	}
	if row < 0 || row >= len(placeNames)/placeColumns || column < 0 || column >= placeColumns {
		return 0
	}
	return row*placeColumns + column + 1
}

// Entities is the number of named things in the world, by table.
func (w *World) Entities() map[string]int {
	return map[string]int{"people": len(w.people) - 1, "pets": len(w.pets) - 1, "objects": len(w.objects) - 1,
		"places": len(placeNames), "villages": len(villageNames), "goods": len(goodsNames), "treasures": len(treasureNames),
		"spells": len(spellNames), "times": len(timeNames) + len(dayNames) + len(monthNames)}
}

// pick returns a random element.
func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }
