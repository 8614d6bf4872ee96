package world

// theme tells one sort of story about a person and, the first thingThemes of
// them, a thing.
type theme func(sc *scene, p personID, o objectID)

var themes = []theme{lostThing, gift, sharing, foundForOwner, homemade, shopping, borrowed,
	lostPet, picnic, rainyDay, raceDay, hideAndSeek, letterDay, counting, lessonDay, wandering, petDay}

const thingThemes = 7

// begin is the part that all stories have.
func (sc *scene) begin(p personID, facts int) {
	sc.open(p)
	sc.facts(p, facts)
	sc.sky()
}

func lostThing(sc *scene, p personID, o objectID) {
	q, l := sc.companion(p, o), sc.place()
	sc.begin(p, 3)
	sc.e("have", argP, p, argO, o)
	if sc.maybe(0.6) {
		sc.e("carry", argP, p, argO, o, argL, l)
	} else {
		sc.goTo(p, l)
	}
	sc.e("lose", argP, p, argO, o)
	if sc.maybe(0.5) {
		sc.e("feel", argP, p, argMood, sc.bad())
	} else {
		sc.e("feel", argP, p, argMood, sc.bad(), argO, o)
	}
	sc.e("look for", argP, p, argO, o)
	sc.e("come", argP, q, argL, l)
	if sc.maybe(0.7) {
		sc.e("offer", argP, q, argQ, p)
	} else {
		sc.e("hello", argP, q, argQ, p)
	}
	sc.e("they look for", argO, o)
	if sc.maybe(0.5) {
		sc.e("find", argP, q, argO, o)
		sc.e("give", argP, q, argQ, p, argO, o)
		sc.thank(p, q)
	} else {
		sc.e("find", argP, p, argO, o)
		sc.e("feel", argP, p, argMood, sc.good())
	}
	if sc.maybe(0.4) {
		sc.play(p, q, o)
	}
	sc.end(p, q)
}

func gift(sc *scene, p personID, o objectID) {
	q, l := sc.companion(p, o), sc.place()
	shop := sc.w.lex.ids[clPlace]["market"]
	sc.begin(p, 3)
	if l != shop {
		sc.goTo(p, shop)
		sc.e("buy", argP, p, argO, o)
		if sc.maybe(0.6) {
			sc.e("carry", argP, p, argO, o, argL, l)
		} else {
			sc.e("go", argP, p, argL, l)
		}
	} else {
		sc.e("have", argP, p, argO, o)
		sc.goTo(p, l)
	}
	sc.greet(p, q)
	if sc.maybe(0.4) {
		sc.e("show", argP, p, argQ, q, argO, o)
		sc.e("praise", argP, q, argO, o)
	}
	sc.e("give", argP, p, argQ, q, argO, o)
	sc.thank(q, p)
	if sc.maybe(0.6) {
		sc.play(p, q, o)
	}
	sc.end(p, q)
}

func sharing(sc *scene, p personID, o objectID) {
	q, l := sc.companion(p, o), sc.place()
	sc.begin(p, 3)
	sc.e("have", argP, p, argO, o)
	if sc.maybe(0.5) {
		sc.e("carry", argP, p, argO, o, argL, l)
	} else {
		sc.goTo(p, l)
	}
	sc.e("play with", argP, p, argO, o)
	sc.e("come", argP, q, argL, l)
	if sc.maybe(0.5) {
		sc.e("praise", argP, q, argO, o)
	}
	sc.e("ask for", argP, q, argQ, p, argO, o)
	sc.e("give", argP, p, argQ, q, argO, o)
	sc.thank(q, p)
	if sc.maybe(0.5) {
		sc.play(p, q, o)
	}
	if sc.maybe(0.5) {
		sc.e("give", argP, q, argQ, p, argO, o)
		sc.e("thank", argP, p, argQ, q)
	}
	sc.e("lesson", argP, p)
	sc.end(p, q)
}

