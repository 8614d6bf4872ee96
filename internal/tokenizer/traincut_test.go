package tokenizer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// cutWords returns the counts of the words of texts.
func cutWords(t testing.TB, c TrainConfig, sources ...Source) map[string]int64 {
	t.Helper()
	c.Workers, c.Progress = max(c.Workers, 1), func(TrainStage, int64, int64) {}
	w, err := countWords(context.Background(), &c, sources, &TrainReport{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := w.close(); err != nil {
			t.Error(err)
		}
	}()
	got := map[string]int64{}
	err = w.each(context.Background(), func(word []byte, n int64) error {
		if got[string(word)] > 0 {
			return fmt.Errorf("%q comes twice", word)
		}
		got[string(word)] = n
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestCutWords(t *testing.T) {
	for _, c := range []struct {
		name, text string
		set        func(*TrainConfig)
		want       string // words between |, in order of bytes; repeated as often as counted
	}{
		{"words", "the cat the\n", nil, " cat| the| the"},
		{"marks", "don't (stop), e.g. this", nil, "'| (|),| don| e|.|.| this|g|stop|t"},
		{"digits", "x12 34y 5", nil, " | | x|1|2|3|4|5|y"},
		{"digits together", "x12 34y 5.6", func(c *TrainConfig) { c.SplitDigits = false }, " 34| 5.6| x|12|y"},
		{"wide digits", "１２", nil, " |１|２"},
		{"spaces", "a   b    \n  c", nil, "  |    | a| b| c|  "},
		{"spaces before digits", "a  1", nil, "  | a|1"},
		{"single spaces", "a   b ", func(c *TrainConfig) { c.AllowWhitespaceOnlyPieces = false }, " | | | a| b"},
		{"lines", "a\n\nb\r\n", nil, " a| b|\r"},
		{"no prefix", "a b\nc", func(c *TrainConfig) { c.AddDummyPrefix = false }, " b|a|c"},
		{"tabs", "\ta\t\tb", nil, " \t|\t\t|a|b"},
		{"scripts", "привет-мир 日本ごカー naïve", nil, " naïve| привет| 日本ごカー|-|мир"},
		{"accents", "e\u0301a \u0301b я\u0301n", nil, " e\u0301a| \u0301b| я\u0301|n"},
		{"underscores", "a▁b▁▁c", nil, " a| b| | c"},
		{"not UTF-8", "a\xffb\xe2\x96 c", nil, " a|\ufffd|b|\ufffd\ufffd| c"},
		{"symbols", "ab<s>cd <0x41>e<s", nil, " ab|cd| |e|<|s"},
		{"own symbols", "thethen <a><b>x<a>\x1f", func(c *TrainConfig) {
			c.UserDefinedSymbols, c.ControlSymbols = []string{"the", "then", "<a>"}, []string{"<a><b>"}
		}, " | |x|\x1f"},
		{"space symbols", "a  b é", func(c *TrainConfig) { c.UserDefinedSymbols = []string{"▁▁", "é"} }, " a| |b"},
	} {
		cfg := DefaultTrainConfig()
		cfg.Workers = 1
		if c.set != nil {
			c.set(&cfg)
		}
		got := cutWords(t, cfg, TextSource("t", c.text))
		want := map[string]int64{}
		for w := range strings.SplitSeq(c.want, "|") {
			want[w]++
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %q: %v, want %v", c.name, c.text, got, want)
		}
	}
}

// TestCutNUL: a NUL of a JSON text is no part of any piece.
func TestCutNUL(t *testing.T) {
	s := TextSource("t", `{"a": "ab\u0000cd"}`)
	s.Field = "a"
	if got, want := cutWords(t, DefaultTrainConfig(), s), (map[string]int64{" ab": 1, "\x00": 1, "cd": 1}); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestCutLongText: chunks of a text are cut where nothing is lost, whatever its
// lines are like.
func TestCutLongText(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	words := strings.Fields("the quick brown fox, jumps 1984 日本語 naïve ▁ (x)")
	for _, sep := range []string{" ", "\n", "  ", " \n"} {
		var b strings.Builder
		want := map[string]int64{}
		for b.Len() < 5*chunkBytes/2 {
			w := words[rng.IntN(len(words))]
			b.WriteString(w + sep)
			want[w]++
		}
		c := DefaultTrainConfig()
		c.Workers = 3
		got := cutWords(t, c, TextSource("t", b.String()))
		for _, w := range []string{"quick", "日本語", "brown", "naïve"} {
			if got[" "+w] != want[w] || want[w] == 0 {
				t.Errorf("separator %q: %q is counted %d times, not %d", sep, w, got[" "+w], want[w])
			}
		}
	}
	// Without any place to cut no character is lost or broken.
	solid := strings.Repeat("日本語の", 3*chunkBytes/12)
	got := cutWords(t, DefaultTrainConfig(), TextSource("t", solid))
	var chars int
	for w, n := range got {
		if !utf8.ValidString(w) || len(w) > maxWordBytes {
			t.Errorf("%d times a word of %d bytes", n, len(w))
		}
		chars += int(n) * utf8.RuneCountInString(strings.TrimPrefix(w, " "))
	}
	if want := utf8.RuneCountInString(solid); chars != want {
		t.Errorf("%d characters, not %d", chars, want)
	}
}

// TestSpill: words on disk are those in memory, also where there are more runs than
// can be merged at once.
func TestSpill(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	var b strings.Builder
	for range 80000 {
		fmt.Fprintf(&b, "%c%s", " \n"[rng.IntN(2)], strings.Repeat(string(rune('a'+rng.IntN(26))), 1+rng.IntN(3)*rng.IntN(12))+string(rune('a'+rng.IntN(26)))+string(rune('a'+rng.IntN(26))))
	}
	source := TextSource("t", b.String())
	c := DefaultTrainConfig()
	want := cutWords(t, c, source)
	c.TempDir, c.Progress = t.TempDir(), func(TrainStage, int64, int64) {}
	c.Memory = 1 << 16 // below what Train allows, so that little text is enough
	for c.Workers = range 3 {
		c.Workers++
		var r TrainReport
		w, err := countWords(context.Background(), &c, []Source{source}, &r)
		if err != nil {
			t.Fatal(err)
		}
		if r.Spilled <= maxMerge || len(w.spill.runs) > maxMerge || len(w.spill.runs) == 0 {
			t.Errorf("%d runs were written and %d are left", r.Spilled, len(w.spill.runs))
		}
		for range 2 { // it is read twice
			got := map[string]int64{}
			last := ""
			err = w.each(context.Background(), func(word []byte, n int64) error {
				if string(word) <= last {
					return errors.New("the words are out of order")
				}
				last = string(word)
				got[last] = n
				return nil
			})
			if err != nil || !maps.Equal(got, want) {
				t.Fatalf("%d workers: %d words on disk, %d in memory, %v", c.Workers, len(got), len(want), err)
			}
		}
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
		if left, _ := os.ReadDir(c.TempDir); len(left) > 0 {
			t.Errorf("%v is left", left)
		}
	}
	c.TempDir = "/nonexistent"
	if _, err := countWords(context.Background(), &c, []Source{source}, &TrainReport{}); err == nil || !strings.Contains(err.Error(), "nonexistent") {
		t.Errorf("no place for runs: %v", err)
	}
}

// TestTrainDropsRareWords: with too little memory for all words the rarest are left
// out, and the report says so.
func TestTrainDropsRareWords(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	var b strings.Builder
	for range 130000 {
		word := make([]byte, 12)
		for i := range word {
			word[i] = byte('a' + rng.IntN(26))
		}
		b.Write(append(word, '\n'))
	}
	b.WriteString(strings.Repeat("common words here\n", 500))
	c := DefaultTrainConfig()
	c.VocabSize, c.Memory, c.HardVocabLimit, c.TempDir = 400, minTrainMemory, false, t.TempDir()
	tk, r, err := Train(context.Background(), c, TextSource("t", b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if r.DroppedUnique < 129900 || r.DroppedUnique != r.UniqueWords-3 || r.DroppedShare < 0.98 || r.DroppedShare > 0.99 {
		t.Errorf("%+v", *r)
	}
	if _, ok := tk.ID("▁common"); !ok || r.Alphabet != 27 {
		t.Errorf("%d pieces, %+v", tk.VocabSize(), *r)
	}
	c.Memory = 1 << 30
	if _, r, err := Train(context.Background(), c, TextSource("t", b.String())); err != nil || r.DroppedUnique != 0 || r.DroppedShare != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}

// TestScriptClasses: scripts are told apart by Go's tables, but for Japanese.
func TestScriptClasses(t *testing.T) {
	pages := scriptClasses()
	owner := map[charClass]string{classCommon: "Common", classInherited: "Inherited"}
	for name, table := range unicode.Scripts {
		if name == "Hiragana" || name == "Katakana" {
			name = "Han"
		}
		check := func(r rune) {
			if r == 0x30FC { // the long vowel mark, which Go's tables have in Common
				return
			}
			class := pages.of(r)
			if owner[class] == "" {
				owner[class] = name
			}
			if owner[class] != name {
				t.Errorf("%U of %s has the class of %s", r, name, owner[class])
			}
		}
		for _, r := range table.R16 {
			check(rune(r.Lo))
			check(rune(r.Hi))
		}
		for _, r := range table.R32 {
			check(rune(r.Lo))
			check(rune(r.Hi))
		}
	}
	if n := len(unicode.Scripts) - 2; len(owner) != n {
		t.Errorf("%d classes for %d scripts", len(owner), n)
	}
	if pages.of('ー') != pages.of('漢') || pages.of(unicode.MaxRune) != classCommon {
		t.Error("the long vowel mark or an unassigned character is in the wrong class")
	}
}

// FuzzCut: whatever the text, its characters are all there in the words, each as
// often as it stands there.
func FuzzCut(f *testing.F) {
	f.Add([]byte("Hello  world 123 日本語\xff\xe2\x96 ▁▁ e\u0301\n\n the\r\n"), true, true)
	f.Add(bytes.Repeat([]byte("ab \t"), 400), false, true)
	f.Fuzz(func(t *testing.T, text []byte, prefix, digits bool) {
		c := DefaultTrainConfig()
		c.AddDummyPrefix, c.SplitDigits, c.ByteFallback = prefix, digits, false
		cut := &cutter{rules: newCutRules(&c, nil), table: newWordTable(1 << 22)}
		cut.full = func() error { return errors.New("full") }
		buf := append(append(make([]byte, 1, len(text)+1+wordSlack), text...), make([]byte, wordSlack)...)
		if err := cut.text(buf[:len(text)+1], false); err != nil {
			t.Skip(err)
		}
		if err := cut.flush(); err != nil {
			t.Skip(err)
		}
		want := map[rune]int64{}
		for line := range bytes.SplitSeq(text, []byte("\n")) {
			if len(line) > 0 && prefix {
				want[' ']++
			}
			for _, r := range string(line) {
				if r == '▁' {
					r = ' '
				}
				want[r]++
			}
		}
		got := map[rune]int64{}
		err := cut.table.each(func(word []byte, n int64) error {
			for _, r := range string(word) {
				got[r] += n
			}
			return nil
		})
		if err != nil || !maps.Equal(got, want) {
			t.Fatalf("%q: %v, want %v", text, got, want)
		}
	})
}
