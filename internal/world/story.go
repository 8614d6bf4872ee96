package world

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
)

// Document is one text of the world.
type Document struct {
	Kind string // "story", "facts", …
	Text string
	Key  string // the combination that decides the split, where there is one
}

// scene is a story while it is told: every event goes through the state that the
// oracle uses, so a theme that contradicts itself is found at once.
type scene struct {
	w     *World
	r     *rand.Rand
	st    *state
	split Split
	out   []string
	// pronoun is the share of sentences that say He or She where that is clear.
	pronoun float64
	clear   personID // whom a pronoun would stand for beyond doubt
	last    string   // kind of the last sentence
}

func (w *World) newScene(r *rand.Rand, split Split, pronoun float64) *scene {
	return &scene{w: w, r: r, st: newState(w), split: split, pronoun: pronoun}
}

func (sc *scene) text() string { return strings.Join(sc.out, " ") }

// e tells an event; v is pairs of argument and identifier.
func (sc *scene) e(kindName string, v ...any) {
	var a args
	for i := 0; i < len(v); i += 2 {
		a[v[i].(arg)] = v[i+1].(int)
	}
	sc.tell(kindName, a)
}

func (sc *scene) tell(kindName string, a args) {
	pronoun := a[argP] != 0 && a[argP] == sc.clear && sc.r.Float64() < sc.pronoun
	line := sc.w.render(sc.r, kindName, a, pronoun, sc.wording(a)...)
	k, read, ok := sc.w.parse(line, inStory|inFacts|inSecrets)
	if !ok || k.name != kindName {
		panic(fmt.Sprintf("world: the grammar does not read its own sentence %q", line))
	}
	if bad := sc.st.apply(event{k, read}); bad != nil {
		panic(fmt.Sprintf("world: a theme contradicts itself: %q after %q: %q", line, sc.text(), bad))
	}
	sc.out, sc.last = append(sc.out, line), kindName
	if p, q := a[argP], a[argQ]; p != 0 {
		sc.clear = p
		if q != 0 && sc.w.gender(p) == sc.w.gender(q) {
			sc.clear = 0
		}
	} else {
		sc.clear = 0
	}
}

// wording says which of the wordings of an event suit what was told before.
func (sc *scene) wording(a args) []func(*template) bool {
	st := sc.st
	named := len(sc.out) > 1 && (a[argP] == 0 || slices.Contains(st.people, a[argP]))
	sought := st.lost[a[argO]] || st.gone[a[argA]]
	isNew := !slices.Contains(st.things, a[argO])
	return []func(*template) bool{
		func(t *template) bool { return t.isNew == isNew },
		func(t *template) bool { return !t.later || named },
		func(t *template) bool { return !t.atEnd || sought },
	}
}

// maybe is true with a probability.
func (sc *scene) maybe(p float64) bool { return sc.r.Float64() < p }

// good and bad return a mood.
func (sc *scene) good() int { return 1 + sc.r.IntN(len(goodMoods)) }
func (sc *scene) bad() int  { return 1 + len(goodMoods) + sc.r.IntN(len(badMoods)) }

func (sc *scene) place(not ...int) placeID { return sc.other(len(placeNames), not...) }

func (sc *scene) person(not ...int) personID { return sc.other(len(sc.w.people)-1, not...) }

// other returns one of 1..n that is not in the list.
func (sc *scene) other(n int, not ...int) int {
next:
	for {
		x := 1 + sc.r.IntN(n)
		for _, y := range not {
			if x == y {
				continue next
			}
		}
		return x
	}
}

// drawPair returns a person and a thing for a story: in Train never a held-out
// combination, in HeldOut always one.
func (w *World) drawPair(r *rand.Rand, split Split) (personID, objectID) {
	for {
		p, o := 1+r.IntN(len(w.people)-1), 1+r.IntN(portable)
		if w.allowed(w.pairKey(p, o), split) {
			return p, o
		}
	}
}

// extra returns another thing, held out for none of the people.
func (sc *scene) extra(not objectID, people ...personID) objectID {
next:
	for {
		o := sc.other(portable, not)
		for _, p := range people {
			if sc.w.IsHeldOut(sc.w.pairKey(p, o)) {
				continue next
			}
		}
		return o
	}
}

// Stories yields stories without end. Those of HeldOut are each about a person
// and a thing that never come together in Train.
func (w *World) Stories(seed uint64, split Split) iter.Seq[Document] {
	return func(yield func(Document) bool) {
		r := w.rng("stories", seed)
		for {
			if !yield(w.story(r, split, 0)) {
				return
			}
		}
	}
}

// story tells one story, about a person if p is not zero; in HeldOut about any.
func (w *World) story(r *rand.Rand, split Split, p personID) Document {
	lead, o := w.drawPair(r, split)
	for p != 0 && split == Train && w.IsHeldOut(w.pairKey(p, o)) {
		_, o = w.drawPair(r, split)
	}
	list := themes
	if split == HeldOut {
		list = themes[:thingThemes]
	} else if p != 0 {
		lead = p
	}
	d := Document{Kind: "story", Text: w.tell(r, split, pick(r, list), lead, o)}
	if split == HeldOut {
		d.Key = w.pairKey(lead, o)
	}
	return d
}

// storyOf tells a story about a person and a thing.
func (w *World) storyOf(r *rand.Rand, split Split, p personID, o objectID) string {
	return w.tell(r, split, pick(r, themes[:thingThemes]), p, o)
}