func foundForOwner(sc *scene, p personID, o objectID) {
	q, l := sc.companion(p, o), sc.place()
	m := sc.place(l)
	sc.begin(p, 3)
	sc.goTo(p, l)
	if sc.maybe(0.5) {
		sc.e("find", argP, p, argO, o, argL, l)
	} else {
		sc.e("see", argP, p, argO, o)
		sc.e("pick up", argP, p, argO, o)
	}
	if sc.maybe(0.5) {
		sc.e("carry", argP, p, argO, o, argL, m)
	} else {
		sc.e("go", argP, p, argL, m)
	}
	sc.greet(p, q)
	sc.e("show", argP, p, argQ, q, argO, o)
	if sc.maybe(0.5) {
		sc.e("praise", argP, q, argO, o)
		sc.e("give", argP, p, argQ, q, argO, o)
		sc.thank(q, p)
	} else {
		sc.play(p, q, o)
	}
	sc.end(p, q)
}

func homemade(sc *scene, p personID, o objectID) {
	q, l := sc.companion(p, o), sc.place()
	sc.begin(p, 3)
	sc.e("visit", argP, p, argQ, q)
	sc.e("make", argP, p, argO, o)
	if sc.maybe(0.6) {
		sc.e("feel", argP, p, argMood, sc.good())
	}
	sc.e("carry", argP, p, argO, o, argL, l)
	if sc.maybe(0.5) {
		sc.e("wait", argP, p, argQ, q)
		sc.e("come", argP, q, argL, l)
		sc.e("hello", argP, q, argQ, p)
	} else {
		sc.greet(p, q)
	}
	sc.e("give", argP, p, argQ, q, argO, o)
	sc.thank(q, p)
	if sc.maybe(0.5) {
		sc.play(p, q, o)
	}
	sc.end(p, q)
}

func shopping(sc *scene, p personID, o objectID) {
	q := sc.companion(p, o)
	shop := sc.w.lex.ids[clPlace]["market"]
	sc.begin(p, 3)
	sc.e("want", argP, p, argO, o)
	sc.goTo(p, shop)
	if sc.maybe(0.5) {
		sc.greet(p, q)
	} else {
		q = 0
	}
	sc.e("buy", argP, p, argO, o)
	sc.e("feel", argP, p, argMood, sc.good())
	if q != 0 {
		sc.e("show", argP, p, argQ, q, argO, o)
		sc.e("praise", argP, q, argO, o)
		sc.end(p, q)
		return
	}
	l := sc.place(shop)
	sc.e("carry", argP, p, argO, o, argL, l)
	sc.e("play with", argP, p, argO, o)
	if sc.maybe(0.4) {
		sc.e("put down", argP, p, argO, o, argL, l)
		sc.e("go home", argP, p)
		sc.e("sleep", argP, p)
		sc.e("next day", argP, p, argL, l)
		sc.e("find", argP, p, argO, o)
		sc.e("feel", argP, p, argMood, sc.good())
	}
	sc.end(p, 0)
}

func borrowed(sc *scene, p personID, o objectID) {
	q, l := sc.companion(p, o), sc.place()
	sc.begin(p, 2)
	sc.goTo(p, l)
	sc.greet(p, q)
	sc.e("have", argP, q, argO, o)
	sc.e("praise", argP, p, argO, o)
	sc.e("ask for", argP, p, argQ, q, argO, o)
	sc.e("give", argP, q, argQ, p, argO, o)
	sc.thank(p, q)
	if sc.maybe(0.5) {
		sc.e("play with", argP, p, argO, o)
	} else {
		sc.play(p, q, o)
	}
	if sc.maybe(0.6) {
		sc.e("give", argP, p, argQ, q, argO, o)
	}
	sc.end(p, q)
}

