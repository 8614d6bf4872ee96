package world

import "math/rand/v2"

// miniStory is a short story for questions: a few people, a few things, random
// events in which much changes, with an eye to what will be asked.
func (w *World) miniStory(r *rand.Rand, focus string, split Split) *scene {
	sc := w.newScene(r, split, 0.15)
	m := &mini{scene: sc, cast: []personID{sc.person()}, told: map[personID]bool{}}
	for range 1 + r.IntN(2) {
		m.cast = append(m.cast, sc.person(m.cast...))
	}
	for len(m.things) < 2 {
		o := 0
		if len(m.things) > 0 {
			o = m.things[0]
		}
		m.things = append(m.things, sc.extra(o, m.cast...))
	}
	m.goods = 1 + r.IntN(len(goodsNames))
	if focus == "weather" || focus != "when" && r.IntN(4) == 0 {
		m.sky()
	}
	n := 4 + r.IntN(5)
	if focus == "who has more" { // comparing is enough; at times one number changes
		n = len(sc.out) + len(m.cast) + r.IntN(4)/3
	}
	for i := 0; len(sc.out) < n && i < 50; i++ {
		m.step(focus)
	}
	if focus == "why" || focus == "mood" {
		m.moods()
	}
	return sc
}

type mini struct {
	*scene
	cast   []personID
	things []objectID
	goods  int
	days   int
	told   map[personID]bool // the number of goods, and it did not change since
}

// step tells one event that is possible now, or none.
func (m *mini) step(focus string) {
	p := pick(m.r, m.cast)
	switch focus {
	case "how many":
		m.count(p, true)
	case "who has more":
		m.count(p, len(m.told) == len(m.cast))
	case "first", "then", "where", "whether":
		if m.maybe(0.8) {
			m.walk(p)
		} else {
			m.handle(p)
		}
	case "when":
		m.walkOn(p)
	case "why", "mood":
		if m.maybe(0.35) {
			m.moods()
		} else {
			m.handle(p)
		}
	case "where thing", "who has":
		if m.maybe(0.3) {
			m.walk(p)
		} else {
			m.handle(p)
		}
	default:
		if m.maybe(0.5) {
			m.walk(p)
		} else {
			m.handle(p)
		}
	}
}

// walk moves a person, with what they hold.
func (m *mini) walk(p personID) {
	l := m.place(m.st.at[p])
	for _, o := range m.things {
		if m.st.holder[o] == p { // said, so that where it is stands in the text
			m.e("carry", argP, p, argO, o, argL, l)
			return
		}
	}
	m.e("go", argP, p, argL, l)
}

// walkOn moves a person on a named day.
func (m *mini) walkOn(p personID) {
	if m.days == len(dayNames) {
		return
	}
	m.days++
	if len(m.st.moves[p]) > 3 {
		return
	}
	l := m.place(append([]int{m.st.at[p]}, m.st.moves[p]...)...)
	d := m.st.day%len(dayNames) + 1
	if m.st.day == 0 {
		d = 1 + m.r.IntN(len(dayNames))
	}
	if m.maybe(0.7) {
		m.e("go", argP, p, argL, l, argDay, d, argTime, 1+m.r.IntN(len(timeNames)))
	} else {
		m.e("go", argP, p, argL, l, argDay, d)
	}
}

// handle lets a person do something with a thing.
func (m *mini) handle(p personID) {
	st, o := m.st, pick(m.r, m.things)
	h, l := st.holder[o], st.lies[o]
	switch {
	case h == 0 && l == 0 && st.lost[o]:
		m.e("find", argP, p, argO, o)
	case h == 0 && l == 0:
		switch at := st.at[p]; {
		case m.maybe(0.4) || at == 0:
			m.e("have", argP, p, argO, o)
		case m.maybe(0.5):
			m.e("find", argP, p, argO, o, argL, at)
		default:
			m.e("buy", argP, p, argO, o)
		}
	case h == 0 && st.at[p] == l:
		m.e("pick up", argP, p, argO, o)
	case h == 0:
		m.e("go", argP, p, argL, l)
	case h != p && st.at[h] != 0 && st.at[h] == st.at[p] && m.maybe(0.7):
		m.e("give", argP, h, argQ, p, argO, o)
	case h != p && st.at[h] != 0 && st.at[p] != st.at[h] && m.maybe(0.6):
		m.e("come", argP, p, argL, st.at[h])
	case st.at[h] > 0 && m.maybe(0.4):
		m.e("put down", argP, h, argO, o, argL, st.at[h])
	case m.maybe(0.15):
		m.e("lose", argP, h, argO, o)
	default:
		m.walk(h)
	}
}

// moods tells how people feel about what happened to them.
func (m *mini) moods() {
	for _, p := range m.cast {
		switch f := m.st.feels[p]; {
		case m.st.mood[p] != 0 || m.maybe(0.2):
		case f > 0:
			m.e("feel", argP, p, argMood, m.good())
		case f < 0:
			m.e("feel", argP, p, argMood, m.bad())
		}
	}
}

// count tells how many goods a person has, or changes that once: one sum or
// difference is asked of small models, not a chain of them.
func (m *mini) count(p personID, changes bool) {
	st, g := m.st, m.goods
	at := [2]int{p, g}
	switch n := st.goods[at]; {
	case !st.knows[at]:
		m.e("had goods", argP, p, argN, 1+m.r.IntN(9), argG, g)
		m.told[p] = true
	case !changes || !m.told[p]:
	case m.maybe(0.5) && n > 1:
		k, q := 1+m.r.IntN(min(n-1, 5)), pick(m.r, m.cast)
		if q == p || !m.told[q] || m.maybe(0.3) {
			m.e("lose goods", argP, p, argN, k, argG, g)
		} else {
			m.e("give goods", argP, p, argQ, q, argN, k, argG, g)
			delete(m.told, q)
		}
		delete(m.told, p)
	default:
		m.e("get goods", argP, p, argN, 1+m.r.IntN(5), argG, g)
		delete(m.told, p)
	}
}

// mini makes a document of a short story, of the sort that some kind of question
// is asked about.
func (w *World) mini(r *rand.Rand) Document {
	t := pick(r, storyTypes())
	return Document{Kind: "mini", Text: w.miniStory(r, t.Name, Train).text()}
}
