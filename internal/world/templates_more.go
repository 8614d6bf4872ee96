package world

// People with each other, and how they feel.
var peopleKinds = []kind{
	{"hello", inStory, false, func(s *state, e event) { s.meet(e.args[argP], e.args[argQ]) }, []string{
		`"Hello, {q}!" said {P}.`,
		`"How are you, {q}?" asked {P}.`,
		"{p} said hello to {q}.",
	}},
	{"thank", inStory, false, func(s *state, e event) {
		p, q := e.args[argP], e.args[argQ]
		s.meet(p, q)
		if !s.owes[[2]int{p, q}] {
			s.fail("%s did nothing for %s", s.name(q), s.name(p))
		}
	}, []string{
		`"Thank you, {q}!" said {P}.`,
		"{p} thanked {q}.",
	}},
	{"help", inStory, false, func(s *state, e event) {
		p, q := e.args[argP], e.args[argQ]
		s.meet(p, q)
		s.owes[[2]int{q, p}] = true
		s.glad(q, e)
	}, []string{
		"{p} helped {q}.",
		"{p} was kind and helped {q}.",
	}},
	{"offer", inStory, false, func(s *state, e event) { s.meet(e.args[argP], e.args[argQ]) }, []string{
		`"I will help you, {q}," said {P}.`,
		"{p} wanted to help {q}.",
	}},
	{"feel", inStory, false, func(s *state, e event) { s.feel(e.args[argP], e.args[argMood]) }, []string{
		"{p} was {m}.",
		"{p} felt {m}.",
		"{p} was very {m}.",
		"{P} was {m} because the {o} was lost.",
	}},
	{"they feel", inStory, true, func(s *state, e event) {
		s.feel(e.args[argP], e.args[argMood])
		s.feel(e.args[argQ], e.args[argMood])
	}, []string{
		"They were {m}.",
		"They felt {m}.",
		"They were both {m}.",
	}},
	{"eat", inStory, false, func(s *state, e event) { s.meet(e.args[argP], e.args[argQ]) }, []string{
		"{p} ate some {f}.",
		"{P} and {q} ate some {f}.",
	}},
	{"they eat", inStory, true, func(s *state, e event) { s.pair(&e.args) }, []string{
		"They ate some {f}.",
		"They ate some {f} together.",
	}},
	{"cook", inStory, false, func(s *state, e event) {
		p := e.args[argP]
		if s.food[p] == nil {
			s.food[p] = map[int]bool{}
		}
		s.food[p][e.args[argFood]] = true
	}, []string{
		"{p} made some {f}.",
		"{p} had some {f}.",
	}},
	{"share food", inStory, false, func(s *state, e event) {
		p, q := e.args[argP], e.args[argQ]
		s.meet(p, q)
		if !s.food[p][e.args[argFood]] {
			s.fail("%s has no %s", s.name(p), foodNames[e.args[argFood]-1])
		}
		s.owes[[2]int{q, p}] = true
		s.glad(q, e)
	}, []string{
		"{p} gave some {f} to {q}.",
		"{p} shared the {f} with {q}.",
	}},
	{"hobby together", inStory, true, func(s *state, e event) {
		s.pair(&e.args)
		s.glad(e.args[argP], e)
		s.glad(e.args[argQ], e)
	}, []string{
		"They liked to {h} together.",
		"{g} together was fun.",
	}},
	{"learn", inStory, false, func(s *state, e event) {
		p, q := e.args[argP], e.args[argQ]
		if q == 0 {
			return
		}
		s.meet(p, q)
		s.owes[[2]int{q, p}] = true
		s.glad(q, e)
	}, []string{
		"{p} wanted to learn to {h}.",
		"{p} taught {q} to {h}.",
		"{p} showed {q} how to {h}.",
	}},
	{"race", inStory, true, func(s *state, e event) {
		s.meet(e.args[argP], e.args[argQ])
		s.race = true
	}, []string{
		"They ran a race.",
		"They had a race to the big tree.",
	}},
	{"win", inStory, false, func(s *state, e event) {
		if !s.race {
			s.fail("there was no race to win")
		}
		s.race = false
		s.glad(e.args[argP], e)
	}, []string{
		"{P} won the race.",
		"{P} was faster and won the race.",
	}},
	{"hide and seek", inStory, true, func(s *state, e event) {
		s.meet(e.args[argP], e.args[argQ])
		s.glad(e.args[argP], e)
		s.glad(e.args[argQ], e)
	}, []string{
		"They played hide and seek.",
		"Then they played hide and seek.",
	}},
	{"hide", inStory, false, func(s *state, e event) {}, []string{
		"{P} hid behind a tree.",
		"{P} hid behind a big stone.",
	}},
	{"find person", inStory, false, func(s *state, e event) { s.meet(e.args[argP], e.args[argQ]) }, []string{
		"Soon {p} found {q}.",
		"{p} looked everywhere and found {q}.",
	}},
	{"write letter", inStory, false, func(s *state, e event) { s.letter[[2]int{e.args[argP], e.args[argQ]}] = true }, []string{
		"{p} wrote a letter to {q}.",
		"{p} wrote {q} a long letter.",
	}},
	{"read letter", inStory, false, func(s *state, e event) {
		p, q := e.args[argP], e.args[argQ]
		if !s.letter[[2]int{q, p}] {
			s.fail("%s wrote no letter to %s", s.name(q), s.name(p))
		}
		s.glad(p, e)
	}, []string{
		"{p} read the letter from {q}.",
	}},
	{"visit", inStory, false, func(s *state, e event) {}, []string{
		"{p} wanted to see {q}.",
		"{p} thought of {q}.",
	}},
	{"friends", inStory, false, func(s *state, e event) {}, []string{
		"{P} and {q} were good friends.",
		"After that, {P} and {q} were good friends.",
	}},
	{"lesson", inStory, false, func(s *state, e event) {}, []string{
		"{p} learned to share.",
		"{p} learned to be kind.",
		"{p} learned to be careful.",
		"{p} smiled.",
	}},
	{"they laugh", inStory, true, func(s *state, e event) { s.pair(&e.args) }, []string{
		"They laughed.",
		"They laughed and sang.",
		"They had a lot of fun.",
	}},
}

