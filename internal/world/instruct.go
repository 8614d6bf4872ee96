package world

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
)

// Instruction is something that holds for every answer of a dialog and can be
// checked.
type Instruction struct {
	ID       string
	Category string // persona, figure, hobby, style, format, language; unseen ones have no training data
	Verbose  string
	Concise  string
	// Check says whether an answer obeys.
	Check func(answer string) bool

	apply func(answer string) string
	order int    // of application
	group string // instructions of one group exclude each other
}

// Unseen says that the instruction never occurs in Train: it measures whether
// what was learned of the others carries over.
func (i *Instruction) Unseen() bool { return i.Category == "unseen" }

// voices are what personas and public figures say.
var personas = [][2]string{{"pirate", "Arr!"}, {"robot", "Beep!"}, {"king", "Hear me!"}, {"wizard", "Abracadabra!"}, {"cowboy", "Howdy!"},
	{"ghost", "Boo!"}, {"clown", "Ha ha!"}, {"cat", "Meow!"}, {"soldier", "Yes sir!"}, {"chef", "Yum yum!"}}
var figures = [][2]string{{"Napoleon", "Vive la France!"}, {"Caesar", "I came and I saw!"}, {"Dracula", "What a dark night!"}, {"Mozart", "La la la!"},
	{"Newton", "Apples fall!"}, {"Cleopatra", "By the Nile!"}}
var sports = words(`tennis chess golf football hockey cricket yoga judo surfing karate`)

// Instructions is the table of all instructions for answers, in a fixed order.
var Instructions = makeInstructions()

func makeInstructions() (all []*Instruction) {
	add := func(i Instruction) { all = append(all, &i) }
	voice := func(category, name, verbose, concise, says string) {
		add(Instruction{ID: category + " " + name, Category: category, Verbose: verbose, Concise: concise, order: 2, group: "voice",
			apply: func(a string) string { return says + " " + a },
			Check: func(a string) bool { return holds(a, says) }})
	}
	for _, p := range personas {
		voice("persona", p[0], fmt.Sprintf("Act as a %s.", p[0]), fmt.Sprintf("Persona: %s.", p[0]), p[1])
	}
	for _, f := range figures {
		voice("figure", f[0], fmt.Sprintf("Act as %s.", f[0]), fmt.Sprintf("Figure: %s.", f[0]), f[1])
	}
	for _, h := range sports {
		add(Instruction{ID: "hobby " + h, Category: "hobby", Verbose: fmt.Sprintf("You enjoy %s.", h), Concise: fmt.Sprintf("Hobby: %s.", h), order: 3, group: "hobby",
			apply: func(a string) string { return a + " I enjoy " + h + "." },
			Check: func(a string) bool { return holds(a, h) }})
	}
	end := func(id, category, verbose, concise, tail string) {
		add(Instruction{ID: id, Category: category, Verbose: verbose, Concise: concise, order: 4, group: "end",
			apply: func(a string) string { return a + " " + tail },
			Check: func(a string) bool { return strings.HasSuffix(strings.ToLower(unwrap(a)), strings.ToLower(tail)) }})
	}
	end("style poet", "style", "Speak like a poet.", "Style: poet.", "Oh, how sweet!")
	end("style sir", "style", "Always call me sir.", "Style: sir.", "That is so, sir.")
	add(Instruction{ID: "style cheerful", Category: "style", Verbose: "Speak in a cheerful voice.", Concise: "Style: cheerful.", order: 4, group: "end",
		apply: func(a string) string { return strings.ReplaceAll(a, ".", "!") },
		Check: func(a string) bool { return !strings.Contains(a, ".") && strings.HasSuffix(unwrap(a), "!") }})
	add(Instruction{ID: "style whisper", Category: "style", Verbose: "Whisper all your answers.", Concise: "Style: whisper.", order: 4, group: "end",
		apply: func(a string) string { return strings.TrimSuffix(a, ".") + "..." },
		Check: func(a string) bool { return strings.HasSuffix(unwrap(a), "...") }})
	add(Instruction{ID: "style polite", Category: "style", Verbose: "Always be polite.", Concise: "Style: polite.", order: 1, group: "begin",
		apply: func(a string) string { return "Dear friend: " + a },
		Check: func(a string) bool { return holds(a, "Dear friend") }})
	end("format question", "format", "End every answer with a question.", "Format: question.", "Is there more?")
	add(Instruction{ID: "format capitals", Category: "format", Verbose: "Answer in capital letters.", Concise: "Format: capitals.", order: 6, group: "case",
		apply: strings.ToUpper,
		Check: func(a string) bool { return strings.ContainsFunc(a, unicode.IsUpper) && a == strings.ToUpper(a) }})
	wrap := func(id, verbose, concise, left, right string) {
		add(Instruction{ID: id, Category: "format", Verbose: verbose, Concise: concise, order: 5, group: "wrap",
			apply: func(a string) string { return left + a + right },
			Check: func(a string) bool {
				return len(a) > len(left)+len(right) && strings.HasPrefix(a, left) && strings.HasSuffix(a, right)
			}})
	}
	wrap("format list", "Write every answer as a list.", "Format: list.", "- ", "")
	wrap("format quotes", "Put every answer in quotes.", "Format: quotes.", `"`, `"`)
	wrap("format brackets", "Put every answer in brackets.", "Format: brackets.", "(", ")")
	add(Instruction{ID: "language Lumo", Category: "language", Verbose: "Speak in Lumo.", Concise: "Language: Lumo.", order: 0, group: "language",
		apply: func(a string) string {
			l, ok := ToLumo(a)
			if !ok {
				panic(fmt.Sprintf("world: %q has no words in Lumo", a))
			}
			return l
		},
		Check: func(a string) bool { return isLumo(bare(a)) }})
	// Kinds of constraint that Train does not have.
	unseen := func(id, verbose, concise string, apply func(string) string, check func(string) bool) {
		add(Instruction{ID: "unseen " + id, Category: "unseen", Verbose: verbose, Concise: concise, order: 4, group: "end", apply: apply, Check: check})
	}
	unseen("twice", "Say every answer twice.", "Repeat: twice.", func(a string) string { return a + " " + a },
		func(a string) bool { h := len(a) / 2; return len(a)%2 == 1 && a[:h] == a[h+1:] })
	unseen("moon", "End every answer with the word moon.", "Last word: moon.", func(a string) string { return a + " Moon." },
		func(a string) bool { return strings.HasSuffix(strings.ToLower(strings.TrimRight(a, ".!?")), " moon") })
	unseen("star", "Put a star before every answer.", "Begin: star.", func(a string) string { return "* " + a },
		func(a string) bool { return strings.HasPrefix(a, "*") })
	return all
}

