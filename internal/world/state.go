package world

import (
	"fmt"
	"slices"
)

// home is the place of a person who is at home: nobody else is there.
const home placeID = -1

// state is what has happened in a story so far: the changing half of the world.
// Events change it; what an event says against it is a contradiction.
type state struct {
	w      *World
	at     map[personID]placeID
	gone   map[petID]bool // ran away; else a pet is with its owner
	holder map[objectID]personID
	lies   map[objectID]placeID // where nobody holds it
	lost   map[objectID]bool
	goods  map[[2]int]int     // person, goods: how many
	knows  map[[2]int]bool    // is that number certain
	feels  map[personID]int   // +1 good, -1 bad
	mood   map[personID]int   // the last mood that was told
	cause  map[personID]event // why
	food   map[personID]map[int]bool
	owes   map[[2]int]bool // P has a reason to thank Q
	letter map[[2]int]bool // P has a letter for Q
	days   int             // days that began
	day    int             // of the week; 0 unknown
	time   int             // of the day; night is after the last
	sky    int             // weather
	race   bool
	// Whom pronouns stand for.
	subject      personID
	pairP, pairQ personID
	pairA        petID
	contradicts  []string // of the current sentence
	// What questions ask about.
	people    []personID // in the order in which they were named
	things    []objectID
	counted   []int                  // goods
	placed    map[objectID]bool      // the last sentence about a thing named a place
	visits    map[personID][]placeID // where they were seen, in order
	moves     map[personID][]placeID // where they went
	when      map[[2]int][2]int      // person, place: day and time of going there
	namedDay  int                    // by the current sentence
	namedTime int
}

// event is one sentence, understood.
type event struct {
	kind *kind
	args args
}

const night = 4 // after the timeNames

func newState(w *World) *state {
	return &state{w: w, at: map[int]int{}, gone: map[int]bool{}, holder: map[int]int{}, lies: map[int]int{}, lost: map[int]bool{},
		goods: map[[2]int]int{}, knows: map[[2]int]bool{}, feels: map[int]int{}, mood: map[int]int{}, cause: map[int]event{},
		food: map[int]map[int]bool{}, owes: map[[2]int]bool{}, letter: map[[2]int]bool{}, visits: map[int][]int{}, moves: map[int][]int{}, placed: map[int]bool{}, when: map[[2]int][2]int{}}
}

// apply lets an event happen and returns what it contradicts.
func (s *state) apply(e event) []string {
	s.contradicts = nil
	a := e.args
	if !s.resolve(e.kind, &a) {
		return s.contradicts
	}
	s.checkFacts(&a)
	s.clock(&a)
	if e.kind.apply != nil {
		e.kind.apply(s, event{e.kind, a})
	}
	s.remember(event{e.kind, a})
	return s.contradicts
}

func (s *state) fail(format string, v ...any) {
	s.contradicts = append(s.contradicts, fmt.Sprintf(format, v...))
}

// resolve puts people in the place of pronouns.
func (s *state) resolve(k *kind, a *args) bool {
	if a[argP] < 0 {
		if s.subject == 0 {
			s.fail("nobody was named whom the pronoun could stand for")
			return false
		}
		if s.w.gender(s.subject) != -a[argP] {
			s.fail("the pronoun does not fit %s", s.name(s.subject))
			return false
		}
		a[argP] = s.subject
	}
	if k.they {
		if s.pairP == 0 {
			s.fail("no two were named whom \"they\" could stand for")
			return false
		}
		a[argP], a[argQ] = s.pairP, s.pairQ
		if s.pairQ == 0 {
			a[argA] = s.pairA
			if s.gone[s.pairA] {
				s.fail("%s ran away", s.w.pets[s.pairA].name)
			}
		}
	}
	if a[argP] != 0 && (a[argP] == a[argQ] || a[argP] == a[argR]) || a[argQ] != 0 && a[argQ] == a[argR] {
		s.fail("%s and %s are one", s.name(a[argP]), s.name(a[argQ]))
	}
	return true
}

