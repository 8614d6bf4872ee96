package world

import "strings"

// Lumo is the second language of the world. It is regular: small words have
// their own forms, verbs are in a lexicon, names of people, pets, places to live,
// days and months stay, and every other word takes the ending of its sort: -o for
// things, -a for what things are like, numbers and colours included.
var lumoWords = map[string]string{
	"a": "u", "an": "u", "the": "la", "in": "en", "at": "che", "on": "sur", "to": "al",
	"yes": "jes", "no": "ne", "because": "char", "race": "raco", "away": "for",
	"found": "trovis", "bought": "achis", "made": "faris", "lost": "perdis", "gave": "donis",
	"won": "venkis", "met": "renkis", "helped": "helpis", "ran": "kuris",
	"morning": "mateno", "afternoon": "tago", "evening": "vespero",
}

// lumoForms is Lumo's word for every English word that an answer may have, and
// lumoKnown the set of Lumo's words.
var lumoForms, lumoKnown = func() (map[string]string, map[string]bool) {
	forms := map[string]string{}
	add := func(ending string, lists ...[]string) {
		for _, l := range lists {
			for _, w := range l {
				forms[w] = w + ending
			}
		}
	}
	add("o", animalNames, placeNames, objectNames, jobNames, foodNames, hobbyGerunds, goodsNames, goodsPlurals, treasureNames)
	add("a", sizeNames, colourNames, moodNames, weatherNames, numberNames, petColourNames)
	for _, names := range [][]string{menNames, womenNames, petNames, villageNames, dayNames, monthNames} {
		for _, w := range names {
			forms[w] = w
		}
	}
	for w, l := range lumoWords {
		forms[w] = l
	}
	known := map[string]bool{}
	for _, l := range forms {
		known[l] = true
	}
	return forms, known
}()

// ToLumo translates an answer word by word. ok is false if a word has no form:
// Lumo is a language for answers, not for stories.
func ToLumo(text string) (lumo string, ok bool) {
	toks := tokens(text)
	for i, t := range toks {
		if !isLetter(t[0]) {
			continue
		}
		l, known := lumoForms[t]
		if !known {
			low := strings.ToLower(t[:1]) + t[1:]
			if l, known = lumoForms[low]; !known {
				return "", false
			}
			l = capital(l, true)
		}
		toks[i] = l
	}
	return join(toks), true
}

// isLumo says that every word of a text is one of Lumo's, in any case.
func isLumo(text string) bool {
	any := false
	for _, t := range tokens(text) {
		if !isLetter(t[0]) {
			continue
		}
		low := strings.ToLower(t)
		if !lumoKnown[t] && !lumoKnown[low] && !lumoKnown[capital(low, true)] {
			return false
		}
		any = true
	}
	return any
}
