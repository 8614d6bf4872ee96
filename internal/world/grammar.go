package world

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// class is a table of names that a slot of a template takes its word from.
type class uint8

const (
	clPerson class = iota
	clPet
	clAnimal
	clPetColour
	clVillage
	clPlace
	clPrep
	clObject
	clSize
	clColour
	clJob
	clFood
	clHobby
	clGerund
	clMood
	clWeather
	clTime
	clDay
	clSequence
	clNumber
	clGoods
	clGoodsPlural
	clDirection
	clTreasure
	clSpell
	clSpellWord
	clInsult
	numClasses
)

// arg names what a sentence says something about; slots fill arguments.
type arg uint8

const (
	argP arg = iota // the subject, a person
	argQ            // other people
	argR
	argA       // a pet
	argAnimal  // what A is
	argCoat    // colour of A
	argO       // objects
	argO2      //
	argColour  // of O
	argSize    // of O
	argL       // places
	argL2      //
	argIn      // preposition of L
	argIn2     // preposition of L2
	argVillage // of P
	argJob
	argFood
	argHobby
	argMood
	argWeather
	argTime
	argDay
	argX // two things of a sequence
	argY
	argN // how many
	argG // goods
	argDirection
	argTreasure
	argSpell
	argSpellWord
	argInsult
	argGender // pronoun that stands for P: 1 he, 2 she
	numArgs
)

// args are the arguments of one event: identifiers, zero for none. In a sentence
// that was read and not yet resolved, P is -1 for he and -2 for she.
type args [numArgs]int

// derived arguments follow from others and the facts; they do not choose the
// template.
const derived = 1<<argAnimal | 1<<argCoat | 1<<argColour | 1<<argIn | 1<<argIn2 | 1<<argGender

// slot is a place in a template.
type slot struct {
	arg   arg
	class class
	form  uint8
}

const (
	formPlain      uint8 = iota
	formSubject          // a name or He/She
	formPossessive       // Tom's or His/Her
	formCount            // "three apples": number and goods, in agreement
	formGoods            // goods in the plural
	formHe               // he/she, never a name
	formHis              // his/her
	formHim              // him/her
)

// slots are what templates may write in braces.
var slots = map[string]slot{
	"p": {argP, clPerson, formSubject}, "P": {argP, clPerson, formPlain}, "ps": {argP, clPerson, formPossessive},
	"q": {argQ, clPerson, formPlain}, "r": {argR, clPerson, formPlain},
	"he": {argGender, 0, formHe}, "his": {argGender, 0, formHis}, "him": {argGender, 0, formHim},
	"a": {argA, clPet, formPlain}, "k": {argAnimal, clAnimal, formPlain}, "kc": {argCoat, clPetColour, formPlain},
	"o": {argO, clObject, formPlain}, "o2": {argO2, clObject, formPlain},
	"c": {argColour, clColour, formPlain}, "s": {argSize, clSize, formPlain},
	"l": {argL, clPlace, formPlain}, "l2": {argL2, clPlace, formPlain}, "in": {argIn, clPrep, formPlain}, "in2": {argIn2, clPrep, formPlain},
	"v": {argVillage, clVillage, formPlain}, "j": {argJob, clJob, formPlain}, "f": {argFood, clFood, formPlain},
	"h": {argHobby, clHobby, formPlain}, "g": {argHobby, clGerund, formPlain}, "m": {argMood, clMood, formPlain},
	"w": {argWeather, clWeather, formPlain}, "t": {argTime, clTime, formPlain}, "d": {argDay, clDay, formPlain},
	"x": {argX, clSequence, formPlain}, "y": {argY, clSequence, formPlain},
	"ng": {argN, clNumber, formCount}, "gs": {argG, clGoodsPlural, formGoods}, "n": {argN, clNumber, formPlain},
	"dir": {argDirection, clDirection, formPlain}, "tr": {argTreasure, clTreasure, formPlain},
	"sp": {argSpell, clSpell, formPlain}, "sw": {argSpellWord, clSpellWord, formPlain}, "bad": {argInsult, clInsult, formPlain},
}

// part is one element of a compiled template: a slot, or a word as it stands.
type part struct {
	word    string
	slot    slot
	isSlot  bool
	article bool // "a" or "an", by the word that follows
}

// template is one way to say an event, a fact or a question.
type template struct {
	kind  *kind
	text  string
	parts []part
	needs uint64 // set of arguments that its slots name, without derived ones
	later bool   // begins with a word that needs something before it
	atEnd bool   // "At last": something was looked for
	isNew bool   // names its thing as a new one: "a red kite"
}