// Pets are with their owners, or ran away.
var petKinds = []kind{
	{"run away", inStory, false, func(s *state, e event) {
		t := e.args[argA]
		if s.gone[t] {
			s.fail("%s ran away before", s.w.pets[t].name)
		}
		s.gone[t] = true
		s.sorry(s.w.pets[t].owner, e)
	}, []string{
		"But {a} ran away.",
		"Then {a} ran away.",
		"One day {a} ran away.",
	}},
	{"find pet", inStory, false, func(s *state, e event) {
		t, p := e.args[argA], e.args[argP]
		s.owns(p, t)
		if !s.gone[t] {
			s.fail("%s did not run away", s.w.pets[t].name)
		}
		s.be(p, e.args[argL])
		delete(s.gone, t)
		s.glad(p, e)
	}, []string{
		"{p} found {a} {in} the {l}.",
		"At last {p} found {a}.",
	}},
	{"pet follows", inStory, false, func(s *state, e event) { s.withPet(e.args[argP], e.args[argA]) }, []string{
		"{a} followed {P}.",
		"{a} went with {P}.",
		"{a} ran after {P}.",
	}},
	{"pet acts", inStory, false, func(s *state, e event) {
		if t := e.args[argA]; s.gone[t] {
			s.fail("%s ran away", s.w.pets[t].name)
		}
	}, []string{
		"{a} came too.",
		"{a} jumped up and down.",
		"{a} slept in the sun.",
		"{a} was a good {k}.",
		"{a} ate some {f}.",
		"{a} was hungry.",
	}},
}

