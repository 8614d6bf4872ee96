package words

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestWords(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{" \n\t\r\n ", ""},
		{"Hello, world!", "Hello|world"},
		{"  \"Don't,\" (she) said --  no.", "Don't|she|said|--|no"},
		{"a.b c", "a.b|c"},
		{"“Don’t”\u00a0…wait…", "Don’t|wait"},
		{"naïve Ärger\u2003ÉTÉ", "naïve|Ärger|ÉTÉ"},
		{"日本 GPU。", "日|本|GPU"},
		{"(日本)", "(|日|本|)"},
		{"price: $12.50!", "price|12.50"},
		{"... !!! 日", "...|!!!|日"},
		{"bad\xffbyte", "bad\xffbyte"},
		{"x\u200by", "x|y"},
	} {
		var text Text
		text.Parse(c.text)
		var got []string
		for _, w := range text.Words {
			core := c.text[w.Core:w.CoreEnd]
			got = append(got, core)
			if int(w.Chars) != utf8.RuneCountInString(core) {
				t.Errorf("%q: %q has %d characters, not %d", c.text, core, utf8.RuneCountInString(core), w.Chars)
			}
		}
		if g := strings.Join(got, "|"); g != c.want {
			t.Errorf("%q: words %q, want %q", c.text, g, c.want)
		}
	}
}

func TestHashesAreOfLowerCaseCores(t *testing.T) {
	hash := func(word string) uint64 {
		var text Text
		text.Parse(word)
		if len(text.Words) != 1 {
			t.Fatalf("%q is %d words", word, len(text.Words))
		}
		return text.Words[0].Hash
	}
	for _, group := range [][]string{
		{"hello", "Hello", "HELLO,", "\"hello\"", "“Hello”", "(hello)"},
		{"don't", "Don’t", "DON'T!", "«don’t»"},
		{"ärger", "Ärger,", "ÄRGER"},
		{"internationalisation", "Internationalisation", "…INTERNATIONALISATION."},
		{"hell", "Hell."}, {"hello1"}, {"@[`{"}, {"`"}, {"@"}, {"--"}, {"---"},
	} {
		for _, w := range group {
			if hash(w) != hash(group[0]) {
				t.Errorf("%q and %q have different hashes", w, group[0])
			}
		}
	}
	// Different words: all of up to three letters of a small alphabet, with and
	// without text behind them that the eight-byte loads could read.
	seen := map[uint64]string{}
	letters := []string{"", "a", "b", "z", "0", "é", "-"}
	for _, x := range letters {
		for _, y := range letters {
			for _, z := range letters {
				w := "w" + x + y + z + "w"
				h := hash(w)
				if old, ok := seen[h]; ok && old != w {
					t.Errorf("%q and %q have one hash", old, w)
				}
				seen[h] = w
				var text Text
				text.Parse(w + " and more text")
				if text.Words[0].Hash != h {
					t.Errorf("the hash of %q depends on what follows", w)
				}
			}
		}
	}
	if got := hash("hello"); got != 0xefca2c5b26350449 {
		t.Errorf("hash of hello is %#x: it must be the same on all machines and in all versions, near-duplicates found before would be lost", got)
	}
}

func TestLines(t *testing.T) {
	var text Text
	text.Parse("\n\n  First line. \r\nSecond – line\n \nThird\n\n\n")
	var got []string
	for _, l := range text.Lines {
		got = append(got, fmt.Sprintf("%q %d %d %v", text.String[l.Begin:l.End], l.Last-l.First, l.Chars, l.Paragraph))
	}
	want := []string{`"  First line." 2 11 true`, `"Second – line" 3 13 false`, `"Third" 1 5 true`}
	if !slices.Equal(got, want) {
		t.Errorf("lines are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// TestKeep: what Keep leaves is what parsing the new text gives.
func TestKeep(t *testing.T) {
	const source = "One two.\n  Three – “four”\n\nfive six\nseven\n\n\neight 日本\n\nnine"
	var all Text
	all.Parse(source)
	n := len(all.Lines)
	for mask := range 1 << n {
		keep := make([]bool, n)
		for i := range keep {
			keep[i] = mask>>i&1 == 1
		}
		var text, again Text
		text.Parse(source)
		text.Keep(keep)
		again.Parse(text.String)
		if !slices.Equal(text.Words, again.Words) || !slices.Equal(text.Lines, again.Lines) {
			t.Fatalf("keeping %v gives %q with\n%v\n%v\nparsed again\n%v\n%v", keep, text.String, text.Words, text.Lines, again.Words, again.Lines)
		}
	}
	all.Keep([]bool{false, true, false, true, true, false})
	if want := "  Three – “four”\n\nseven\n\neight 日本"; all.String != want {
		t.Errorf("text is %q, want %q", all.String, want)
	}
}

// FuzzParse compares with the plain way: strings.FieldsFunc.
func FuzzParse(f *testing.F) {
	f.Add("Hello, “world”\u00a0x\n\n日本 \xff a")
	f.Fuzz(func(t *testing.T, s string) {
		var text Text
		text.Parse(s)
		var plain strings.Builder
		for _, r := range s {
			if ideograph(r) {
				plain.WriteString(" " + string(r) + " ")
			} else if r == '\u200b' || r == '\ufeff' {
				plain.WriteByte(' ')
			} else {
				plain.WriteRune(r)
			}
		}
		want := strings.FieldsFunc(plain.String(), unicode.IsSpace)
		if len(want) != len(text.Words) {
			t.Fatalf("%q: %d words, want %d", s, len(text.Words), len(want))
		}
		for i, w := range text.Words {
			if got := string([]rune(s[w.Start:w.End])); got != want[i] {
				t.Errorf("%q: word %d is %q, want %q", s, i, got, want[i])
			}
			if w.Start > w.Core || w.Core >= w.CoreEnd || w.CoreEnd > w.End {
				t.Errorf("%q: word %d has no core: %+v", s, i, w)
			}
		}
	})
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

func BenchmarkParse(b *testing.B) {
	var text Text
	n := 0
	all := books(b)
	for b.Loop() {
		for _, s := range all {
			text.Parse(s)
			n += len(s)
		}
	}
	b.SetBytes(int64(n / b.N))
}
