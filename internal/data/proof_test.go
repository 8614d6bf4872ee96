package data

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"github.com/cria-llm/cria/internal/data/decontam"
	"github.com/cria-llm/cria/internal/data/read"
	"github.com/cria-llm/cria/internal/data/shard"
)

// shared returns a path of the shared data, or skips.
func shared(t testing.TB, name string) string {
	t.Helper()
	root := os.Getenv("CRIA_TEST_DATA")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "data")
	}
	path := filepath.Join(root, name)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("needs shared data: %v", err)
	}
	return path
}

// passages cuts the Gutenberg books into documents of some 3,000 characters
// at paragraph borders, without the licence texts around them.
func passages(t testing.TB) (all []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(shared(t, "text/gutenberg"), "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d books, %v", len(files), err)
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(raw), "\r\n", "\n")
		var b strings.Builder
		for _, p := range strings.Split(text, "\n\n") {
			b.WriteString(p + "\n\n")
			if b.Len() > 3000 {
				all = append(all, strings.TrimSpace(b.String()))
				b.Reset()
			}
		}
	}
	return all
}

// questions returns texts of benchmark items with at least n words.
func questions(t testing.TB, n int) (all []string) {
	t.Helper()
	for _, set := range []struct{ file, field string }{{"eval/gsm8k/test.jsonl", "question"}, {"eval/math/test.jsonl", "problem"}, {"eval/mbpp/mbpp.jsonl", "text"}} {
		raw, err := os.ReadFile(shared(t, set.file))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(strings.TrimSpace(string(raw)), "\n") {
			var item map[string]any
			if err := json.Unmarshal([]byte(line), &item); err != nil {
				t.Fatal(err)
			}
			if text, _ := item[set.field].(string); len(strings.Fields(text)) >= n {
				all = append(all, text)
			}
		}
	}
	return all
}

// insert puts a text between two paragraphs in the middle of another.
func insert(text, what string) string {
	at := strings.Index(text[len(text)/3:], "\n\n") + len(text)/3
	return text[:at] + "\n\n" + what + text[at:]
}

// change replaces, doubles and leaves out about share of the words, as someone
// does who edits: punctuation stays, and lines are wrapped anew.
func change(r *rand.Rand, text string, share float64) string {
	const marks = `.,;:!?"'”’)—-_`
	var b strings.Builder
	for i, paragraph := range strings.Split(text, "\n\n") {
		if i > 0 {
			b.WriteString("\n\n")
		}
		width := 0
		put := func(w string) {
			switch {
			case width+len(w) > 65:
				b.WriteByte('\n')
				width = 0
			case width > 0:
				b.WriteByte(' ')
			}
			b.WriteString(w)
			width += len(w) + 1
		}
		for _, w := range strings.Fields(paragraph) {
			core := strings.TrimRight(w, marks)
			switch {
			case core == "" || r.Float64() > share:
				put(w)
			case r.IntN(3) == 0:
				put(core)
				put(w)
			case core == w && r.IntN(2) == 0: // left out
			default:
				put("something" + w[len(core):])
			}
		}
	}
	return b.String()
}

// shares reports whether a text has n words in a row of another, by strings: no
// code of the pipeline is used.
func shares(text, other string, n int) bool {
	plain := func(s string) []string {
		return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	}
	all := " " + strings.Join(plain(text), " ") + " "
	words := plain(other)
	for i := 0; i+n <= len(words); i++ {
		if strings.Contains(all, " "+strings.Join(words[i:i+n], " ")+" ") {
			return true
		}
	}
	return false
}

// proof is the planted collection: a source for each kind of planted document.
type proof struct {
	corpus
	counts map[string]int
	items  []string   // the benchmark item in each document of source bench
	pieces [][]string // the personal data in each document of source personal
}

func (p *proof) source(t testing.TB, name string, docs []string) {
	t.Helper()
	var b strings.Builder
	for i, d := range docs {
		line, err := json.Marshal(map[string]string{"text": d, "id": fmt.Sprint(i)})
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(line, '\n'))
	}
	p.write(t, name+".jsonl", b.String())
	p.counts[name] = len(docs)
}

func plant(t testing.TB) *proof {
	t.Helper()
	p := &proof{corpus: corpus{dir: t.TempDir()}, counts: map[string]int{}}
	r := rand.New(rand.NewPCG(1, 3))
	all := passages(t)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	const planted = 200
	// Benchmark items and personal data go into texts that are nowhere else.
	books, fresh, others, dense := all[3*planted:], all[:planted], all[planted:2*planted], all[2*planted:3*planted]
	p.source(t, "books", books)
	var exact, near, bench []string
	items := questions(t, 13)
	for i := range planted {
		exact = append(exact, books[r.IntN(len(books))])
		near = append(near, "Posted by reader "+fmt.Sprint(i)+" on the forum.\n\n"+change(r, books[r.IntN(len(books))], 0.015))
		p.items = append(p.items, items[r.IntN(len(items))])
		bench = append(bench, insert(fresh[i], p.items[i]))
	}
	p.source(t, "exact", exact)
	p.source(t, "near", near)
	p.source(t, "bench", bench)
	var personal, directory []string
	for i := range planted {
		pieces := contact(r, i)
		p.pieces = append(p.pieces, pieces)
		personal = append(personal, insert(others[i], fmt.Sprintf("Whoever finds book number %d, write to %s or call %s between nine and five. The order was paid with card %s, and the last visit was from the address %s.", i, pieces[0], pieces[1], pieces[2], pieces[3])))
		text := dense[i]
		for j := range 8 {
			c := contact(r, 1000+8*i+j)
			text = insert(text, fmt.Sprintf("The member can be reached under %s and %s at any time.", c[0], c[1]))
		}
		directory = append(directory, text)
	}
	p.source(t, "personal", personal)
	p.source(t, "directory", directory)
	return p
}

