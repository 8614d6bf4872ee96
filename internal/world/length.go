package world

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Constraint is what a request says of the length or the form of one story.
type Constraint struct {
	ID      string
	Request string // what is put after the request
	Check   func(text string) bool
	// make tells a story of a person that obeys.
	make func(w *World, r *rand.Rand, p personID) string
}

// Constraints is the table of all constraints on stories.
var Constraints = makeConstraints()

func makeConstraints() (all []*Constraint) {
	for n := 3; n <= 8; n++ {
		all = append(all, &Constraint{ID: fmt.Sprintf("sentences %d", n), Request: fmt.Sprintf("Use exactly %s sentences.", numberNames[n-1]),
			Check: func(text string) bool { return len(sentences(text)) == n },
			make:  func(w *World, r *rand.Rand, p personID) string { return w.shortStory(r, p, n).text() }})
	}
	for _, n := range []int{20, 30, 40, 50} {
		name := map[int]string{20: "twenty", 30: "thirty", 40: "forty", 50: "fifty"}[n]
		all = append(all, &Constraint{ID: fmt.Sprintf("words %d", n), Request: fmt.Sprintf("Use at most %s words.", name),
			Check: func(text string) bool { return len(strings.Fields(text)) <= n },
			make: func(w *World, r *rand.Rand, p personID) string {
				for sentences := n / 6; ; sentences = max(2, sentences-1) {
					if text := w.shortStory(r, p, sentences).text(); len(strings.Fields(text)) <= n {
						return text
					}
				}
			}})
	}
	all = append(all, &Constraint{ID: "list", Request: "Write it as a list.",
		Check: func(text string) bool {
			lines := strings.Split(text, "\n")
			for _, l := range lines {
				if !strings.HasPrefix(l, "- ") {
					return false
				}
			}
			return len(lines) > 1
		},
		make: func(w *World, r *rand.Rand, p personID) string {
			return "- " + strings.Join(w.shortStory(r, p, 3+r.IntN(5)).out, "\n- ")
		}})
	return all
}

// shortStory tells a story of exactly n sentences.
func (w *World) shortStory(r *rand.Rand, p personID, n int) *scene {
	sc := w.newScene(r, Train, 0.5)
	sc.open(p)
	q := sc.companion(p, 0)
	steps := []func(){
		func() { sc.goTo(p, sc.place()) },
		func() { sc.e("meet", argP, p, argQ, q) },
		func() { sc.e("hello", argP, p, argQ, q) },
		func() { sc.e("play with", argP, p, argQ, q) },
		func() { sc.e("they laugh") },
		func() { sc.e("they feel", argMood, sc.good()) },
		func() { sc.e("they eat", argFood, 1+r.IntN(len(foodNames))) },
	}
	for i := 0; i < len(steps) && len(sc.out) < n-1; i++ {
		if left := n - 1 - len(sc.out); i > 1 && len(steps)-i > left && sc.maybe(0.3) {
			continue // some are left out where there are enough
		}
		steps[i]()
	}
	for len(sc.out) < n {
		sc.e("end")
	}
	return sc
}

// storyOfLength asks for a story with a constraint.
func (b *builder) storyOfLength() {
	w, r := b.w, b.r
	for {
		p, c := 1+r.IntN(len(w.people)-1), pick(r, Constraints)
		key := "do|" + c.ID + "|" + w.people[p].name
		if !w.allowed(key, b.split) {
			continue
		}
		b.turn(w.render(r, "ask story", args{argP: p}, false)+" "+c.Request, c.make(w, r, p))
		b.d.Keys = append(b.d.Keys, key)
		return
	}
}

// FindConstraints returns the constraints that a request states.
func FindConstraints(message string) (found []*Constraint) {
	for _, s := range sentences(message) {
		for _, c := range Constraints {
			if s == c.Request {
				found = append(found, c)
			}
		}
	}
	return found
}