func lostPet(sc *scene, p personID, _ objectID) {
	t, l := sc.w.people[p].pet, sc.place()
	q := sc.companion(p, 0)
	sc.open(p)
	sc.e("had pet", argP, p, argA, t)
	sc.sky()
	sc.e("go with", argP, p, argA, t, argL, l)
	if sc.maybe(0.6) {
		sc.e("play with", argP, p, argA, t)
	}
	sc.e("run away", argA, t)
	sc.e("feel", argP, p, argMood, sc.bad())
	sc.e("look for", argP, p, argA, t)
	m := sc.place(l)
	sc.e("go", argP, p, argL, m)
	if sc.maybe(0.5) {
		sc.greetSad(p, q)
		sc.e("offer", argP, q, argQ, p)
	} else {
		q = 0
	}
	sc.e("find pet", argP, p, argA, t, argL, m)
	sc.e("feel", argP, p, argMood, sc.good())
	if sc.maybe(0.6) {
		sc.e("pet acts", argA, t)
	}
	sc.end(p, q)
}

// greetSad is greet by somebody who has other worries.
func (sc *scene) greetSad(p, q personID) {
	sc.e("come", argP, q, argL, sc.st.at[p])
	sc.e("hello", argP, q, argQ, p)
}

func picnic(sc *scene, p personID, _ objectID) {
	q, l, f := sc.companion(p, 0), sc.place(), 1+sc.r.IntN(len(foodNames))
	sc.begin(p, 3)
	sc.e("cook", argP, p, argFood, f)
	sc.goTo(p, l)
	sc.greet(p, q)
	sc.e("share food", argP, p, argQ, q, argFood, f)
	sc.thank(q, p)
	if sc.maybe(0.5) {
		sc.play(p, q, 0)
	}
	sc.e("hobby together", argHobby, sc.w.people[p].hobby)
	sc.end(p, q)
}

func rainyDay(sc *scene, p personID, _ objectID) {
	q, l := sc.companion(p, 0), sc.place()
	sc.open(p)
	sc.facts(p, 3)
	sc.e("weather", argWeather, sc.other(len(weatherNames), 1, 2, 4, 7), argTime, 1)
	sc.e("go with", argP, p, argQ, q, argL, l)
	sc.play(p, q, 0)
	sc.e("rain")
	sc.e("wet", argP, p, argQ, q)
	sc.e("they feel", argMood, sc.good())
	sc.e("sun")
	if sc.maybe(0.5) {
		sc.e("they go", argL, sc.place(l))
	}
	sc.e("they play")
	sc.end(p, q)
}

func raceDay(sc *scene, p personID, _ objectID) {
	q, l := sc.companion(p, 0), sc.place()
	sc.begin(p, 3)
	sc.goTo(p, l)
	sc.greet(p, q)
	sc.e("race")
	winner, loser := p, q
	if sc.maybe(0.5) {
		winner, loser = q, p
	}
	sc.e("win", argP, winner)
	if sc.maybe(0.7) {
		sc.e("feel", argP, winner, argMood, sc.good())
	}
	if sc.maybe(0.5) {
		sc.e("hello", argP, loser, argQ, winner)
	}
	sc.play(p, q, 0)
	sc.end(p, q)
}

func hideAndSeek(sc *scene, p personID, _ objectID) {
	q, l := sc.companion(p, 0), sc.place()
	sc.begin(p, 3)
	if sc.maybe(0.5) {
		sc.e("go with", argP, p, argQ, q, argL, l)
	} else {
		sc.goTo(p, l)
		sc.greet(p, q)
	}
	sc.e("hide and seek")
	for range 1 + sc.r.IntN(2) {
		sc.e("hide", argP, q)
		sc.e("find person", argP, p, argQ, q)
		p, q = q, p
	}
	sc.play(p, q, 0)
	sc.end(p, q)
}