// Things that are counted.
var goodsKinds = []kind{
	{"had goods", inStory, false, func(s *state, e event) { s.count(e.args[argP], e.args[argG], e.args[argN]) }, []string{
		"{p} had {ng}.",
		"Now {p} had {ng}.",
		"So {p} had {ng} now.",
	}},
	{"get goods", inStory, false, func(s *state, e event) { s.add(e.args[argP], e.args[argG], e.args[argN]) }, []string{
		"{p} found {ng}.",
		"{p} got {ng}.",
		"Then {p} found {ng}.",
	}},
	{"give goods", inStory, false, func(s *state, e event) {
		p, q := e.args[argP], e.args[argQ]
		s.meet(p, q)
		s.add(p, e.args[argG], -e.args[argN])
		s.add(q, e.args[argG], e.args[argN])
		s.owes[[2]int{q, p}] = true
		s.glad(q, e)
	}, []string{
		"{p} gave {q} {ng}.",
		"{p} gave {ng} to {q}.",
	}},
	{"lose goods", inStory, false, func(s *state, e event) { s.add(e.args[argP], e.args[argG], -e.args[argN]) }, []string{
		"{p} lost {ng}.",
		"{p} gave away {ng}.",
	}},
}

// Weather, time, and the end.
var worldKinds = []kind{
	{"weather", inStory, false, func(s *state, e event) {}, []string{
		"It was a {w} {t}.",
		"It was a {w} day.",
		"One {t}, it was {w}.",
		"It was a {w} {d}.",
		"{d} was a {w} day.",
	}},
	{"change weather", inStory, false, func(s *state, e event) { s.sky = 0 }, []string{
		"Then the weather changed.",
	}},
	{"rain", inStory, false, func(s *state, e event) { s.skyTurns("rainy") }, []string{
		"Then it began to rain.",
		"Soon it began to rain.",
	}},
	{"snow", inStory, false, func(s *state, e event) { s.skyTurns("snowy") }, []string{
		"Then it began to snow.",
		"Soon it began to snow.",
	}},
	{"sun", inStory, false, func(s *state, e event) { s.skyTurns("sunny") }, []string{
		"Then the sun came out.",
		"Soon the sun came out.",
	}},
	{"wet", inStory, false, func(s *state, e event) {
		if s.sky != s.w.lex.ids[clWeather]["rainy"] && s.sky != s.w.lex.ids[clWeather]["stormy"] {
			s.fail("it does not rain")
		}
		s.meet(e.args[argP], e.args[argQ])
	}, []string{
		"{p} got wet.",
		"{p} stood under a big tree.",
		"{P} and {q} stood under a big tree.",
	}},
	{"hour", inStory, false, func(s *state, e event) {}, []string{
		"Soon it was {t}.",
		"Then came the {t}.",
	}},
	{"next day", inStory, false, func(s *state, e event) {
		s.newDay()
		p, l := e.args[argP], e.args[argL]
		if p != 0 {
			s.move(p, l)
		}
	}, []string{
		"The next day, {P} went to the {l}.",
		"The next day, {P} ran to the {l}.",
	}},
	{"end", inStory, false, func(s *state, e event) {}, []string{
		"It was a good day.",
		"It was a happy day.",
		"What a day it was!",
		"The end.",
		"That was a fine day.",
	}},
}

// skyTurns changes the weather, which must have been another.
func (s *state) skyTurns(name string) {
	v := s.w.lex.ids[clWeather][name]
	if s.sky == v {
		s.fail("it is %s already", name)
	}
	s.sky = v
}