// checkFacts compares what a sentence says with what is always true. Kinds whose
// food or hobby is a fact compare that themselves.
func (s *state) checkFacts(a *args) {
	if p := a[argP]; p > 0 {
		if v := a[argVillage]; v != 0 && v != s.w.people[p].village {
			s.fail("%s lives in %s", s.name(p), villageNames[s.w.people[p].village-1])
		}
		if j := a[argJob]; j != 0 && j != s.w.people[p].job {
			s.fail("%s is a %s", s.name(p), jobNames[s.w.people[p].job-1])
		}
		if g := a[argGender]; g != 0 && g != s.w.gender(p) {
			s.fail("the pronoun does not fit %s", s.name(p))
		}
	}
	if t := a[argA]; t > 0 {
		if k := a[argAnimal]; k != 0 && k != s.w.pets[t].animal {
			s.fail("%s is a %s", s.w.pets[t].name, animalNames[s.w.pets[t].animal-1])
		}
		if c := a[argCoat]; c != 0 && c != s.w.pets[t].colour {
			s.fail("%s is %s", s.w.pets[t].name, petColourNames[s.w.pets[t].colour-1])
		}
	}
	if o := a[argO]; o > 0 {
		if c := a[argColour]; c != 0 && c != s.w.objects[o].colour {
			s.fail("the %s is %s", s.w.objects[o].name, colourNames[s.w.objects[o].colour-1])
		}
	}
}

// clock reads day, time and weather, which may stand in any sentence.
func (s *state) clock(a *args) {
	s.namedDay, s.namedTime = a[argDay], a[argTime]
	if d := a[argDay]; d != 0 && d != s.day {
		if s.day != 0 {
			s.newDay()
		}
		s.day = d
	}
	if t := a[argTime]; t != 0 {
		if t < s.time {
			s.fail("it is later than %s already", timeNames[t-1])
		}
		s.time = t
	}
	if v := a[argWeather]; v != 0 {
		if s.sky != 0 && s.sky != v {
			s.fail("the weather is %s, not %s", weatherNames[s.sky-1], weatherNames[v-1])
		}
		s.sky = v
	}
}

func (s *state) newDay() {
	s.days++
	s.time, s.sky, s.day = 0, 0, 0
}

// remember updates whom pronouns stand for.
func (s *state) remember(e event) {
	p, q, t := e.args[argP], e.args[argQ], e.args[argA]
	if p > 0 {
		s.subject = p
	}
	if p > 0 && q > 0 {
		s.pairP, s.pairQ, s.pairA = p, q, 0
	} else if p > 0 && t > 0 {
		s.pairP, s.pairQ, s.pairA = p, 0, t
	}
	for _, id := range []int{p, q} {
		s.people = mention(s.people, id)
	}
	if o := e.args[argO]; o > 0 {
		s.things = mention(s.things, o)
		s.placed[o] = e.args[argL] != 0
	}
	s.counted = mention(s.counted, e.args[argG])
}

// mention adds what was not named before.
func mention(list []int, id int) []int {
	if id <= 0 || slices.Contains(list, id) {
		return list
	}
	return append(list, id)
}

func (s *state) name(p personID) string {
	if p <= 0 {
		return "nobody"
	}
	return s.w.people[p].name
}

func (s *state) thing(o objectID) string { return s.w.objects[o].name }

// placeText is a place as the reports name it.
func (s *state) placeText(l placeID) string {
	switch l {
	case home:
		return "at home"
	case 0:
		return "nowhere"
	}
	return s.w.inPlace(l)
}

// inPlace is a place with its preposition: "in the park".
func (w *World) inPlace(l placeID) string { return placePreps[l-1] + " the " + placeNames[l-1] }

// be says that a person is at a place; it is news where that was unknown.
func (s *state) be(p personID, l placeID) {
	switch at := s.at[p]; {
	case p == 0 || l == 0 || at == l:
	case at == 0:
		s.arrive(p, l)
	default:
		s.fail("%s is %s, not %s", s.name(p), s.placeText(at), s.placeText(l))
	}
}

// move says that a person goes to a place where they were not.
func (s *state) move(p personID, l placeID) {
	if p == 0 {
		return
	}
	if s.at[p] == l {
		s.fail("%s is %s already", s.name(p), s.placeText(l))
	}
	s.follow(p, l)
}

// follow is move for whoever goes with the one who was named.
func (s *state) follow(p personID, l placeID) {
	if p == 0 {
		return
	}
	s.moves[p] = append(s.moves[p], l)
	at := [2]int{p, l}
	delete(s.when, at)
	if s.namedDay != 0 {
		s.when[at] = [2]int{s.namedDay, s.namedTime}
	}
	s.arrive(p, l)
}

func (s *state) arrive(p personID, l placeID) {
	s.at[p] = l
	s.visits[p] = append(s.visits[p], l)
}

