package pii

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/data/doc"
)

func TestEvaluate(t *testing.T) {
	e := Evaluate(1)
	for _, s := range append(e.Scores, e.All) {
		t.Logf("%-6s labelled %5d found %5d precision %.4f recall %.4f", s.Kind, s.Labelled, s.Found, s.Precision, s.Recall)
		if s.Labelled < 300 || s.Precision < 0.95 || s.Recall < 0.95 {
			t.Errorf("%s: %d labelled, precision %.3f, recall %.3f: 0.95 of each is needed", s.Kind, s.Labelled, s.Precision, s.Recall)
		}
	}
	for _, m := range e.Missed {
		t.Log("missed", m)
	}
	for _, m := range e.False {
		t.Log("false ", m)
	}
}

func TestFind(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Mail john.doe@example.org.", "email:john.doe@example.org"},
		{"<a.b+c@x-y.co.uk>, or bob@site", "email:a.b+c@x-y.co.uk"},
		{"logo@2x.png @handle a..b@c.de .@x.de", ""},
		{"Call 212-555-0123 or (415) 555 2671 now", "phone:212-555-0123 phone:(415) 555 2671"},
		{"+49 (0)30 123456, +33 1 23 45 67 89.", "phone:+49 (0)30 123456 phone:+33 1 23 45 67 89"},
		{"01 23 45 67 89 et 0171/1234567", "phone:01 23 45 67 89 phone:0171/1234567"},
		{"Tel: 555-0123 and 555-0124", "phone:555-0123"},
		{"112-555-0123, 212-155-0123 and 911-911-9111", ""},
		{"from 81.2.69.142 and 192.168.1.1", "ip:81.2.69.142"},
		{"version 10.4.22.1, 999.1.1.1, 1.2.3.4.5", ""},
		{"at 2a02:8108:50bf:e0::1 yes", "ip:2a02:8108:50bf:e0::1"},
		{"2001:db8::1, 12:30:45, std::ab1::x, fe80::1", ""},
		{"card 4111 1111 1111 1111.", "card:4111 1111 1111 1111"},
		{"3782-822463-10005 and 5555555555554444", "card:3782-822463-10005 card:5555555555554444"},
		{"4111 1111 1111 1112 and 9111111111111111", ""},
		{"IBAN DE89 3704 0044 0532 0130 00, GB29NWBK60161331926819", "iban:DE89 3704 0044 0532 0130 00 iban:GB29NWBK60161331926819"},
		{"DE88 3704 0044 0532 0130 00", ""},
		{"078-05-1120", "id:078-05-1120"},
		{"666-12-3456 000-12-3456 123-00-4567 900-12-3456", ""},
		{"111.444.777-35", "id:111.444.777-35"},
		{"12345678Z X1234567L", "id:12345678Z id:X1234567L"},
		{"RSSMRA85T10A562S", "id:RSSMRA85T10A562S"},
		{"AB 12 34 56 C, QQ123456C", "id:AB 12 34 56 C"},
		{"2 55 08 14 168 025 38", "id:2 55 08 14 168 025 38"},
		{"2234 5678 9124", ""},
		{"2020-01-15 12:30, 01.02.2003, 1914-1918, 20210115", ""},
		{"ISBN 978-3-16-148410-0, $1,234,567.89, 3.14159265358979", ""},
		{"Pages 123-456, John 3:16-18, 1.234.567,89 EUR", ""},
		{"12500+21000-6300=27200, w+2500-2500, 5+12345678", ""},
		{"Tel: +44 7700 615844 51.5 and 030 / 1234567 48°", "phone:+44 7700 615844 phone:030 / 1234567"},
		{"", ""},
	} {
		var got []string
		for _, s := range Find(nil, c.text) {
			got = append(got, s.Kind.String()+":"+c.text[s.Start:s.End])
		}
		if g := strings.Join(got, " "); g != c.want {
			t.Errorf("%q: found %q, want %q", c.text, g, c.want)
		}
	}
}