func letterDay(sc *scene, p personID, _ objectID) {
	q, l := sc.companion(p, 0), sc.place()
	sc.begin(p, 3)
	sc.e("visit", argP, p, argQ, q)
	sc.e("write letter", argP, p, argQ, q)
	sc.e("read letter", argP, q, argQ, p)
	sc.e("feel", argP, q, argMood, sc.good())
	sc.e("next day", argP, q, argL, l)
	sc.e("wait", argP, q, argQ, p)
	sc.e("come", argP, p, argL, l)
	sc.e("hello", argP, p, argQ, q)
	sc.play(p, q, 0)
	sc.end(p, q)
}

func counting(sc *scene, p personID, _ objectID) {
	q, l, g := sc.companion(p, 0), sc.place(), 1+sc.r.IntN(len(goodsNames))
	a, b := 2+sc.r.IntN(6), 1+sc.r.IntN(4)
	sc.begin(p, 3)
	sc.goTo(p, l)
	sc.e("get goods", argP, p, argN, a, argG, g)
	if sc.maybe(0.5) {
		sc.e("get goods", argP, p, argN, b, argG, g)
		a += b
		sc.e("had goods", argP, p, argN, a, argG, g)
	}
	sc.greet(p, q)
	n := 1 + sc.r.IntN(min(a-1, 5))
	sc.e("give goods", argP, p, argQ, q, argN, n, argG, g)
	sc.thank(q, p)
	if sc.maybe(0.7) {
		sc.e("had goods", argP, p, argN, a-n, argG, g)
	}
	sc.play(p, q, 0)
	sc.end(p, q)
}

func lessonDay(sc *scene, p personID, _ objectID) {
	q, l := sc.companion(p, 0), sc.place()
	h := sc.w.people[p].hobby
	sc.open(p)
	sc.e("had hobby", argP, p, argHobby, h)
	sc.facts(p, 2)
	sc.sky()
	sc.goTo(p, l)
	sc.greet(p, q)
	if sc.w.people[q].hobby != h {
		sc.e("learn", argP, q, argHobby, h)
		sc.e("learn", argP, p, argQ, q, argHobby, h)
		sc.thank(q, p)
	}
	sc.e("hobby together", argHobby, h)
	sc.play(p, q, 0)
	sc.end(p, q)
}

func wandering(sc *scene, p personID, _ objectID) {
	sc.begin(p, 4)
	used, met := []int{}, []int{p}
	for i := range 3 + sc.r.IntN(2) {
		l := sc.place(used...)
		used = append(used, l)
		if i == 0 {
			sc.goTo(p, l)
		} else {
			sc.e("go", argP, p, argL, l)
		}
		switch sc.r.IntN(3) {
		case 0:
			q := sc.person(met...)
			met = append(met, q)
			sc.greet(p, q)
			sc.play(p, q, 0)
		case 1:
			o := sc.extra(0, p)
			if sc.st.holder[o] == 0 && sc.st.lies[o] == 0 {
				sc.e("see", argP, p, argO, o)
			}
		default:
			sc.e("eat", argP, p, argFood, 1+sc.r.IntN(len(foodNames)))
		}
	}
	sc.end(p, 0)
}

func petDay(sc *scene, p personID, _ objectID) {
	t, l := sc.w.people[p].pet, sc.place()
	q := sc.companion(p, 0)
	sc.open(p)
	sc.e("had pet", argP, p, argA, t)
	sc.sky()
	sc.goTo(p, l)
	sc.e("pet follows", argP, p, argA, t)
	sc.e("play with", argP, p, argA, t)
	if sc.maybe(0.6) {
		sc.e("pet acts", argA, t, argFood, 1+sc.r.IntN(len(foodNames)))
	} else {
		sc.e("pet acts", argA, t)
	}
	if sc.maybe(0.5) {
		sc.greet(p, q)
		sc.play(p, q, 0)
	} else {
		q = 0
		sc.e("feel", argP, p, argMood, sc.good())
	}
	sc.end(p, q)
}