// meet says that two people are at one place.
func (s *state) meet(p, q personID) {
	if p == 0 || q == 0 {
		return
	}
	a, b := s.at[p], s.at[q]
	switch {
	case a == 0 && b == 0:
	case a == home && b == home, a != 0 && b != 0 && a != b:
		s.fail("%s is %s and %s is %s", s.name(p), s.placeText(a), s.name(q), s.placeText(b))
	case a == 0:
		s.arrive(p, b)
	case b == 0:
		s.arrive(q, a)
	}
}

// pair says that they are together: two people, or one and a pet.
func (s *state) pair(a *args) {
	s.meet(a[argP], a[argQ])
	s.withPet(a[argP], a[argA])
}

// withPet says that a pet is with a person, who must be its owner.
func (s *state) withPet(p personID, t petID) {
	if t == 0 {
		return
	}
	if s.gone[t] {
		s.fail("%s ran away", s.w.pets[t].name)
	}
	s.owns(p, t)
}

func (s *state) owns(p personID, t petID) {
	if o := s.w.pets[t].owner; p > 0 && o != p {
		s.fail("%s is the pet of %s", s.w.pets[t].name, s.name(o))
	}
}

// hold says that a person has a thing; it is news where that was unknown.
func (s *state) hold(p personID, o objectID) {
	switch h := s.holder[o]; {
	case h == p:
	case h != 0:
		s.fail("%s has the %s", s.name(h), s.thing(o))
	case s.lost[o]:
		s.fail("the %s is lost", s.thing(o))
	case s.lies[o] != 0:
		s.fail("the %s is %s", s.thing(o), s.placeText(s.lies[o]))
	default:
		s.holder[o] = p
	}
}

// take says that a person comes to have a thing that nobody had.
func (s *state) take(p personID, o objectID) {
	if h := s.holder[o]; h != 0 {
		s.fail("%s has the %s", s.name(h), s.thing(o))
	}
	if l := s.lies[o]; l != 0 {
		s.be(p, l)
	}
	s.has(p, o)
}

func (s *state) has(p personID, o objectID) {
	s.holder[o] = p
	delete(s.lies, o)
	delete(s.lost, o)
}

// put says that a person leaves a thing where they are.
func (s *state) put(p personID, o objectID) {
	s.hold(p, o)
	delete(s.holder, o)
	if l := s.at[p]; l > 0 {
		s.lies[o] = l
	}
}

// present says that a thing is where a person is: with somebody there, or lying
// there.
func (s *state) present(p personID, o objectID) {
	switch h := s.holder[o]; {
	case s.lost[o]:
		s.fail("the %s is lost", s.thing(o))
	case h != 0:
		if h != p {
			s.meet(p, h)
		}
	case s.lies[o] != 0:
		s.be(p, s.lies[o])
	}
}

// where returns the place of a thing, 0 if it is not known.
func (s *state) where(o objectID) placeID {
	if h := s.holder[o]; h != 0 {
		return s.at[h]
	}
	return s.lies[o]
}

// glad and sorry say that something good or bad happened to a person.
func (s *state) glad(p personID, e event) { s.touch(p, e, 1) }
func (s *state) sorry(p personID, e event) {
	s.touch(p, e, -1)
}

func (s *state) touch(p personID, e event, sign int) {
	if p > 0 {
		s.feels[p], s.cause[p] = sign, e
		delete(s.mood, p)
	}
}

// feel says how a person feels, which must fit what happened to them.
func (s *state) feel(p personID, mood int) {
	if p == 0 {
		return
	}
	sign := 1
	if mood > len(goodMoods) {
		sign = -1
	}
	if s.feels[p] != 0 && s.feels[p] != sign {
		s.fail("%s has no reason to be %s", s.name(p), moodNames[mood-1])
	}
	s.feels[p], s.mood[p] = sign, mood
}

// add changes how many goods a person has. The number is certain only where it
// was told before or nobody could have had any.
func (s *state) add(p personID, g, n int) {
	at := [2]int{p, g}
	if n < 0 && s.knows[at] && s.goods[at]+n < 0 {
		s.fail("%s has only %d %s", s.name(p), s.goods[at], goodsPlurals[g-1])
	}
	if n < 0 && !s.knows[at] {
		return
	}
	s.goods[at] += n
	s.knows[at] = true
}

// count says how many goods a person has.
func (s *state) count(p personID, g, n int) {
	at := [2]int{p, g}
	if s.knows[at] && s.goods[at] != n {
		s.fail("%s has %d %s, not %d", s.name(p), s.goods[at], goodsPlurals[g-1], n)
	}
	s.goods[at], s.knows[at] = n, true
}
