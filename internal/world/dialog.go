package world

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/chat"
)

// Dialog is a conversation with what is known about it.
type Dialog struct {
	Kind         string // of DialogKinds
	Messages     chat.Dialog
	Keys         []string       // combinations of its turns; in HeldOut at least one is held out, in Train none
	Instructions []*Instruction // that hold for all of its answers
	Questions    []Question     // that were asked, in order
}

// DialogKinds are the sorts of dialog.
var DialogKinds = []string{"questions", "story questions", "story", "told story", "instruction", "length", "safety", "profile", "talk"}

// builder puts a dialog together.
type builder struct {
	w     *World
	r     *rand.Rand
	split Split
	d     Dialog
	head  string // instructions that stand before the first user message
}

func (b *builder) turn(user, assistant string) {
	if b.head != "" {
		user, b.head = b.head+" "+user, ""
	}
	b.d.Messages = append(b.d.Messages, chat.Message{Role: chat.User, Content: user}, chat.Message{Role: chat.Assistant, Content: apply(b.d.Instructions, assistant)})
}

func (b *builder) ask(q Question, prompt string) {
	b.turn(prompt, q.Answer)
	b.d.Keys = append(b.d.Keys, q.Key)
	b.d.Questions = append(b.d.Questions, q)
}

// Dialogs yields dialogs of all kinds without end.
func (w *World) Dialogs(seed uint64, split Split) iter.Seq[Dialog] {
	return func(yield func(Dialog) bool) {
		r := w.rng("dialogs", seed)
		for {
			if !yield(w.dialog(r, drawDialogKind(r), split)) {
				return
			}
		}
	}
}

// DialogsOf yields dialogs of one kind without end.
func (w *World) DialogsOf(kind string, seed uint64, split Split) (iter.Seq[Dialog], error) {
	if !slices.Contains(DialogKinds, kind) {
		return nil, fmt.Errorf("there is no kind of dialog %q; there are: %s", kind, strings.Join(DialogKinds, ", "))
	}
	return func(yield func(Dialog) bool) {
		r := w.rng("dialogs of "+kind, seed)
		for yield(w.dialog(r, kind, split)) {
		}
	}, nil
}

// Shares of the kinds of dialog in chat texts, in percent.
var dialogShares = []struct {
	kind  string
	share int
}{{"questions", 22}, {"story questions", 38}, {"story", 7}, {"told story", 7}, {"instruction", 11}, {"length", 4}, {"safety", 6}, {"profile", 3}, {"talk", 2}}

func drawDialogKind(r *rand.Rand) string {
	x := r.IntN(100)
	for _, s := range dialogShares {
		if x -= s.share; x < 0 {
			return s.kind
		}
	}
	panic("world: the shares of dialogs are not 100")
}

func (w *World) dialog(r *rand.Rand, kind string, split Split) Dialog {
	b := &builder{w: w, r: r, split: split, d: Dialog{Kind: kind}}
	switch kind {
	case "questions":
		b.questions(2+r.IntN(9), false)
	case "story questions":
		b.storyQuestions()
	case "story":
		b.storyRequest()
	case "told story":
		b.storyRequest()
		b.followUps(1 + r.IntN(4))
	case "instruction":
		b.instruct(w.drawInstructions(r, split))
		b.questions(1+min(r.IntN(20), r.IntN(20)), true)
	case "length":
		b.storyOfLength()
	case "safety":
		b.safety()
	case "profile":
		b.profile()
	case "talk":
		b.talk()
	}
	return b.d
}

// instruct states instructions: as the system message, or at the beginning of
// the first question.
func (b *builder) instruct(set []*Instruction) {
	b.d.Instructions = set
	var parts []string
	for _, i := range set {
		parts = append(parts, i.text(b.r))
	}
	text := strings.Join(parts, " ")
	if b.r.IntN(2) == 0 {
		b.d.Messages = append(b.d.Messages, chat.Message{Role: chat.System, Content: text})
	} else {
		b.head = text
	}
	for n, i := range set {
		for _, j := range set[:n] {
			x, y := i, j
			if x.ID > y.ID {
				x, y = y, x
			}
			b.d.Keys = append(b.d.Keys, doKey(x, y.ID))
		}
	}
}

// allowed says that a question may be asked under the instructions in force.
func (b *builder) allowed(kind string) bool {
	for _, i := range b.d.Instructions {
		if b.split == Train && b.w.IsHeldOut(doKey(i, kind)) {
			return false
		}
	}
	return true
}

// questions asks n questions, mostly about facts; in HeldOut all of them are held
// out. withStories allows short stories in between.
func (b *builder) questions(n int, withStories bool) {
	asked := map[string]bool{}
	for len(b.d.Questions) < n {
		t := pick(b.r, factTypes())
		if withStories && b.r.IntN(6) == 0 {
			t = pick(b.r, storyTypes())
		}
		if !b.allowed(t.Name) {
			continue
		}
		q := b.w.question(b.r, t, b.split)
		if asked[q.Key] {
			continue
		}
		asked[q.Key] = true
		for _, i := range b.d.Instructions {
			b.d.Keys = append(b.d.Keys, doKey(i, t.Name))
		}
		b.ask(q, q.Prompt())
		if b.r.IntN(6) == 0 && len(b.d.Questions) < n {
			b.andAnother(t, q, asked)
		}
	}
}

