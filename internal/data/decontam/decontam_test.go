package decontam

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/data/words"
)

func count(from, to int) string {
	var w []string
	for i := from; i <= to; i++ {
		w = append(w, fmt.Sprintf("word%d", i))
	}
	return strings.Join(w, " ")
}

func index(c Config, items ...string) *Index {
	x := NewIndex(c)
	x.begin("bench")
	for _, it := range items {
		x.add(it)
	}
	return x
}

func clean(x *Index, text string) Result {
	var t words.Text
	t.Parse(text)
	return x.NewFinder().Clean(&t)
}

// TestOverlap: 13 words in a row are found anywhere in an item, 12 are not; an
// item of 8 to 12 words is found whole; shorter ones are not looked for.
func TestOverlap(t *testing.T) {
	x := index(Default(), count(1, 40), count(100, 108), count(200, 206))
	for text, want := range map[string]bool{
		"before " + count(5, 17) + " after":           true,
		"before " + count(5, 16) + " after":           false,
		count(28, 40):                                 true,
		strings.ToUpper(count(1, 13)):                 true,
		strings.ReplaceAll(count(1, 13), " ", ", — "): true,
		count(1, 12) + " x word13":                    false,
		count(100, 108):                               true,
		count(100, 107):                               false,
		count(101, 120):                               false,
		count(200, 206):                               false,
		"":                                            false,
	} {
		if r := clean(x, text); r.Dropped != want || want != strings.Contains(r.Detail, "bench") {
			t.Errorf("%q: dropped %v (%s), want %v", text, r.Dropped, r.Detail, want)
		}
	}
	if c := x.Counts[0]; c.Items != 3 || c.Short != 1 || c.Grams != 28+1 {
		t.Errorf("counts are %+v", c)
	}
}

func TestCut(t *testing.T) {
	c := Default()
	c.Action, c.Window, c.MinPiece, c.MaxPieces = CutDocument, 3, 5, 3
	item := count(1, 14)
	x := index(c, item)
	long := "Ein schöner Anfang "
	for _, tc := range []struct{ text, want string }{
		{long + item + " and the end of it.", "Ein schöner Anfa\n\nd the end of it."},
		{"öööö" + " " + item + " tail of the text", "il of the text"}, // the first piece is too short
		{"no match at all", "no match at all"},
		{long + item + " " + long + item + " " + long, "Ein schöner Anfa\n\nn schöner Anfa\n\nn schöner Anfang"},
	} {
		if r := clean(x, tc.text); r.Dropped || r.Text != tc.want {
			t.Errorf("%q becomes %q (dropped %v: %s), want %q", tc.text, r.Text, r.Dropped, r.Detail, tc.want)
		}
	}
	for _, text := range []string{item, strings.Repeat(long+item+" ", 4)} {
		if r := clean(x, text); !r.Dropped {
			t.Errorf("%q is kept as %q", text, r.Text)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if strings.HasSuffix(name, ".gz") {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			fmt.Fprint(z, text)
			z.Close()
			text = b.String()
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	write("a.jsonl", `{"q":"`+count(1, 10)+`","choices":[{"text":"`+count(11, 20)+`"}],"id":"`+count(21, 30)+`"}`+"\n"+`{"q":"x"}`)
	write("b.json", `{"examples":[{"q":"`+count(31, 40)+`"}]}`)
	write("c.jsonl.gz", `{"q":"`+count(41, 50)+`"}`)
	write("d.csv", count(51, 60)+`,"`+count(61, 70)+`, more",A`)
	write("e.tsv", count(71, 80)+"\t"+count(81, 90))
	write("f.txt", count(91, 100)+"\n\n"+count(101, 110))
	c := Default()
	c.Sets = []Set{{Name: "fields", Paths: []string{"[abc].*"}, Fields: []string{"q", "choices"}}, {Name: "all", Paths: []string{"[def].*"}}}
	x, err := Load(c, dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := 1; i < 110; i += 10 {
		r := clean(x, "so: "+count(i, i+9)+" more")
		want := "fields"
		if i > 50 {
			want = "all"
		}
		if i == 21 { // a field that was not named
			want = ""
		}
		if r.Set != want {
			t.Errorf("words %d to %d: found in %q, want %q", i, i+9, r.Set, want)
		}
	}
	for want, set := range map[string]Set{
		"no such file": {Name: "x", Paths: []string{"none.jsonl"}},
		"no text":      {Name: "x", Paths: []string{"b.json"}, Fields: []string{"question"}},
		"have none":    {Name: "x", Paths: []string{"d.csv"}, Fields: []string{"q"}},
	} {
		c.Sets = []Set{set}
		if _, err := Load(c, dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", set, err, want)
		}
	}
	write("bad.jsonl", `{"q":"a"}`+"\n"+`{"q":`)
	c.Sets = []Set{{Name: "x", Paths: []string{"bad.jsonl"}}}
	if _, err := Load(c, dir); err == nil || !strings.Contains(err.Error(), "bad.jsonl: JSON value 2") {
		t.Errorf("a broken file: %v", err)
	}
}
