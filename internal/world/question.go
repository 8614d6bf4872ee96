package world

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
)

// Question is a question with its one right answer.
type Question struct {
	Kind   string // of QuestionKinds
	Story  string // what it is about; empty for a question about facts
	Text   string
	Answer string
	Key    string // the combination of its parts that decides the split

	ask  string // the kind of its sentence
	args args
}

// Prompt is the user's message that asks the question.
func (q *Question) Prompt() string {
	if q.Story == "" {
		return q.Text
	}
	return q.Story + "\n" + q.Text
}

// questionType is one kind of question as scores are given by kind.
type questionType struct {
	Name  string
	facts func(w *World) []Question           // all of a kind about facts, without texts
	story func(w *World, s *state) []Question // all that a story allows
	pairs bool                                // two things are compared: every second pair is enough
}

var questionTypes []questionType

func init() { // the functions below need the table of kinds
	questionTypes = []questionType{
		{Name: "home", facts: perPerson("home", func(w *World, p *person) string { return villageNames[p.village-1] })},
		{Name: "job", facts: perPerson("job", func(w *World, p *person) string { j := jobNames[p.job-1]; return article(j) + " " + j })},
		{Name: "friend", facts: perPerson("friend", func(w *World, p *person) string { return w.people[p.friend].name })},
		{Name: "pet", facts: perPerson("pet", func(w *World, p *person) string {
			k := animalNames[w.pets[p.pet].animal-1]
			return article(k) + " " + k
		})},
		{Name: "pet name", facts: perPerson("pet name", func(w *World, p *person) string { return w.pets[p.pet].name })},
		{Name: "owner", facts: askOwner},
		{Name: "food", facts: perPerson("food", func(w *World, p *person) string { return foodNames[p.food-1] })},
		{Name: "hobby", facts: perPerson("hobby", func(w *World, p *person) string { return hobbyGerunds[p.hobby-1] })},
		{Name: "colour", facts: perObject("colour", func(w *World, o *object) string { return colourNames[o.colour-1] })},
		{Name: "kept", facts: perObject("kept", func(w *World, o *object) string { return w.inPlace(o.kept) })},
		{Name: "map", facts: askMap},
		{Name: "bigger", facts: askBigger, pairs: true},
		{Name: "sequence", facts: askSequence},
		{Name: "where", story: askWhere},
		{Name: "where thing", story: askWhereThing},
		{Name: "who has", story: askWhoHas},
		{Name: "how many", story: askHowMany},
		{Name: "who has more", story: askMore},
		{Name: "first", story: askFirst},
		{Name: "then", story: askThen},
		{Name: "why", story: askWhy},
		{Name: "mood", story: askMood},
		{Name: "when", story: askWhen},
		{Name: "whether", story: askWhether},
		{Name: "weather", story: askWeather},
	}
}

// QuestionKinds returns the names of all kinds of question.
func QuestionKinds() []string {
	var names []string
	for _, t := range questionTypes {
		names = append(names, t.Name)
	}
	return names
}

// answer makes a text of an answer: capital, full stop.
func answer(s string) string { return capital(s, true) + "." }

func newQuestion(kind, ask string, a args, text string, key ...string) Question {
	return Question{Kind: kind, Answer: answer(text), Key: "ask|" + kind + "|" + strings.Join(key, "|"), ask: ask, args: a}
}

func perPerson(kind string, get func(w *World, p *person) string) func(w *World) []Question {
	return func(w *World) (out []Question) {
		for i := 1; i < len(w.people); i++ {
			out = append(out, newQuestion(kind, "ask "+kind, args{argP: i}, get(w, &w.people[i]), w.people[i].name))
		}
		return out
	}
}

func perObject(kind string, get func(w *World, o *object) string) func(w *World) []Question {
	return func(w *World) (out []Question) {
		for i := 1; i < len(w.objects); i++ {
			out = append(out, newQuestion(kind, "ask "+kind, args{argO: i}, get(w, &w.objects[i]), w.objects[i].name))
		}
		return out
	}
}

func askOwner(w *World) (out []Question) {
	for i := 1; i < len(w.pets); i++ {
		out = append(out, newQuestion("owner", "ask owner", args{argA: i}, w.people[w.pets[i].owner].name, w.pets[i].name))
	}
	return out
}

