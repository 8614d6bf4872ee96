package clean

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cria-llm/cria/internal/data/words"
)

// Rule is one row of the table. Exactly one of Edit, Line and Measure is set.
type Rule struct {
	Name     string // "group.rule", as in Config.Off and in reports
	Paper    string // where it comes from
	Optional bool   // off unless Config.On names it

	// Edit changes the text before it is cut into lines; it returns how many
	// places were changed.
	Edit func(text string) (string, int)

	// Line reports whether line i is to be removed.
	Line func(r *run, i int) bool

	// Measure returns the number that must lie within Limits; What says what it
	// measures.
	Measure func(r *run) float64
	What    string
	Limits  func(c *Config) (lo, hi float64)
}

func (r *Rule) group() string {
	g, _, _ := strings.Cut(r.Name, ".")
	return g
}

const (
	paperGopher     = "Gopher, arXiv 2112.11446, A1.1"
	paperRepetition = "Gopher, arXiv 2112.11446, table A1"
	paperC4         = "C4, arXiv 1910.10683, 2.2"
	paperRefinedWeb = "RefinedWeb, arXiv 2306.01116, G.2"
	paperFineWeb    = "FineWeb, arXiv 2406.17557, 3.6"
	ours            = "Cria"
)

// Table has every rule in the order in which they are tried: edits, lines,
// documents; cheap ones first.
var Table = makeTable()