func (w *World) tell(r *rand.Rand, split Split, t theme, p personID, o objectID) string {
	for {
		sc := w.newScene(r, split, 0.6)
		t(sc, p, o)
		if text := sc.text(); len(tokens(text)) >= minStory {
			return text
		}
	}
}

// minStory is the least number of words and marks of a story.
const minStory = 60

// companion returns somebody who may be the second in a story about a person
// and a thing (0 for none): the best friend more often than others.
func (sc *scene) companion(p personID, o objectID) personID {
	may := func(q personID) bool { return o == 0 || !sc.w.IsHeldOut(sc.w.pairKey(q, o)) }
	if f := sc.w.people[p].friend; sc.maybe(0.4) && may(f) {
		return f
	}
	for {
		if q := sc.person(p); may(q) {
			return q
		}
	}
}

// open begins a story and tells some facts about its hero.
func (sc *scene) open(p personID) {
	w := sc.w
	switch h := w.people[p]; sc.r.IntN(4) {
	case 0:
		sc.e("open", argP, p, argVillage, h.village)
	case 1:
		sc.e("open", argP, p, argJob, h.job)
	default:
		sc.e("open", argP, p, argJob, h.job, argVillage, h.village)
	}
}

// facts tells up to n facts about a person.
func (sc *scene) facts(p personID, n int) {
	h := sc.w.people[p]
	for _, i := range sc.r.Perm(4)[:sc.r.IntN(n+1)] {
		switch i {
		case 0:
			sc.e("had pet", argP, p, argA, h.pet)
		case 1:
			sc.e("had friend", argP, p, argQ, h.friend)
		case 2:
			sc.e("had hobby", argP, p, argHobby, h.hobby)
		case 3:
			sc.e("had food", argP, p, argFood, h.food)
		}
	}
}

// sky tells the weather, or nothing.
func (sc *scene) sky() {
	v, t := 1+sc.r.IntN(len(weatherNames)), 1+sc.r.IntN(2)
	switch sc.r.IntN(5) {
	case 0, 1:
		sc.e("weather", argWeather, v, argTime, t)
	case 2:
		sc.e("weather", argWeather, v, argDay, 1+sc.r.IntN(len(dayNames)))
	case 3:
		sc.e("weather", argWeather, v)
	}
}

// goTo sends a person to a place, at times with words about time and weather.
func (sc *scene) goTo(p personID, l placeID) {
	a := args{argP: p, argL: l}
	switch t := 1 + sc.r.IntN(2); {
	case sc.st.sky == 0 && sc.st.time == 0 && sc.maybe(0.4):
		a[argTime], a[argWeather] = t, 1+sc.r.IntN(len(weatherNames))
	case sc.st.time == 0 && sc.maybe(0.3):
		a[argTime] = t
		if sc.st.day == 0 && sc.maybe(0.5) {
			a[argDay] = 1 + sc.r.IntN(len(dayNames))
		}
	case sc.st.day == 0 && sc.maybe(0.3):
		a[argDay] = 1 + sc.r.IntN(len(dayNames))
	}
	sc.tell("go", a)
}

// greet is two people who meet: the first is where they meet.
func (sc *scene) greet(p, q personID) {
	if l := sc.st.at[p]; l > 0 && sc.maybe(0.5) {
		sc.e("meet", argP, p, argQ, q, argL, l)
	} else {
		sc.e("meet", argP, p, argQ, q)
	}
	if sc.maybe(0.5) {
		sc.e("hello", argP, p, argQ, q)
	}
}

// thank is what one says for what another did.
func (sc *scene) thank(p, q personID) {
	if sc.maybe(0.8) {
		sc.e("thank", argP, p, argQ, q)
	}
	if sc.maybe(0.6) {
		sc.e("feel", argP, p, argMood, sc.good())
	}
}

// play is what two do together, with a thing or without.
func (sc *scene) play(p, q personID, o objectID) {
	if o != 0 && sc.maybe(0.6) {
		sc.e("play with", argP, p, argQ, q, argO, o)
	} else {
		sc.e("play with", argP, p, argQ, q)
	}
	switch sc.r.IntN(4) {
	case 0:
		sc.e("they laugh")
	case 1:
		sc.e("they feel", argMood, sc.good())
	case 2:
		sc.e("they eat", argFood, 1+sc.r.IntN(len(foodNames)))
	}
}

// end ends a story about one or two people.
func (sc *scene) end(p, q personID) {
	st := sc.st
	if sc.maybe(0.25) && st.time < len(timeNames) {
		sc.e("hour", argTime, len(timeNames))
	}
	both := q != 0 && st.pairP == p && st.pairQ == q
	if both && sc.last != "they feel" && sc.maybe(0.3) && st.feels[p] >= 0 && st.feels[q] >= 0 {
		sc.e("they feel", argMood, sc.good())
	}
	if sc.maybe(0.6) {
		switch {
		case both && st.at[p] != home && st.at[q] != home && sc.maybe(0.6):
			sc.e("they go home")
		case st.at[p] != home:
			sc.e("go home", argP, p)
		}
		if st.at[p] == home && sc.maybe(0.5) {
			sc.e("sleep", argP, p)
		}
	}
	switch {
	case sc.maybe(0.5):
		sc.e("end")
	case q != 0:
		sc.e("friends", argP, p, argQ, q)
	default:
		sc.e("lesson", argP, p)
	}
}
