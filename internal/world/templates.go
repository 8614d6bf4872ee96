package world

import "slices"

// group says in which texts a kind of sentence may stand.
type group uint8

const (
	inStory    group = 1 << iota
	inFacts          // statements that always hold, in the present tense
	inQuestion       // what people ask
	inSecrets        // statements that must not be told (safety.go)
)

// kind is one sort of event, fact or question with all its wordings.
type kind struct {
	name      string
	group     group
	they      bool // its subject is the two who were named last
	apply     func(s *state, e event)
	templates []string
}

// kinds is the one table of sentences. See slots for what may stand in braces;
// "a" before a slot becomes "an" where needed. The wordings of a kind that have
// the same slots are chosen among at random.
var kinds = slices.Concat(openingKinds, moveKinds, thingKinds, peopleKinds, petKinds, goodsKinds, worldKinds, factKinds, secretKinds, questionKinds)

// Sentences that begin stories, and facts as stories tell them.
var openingKinds = []kind{
	{"open", inStory, false, func(s *state, e event) {}, []string{
		"Once upon a time there was a {j} named {P}.",
		"Once upon a time, there was a {j} called {P}.",
		"There once was a {j} named {P}.",
		"Once upon a time, a {j} named {P} lived in {v}.",
		"Once upon a time, {P} was a {j} in {v}.",
		"Once upon a time there lived {P}, a {j} from {v}.",
		"In {v} there lived {P}, a {j}.",
		"{P} was a {j} who lived in {v}.",
		"Long ago, a {j} named {P} lived in {v}.",
		"Once upon a time {P} lived in {v}.",
		"{P} the {j} lived in {v}.",
	}},
	{"had pet", inStory, false, func(s *state, e event) { s.withPet(e.args[argP], e.args[argA]) }, []string{
		"{p} had a {kc} {k} named {a}.",
		"{p} had a pet, a {kc} {k} called {a}.",
		"{p} lived with {his} {k} {a}.",
		"{ps} pet was a {k} named {a}.",
	}},
	{"had friend", inStory, false, factFriend, []string{
		"{ps} best friend was {q}.",
		"The best friend of {P} was {q}.",
	}},
	{"had hobby", inStory, false, factHobby, []string{
		"{p} loved to {h}.",
		"{p} liked {g} very much.",
	}},
	{"had food", inStory, false, factFood, []string{
		"{p} loved to eat {f}.",
		"{ps} favourite food was {f}.",
	}},
}

func factFriend(s *state, e event) {
	if p := e.args[argP]; e.args[argQ] != s.w.people[p].friend {
		s.fail("the best friend of %s is %s", s.name(p), s.name(s.w.people[p].friend))
	}
}

func factHobby(s *state, e event) {
	if p := e.args[argP]; e.args[argHobby] != s.w.people[p].hobby {
		s.fail("the hobby of %s is %s", s.name(p), hobbyGerunds[s.w.people[p].hobby-1])
	}
}

func factFood(s *state, e event) {
	if p := e.args[argP]; e.args[argFood] != s.w.people[p].food {
		s.fail("the favourite food of %s is %s", s.name(p), foodNames[s.w.people[p].food-1])
	}
}