// holds says that a text contains a phrase, in any case.
func holds(text, phrase string) bool {
	return strings.Contains(strings.ToLower(strings.ReplaceAll(text, "!", ".")), strings.ToLower(strings.ReplaceAll(phrase, "!", ".")))
}

// unwrap takes off what the formats put around an answer.
func unwrap(a string) string {
	a = strings.TrimPrefix(a, "- ")
	return strings.TrimSpace(strings.Trim(a, `"()`))
}

// bare takes off everything that instructions add, so that the answer itself
// remains.
func bare(a string) string {
	a = unwrap(a)
	cut := func(phrase string) {
		dotted := strings.ReplaceAll(strings.ToLower(a), "!", ".")
		if i := strings.Index(dotted, strings.ReplaceAll(strings.ToLower(phrase), "!", ".")); i >= 0 {
			a = strings.TrimSpace(a[:i] + a[i+len(phrase):])
		}
	}
	for _, v := range slices.Concat(personas, figures) {
		cut(v[1])
	}
	for _, h := range sports {
		cut("I enjoy " + h + ".")
		cut("I enjoy " + h + "...") // whispered
	}
	for _, tail := range []string{"Oh, how sweet!", "That is so, sir.", "Is there more?", "Dear friend:"} {
		cut(tail)
	}
	a = strings.TrimSuffix(a, "...")
	return strings.TrimRight(a, ".! ")
}

// apply gives an answer the form that instructions ask for.
func apply(instructions []*Instruction, a string) string {
	sorted := slices.Clone(instructions)
	slices.SortStableFunc(sorted, func(a, b *Instruction) int { return a.order - b.order })
	for _, i := range sorted {
		a = i.apply(a)
	}
	return a
}

// Obeys returns which of the instructions an answer does not obey.
func Obeys(instructions []*Instruction, a string) (broken []string) {
	for _, i := range instructions {
		if !i.Check(a) {
			broken = append(broken, i.ID)
		}
	}
	return broken
}

// FindInstructions returns the instructions that a message states.
func FindInstructions(message string) (found []*Instruction) {
	for _, s := range sentences(message) {
		for _, i := range Instructions {
			if s == i.Verbose || s == i.Concise {
				found = append(found, i)
			}
		}
	}
	return found
}

// text states an instruction, half of the time in its short form (the paper's
// Ghost Attention does so).
func (i *Instruction) text(r *rand.Rand) string {
	if r.IntN(2) == 0 {
		return i.Concise
	}
	return i.Verbose
}

// doKey is the combination of an instruction with a kind of question or with
// another instruction.
func doKey(a *Instruction, with string) string { return "do|" + a.ID + "|" + with }

// pairable says that two instructions may hold together; in Train only those
// whose combination is not held out.
func (w *World) pairable(a, b *Instruction, split Split) bool {
	if a.group == b.group || a.Unseen() || b.Unseen() {
		return false
	}
	x, y := a, b
	if x.ID > y.ID {
		x, y = y, x
	}
	return split == HeldOut || !w.IsHeldOut(doKey(x, y.ID))
}

// drawInstructions returns one instruction, or at times two, three.
func (w *World) drawInstructions(r *rand.Rand, split Split) (set []*Instruction) {
	n := 1 + r.IntN(4)/2 + r.IntN(4)/3
draw:
	for tries := 0; len(set) < n && tries < 20; tries++ {
		i := w.drawInstruction(r)
		for _, have := range set {
			if !w.pairable(have, i, split) {
				continue draw
			}
		}
		set = append(set, i)
	}
	return set
}

// drawInstruction draws a category first, so that the many personas do not
// crowd out the one language.
func (w *World) drawInstruction(r *rand.Rand) *Instruction {
	c := pick(r, []string{"persona", "figure", "hobby", "style", "format", "language"})
	var of []*Instruction
	for _, i := range Instructions {
		if i.Category == c {
			of = append(of, i)
		}
	}
	return pick(r, of)
}