func askMap(w *World) (out []Question) {
	for l := 1; l <= len(placeNames); l++ {
		for d := 1; d <= len(directionNames); d++ {
			if n := w.neighbour(l, d); n != 0 {
				out = append(out, newQuestion("map", "ask map", args{argL: l, argDirection: d}, "the "+placeNames[n-1], directionNames[d-1], placeNames[l-1]))
			}
		}
	}
	return out
}

func askBigger(w *World) (out []Question) {
	for a := 1; a < len(w.objects); a++ {
		for b := 1; b < len(w.objects); b++ {
			if w.objects[a].size == w.objects[b].size {
				continue
			}
			big := a
			if w.objects[b].size > w.objects[a].size {
				big = b
			}
			names := []string{w.objects[a].name, w.objects[b].name}
			slices.Sort(names) // both orders are one combination
			out = append(out, newQuestion("bigger", "ask bigger", args{argO: a, argO2: b}, "the "+w.objects[big].name, names...))
		}
	}
	return out
}

func askSequence(w *World) (out []Question) {
	for x := 1; x <= len(w.lex.names[clSequence]); x++ {
		y := w.after(x)
		if y == 0 {
			continue
		}
		a, b := w.lex.word(clSequence, x), w.lex.word(clSequence, y)
		out = append(out, newQuestion("sequence", "ask after", args{argX: x}, b, "after", a), newQuestion("sequence", "ask before", args{argX: y}, a, "before", b))
	}
	return out
}

func askWhere(w *World, s *state) (out []Question) {
	for _, p := range s.people {
		if l := s.at[p]; l > 0 {
			out = append(out, newQuestion("where", "ask where", args{argP: p}, w.inPlace(l), s.name(p), placeNames[l-1]))
		}
	}
	return out
}

func askWhereThing(w *World, s *state) (out []Question) {
	for _, o := range s.things {
		if l := s.where(o); l > 0 {
			out = append(out, newQuestion("where thing", "ask where thing", args{argO: o}, w.inPlace(l), s.thing(o), placeNames[l-1]))
		}
	}
	return out
}

func askWhoHas(w *World, s *state) (out []Question) {
	for _, o := range s.things {
		if p := s.holder[o]; p != 0 {
			out = append(out, newQuestion("who has", "ask who has", args{argO: o}, s.name(p), s.thing(o), s.name(p)))
		}
	}
	return out
}

func askHowMany(w *World, s *state) (out []Question) {
	for _, p := range s.people {
		for _, g := range s.counted {
			n := s.goods[[2]int{p, g}]
			if n < 1 || n > len(numberNames) {
				continue
			}
			goods := goodsPlurals[g-1]
			if n == 1 {
				goods = goodsNames[g-1]
			}
			out = append(out, newQuestion("how many", "ask how many", args{argP: p, argG: g}, numberNames[n-1]+" "+goods, s.name(p), goodsPlurals[g-1]))
		}
	}
	return out
}

func askMore(w *World, s *state) (out []Question) {
	for _, g := range s.counted {
		for _, p := range s.people {
			for _, q := range s.people {
				a, b := [2]int{p, g}, [2]int{q, g}
				if p == q || !s.knows[a] || !s.knows[b] || s.goods[a] == s.goods[b] {
					continue
				}
				more := p
				if s.goods[b] > s.goods[a] {
					more = q
				}
				names := []string{s.name(p), s.name(q)}
				slices.Sort(names)
				out = append(out, newQuestion("who has more", "ask who has more", args{argP: p, argQ: q, argG: g}, s.name(more), names...))
			}
		}
	}
	return out
}

// walked returns where a person went, if the story tells all of it.
func (s *state) walked(p personID) []placeID {
	if len(s.moves[p]) != len(s.visits[p]) || slices.Contains(s.moves[p], home) {
		return nil
	}
	return s.moves[p]
}

func askFirst(w *World, s *state) (out []Question) {
	for _, p := range s.people {
		if m := s.walked(p); len(m) > 1 {
			out = append(out, newQuestion("first", "ask first", args{argP: p}, "to the "+placeNames[m[0]-1], s.name(p), placeNames[m[0]-1]))
		}
	}
	return out
}