// People go to places.
var moveKinds = []kind{
	{"go", inStory, false, func(s *state, e event) { s.move(e.args[argP], e.args[argL]) }, []string{
		"{p} went to the {l}.",
		"{p} walked to the {l}.",
		"{p} ran to the {l}.",
		"Then {p} went to the {l}.",
		"In the {t}, {p} went to the {l}.",
		"One {t}, {p} walked to the {l}.",
		"One {w} {t}, {p} went to the {l}.",
		"It was a {w} {t} when {p} walked to the {l}.",
		"On {d}, {p} went to the {l}.",
		"On {d} {t}, {p} went to the {l}.",
	}},
	{"go with", inStory, false, func(s *state, e event) {
		s.pair(&e.args)
		s.move(e.args[argP], e.args[argL])
		s.follow(e.args[argQ], e.args[argL])
	}, []string{
		"{P} and {q} went to the {l}.",
		"{P} and {q} walked to the {l} together.",
		"{p} took {a} to the {l}.",
		"{P} and {a} went to the {l}.",
		"One {w} {t}, {P} and {q} went to the {l}.",
		"One {w} {t}, {P} and {a} went to the {l}.",
	}},
	{"they go", inStory, true, func(s *state, e event) {
		s.pair(&e.args)
		s.move(e.args[argP], e.args[argL])
		s.follow(e.args[argQ], e.args[argL])
	}, []string{
		"They went to the {l}.",
		"Then they walked to the {l}.",
		"They ran to the {l} together.",
	}},
	{"carry", inStory, false, func(s *state, e event) {
		s.hold(e.args[argP], e.args[argO])
		s.move(e.args[argP], e.args[argL])
	}, []string{
		"{p} took the {o} to the {l}.",
		"{p} carried the {o} to the {l}.",
		"{p} went to the {l} with the {o}.",
	}},
	{"go home", inStory, false, func(s *state, e event) {
		if o := e.args[argO]; o != 0 {
			s.hold(e.args[argP], o)
		}
		s.move(e.args[argP], home)
	}, []string{
		"{p} went home.",
		"Then {p} walked home.",
		"In the {t}, {p} went home.",
		"{p} took the {o} home.",
		"Then {p} went home with the {o}.",
	}},
	{"they go home", inStory, true, func(s *state, e event) {
		s.pair(&e.args)
		s.move(e.args[argP], home)
		s.move(e.args[argQ], home)
	}, []string{
		"They went home.",
		"Then they walked home.",
		"In the {t}, they went home.",
	}},
	{"come", inStory, false, func(s *state, e event) { s.move(e.args[argP], e.args[argL]) }, []string{
		"{P} came to the {l}.",
		"Then {P} came to the {l}.",
		"{P} came to the {l} too.",
	}},
	{"meet", inStory, false, func(s *state, e event) {
		s.be(e.args[argP], e.args[argL])
		s.meet(e.args[argP], e.args[argQ])
		s.glad(e.args[argP], e)
	}, []string{
		"There {p} met {q}.",
		"{p} met {q} there.",
		"{p} met {q} {in} the {l}.",
		"{p} saw {q} {in} the {l}.",
	}},
	{"was at", inStory, false, func(s *state, e event) { s.be(e.args[argP], e.args[argL]) }, []string{
		"{p} was {in} the {l}.",
		"Now {p} was {in} the {l}.",
		"{P} was now {in} the {l}.",
	}},
	{"wait", inStory, false, func(s *state, e event) {
		if p, q := e.args[argP], e.args[argQ]; s.at[p] != 0 && s.at[p] != home && s.at[p] == s.at[q] {
			s.fail("%s is %s already", s.name(q), s.placeText(s.at[q]))
		}
	}, []string{
		"{p} waited for {q}.",
		"{p} waited there for {q}.",
	}},
	{"sleep", inStory, false, func(s *state, e event) {
		s.be(e.args[argP], home)
		s.time = night
	}, []string{
		"{p} went to bed.",
		"{p} was tired and went to bed.",
		"At night {p} slept well.",
		"That night {p} slept well.",
		"Soon {p} fell asleep.",
	}},
}