// lexicon finds the identifier of a word in a class.
type lexicon struct {
	names [numClasses][]string
	ids   [numClasses]map[string]int
}

func newLexicon() *lexicon {
	l := &lexicon{}
	l.names = [numClasses][]string{clPerson: append(append([]string{}, menNames...), womenNames...), clPet: petNames, clAnimal: animalNames,
		clPetColour: petColourNames, clVillage: villageNames, clPlace: placeNames, clPrep: {"in", "at", "on"}, clObject: objectNames,
		clSize: sizeNames, clColour: colourNames, clJob: jobNames, clFood: foodNames, clHobby: hobbyNames, clGerund: hobbyGerunds,
		clMood: moodNames, clWeather: weatherNames, clTime: timeNames, clDay: dayNames,
		clSequence: append(append(append([]string{}, numberNames...), dayNames...), monthNames...), clNumber: numberNames, clGoods: goodsNames,
		clGoodsPlural: goodsPlurals, clDirection: directionNames, clTreasure: treasureNames, clSpell: spellNames, clSpellWord: spellWords, clInsult: insultNames}
	for c, names := range l.names {
		l.ids[c] = make(map[string]int, len(names))
		for i, n := range names {
			l.ids[c][n] = i + 1
		}
	}
	return l
}

// word returns the name of an identifier.
func (l *lexicon) word(c class, id int) string { return l.names[c][id-1] }

// grammar is all templates, compiled, and an index to find them by their
// beginning.
type grammar struct {
	lex      *lexicon
	byKind   map[string][]*template
	byFirst  map[string][]*template // by first word
	bySecond map[string][]*template // beginning with a slot of one word, by second word
	open     []*template            // all others
}

func newGrammar(lex *lexicon) *grammar {
	g := &grammar{lex: lex, byKind: map[string][]*template{}, byFirst: map[string][]*template{}, bySecond: map[string][]*template{}}
	for i := range kinds {
		k := &kinds[i]
		if g.byKind[k.name] != nil {
			panic("world: two kinds are named " + k.name)
		}
		for _, text := range k.templates {
			t := compile(k, text)
			g.byKind[k.name] = append(g.byKind[k.name], t)
			switch first := t.parts[0]; {
			case !first.isSlot:
				g.byFirst[first.word] = append(g.byFirst[first.word], t)
			case first.slot.form <= formSubject && !t.parts[1].isSlot && !t.parts[1].article:
				g.bySecond[t.parts[1].word] = append(g.bySecond[t.parts[1].word], t)
			default:
				g.open = append(g.open, t)
			}
		}
	}
	return g
}

// compile reads a template; a mistake in the table is a mistake of the program.
func compile(k *kind, text string) *template {
	t := &template{kind: k, text: text}
	for _, word := range []string{"Then", "Now", "So", "But then", "At last", "There {p}", "Soon"} {
		t.later = t.later || strings.HasPrefix(text, word+" ")
	}
	t.later = t.later || strings.HasSuffix(text, " now.")
	t.atEnd = strings.HasPrefix(text, "At last ")
	t.isNew = strings.Contains(text, "a {c} {o}") || strings.Contains(text, "a new {o}") || strings.Contains(text, "a beautiful {o}")
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, "{")
		for _, w := range tokens(before) {
			t.parts = append(t.parts, part{word: w})
		}
		if !found {
			break
		}
		name, tail, _ := strings.Cut(after, "}")
		s, ok := slots[name]
		if !ok {
			panic(fmt.Sprintf("world: template %q has an unknown slot %q", text, name))
		}
		if n := len(t.parts); n > 0 && (t.parts[n-1].word == "a" || t.parts[n-1].word == "A") {
			t.parts[n-1].article = true
		}
		t.parts = append(t.parts, part{slot: s, isSlot: true})
		if 1<<s.arg&derived == 0 {
			t.needs |= 1 << s.arg
		}
		if s.form == formCount {
			t.needs |= 1 << argG
		}
		rest = tail
	}
	return t
}