// TestCheckDigits: published examples, and that any other last digit is refused.
func TestCheckDigits(t *testing.T) {
	for _, c := range []struct {
		text string
		kind Kind
		at   int // of the digit to change
	}{
		{"4539 1488 0343 6467", Card, 18},
		{"6011111111111117", Card, 15},
		{"CH93 0076 2011 6238 5295 7", IBAN, 25},
		{"FR1420041010050500013M02606", IBAN, 26},
		{"529.982.247-25", ID, 13},
		{"499118665246", 0, 0}, // Aadhaar needs its groups
		{"4991 1866 5246", ID, 13},
	} {
		found := Find(nil, c.text)
		if c.at == 0 {
			if len(found) > 0 {
				t.Errorf("%q: found %v", c.text, found)
			}
			continue
		}
		if len(found) != 1 || found[0].Kind != c.kind || found[0].End != len(c.text) {
			t.Errorf("%q: found %v, want all of it as %v", c.text, found, c.kind)
		}
		for d := byte('0'); d <= '9'; d++ {
			other := c.text[:c.at] + string(d) + c.text[c.at+1:]
			if other == c.text {
				continue
			}
			if found := Find(nil, other); len(found) > 0 {
				t.Errorf("%q has a wrong check digit and is found as %v", other, found[0].Kind)
			}
		}
	}
}

func TestStep(t *testing.T) {
	step, err := New(Default())
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("Nothing personal in this sentence. ", 100)
	d := doc.Document{Text: long + "Mail a@b.org or call 212-555-0123. " + long}
	var st doc.Stats
	if drop := step.Process(&d, &st); drop != nil || d.Personal != 2 || d.Text != long+"Mail <email> or call <phone>. "+long {
		t.Errorf("drop %v, %d pieces, %q", drop, d.Personal, doc.Clip(d.Text[len(long):], 50))
	}
	if st.Counts["personal.email"] != 1 || st.Counts["personal.phone"] != 1 || len(st.Samples["personal.email"]) != 1 || strings.Contains(st.Samples["personal.email"][0], "@") {
		t.Errorf("counts %v, samples %q", st.Counts, st.Samples)
	}
	list := doc.Document{Text: "Staff: a@b.org, b@b.org, c@b.org, d@b.org and e@b.org."}
	if drop := step.Process(&list, &st); drop == nil || drop.Rule != "personal.density" || !strings.HasPrefix(drop.Detail, "5 pieces of personal data in 54 characters, 92.6 for 1,000") {
		t.Errorf("a list of addresses: %v", drop)
	}
	c := Default()
	c.Kinds, c.Mask = []string{"phone"}, false
	if step, err = New(c); err != nil {
		t.Fatal(err)
	}
	d = doc.Document{Text: "a@b.org 212-555-0123"}
	if step.Process(&d, &st); d.Personal != 1 || d.Text != "a@b.org 212-555-0123" {
		t.Errorf("phones alone, no masking: %d, %q", d.Personal, d.Text)
	}
	c.Kinds = []string{"name"}
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), `personal.kinds[0] is "name"`) {
		t.Errorf("unknown kind: %v", err)
	}
}

func TestSites(t *testing.T) {
	s, err := NewSites(Default())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sum  doc.DomainStats
		keep bool
	}{
		{doc.DomainStats{Documents: 10, Bytes: 40_000, Personal: 20}, true}, // exactly 0.5
		{doc.DomainStats{Documents: 10, Bytes: 39_000, Personal: 20}, false},
		{doc.DomainStats{Documents: 1, Bytes: 100, Personal: 19}, true}, // too few to judge a site
		{doc.DomainStats{}, true},
	} {
		if drop := s.Judge(c.sum); (drop == nil) != c.keep {
			t.Errorf("%+v: %v", c.sum, drop)
		}
	}
}

// FuzzFind: spans rise, do not overlap and lie within the text.
func FuzzFind(f *testing.F) {
	f.Add("+49 (0)30 123456 a@b.de 81.2.69.142 :: 4111 1111 1111 1111 DE89370400440532013000")
	f.Fuzz(func(t *testing.T, s string) {
		done := 0
		for _, sp := range Find(nil, s) {
			if sp.Start < done || sp.End <= sp.Start || sp.End > len(s) {
				t.Fatalf("%q: span %v behind %d", s, sp, done)
			}
			done = sp.End
		}
	})
}

func BenchmarkFind(b *testing.B) {
	root := os.Getenv("CRIA_TEST_DATA")
	if root == "" {
		root = "../../../../shared/data"
	}
	files, _ := filepath.Glob(filepath.Join(root, "text/*/*.txt"))
	if len(files) == 0 {
		b.Skip("no texts in ../shared/data/text or $CRIA_TEST_DATA")
	}
	var all []string
	n := 0
	for _, f := range files {
		t, err := os.ReadFile(f)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, string(t))
		n += len(t)
	}
	b.SetBytes(int64(n))
	var spans []Span
	for b.Loop() {
		for _, s := range all {
			spans = Find(spans[:0], s)
		}
	}
}
