package clean

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/data/doc"
)

// only returns a step with one rule.
func only(t *testing.T, rule string, change func(*Config)) *Rules {
	t.Helper()
	c := Default()
	c.Off, c.On = []string{"all"}, []string{rule}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestLineRules(t *testing.T) {
	for _, c := range []struct{ rule, text, want string }{
		{"c4.javascript", "Keep this.\nPlease enable JavaScript to go on.\njavascripting too\nAnd java script this.", "Keep this.\nAnd java script this."},
		{"c4.policy", "One.\nRead our Privacy Policy now.\nThis site uses cookies.\nHe uses cookie cutters.\n\nWe use\ncookies here.", "One.\nHe uses cookie cutters.\n\nWe use\ncookies here."},
		{"c4.punctuation", "Ends well.\nMenu\nReally?\nYes!\n\"Quoted\"\n“Curly.”\nread more...\nHome > News\n日本語です。", "Ends well.\nReally?\nYes!\n\"Quoted\"\n“Curly.”\n日本語です。"},
		{"c4.line_words", "one two three four\none two three four five\n\nToo short.\n", "one two three four five"},
		{"refinedweb.uppercase", "SHOUTING Here\nNot Shouting\nABC def\nABCD ef", "Not Shouting\nABC def"},
		{"refinedweb.numeric", "12 34\n1,234.50 - 7\n12 a\n--", "12 a\n--"},
		{"refinedweb.counter", "3 likes\n1,204 Views\nlikes 3\n3 likes more\n3 dogs", "likes 3\n3 likes more\n3 dogs"},
		{"refinedweb.one_word", "Menu\nTwo words\nA-b\n", "Two words"},
	} {
		d := doc.Document{Text: c.text}
		var st doc.Stats
		if drop := only(t, c.rule, nil).Process(&d, &st); drop != nil {
			t.Errorf("%s drops: %v", c.rule, drop)
		}
		if d.Text != c.want {
			t.Errorf("%s leaves\n%q, want\n%q", c.rule, d.Text, c.want)
		}
		removed := int64(strings.Count(strings.Trim(c.text, "\n"), "\n") - strings.Count(c.want, "\n"))
		if strings.Contains(c.text, "\n\n") && !strings.Contains(c.want, "\n\n") {
			removed--
		}
		if n := st.Counts["lines."+c.rule]; n != removed {
			t.Errorf("%s counts %d removed lines, want %d", c.rule, n, removed)
		}
	}
}

func TestCitations(t *testing.T) {
	for text, want := range map[string]string{
		"Water[1] is wet[23][citation needed].":   "Water is wet.",
		"History[edit]\nx[] y":                    "History\nx y",
		"[a] [1a] [12 [edits] [ 1] unclosed [":    "[a] [1a] [12 [edits] [ 1] unclosed [",
		"no brackets":                             "no brackets",
		"nested [[1]] and [[citation needed][2]x": "nested [] and [x",
	} {
		if got, _ := removeCitations(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

func TestDocumentRules(t *testing.T) {
	words := func(n int, w string) string { return strings.TrimSpace(strings.Repeat(w+" ", n)) }
	bad := filepath.Join(t.TempDir(), "bad.txt")
	if err := os.WriteFile(bad, []byte("damn\n\nson of a gun\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rule, text string
		want       float64
		ok         bool
	}{
		{"document.empty", " \n ", 0, false},
		{"document.empty", "x", 1, true},
		{"gopher.word_count", words(49, "word"), 49, false},
		{"gopher.word_count", words(50, "word"), 50, true},
		{"gopher.word_count", words(50, "-"), 0, false},
		{"gopher.word_count", words(100_001, "x"), 100_001, false},
		{"gopher.mean_word_length", "ab, abcd!", 3, true},
		{"gopher.mean_word_length", "ab abc", 2.5, false},
		{"gopher.mean_word_length", "abcdefghijk", 11, false},
		{"gopher.mean_word_length", "äöüäöü — äöüäöüäöüäöüäö", 10, true},
		{"gopher.hash_ratio", "#one two three four five six seven eight nine ten", 0.1, true},
		{"gopher.hash_ratio", "#one two three four five six seven eight nine", 1. / 9, false},
		{"gopher.ellipsis_ratio", "one... two… three", 2. / 3, false},
		{"gopher.ellipsis_ratio", "one.. two ...... three four five six seven eight nine ten a b c d e f g h i j", 2. / 21, true},
		{"gopher.bullet_lines", "• a\n- b\n* c\nd", 0.75, true},
		{"gopher.bullet_lines", "• a\n  - b\n* c\n● d", 1, false},
		{"gopher.ellipsis_lines", "a...\nb…\nc\nd\ne\nf\ng", 2. / 7, true},
		{"gopher.ellipsis_lines", "a...\nb…\nc...\nd", 0.75, false},
		{"gopher.alphabetic_words", "a b c d 1", 0.8, true},
		{"gopher.alphabetic_words", "a b - 1 é", 0.6, false},
		{"gopher.stop_words", "THE cat, and the dog", 2, true},
		{"gopher.stop_words", "the theory the andes", 1, false},
		{"c4.curly_bracket", "if (x) { y }", 2, false},
		{"c4.curly_bracket", "if [x] (y)", 0, true},
		{"c4.lorem_ipsum", "Lorem Ipsum dolor", 1, false},
		{"c4.lorem_ipsum", "lorem  ipsum, ipsum lorem", 0, true},
		{"c4.bad_words", "Damn! He is a SON of a gun.", 2, false},
		{"c4.bad_words", "damnation, and the son of a gunner", 0, true},
		{"c4.sentences", "Mr. Smith went to St. Ives. J. R. Tolkien did not.", 2, false},
		{"c4.sentences", "It cost $3.50. “Really?” she asked. Yes!", 3, true},
		{"c4.sentences", "One. two. three", 1, false},
		{"c4.sentences", "He said so.\nshe did.\nand an open end", 3, true},
		{"c4.sentences", "今日は。明日は！そうか", 3, true},
		{"fineweb.punctuated_lines", "a.\nb\nc\nd\ne\nf\ng\nh", 0.125, true},
		{"fineweb.short_lines", "short\nshort\n" + words(10, "word"), 2. / 3, true},
		{"fineweb.short_lines", "short\nshort\nshort\n" + words(10, "word"), 0.75, false},
		{"fineweb.duplicate_line_chars", "abcd\nabcd\nabcdefgh", 0.25, false},
		{"repetition.duplicate_lines", "a\n b\na\nb \nc\nd", 1. / 3, false},
		{"repetition.duplicate_lines", "a\nb\nc\nA", 0, true},
		{"repetition.duplicate_line_chars", "abcd\nabcd\nabcdefghabcdefgh", 1. / 6, true},
		{"repetition.duplicate_paragraphs", "a\nb\n\nc\n\na\nb\n\na", 0.25, true},
		{"repetition.duplicate_paragraphs", "a\n\na\n\na", 2. / 3, false},
		{"repetition.duplicate_paragraph_chars", "a\nb\n\ncccc\n\na\nb", 0.25, false},
		{"repetition.top_2gram", "to be or not to be that", 8. / 17, false},
		{"repetition.top_2gram", "all words here differ", 0, true},
		{"repetition.top_3gram", "a b c x a b c yyyyyyyyyyyyyyyyyyyyyyyyyyyyy", 6. / 36, true},
		{"repetition.top_4gram", "a b c d x a b c d", 8. / 9, false},
		{"repetition.duplicate_5grams", "a b c d e a b c d e", 0.5, false},
		{"repetition.duplicate_5grams", "a b c d e f a b c d e f", 0.5, false}, // overlapping: f is counted once
		{"repetition.duplicate_10grams", "a b c d e f g h i a b c d e f g h i", 0, true},
		{"repetition.duplicate_10grams", "a b c d e f g h i j a b c d e f g h i j", 0.5, false},
	} {
		s := only(t, c.rule, func(cfg *Config) { cfg.C4.BadWords = bad })
		got := s.Measure(c.text, "")
		if len(got) != 1 || got[0].Rule != c.rule {
			t.Fatalf("%s: measured %v", c.rule, got)
		}
		if math.Abs(got[0].Measured-c.want) > 1e-12 {
			t.Errorf("%s of %q is %v, want %v", c.rule, doc.Clip(c.text, 60), got[0].Measured, c.want)
		}
		d := doc.Document{Text: c.text}
		drop := s.Process(&d, &doc.Stats{})
		if (drop == nil) != c.ok || drop != nil && drop.Rule != c.rule {
			t.Errorf("%s of %q (%v): dropped by %v, want kept: %v", c.rule, doc.Clip(c.text, 60), got[0].Measured, drop, c.ok)
		}
	}
}

func TestDropSaysWhatWasMeasured(t *testing.T) {
	d := doc.Document{Text: "three words only"}
	drop := only(t, "gopher.word_count", nil).Process(&d, &doc.Stats{})
	if want := (doc.Drop{Rule: "gopher.word_count", Detail: "words: 3, at least 50 needed"}); drop == nil || *drop != want {
		t.Errorf("got %v, want %v", drop, want)
	}
}

func TestStopWordsAreForTheirLanguages(t *testing.T) {
	s := only(t, "gopher.stop_words", nil)
	d := doc.Document{Text: "Das ist ein deutscher Satz.", Lang: "de"}
	if drop := s.Process(&d, &doc.Stats{}); drop != nil {
		t.Errorf("a German text is dropped by English stop words: %v", drop)
	}
}

func TestRefinedWebDropsWhatLosesTooMuch(t *testing.T) {
	s := only(t, "refinedweb", nil)
	long := strings.Repeat("A line of six ordinary words. ", 10)
	d := doc.Document{Text: long + "\nMenu\n3 likes"}
	if drop := s.Process(&d, &doc.Stats{}); drop != nil || d.Text != strings.TrimSpace(long) {
		t.Errorf("3 of 63 words removed: %v, %q", drop, d.Text)
	}
	d = doc.Document{Text: long + "\nMenu\n3 likes\nHome"}
	if drop := s.Process(&d, &doc.Stats{}); drop == nil || drop.Rule != "refinedweb.removed" {
		t.Errorf("4 of 64 words removed: %v", drop)
	}
}

func TestSwitches(t *testing.T) {
	c := Default()
	c.Off, c.On = []string{"gopher", "c4.punctuation"}, []string{"gopher.word_count", "fineweb"}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(s.Rules(), " ")
	for _, want := range []string{"gopher.word_count", "fineweb.short_lines", "c4.sentences", "repetition.duplicate_10grams"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is missing in %s", want, got)
		}
	}
	for _, not := range []string{"gopher.stop_words", "refinedweb", "bad_words"} {
		if strings.Contains(got, not) {
			t.Errorf("%s is in %s", not, got)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	for want, change := range map[string]func(*Config){
		`clean.gopher.max_bullet_lines is 90: a fraction`:          func(c *Config) { c.Gopher.MaxBulletLines = 90 },
		`clean.gopher.min_words is 200000: more than`:              func(c *Config) { c.Gopher.MinWords = 200000 },
		`clean.gopher.min_alphabetic is NaN`:                       func(c *Config) { c.Gopher.MinAlphabetic = math.NaN() },
		`clean.off is "gopher.stopwords": there is no such rule`:   func(c *Config) { c.Off = []string{"gopher.stopwords"} },
		`clean.repetition.max_top_grams is [0.2]: 3 fractions are`: func(c *Config) { c.Repetition.MaxTopGrams = []float64{0.2} },
		`clean.c4.policy[0] is "...": a phrase with a letter`:      func(c *Config) { c.C4.Policy = []string{"..."} },
		`clean.gopher.min_stop_words is 9: gopher.stop_words has`:  func(c *Config) { c.Gopher.MinStopWords = 9 },
		`clean.gopher.stop_words[8] is "two words": one word`:      func(c *Config) { c.Gopher.StopWords = append(c.Gopher.StopWords, "two words") },
		`clean.c4.bad_words: open`:                                 func(c *Config) { c.C4.BadWords = "testdata/none.txt" },
		`clean.c4.bad_words: ` + os.DevNull + ` holds no words`:    func(c *Config) { c.C4.BadWords = os.DevNull },
	} {
		c := Default()
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func books(tb testing.TB) []string {
	root := os.Getenv("CRIA_TEST_DATA")
	if root == "" {
		root = "../../../../shared/data"
	}
	files, _ := filepath.Glob(filepath.Join(root, "text/gutenberg/*.txt"))
	if len(files) == 0 {
		tb.Skip("no Gutenberg books in ../shared/data/text or $CRIA_TEST_DATA")
	}
	var all []string
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, string(b))
	}
	return all
}

// pieces cuts the books into documents of about 4 kB at paragraphs.
func pieces(tb testing.TB) (all []string) {
	for _, book := range books(tb) {
		for len(book) > 4000 {
			n := strings.Index(book[4000:], "\n\n")
			if n < 0 {
				break
			}
			all = append(all, book[:4000+n])
			book = book[4000+n+2:]
		}
		all = append(all, book)
	}
	return all
}

func BenchmarkClean(b *testing.B) {
	everything := Default()
	everything.On = []string{"fineweb"}
	rules, err := New(everything)
	if err != nil {
		b.Fatal(err)
	}
	repair, err := NewRepair(DefaultRepair())
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		text []string
	}{{"books", books(b)}, {"pieces", pieces(b)}} {
		bytes := 0
		for _, s := range c.text {
			bytes += len(s)
		}
		var repaired []string
		for _, s := range c.text {
			repaired = append(repaired, repair.Text(s, &doc.Stats{}))
		}
		b.Run("repair/"+c.name, func(b *testing.B) {
			b.SetBytes(int64(bytes))
			var st doc.Stats
			for b.Loop() {
				for _, s := range c.text {
					repair.Text(s, &st)
				}
			}
		})
		b.Run("rules/"+c.name, func(b *testing.B) {
			b.SetBytes(int64(bytes))
			for b.Loop() {
				for _, s := range repaired {
					rules.Measure(s, "en")
				}
			}
		})
	}
}