func askThen(w *World, s *state) (out []Question) {
	for _, p := range s.people {
		m := s.walked(p)
		for i := 0; i+1 < len(m); i++ {
			if slices.Index(m, m[i]) == i && !slices.Contains(m[i+1:], m[i]) {
				out = append(out, newQuestion("then", "ask then", args{argP: p, argL: m[i]}, "to the "+placeNames[m[i+1]-1], s.name(p), placeNames[m[i+1]-1]))
			}
		}
	}
	return out
}

func askWhy(w *World, s *state) (out []Question) {
	for _, p := range s.people {
		m, why := s.mood[p], s.because(p)
		if m != 0 && why != "" {
			out = append(out, newQuestion("why", "ask why", args{argP: p, argMood: m}, why, s.name(p), moodNames[m-1]))
		}
	}
	return out
}

// because says why a person feels as they do; empty if the story does not give a
// plain reason.
func (s *state) because(p personID) string {
	e, ok := s.cause[p]
	if !ok {
		return ""
	}
	who, other := s.name(e.args[argP]), s.name(e.args[argQ])
	thing := ""
	if o := e.args[argO]; o > 0 {
		thing = "the " + s.thing(o)
	}
	switch e.kind.name {
	case "find":
		return fmt.Sprintf("because %s found %s", who, thing)
	case "buy":
		return fmt.Sprintf("because %s bought %s", who, thing)
	case "make":
		return fmt.Sprintf("because %s made %s", who, thing)
	case "lose":
		return fmt.Sprintf("because %s lost %s", who, thing)
	case "give":
		return fmt.Sprintf("because %s gave %s %s", who, other, thing)
	case "win":
		return fmt.Sprintf("because %s won the race", who)
	case "meet":
		return fmt.Sprintf("because %s met %s", who, other)
	case "help":
		return fmt.Sprintf("because %s helped %s", who, other)
	case "run away":
		return fmt.Sprintf("because %s ran away", s.w.pets[e.args[argA]].name)
	case "find pet":
		return fmt.Sprintf("because %s found %s", who, s.w.pets[e.args[argA]].name)
	}
	return ""
}

func askMood(w *World, s *state) (out []Question) {
	for _, p := range s.people {
		if m := s.mood[p]; m != 0 {
			out = append(out, newQuestion("mood", "ask mood", args{argP: p}, moodNames[m-1], s.name(p), moodNames[m-1]))
		}
	}
	return out
}

func askWhen(w *World, s *state) (out []Question) {
	for _, p := range s.people {
		for _, l := range s.walked(p) {
			t, ok := s.when[[2]int{p, l}]
			if !ok {
				continue
			}
			text := "on " + dayNames[t[0]-1]
			if t[1] != 0 {
				text += " " + timeNames[t[1]-1]
			}
			out = append(out, newQuestion("when", "ask when", args{argP: p, argL: l}, text, s.name(p), dayNames[t[0]-1]))
		}
	}
	return out
}

// askWhether asks with the right place, and with each wrong one that the story
// names.
func askWhether(w *World, s *state) (out []Question) {
	var places []placeID
	for _, p := range s.people {
		for _, l := range s.visits[p] {
			places = mention(places, l)
		}
	}
	for _, p := range s.people {
		at := s.at[p]
		if at <= 0 {
			continue
		}
		for _, l := range places {
			text := "no, " + w.inPlace(at)
			if l == at {
				text = "yes, " + w.inPlace(at)
			}
			out = append(out, newQuestion("whether", "ask whether", args{argP: p, argL: l}, text, s.name(p), placeNames[l-1]))
		}
	}
	return out
}

func askWeather(w *World, s *state) []Question {
	if s.sky == 0 || len(s.people) == 0 {
		return nil
	}
	return []Question{newQuestion("weather", "ask weather", args{}, weatherNames[s.sky-1], s.name(s.people[0]), weatherNames[s.sky-1])}
}

// storyQuestions returns all questions that a story answers, of the kinds wanted
// (all if none), without texts.
func (w *World) storyQuestions(s *state, kinds ...string) (out []Question) {
	for _, t := range questionTypes {
		if t.story != nil && (len(kinds) == 0 || slices.Contains(kinds, t.Name)) {
			out = append(out, t.story(w, s)...)
		}
	}
	return out
}