// People and things.
var thingKinds = []kind{
	{"have", inStory, false, func(s *state, e event) { s.hold(e.args[argP], e.args[argO]) }, []string{
		"{p} had a {c} {o}.",
		"{p} had a new {o}.",
		"{p} owned a {c} {o}.",
		"Now {p} had the {o}.",
		"{P} had the {o} now.",
	}},
	{"find", inStory, false, func(s *state, e event) {
		s.be(e.args[argP], e.args[argL])
		s.take(e.args[argP], e.args[argO])
		s.glad(e.args[argP], e)
	}, []string{
		"{p} found a {c} {o}.",
		"There {p} found a {c} {o}.",
		"{p} found the {o}.",
		"At last {p} found the {o}.",
		"{p} found a {c} {o} {in} the {l}.",
		"{p} found the {o} {in} the {l}.",
		"At last {p} found the {o} {in} the {l}.",
	}},
	{"pick up", inStory, false, func(s *state, e event) { s.take(e.args[argP], e.args[argO]) }, []string{
		"{p} picked up the {o}.",
		"{p} took the {o}.",
	}},
	{"see", inStory, false, func(s *state, e event) {
		s.be(e.args[argP], e.args[argL])
		switch l, o := s.at[e.args[argP]], e.args[argO]; {
		case s.holder[o] != 0:
			s.fail("%s has the %s", s.name(s.holder[o]), s.thing(o))
		case l > 0 && s.lies[o] != 0 && s.lies[o] != l:
			s.fail("the %s is %s", s.thing(o), s.placeText(s.lies[o]))
		case l > 0:
			s.lies[o] = l
			delete(s.lost, o)
		}
	}, []string{
		"{p} saw a {c} {o} there.",
		"{p} saw a {c} {o} {in} the {l}.",
	}},
	{"lie", inStory, false, func(s *state, e event) {
		switch o, l := e.args[argO], e.args[argL]; {
		case s.holder[o] != 0 && s.at[s.holder[o]] != l:
			s.fail("%s has the %s", s.name(s.holder[o]), s.thing(o))
		case s.lies[o] != 0 && s.lies[o] != l:
			s.fail("the %s is %s", s.thing(o), s.placeText(s.lies[o]))
		case s.holder[o] == 0:
			s.lies[o] = l
			delete(s.lost, o)
		}
	}, []string{
		"There was a {c} {o} {in} the {l}.",
		"The {o} was {in} the {l}.",
		"Now the {o} was {in} the {l}.",
		`"The {o} is {in} the {l}," said {P}.`,
	}},
	{"put down", inStory, false, func(s *state, e event) {
		s.be(e.args[argP], e.args[argL])
		s.put(e.args[argP], e.args[argO])
	}, []string{
		"{p} put the {o} down.",
		"{p} put down the {o}.",
		"{p} left the {o} {in} the {l}.",
		"{p} hid the {o} {in} the {l}.",
	}},
	{"give", inStory, false, func(s *state, e event) {
		p, q, o := e.args[argP], e.args[argQ], e.args[argO]
		s.meet(p, q)
		s.hold(p, o)
		s.has(q, o)
		s.owes[[2]int{q, p}] = true
		s.glad(q, e)
	}, []string{
		"{p} gave the {o} to {q}.",
		"{p} gave {q} the {o}.",
		"{p} handed the {o} to {q}.",
	}},
	{"show", inStory, false, func(s *state, e event) {
		s.meet(e.args[argP], e.args[argQ])
		s.hold(e.args[argP], e.args[argO])
	}, []string{
		"{p} showed the {o} to {q}.",
		"{p} showed {q} the {o}.",
	}},
	{"ask for", inStory, false, func(s *state, e event) {
		s.meet(e.args[argP], e.args[argQ])
		s.hold(e.args[argQ], e.args[argO])
	}, []string{
		"{p} asked {q} for the {o}.",
		`"May I have the {o}, {q}?" asked {P}.`,
	}},
	{"lose", inStory, false, func(s *state, e event) {
		p, o := e.args[argP], e.args[argO]
		s.hold(p, o)
		delete(s.holder, o)
		s.lost[o] = true
		s.sorry(p, e)
	}, []string{
		"{p} lost the {o}.",
		"But then {p} lost the {o}.",
		"Then {p} dropped the {o} and could not find it.",
	}},
	{"look for", inStory, false, func(s *state, e event) {
		if p, o := e.args[argP], e.args[argO]; o != 0 && s.holder[o] == p {
			s.fail("%s has the %s", s.name(p), s.thing(o))
		}
		if p, t := e.args[argP], e.args[argA]; t != 0 {
			s.owns(p, t)
			if !s.gone[t] {
				s.fail("%s did not run away", s.w.pets[t].name)
			}
		}
	}, []string{
		"{p} looked for the {o}.",
		"{p} looked for the {o} everywhere.",
		"{p} looked for {a}.",
		"{p} looked for {a} everywhere.",
	}},
	{"they look for", inStory, true, func(s *state, e event) {
		s.meet(e.args[argP], e.args[argQ])
		if o := e.args[argO]; o != 0 && s.holder[o] != 0 {
			s.fail("%s has the %s", s.name(s.holder[o]), s.thing(o))
		}
	}, []string{
		"They looked for the {o}.",
		"They looked for the {o} together.",
	}},
	{"buy", inStory, false, func(s *state, e event) {
		s.be(e.args[argP], e.args[argL])
		s.take(e.args[argP], e.args[argO])
		s.glad(e.args[argP], e)
	}, []string{
		"{p} bought a {c} {o}.",
		"{p} bought a {c} {o} {in} the {l}.",
	}},
	{"make", inStory, false, func(s *state, e event) {
		s.take(e.args[argP], e.args[argO])
		s.glad(e.args[argP], e)
	}, []string{
		"{p} made a {c} {o}.",
		"{p} made a beautiful {o}.",
	}},
	{"want", inStory, false, func(s *state, e event) {
		if p, o := e.args[argP], e.args[argO]; s.holder[o] == p {
			s.fail("%s has the %s", s.name(p), s.thing(o))
		}
	}, []string{
		"{p} wanted a {o}.",
		"{p} wished for a {o}.",
	}},
	{"play with", inStory, false, func(s *state, e event) {
		p, o := e.args[argP], e.args[argO]
		s.pair(&e.args)
		if o != 0 {
			s.present(p, o)
		}
		s.glad(p, e)
		s.glad(e.args[argQ], e)
	}, []string{
		"{p} played with the {o}.",
		"{P} and {q} played with the {o}.",
		"{p} played with {a}.",
		"{P} and {q} played together.",
	}},
	{"they play", inStory, true, func(s *state, e event) {
		s.pair(&e.args)
		if o := e.args[argO]; o != 0 {
			s.present(e.args[argP], o)
		}
		s.glad(e.args[argP], e)
		s.glad(e.args[argQ], e)
	}, []string{
		"They played with the {o}.",
		"They played together.",
		"They played all day.",
		"Then they played a game.",
	}},
	{"praise", inStory, false, func(s *state, e event) {
		s.present(e.args[argP], e.args[argO])
	}, []string{
		`"What a nice {o}!" said {P}.`,
		`"I like the {o}," said {P}.`,
	}},
}
