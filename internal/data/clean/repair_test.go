package clean

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/cria-llm/cria/internal/data/doc"
)

func TestRepair(t *testing.T) {
	r, err := NewRepair(DefaultRepair())
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		"plain text\n\tindented":              "plain text\n\tindented",
		"\xefndia ca\xf1\xf3n \x93quoted\x94": "ïndia cañón “quoted”", // Windows-1252: nothing in it is UTF-8
		"caf\u00e9 and a bad \xff byte":       "café and a bad \ufffd byte",
		"a\u00a0b\u2003c\u3000d\u202fe":       "a b c d e",
		"ze\u200bro\ufeff so\u00adft":         "zero soft",
		"می\u200cخواهم 👩\u200d👧":              "می\u200cخواهم 👩\u200d👧",
		"a\x00b\x07c\x7f\x1b[0m":              "abc[0m",
		"a\r\nb\rc\fd\u2029e":                 "a\nb\nc\nd\ne",
		"e\u0301 A\u030a":                     "é Å",
		"ﬁﬂﬀﬃﬄﬆ":                              "fiflffffifflst",
		"“It’s”":                              "“It’s”",
		"PASSÉ» et « voilà…»":                 "PASSÉ» et « voilà…»",
		"dit-il, l'été…» «déjà»":              "dit-il, l'été…» «déjà»",
		"SÃO “IRMÔ”":                          "SÃO “IRMÔ”",
		"donâ€™t â€“ cafÃ©":                   "don’t – café",
	} {
		if got := r.Text(in, &doc.Stats{}); got != want {
			t.Errorf("%+q becomes %q, want %q", in, got, want)
		}
	}
	var off RepairConfig
	off.Unwrap = "never"
	r, _ = NewRepair(off)
	const in = "cafÃ© e\u0301\u00a0\u200bﬁ\r\n"
	if got := r.Text(in, &doc.Stats{}); got != in {
		t.Errorf("with all off %q becomes %q", in, got)
	}
	if _, err := NewRepair(RepairConfig{}); err == nil || !strings.Contains(err.Error(), `repair.unwrap is ""`) {
		t.Errorf("no unwrap: %v", err)
	}
}

func TestRepairCounts(t *testing.T) {
	r, _ := NewRepair(DefaultRepair())
	var st doc.Stats
	for _, text := range []string{"clean", "cafÃ©", "a\u00a0b", "x\xff"} {
		d := doc.Document{Text: text}
		r.Process(&d, &st)
	}
	for name, want := range map[string]int64{"repair.documents": 3, "repair.mojibake": 1, "repair.characters": 1, "repair.invalid_bytes": 1} {
		if st.Counts[name] != want {
			t.Errorf("%s is %d, want %d", name, st.Counts[name], want)
		}
	}
}

func TestUnwrap(t *testing.T) {
	const wrapped = `It was a bright cold day in the far country, and all the clocks
were striking at once, as they did on the first of every month; for
the clock-maker had died, and nobody knew how to make them stop or
even to make them agree.

  "Twinkle, twinkle,
  Little bat,"
said the one who sat at the end of the very long table, and he went
on with his tea as if nothing had been said at all, although some-
body had certainly spoken--
  and loudly.`
	const want = `It was a bright cold day in the far country, and all the clocks were striking at once, as they did on the first of every month; for the clock-maker had died, and nobody knew how to make them stop or even to make them agree.

  "Twinkle, twinkle,
  Little bat,"
said the one who sat at the end of the very long table, and he went on with his tea as if nothing had been said at all, although some-body had certainly spoken--
  and loudly.`
	if got := unwrap(wrapped, false); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for _, text := range []string{
		"", "one line", "a list\nof short\nlines that\nare not\nwrapped\n",
		"A paragraph in one line, however long it may be, as editors of today write them, has no breaks.\nThe next one neither.\n",
		"roses are red and\nviolets are blue in the\nmorning\nwhen the sun comes over\nthe hill\n",
	} {
		if got := unwrap(text, false); got != text {
			t.Errorf("%q is unwrapped to %q", text, got)
		}
	}
}

// FuzzRepair: the result is valid, normal, and repaired once and for all.
func FuzzRepair(f *testing.F) {
	f.Add("Ã¢\u0080\u0099 caf\xe9 e\u0301\u00ad\r\n PASSÉ»")
	c := DefaultRepair()
	c.Unwrap = "never"
	r, err := NewRepair(c)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := r.Text(s, &doc.Stats{})
		if !utf8.ValidString(got) || !norm.NFC.IsNormalString(got) || strings.ContainsAny(got, "\r\x00\u00a0\u200b") {
			t.Errorf("%q becomes %q", s, got)
		}
	})
}