// tally keeps the answers to one kind of question even: no answer is above a
// tenth of them.
type tally struct {
	n      int
	answer map[string]int
}

// admit counts an answer, unless there are enough of it.
func (t *tally) admit(answer string) bool {
	if t.answer == nil {
		t.answer = map[string]int{}
	}
	if float64(t.answer[answer]) > 0.095*float64(t.n) {
		return false
	}
	t.n++
	t.answer[answer]++
	return true
}

// Questions yields questions without end, every kind as often as the others.
func (w *World) Questions(seed uint64, split Split) iter.Seq[Question] {
	return func(yield func(Question) bool) {
		r := w.rng("questions", seed)
		tallies := make([]tally, len(questionTypes))
		for {
			for _, i := range r.Perm(len(questionTypes)) {
				q := w.question(r, &questionTypes[i], split)
				for !tallies[i].admit(q.Answer) {
					q = w.question(r, &questionTypes[i], split)
				}
				if !yield(q) {
					return
				}
			}
		}
	}
}

// question makes one question of a kind. Answers are drawn evenly, then one of
// the questions with that answer, so that no answer is worth guessing.
func (w *World) question(r *rand.Rand, t *questionType, split Split) Question {
	if t.facts != nil {
		return w.factQuestion(r, t, split)
	}
	for {
		sc := w.miniStory(r, t.Name, split)
		var fit []Question
		hard := r.IntN(10) == 0 // where a thing is may have to be concluded from where its holder is
		for _, q := range t.story(w, sc.st) {
			if w.allowed(q.Key, split) && (t.Name != "where thing" || hard || sc.st.placed[q.args[argO]]) {
				fit = append(fit, q)
			}
		}
		if len(fit) > 0 {
			q := pick(r, fit)
			if t.Name == "whether" && r.IntN(2) == 0 { // as many yes as no
				if i := slices.IndexFunc(fit, func(q Question) bool { return strings.HasPrefix(q.Answer, "Yes") }); i >= 0 {
					q = fit[i]
				}
			}
			q.Story, q.Text = sc.text(), w.render(r, q.ask, q.args, false)
			return q
		}
	}
}

func (w *World) factQuestion(r *rand.Rand, t *questionType, split Split) Question {
	set := w.facts[t.Name].split[split]
	q := pick(r, set.byAnswer[pick(r, set.answers)])
	q.Text = w.render(r, q.ask, q.args, false)
	return q
}

// factSet is all questions of one kind about facts, and those of each split by
// answer.
type factSet struct {
	all   []Question
	split [2]answerSet
}

type answerSet struct {
	answers  []string // in the order of the tables
	byAnswer map[string][]Question
}

func (s *answerSet) add(q Question) {
	if s.byAnswer == nil {
		s.byAnswer = map[string][]Question{}
	}
	if s.byAnswer[q.Answer] == nil {
		s.answers = append(s.answers, q.Answer)
	}
	s.byAnswer[q.Answer] = append(s.byAnswer[q.Answer], q)
}

// Answer returns the right answer to a question in the words of the world, asked
// after a story (empty for a question about facts). ok is false if the question
// is none, or the story does not answer it.
func (w *World) Answer(story, text string) (q Question, ok bool) {
	k, a, ok := w.parse(strings.TrimSpace(text), inQuestion)
	if !ok {
		return q, false
	}
	q, ok = w.answerTo(story, k, a)
	q.Text = text
	return q, ok
}

// answerTo answers a question that was read.
func (w *World) answerTo(story string, k *kind, a args) (q Question, ok bool) {
	plain := func(a args) args {
		a[argIn], a[argGender], a[argColour] = 0, 0, 0
		return a
	}
	a = plain(a)
	for _, q := range w.byAsk[k.name] {
		if plain(q.args) == a {
			return q, true
		}
	}
	if story == "" || w.byAsk[k.name] != nil {
		return q, false
	}
	s := w.read(story).state
	for i := range questionTypes {
		if t := &questionTypes[i]; t.story != nil && k.name == "ask "+t.Name {
			for _, q := range t.story(w, s) {
				if plain(q.args) == a {
					q.Story = story
					return q, true
				}
			}
		}
	}
	return q, false
}