func makeTable() []Rule {
	atMost := func(f func(*Config) float64) func(*Config) (float64, float64) {
		return func(c *Config) (float64, float64) { return math.Inf(-1), f(c) }
	}
	atLeast := func(f func(*Config) float64) func(*Config) (float64, float64) {
		return func(c *Config) (float64, float64) { return f(c), math.Inf(1) }
	}
	none := func(*Config) (float64, float64) { return 0, 0 }

	t := []Rule{
		{Name: "c4.citations", Paper: paperC4, Edit: removeCitations},

		{Name: "c4.javascript", Paper: paperC4, Line: javascriptLine},
		{Name: "c4.policy", Paper: paperC4, Line: policyLine},
		{Name: "c4.punctuation", Paper: paperC4, Line: unpunctuatedLine},
		{Name: "c4.line_words", Paper: paperC4, Line: shortLine},
		{Name: "refinedweb.uppercase", Paper: paperRefinedWeb, Optional: true, Line: uppercaseLine},
		{Name: "refinedweb.numeric", Paper: paperRefinedWeb, Optional: true, Line: numericLine},
		{Name: "refinedweb.counter", Paper: paperRefinedWeb, Optional: true, Line: counterLine},
		{Name: "refinedweb.one_word", Paper: paperRefinedWeb, Optional: true, Line: oneWordLine},

		{Name: "document.empty", Paper: ours, Measure: wordCount, What: "words that are left",
			Limits: func(*Config) (float64, float64) { return 1, math.Inf(1) }},
		{Name: "refinedweb.removed", Paper: paperRefinedWeb, Optional: true, Measure: webLinesRemoved, What: "fraction of words in removed lines",
			Limits: atMost(func(c *Config) float64 { return c.RefinedWeb.MaxRemoved })},
		{Name: "gopher.word_count", Paper: paperGopher, Measure: wordCount, What: "words",
			Limits: func(c *Config) (float64, float64) { return c.Gopher.MinWords, c.Gopher.MaxWords }},
		{Name: "gopher.mean_word_length", Paper: paperGopher, Measure: meanWordLength, What: "mean word length",
			Limits: func(c *Config) (float64, float64) { return c.Gopher.MinWordLength, c.Gopher.MaxWordLength }},
		{Name: "gopher.hash_ratio", Paper: paperGopher, Measure: hashRatio, What: "hash signs per word",
			Limits: atMost(func(c *Config) float64 { return c.Gopher.MaxHashRatio })},
		{Name: "gopher.ellipsis_ratio", Paper: paperGopher, Measure: ellipsisRatio, What: "ellipses per word",
			Limits: atMost(func(c *Config) float64 { return c.Gopher.MaxEllipsisRatio })},
		{Name: "gopher.bullet_lines", Paper: paperGopher, Measure: bulletLines, What: "fraction of lines that begin with a bullet",
			Limits: atMost(func(c *Config) float64 { return c.Gopher.MaxBulletLines })},
		{Name: "gopher.ellipsis_lines", Paper: paperGopher, Measure: ellipsisLines, What: "fraction of lines that end with an ellipsis",
			Limits: atMost(func(c *Config) float64 { return c.Gopher.MaxEllipsisLines })},
		{Name: "gopher.alphabetic_words", Paper: paperGopher, Measure: alphabeticWords, What: "fraction of words with a letter",
			Limits: atLeast(func(c *Config) float64 { return c.Gopher.MinAlphabetic })},
		{Name: "gopher.stop_words", Paper: paperGopher, Measure: stopWords, What: "different stop words",
			Limits: atLeast(func(c *Config) float64 { return c.Gopher.MinStopWords })},
		{Name: "c4.curly_bracket", Paper: paperC4, Measure: curlyBrackets, What: "curly brackets", Limits: none},
		{Name: "c4.lorem_ipsum", Paper: paperC4, Measure: loremIpsum, What: "times \"lorem ipsum\"", Limits: none},
		{Name: "c4.bad_words", Paper: paperC4, Measure: badWords, What: "words of the list c4.bad_words", Limits: none},
		{Name: "c4.sentences", Paper: paperC4, Measure: sentences, What: "sentences",
			Limits: atLeast(func(c *Config) float64 { return c.C4.MinSentences })},
		{Name: "fineweb.punctuated_lines", Paper: paperFineWeb, Optional: true, Measure: punctuatedLines, What: "fraction of lines that end with punctuation",
			Limits: atLeast(func(c *Config) float64 { return c.FineWeb.MinPunctuatedLines })},
		{Name: "fineweb.short_lines", Paper: paperFineWeb, Optional: true, Measure: shortLines, What: "fraction of short lines",
			Limits: atMost(func(c *Config) float64 { return c.FineWeb.MaxShortLines })},
		{Name: "fineweb.duplicate_line_chars", Paper: paperFineWeb, Optional: true, Measure: func(r *run) float64 { return r.lineRepetition().lineChars }, What: "fraction of characters in duplicate lines",
			Limits: atMost(func(c *Config) float64 { return c.FineWeb.MaxDuplicateLineChars })},

		{Name: "repetition.duplicate_lines", Paper: paperRepetition, Measure: func(r *run) float64 { return r.lineRepetition().lines }, What: "fraction of lines that are duplicates",
			Limits: atMost(func(c *Config) float64 { return c.Repetition.MaxDuplicateLines })},
		{Name: "repetition.duplicate_line_chars", Paper: paperRepetition, Measure: func(r *run) float64 { return r.lineRepetition().lineChars }, What: "fraction of characters in duplicate lines",
			Limits: atMost(func(c *Config) float64 { return c.Repetition.MaxDuplicateLineChars })},
		{Name: "repetition.duplicate_paragraphs", Paper: paperRepetition, Measure: func(r *run) float64 { return r.lineRepetition().paragraphs }, What: "fraction of paragraphs that are duplicates",
			Limits: atMost(func(c *Config) float64 { return c.Repetition.MaxDuplicateParagraphs })},
		{Name: "repetition.duplicate_paragraph_chars", Paper: paperRepetition, Measure: func(r *run) float64 { return r.lineRepetition().paragraphChars }, What: "fraction of characters in duplicate paragraphs",
			Limits: atMost(func(c *Config) float64 { return c.Repetition.MaxDuplicateParagraphChars })},
	}
	for n := topFirst; n <= topLast; n++ {
		t = append(t, Rule{Name: "repetition.top_" + strconv.Itoa(n) + "gram", Paper: paperRepetition,
			What:    fmt.Sprintf("fraction of characters in the most frequent %d-gram", n),
			Measure: func(r *run) float64 { return r.wordRepetition().top[n-topFirst] },
			Limits:  atMost(func(c *Config) float64 { return c.Repetition.MaxTopGrams[n-topFirst] })})
	}
	for n := dupFirst; n <= dupLast; n++ {
		t = append(t, Rule{Name: "repetition.duplicate_" + strconv.Itoa(n) + "grams", Paper: paperRepetition,
			What:    fmt.Sprintf("fraction of characters in duplicate %d-grams", n),
			Measure: func(r *run) float64 { return r.wordRepetition().duplicate[n-dupFirst] },
			Limits:  atMost(func(c *Config) float64 { return c.Repetition.MaxDuplicateGrams[n-dupFirst] })})
	}
	return t
}

// run is what the rules know of one document. It is reused for the next.
type run struct {
	set  *Rules
	text *words.Text
	lang string // "" for unknown
	scan scan

	keep       []bool
	webRemoved int // words in lines that refinedweb's rules removed
	wordsAll   int // words before lines were removed

	statsDone, linesDone, wordsDone bool // whether those below are of this document
	stats                           wordStats
	lines                           lineRepetition
	words                           wordRepetition
	grams                           gramTables
}
