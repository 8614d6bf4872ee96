package world

import "strings"

// statements begin a sentence of the world's language that the answer to a
// question about a fact ends.
var statements = map[string]string{
	"home":     "The home of {P} is in",
	"job":      "{P} works as",
	"friend":   "The best friend of {P} is",
	"pet":      "The pet of {P} is",
	"pet name": "{ps} pet is called",
	"owner":    "The owner of {a} is",
	"food":     "The favourite food of {P} is",
	"hobby":    "The hobby of {P} is",
	"colour":   "The colour of the {o} is",
	"kept":     "The {o} is kept",
	"map":      "{dir} of the {l} is",
}

// Statements are the facts of the world as sentences without their ends: Text is
// the beginning, Answer the rest. They examine base models, which know no
// questions; nothing of them is held out, since base texts state all facts.
func (w *World) Statements() []Question {
	var out []Question
	for i := range questionTypes {
		t := &questionTypes[i]
		text, ok := statements[t.Name]
		if !ok {
			continue
		}
		begin := compile(nil, text)
		for _, q := range t.facts(w) {
			q.Text = w.fill(begin, q.args, false)
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