// tokens divides text into words, marks and "'s".
func tokens(s string) []string {
	var out []string
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == ' ' || c == '\n':
			i++
		case c == '\'' && strings.HasPrefix(s[i:], "'s"):
			out = append(out, "'s")
			i += 2
		case isLetter(c):
			j := i
			for j < len(s) && isLetter(s[j]) {
				j++
			}
			out = append(out, s[i:j])
			i = j
		default:
			_, n := utf8.DecodeRuneInString(s[i:])
			out = append(out, s[i:i+n])
			i += n
		}
	}
	return out
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// join is the inverse of tokens for text as the world writes it.
func join(tokens []string) string {
	var b strings.Builder
	quoted, glue := false, true
	for _, t := range tokens {
		switch {
		case t == `"`:
			if !quoted && !glue {
				b.WriteByte(' ')
			}
			quoted = !quoted
			b.WriteString(t)
			glue = quoted
			continue
		case t == "'s" || len(t) == 1 && strings.Contains(".,!?;:", t):
		case !glue:
			b.WriteByte(' ')
		}
		b.WriteString(t)
		glue = false
	}
	return b.String()
}

// set returns which arguments of a have a value and choose templates.
func (a *args) set() (mask uint64) {
	for i, v := range a {
		if v != 0 && 1<<i&derived == 0 {
			mask |= 1 << i
		}
	}
	return mask
}

// render says a kind with exactly the given arguments, in one of its wordings.
// Those that suit are preferred, if there are any. pronoun allows He or She for
// the subject.
func (w *World) render(r *rand.Rand, kindName string, a args, pronoun bool, suits ...func(*template) bool) string {
	var fit []*template
	for _, t := range w.grammar.byKind[kindName] {
		if t.needs == a.set() {
			fit = append(fit, t)
		}
	}
	if len(fit) == 0 {
		panic(fmt.Sprintf("world: no template of %q has exactly these arguments: %v", kindName, a))
	}
	for _, ok := range suits {
		if better := slices.DeleteFunc(slices.Clone(fit), func(t *template) bool { return !ok(t) }); len(better) > 0 {
			fit = better
		}
	}
	return w.fill(pick(r, fit), a, pronoun)
}

// fill writes a template with the arguments' words.
func (w *World) fill(t *template, a args, pronoun bool) string {
	w.derive(&a)
	out := make([]string, 0, 2*len(t.parts))
	for _, p := range t.parts {
		if !p.isSlot {
			out = append(out, p.word)
			continue
		}
		ws := w.slotWords(p.slot, &a, pronoun, len(out) == 0)
		if n := len(out); n > 0 && (out[n-1] == "a" || out[n-1] == "A") {
			out[n-1] = out[n-1][:1] + article(ws[0])[1:]
		}
		out = append(out, ws...)
	}
	return join(out)
}

// derive fills the arguments that follow from others.
func (w *World) derive(a *args) {
	if p := a[argA]; p > 0 && a[argAnimal] == 0 {
		a[argAnimal], a[argCoat] = w.pets[p].animal, w.pets[p].colour
	}
	if o := a[argO]; o > 0 && a[argColour] == 0 {
		a[argColour] = w.objects[o].colour
	}
	if p := a[argP]; p > 0 && a[argGender] == 0 {
		a[argGender] = w.gender(p)
	}
	if l := a[argL]; l > 0 {
		a[argIn] = w.prep(l)
	}
	if l := a[argL2]; l > 0 {
		a[argIn2] = w.prep(l)
	}
}

func (w *World) gender(p personID) int {
	if w.people[p].woman {
		return 2
	}
	return 1
}

func (w *World) prep(l placeID) int { return w.lex.ids[clPrep][placePreps[l-1]] }

// pronouns by gender: subject, possessive, object.
var pronouns = [3][3]string{{}, {"he", "his", "him"}, {"she", "her", "her"}}

// slotWords returns the words of one slot.
func (w *World) slotWords(s slot, a *args, pronoun, first bool) []string {
	id := a[s.arg]
	switch s.form {
	case formSubject:
		if pronoun {
			return []string{capital(pronouns[w.gender(id)][0], first)}
		}
	case formPossessive:
		if pronoun {
			return []string{capital(pronouns[w.gender(id)][1], first)}
		}
		return []string{w.lex.word(clPerson, id), "'s"}
	case formCount:
		goods := goodsPlurals
		if id == 1 {
			goods = goodsNames
		}
		return []string{numberNames[id-1], goods[a[argG]-1]}
	case formHe, formHis, formHim:
		return []string{capital(pronouns[id][s.form-formHe], first)}
	}
	return []string{capital(w.lex.word(s.class, id), first)}
}

func capital(s string, yes bool) string {
	if !yes || s == "" {
		return s
	}
	return string(unicode.ToUpper(rune(s[0]))) + s[1:]
}