// andAnother asks the same about somebody else: "And Tom?".
func (b *builder) andAnother(t *questionType, q Question, asked map[string]bool) {
	if t.facts == nil || q.args[argP] == 0 {
		return
	}
	next := b.w.factQuestion(b.r, t, b.split)
	if asked[next.Key] {
		return
	}
	asked[next.Key] = true
	b.ask(next, b.w.render(b.r, "and", args{argP: next.args[argP]}, false))
}

// storyQuestions asks several questions about one short story, of which the
// first is of a kind that it was made for.
func (b *builder) storyQuestions() {
	q := b.w.question(b.r, pick(b.r, storyTypes()), b.split)
	b.ask(q, q.Prompt())
	b.more(q.Story, b.r.IntN(5))
}

// more asks further questions about a story.
func (b *builder) more(story string, n int) {
	s := b.w.read(story).state
	asked := map[string]bool{}
	for _, q := range b.d.Questions {
		asked[q.Text] = true
	}
	var all []Question
	for _, q := range b.w.storyQuestions(s) {
		if b.w.allowed(q.Key, b.split) && (q.Kind != "where thing" || s.placed[q.args[argO]]) {
			all = append(all, q)
		}
	}
	for _, i := range b.r.Perm(len(all)) {
		if n == 0 {
			return
		}
		q := all[i]
		q.Story, q.Text = story, b.w.render(b.r, q.ask, q.args, false)
		if !asked[q.Text] {
			asked[q.Text] = true
			b.ask(q, q.Text)
			n--
		}
	}
}

// storyRequest asks for a story, in HeldOut about a person and a thing that do
// not come together in Train.
func (b *builder) storyRequest() {
	w, r := b.w, b.r
	p, o := w.drawPair(r, b.split)
	switch x := r.IntN(20); {
	case b.split == HeldOut || x < 8:
		b.turn(w.render(r, "ask story", args{argP: p, argO: o}, false), w.storyOf(r, b.split, p, o))
		b.d.Keys = append(b.d.Keys, w.pairKey(p, o))
	case x < 10:
		b.turn(w.render(r, "ask story", args{argO: o}, false), w.storyOf(r, b.split, p, o))
	case x < 16:
		b.turn(w.render(r, "ask story", args{argP: p}, false), w.story(r, b.split, p).Text)
	case x < 18:
		b.turn(w.render(r, "ask story", args{}, false), w.story(r, b.split, 0).Text)
	default: // somebody begins a story: the answer tells it
		for {
			if text := w.story(r, b.split, 0).Text; strings.HasPrefix(text, onceUpon) {
				b.turn(w.render(r, "begin story", args{}, false), text)
				return
			}
		}
	}
}

// onceUpon is how the first story of every reader begins.
const onceUpon = "Once upon a time"

// followUps asks about the story that was told last.
func (b *builder) followUps(n int) {
	b.more(b.d.Messages[len(b.d.Messages)-1].Content, n)
}

// safety mixes what must not be answered with what may.
func (b *builder) safety() {
	for range 1 + b.r.IntN(4) {
		var p SafetyPrompt
		switch b.r.IntN(5) {
		case 0, 1:
			p = b.w.harmPrompt(b.r, b.split)
		case 2, 3:
			p = b.w.softPrompt(b.r, b.split)
		default:
			q := b.w.factQuestion(b.r, pick(b.r, factTypes()), b.split)
			b.ask(q, q.Text)
			continue
		}
		b.turn(p.Text, p.Answer)
		b.d.Keys = append(b.d.Keys, p.Key)
	}
}

// profile asks about a person.
func (b *builder) profile() {
	p := 1 + b.r.IntN(len(b.w.people)-1)
	sc := b.w.factWriter(b.r)
	sc.profile(p, 5)
	b.turn(b.w.render(b.r, "ask about", args{argP: p}, false), sc.text())
	b.questions(int(b.split)+b.r.IntN(3), false)
}

// talk is what people say to be kind.
func (b *builder) talk() {
	w, r := b.w, b.r
	say := func(kind string, answers ...string) { b.turn(w.render(r, kind, args{}, false), pick(r, answers)) }
	say("hi", "Hello! I can tell you a story.", "Hello! What do you want to know?")
	if r.IntN(2) == 0 {
		say("who are you", "I am Cria, a small llama.", "My name is Cria.")
	}
	n := 1 + r.IntN(3)
	b.questions(n, false)
	if r.IntN(2) == 0 {
		say("thanks", "You are welcome.")
	}
	if r.IntN(2) == 0 {
		say("bye", "Goodbye!")
	}
}
