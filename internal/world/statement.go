package world

import "strings"

// statements begin a sentence of the world's language that the answer to a
// question about a fact ends.
var statements = map[string]func(w *World, a *args) string{
	"home":     func(w *World, a *args) string { return "The home of " + w.people[a[argP]].name + " is in" },
	"job":      func(w *World, a *args) string { return w.people[a[argP]].name + " works as" },
	"friend":   func(w *World, a *args) string { return "The best friend of " + w.people[a[argP]].name + " is" },
	"pet":      func(w *World, a *args) string { return "The pet of " + w.people[a[argP]].name + " is" },
	"pet name": func(w *World, a *args) string { return w.people[a[argP]].name + "'s pet is called" },
	"owner":    func(w *World, a *args) string { return "The owner of " + w.pets[a[argA]].name + " is" },
	"food":     func(w *World, a *args) string { return "The favourite food of " + w.people[a[argP]].name + " is" },
	"hobby":    func(w *World, a *args) string { return "The hobby of " + w.people[a[argP]].name + " is" },
	"colour":   func(w *World, a *args) string { return "The colour of the " + w.objects[a[argO]].name + " is" },
	"kept":     func(w *World, a *args) string { return "The " + w.objects[a[argO]].name + " is kept" },
	"map": func(w *World, a *args) string {
		return capital(directionNames[a[argDirection]-1], true) + " of the " + placeNames[a[argL]-1] + " is"
	},
}

// Statements are the facts of the world as sentences without their ends: Text is
// the beginning, Answer the rest. They examine base models, which know no
// questions; nothing of them is held out, since base texts state all facts.
func (w *World) Statements() []Question {
	var out []Question
	for i := range questionTypes {
		t := &questionTypes[i]
		begin := statements[t.Name]
		if begin == nil {
			continue
		}
		for _, q := range t.facts(w) {
			q.Text = begin(w, &q.args)
			switch t.Name {
			case "home", "friend", "pet name", "owner": // names
			default:
				q.Answer = strings.ToLower(q.Answer)
			}
			out = append(out, q)
		}
	}
	return out
}