// parse reads one sentence. It returns the kind and arguments of the first
// template that fits, among kinds of the given groups.
func (w *World) parse(sentence string, groups group) (k *kind, a args, ok bool) {
	toks := tokens(sentence)
	if len(toks) == 0 || join(toks) != sentence {
		return nil, a, false // spaces or quotes that the world would not write
	}
	second := ""
	if len(toks) > 1 {
		second = toks[1]
	}
	for _, list := range [][]*template{w.grammar.byFirst[toks[0]], w.grammar.bySecond[second], w.grammar.open} {
		for _, t := range list {
			if t.kind.group&groups == 0 {
				continue
			}
			if a, ok = w.match(t, toks); ok {
				return t.kind, a, true
			}
		}
	}
	return nil, a, false
}

// match compares a sentence with a template, from left to right: slots take one
// word, or two ("three apples", "Tom's").
func (w *World) match(t *template, toks []string) (a args, ok bool) {
	i := 0
	for n, p := range t.parts {
		if i >= len(toks) {
			return a, false
		}
		if !p.isSlot {
			want := p.word
			if p.article {
				if i+1 == len(toks) {
					return a, false
				}
				want = p.word[:1] + article(toks[i+1])[1:]
			}
			if toks[i] != want {
				return a, false
			}
			i++
			continue
		}
		used := w.readSlot(p.slot, toks[i:], n == 0, &a)
		if used == 0 {
			return a, false
		}
		i += used
	}
	if i != len(toks) {
		return a, false
	}
	for _, at := range [][2]arg{{argIn, argL}, {argIn2, argL2}} {
		if a[at[0]] != 0 && a[at[1]] != 0 && a[at[0]] != w.prep(a[at[1]]) {
			return a, false
		}
	}
	return a, true
}

// readSlot reads a slot's words and returns how many they are, 0 if they do not
// fit.
func (w *World) readSlot(s slot, toks []string, first bool, a *args) int {
	bind := func(g arg, id int) bool {
		if id == 0 || a[g] != 0 && a[g] != id {
			return false
		}
		a[g] = id
		return true
	}
	word := toks[0]
	switch s.form {
	case formSubject, formPossessive:
		for g := 1; g <= 2; g++ {
			form := int(s.form - formSubject)
			if word == capital(pronouns[g][form], first) && bind(argP, -g) {
				return 1
			}
		}
		if s.form == formPossessive {
			if len(toks) < 2 || toks[1] != "'s" || !bind(argP, w.lex.ids[clPerson][word]) {
				return 0
			}
			return 2
		}
	case formCount:
		if len(toks) < 2 {
			return 0
		}
		n := w.lex.ids[clNumber][word]
		c := clGoodsPlural
		if n == 1 {
			c = clGoods
		}
		if !bind(argN, n) || !bind(argG, w.lex.ids[c][toks[1]]) {
			return 0
		}
		return 2
	case formHe, formHis, formHim:
		for g := 1; g <= 2; g++ {
			if word == capital(pronouns[g][s.form-formHe], first) && bind(argGender, g) {
				return 1
			}
		}
		return 0
	}
	id := w.lex.ids[s.class][word]
	if first && id == 0 && unicode.IsUpper(rune(word[0])) { // no name: begins the sentence
		id = w.lex.ids[s.class][strings.ToLower(word[:1])+word[1:]]
	} else if first && unicode.IsLower(rune(word[0])) {
		return 0
	}
	if !bind(s.arg, id) {
		return 0
	}
	return 1
}

// sentences divides text where sentences end: at . ! ? outside of quotes, or at
// the closing quote after such a mark where no lower-case word goes on.
func sentences(text string) []string {
	var out []string
	start, quoted := 0, false
	for i := 0; i < len(text); i++ {
		c := text[i]
		end := false
		switch {
		case c == '"':
			quoted = !quoted
			end = !quoted && i > 0 && strings.IndexByte(".!?", text[i-1]) >= 0 && !lowerNext(text[i+1:])
		case c == '\n':
			quoted = false // a quote never crosses a line
			if s := strings.TrimSpace(text[start:i]); s != "" {
				out = append(out, s)
			}
			start = i + 1
		case strings.IndexByte(".!?", c) >= 0:
			end = !quoted
		}
		if end {
			out = append(out, strings.TrimSpace(text[start:i+1]))
			start = i + 1
		}
	}
	if rest := strings.TrimSpace(text[start:]); rest != "" {
		out = append(out, rest)
	}
	return out
}

func lowerNext(rest string) bool {
	rest = strings.TrimLeft(rest, " ")
	return rest != "" && rest[0] >= 'a' && rest[0] <= 'z'
}