// Facts in the present tense. Everything that can be asked without a story is
// said here.
var factKinds = []kind{
	{"village", inFacts, false, nil, []string{
		"{p} lives in {v}.", "{ps} home is in {v}.", "The home of {P} is in {v}.",
	}},
	{"job", inFacts, false, nil, []string{
		"{p} is a {j}.", "{p} works as a {j}.", "{ps} job is {j}.",
	}},
	{"friend", inFacts, false, factFriend, []string{
		"{ps} best friend is {q}.", "The best friend of {P} is {q}.", "{p} likes {q} best.",
	}},
	{"pet", inFacts, false, func(s *state, e event) { s.owns(e.args[argP], e.args[argA]) }, []string{
		"{p} has a {k} named {a}.", "{ps} pet is a {k} named {a}.", "{a} is the {k} of {P}.",
		"{ps} pet is called {a}.", "{a} is the pet of {P}.", "The owner of {a} is {P}.", "{a} belongs to {P}.",
	}},
	{"pet kind", inFacts, false, func(s *state, e event) {
		if t := s.w.pets[s.w.people[e.args[argP]].pet]; t.animal != e.args[argAnimal] {
			s.fail("the pet of %s is a %s", s.name(e.args[argP]), animalNames[t.animal-1])
		}
	}, []string{
		"{p} has a {k} as a pet.", "The pet of {P} is a {k}.",
	}},
	{"coat", inFacts, false, nil, []string{
		"{a} is a {kc} {k}.", "{a} is a {k} and {a} is {kc}.",
	}},
	{"food", inFacts, false, factFood, []string{
		"{ps} favourite food is {f}.", "{p} likes to eat {f}.", "The favourite food of {P} is {f}.",
	}},
	{"hobby", inFacts, false, factHobby, []string{
		"{ps} hobby is {g}.", "{p} likes to {h}.", "The hobby of {P} is {g}.", "{p} likes {g}.",
	}},
	{"colour", inFacts, false, nil, []string{
		"The {o} is {c}.", "The colour of the {o} is {c}.", "There is a {c} {o}.",
	}},
	{"size", inFacts, false, func(s *state, e event) {
		if o := e.args[argO]; s.w.objects[o].size != e.args[argSize] {
			s.fail("the %s is %s", s.thing(o), sizeNames[s.w.objects[o].size-1])
		}
	}, []string{
		"The {o} is a {s} thing.", "The {o} is {s}.", "The {c} {o} is {s}.",
	}},
	{"compare", inFacts, false, func(s *state, e event) { s.bigger(e.args[argO], e.args[argO2]) }, []string{
		"The {o} is bigger than the {o2}.", "The {o2} is smaller than the {o}.",
	}},
	{"kept", inFacts, false, func(s *state, e event) {
		if o := e.args[argO]; s.w.objects[o].kept != e.args[argL] {
			s.fail("the %s is kept %s", s.thing(o), s.placeText(s.w.objects[o].kept))
		}
	}, []string{
		"The {o} is kept {in} the {l}.", "The {o} belongs {in} the {l}.", "People keep the {o} {in} the {l}.",
	}},
	{"map", inFacts, false, func(s *state, e event) {
		if n := s.w.neighbour(e.args[argL2], e.args[argDirection]); n != e.args[argL] {
			s.fail("the %s is not %s of the %s", placeNames[e.args[argL]-1], directionNames[e.args[argDirection]-1], placeNames[e.args[argL2]-1])
		}
	}, []string{
		"The {l} is {dir} of the {l2}.", "{dir} of the {l2} is the {l}.", "Go {dir} from the {l2} and you come to the {l}.",
	}},
	{"after", inFacts, false, func(s *state, e event) { s.follows(e.args[argX], e.args[argY]) }, []string{
		"{y} comes after {x}.", "{x} comes before {y}.", "After {x} comes {y}.", "Before {y} comes {x}.",
	}},
}

// bigger says that one thing is of a larger size than another.
func (s *state) bigger(o, than objectID) {
	if s.w.objects[o].size <= s.w.objects[than].size {
		s.fail("the %s is not bigger than the %s", s.thing(o), s.thing(than))
	}
}

// follows says that y comes next after x.
func (s *state) follows(x, y int) {
	if s.w.after(x) != y {
		s.fail("%s does not come after %s", s.w.lex.word(clSequence, y), s.w.lex.word(clSequence, x))
	}
}

// after returns what comes next in numbers, days or months: 0 after the last
// number.
func (w *World) after(x int) int {
	n, d := len(numberNames), len(dayNames)
	switch {
	case x == n:
		return 0
	case x == n+d:
		return n + 1
	case x == n+d+len(monthNames):
		return n + d + 1
	}
	return x + 1
}