// contact makes an e-mail address, a phone number, a card number that passes
// Luhn's check, and an IP address.
func contact(r *rand.Rand, i int) []string {
	digits := func(n int) (s string) {
		for range n {
			s += strconv.Itoa(r.IntN(10))
		}
		return s
	}
	card := "4" + digits(14)
	sum := 0
	for k, c := range card { // of 15 digits every first, third, … is doubled
		d := int(c - '0')
		if k%2 == 0 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	card += strconv.Itoa((10 - sum%10) % 10)
	names := []string{"anna", "bob", "carla", "dietmar", "eve"}
	return []string{
		fmt.Sprintf("%s.%s%d@mail%d.org", names[r.IntN(5)], names[r.IntN(5)], i, r.IntN(50)),
		fmt.Sprintf("+1 (%d) %d-%s", 202+r.IntN(3), 210+r.IntN(700), digits(4)),
		card[:4] + " " + card[4:8] + " " + card[8:12] + " " + card[12:],
		fmt.Sprintf("%d.%d.%d.%d", 60+r.IntN(60), r.IntN(250), r.IntN(250), 1+r.IntN(250)),
	}
}

func (p *proof) config(t testing.TB, out string) *Config {
	c := Default()
	c.Out, c.Tokenizer, c.Seed = out, shared(t, "tokenizer/llama2.tokenizer.model"), 1
	for _, name := range []string{"books", "exact", "near", "bench", "personal", "directory"} {
		s := Source{Name: name, Paths: []string{filepath.Join(p.dir, name+".jsonl")}, Read: read.Default()}
		s.Read.ID = "id"
		s.Read.Limits.Unit = 1 << 20
		c.Sources = append(c.Sources, s)
	}
	c.Decontaminate.Sets = []decontam.Set{
		{Name: "gsm8k", Paths: []string{filepath.Join(shared(t, "eval/gsm8k"), "*.jsonl")}, Fields: []string{"question"}},
		{Name: "math", Paths: []string{shared(t, "eval/math/test.jsonl")}, Fields: []string{"problem"}},
		{Name: "mbpp", Paths: []string{shared(t, "eval/mbpp/mbpp.jsonl")}, Fields: []string{"text"}},
	}
	return c
}

// TestProof: the whole pipeline over books with planted copies, near copies,
// benchmark items and personal data: at least 95% of what was planted is gone, and at least 95% of
// what was not is kept. CRIA_PROOF_OUT keeps the
// data set with its report.
func TestProof(t *testing.T) {
	p := plant(t)
	out := filepath.Join(t.TempDir(), "out")
	if dir := os.Getenv("CRIA_PROOF_OUT"); dir != "" {
		out = dir
	}
	r := mustBuild(t, p.config(t, out))
	var text strings.Builder
	if err := r.Text(&text); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + text.String())
	for i := range r.Sources {
		s := &r.Sources[i]
		kept := float64(s.Kept.Documents) / float64(p.counts[s.Name])
		switch s.Name {
		case "books":
			if kept < 0.95 {
				t.Errorf("%.1f%% of what was not planted is kept, at least 95%% wanted", 100*kept)
			}
		case "exact", "near", "directory":
			if kept > 0.05 {
				t.Errorf("%s: %.1f%% of the planted documents are found, at least 95%% wanted", s.Name, 100*(1-kept))
			}
		}
	}
	p.checkTexts(t, out)
	page, err := os.ReadFile(filepath.Join(out, reportJSON)) // where nothing of a piece is escaped
	if err != nil {
		t.Fatal(err)
	}
	for _, piece := range slices.Concat(p.pieces...) {
		if strings.Contains(string(page), piece) {
			t.Errorf("the report shows %q", piece)
		}
	}
}

// checkTexts looks at the documents that were kept: a benchmark item may still be
// there, or a piece of personal data. (The rules for lines may have removed the
// whole paragraph; then nothing is left to find.)
func (p *proof) checkTexts(t *testing.T, out string) {
	items, pieces, all := 0, 0, 0
	for _, split := range []string{shard.Train, shard.Valid} {
		texts, _ := readSplit(t, out, shared(t, "tokenizer/llama2.tokenizer.model"), split)
		for id, text := range texts {
			source, n, _ := strings.Cut(id, "#")
			i, err := strconv.Atoi(n)
			if err != nil {
				t.Fatal(err)
			}
			switch source {
			case "bench/bench.jsonl":
				if shares(text, p.items[i], 13) {
					items++
					t.Logf("%s still has %q", id, p.items[i])
				}
			case "personal/personal.jsonl":
				for _, piece := range p.pieces[i] {
					all++
					if strings.Contains(text, piece) {
						pieces++
						t.Logf("%s still has %q", id, piece)
					}
				}
			}
		}
	}
	if found := 1 - float64(items)/float64(len(p.items)); found < 0.95 {
		t.Errorf("%.1f%% of the planted benchmark items are gone, at least 95%% wanted", 100*found)
	}
	if found := 1 - float64(pieces)/float64(all); all < 600 || found < 0.95 {
		t.Errorf("%.1f%% of %d planted pieces of personal data are masked, at least 95%% wanted", 100*found, all)
	}
}
