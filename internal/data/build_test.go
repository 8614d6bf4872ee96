package data

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/data/decontam"
	"github.com/cria-llm/cria/internal/data/read"
	"github.com/cria-llm/cria/internal/data/shard"
	"github.com/cria-llm/cria/internal/modelfile"
)

const testTokenizer = "../tokenizer/testdata/llama.model"

// corpus is a made-up collection with duplicates, near duplicates, a menu that
// stands in many documents, and benchmark items.
type corpus struct {
	dir   string
	docs  int
	items []string // of the benchmark
}

// sentence makes a sentence of words that come as often as in a natural text.
func sentence(r *rand.Rand, words int) string {
	var b strings.Builder
	for i := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		w := int(1 / (r.Float64() + 1.0/3000))
		fmt.Fprintf(&b, "%s%d", []string{"the", "of", "and", "stone", "river", "house"}[w%6], w)
	}
	b.WriteString(".\n")
	return b.String()
}

// writeCorpus writes three sources of documents: a and b in several files, b with
// copies of documents of a, and facts.
func writeCorpus(t testing.TB, docs int) corpus {
	t.Helper()
	c := corpus{dir: t.TempDir(), docs: docs}
	r := rand.New(rand.NewPCG(11, 12))
	var items strings.Builder
	for i := range 10 {
		c.items = append(c.items, strings.TrimSpace(sentence(r, 20)))
		fmt.Fprintf(&items, "{\"question\":%q,\"id\":%d}\n", c.items[i], i)
	}
	c.write(t, "bench.jsonl", items.String())
	var all []string
	for i := range docs {
		var d strings.Builder
		if i%3 == 0 {
			d.WriteString("Home products about us contact and the rest of a menu\n")
		}
		for range 3 + r.IntN(5) {
			d.WriteString(sentence(r, 8+r.IntN(12)))
		}
		switch {
		case i%50 == 49:
			all = append(all, all[r.IntN(len(all))])
			continue
		case i%50 == 24: // nearly the same: a few words differ
			old := all[r.IntN(len(all))]
			all = append(all, old+"And one word more of the house.\n")
			continue
		case i%100 == 7:
			d.WriteString(c.items[i/100%10] + "\n")
		}
		all = append(all, d.String())
	}
	write := func(name string, docs []string) {
		var b strings.Builder
		for i, d := range docs {
			line, _ := json.Marshal(map[string]string{"text": d, "url": fmt.Sprintf("https://site%d.example/%d", i%17, i)})
			b.Write(line)
			b.WriteByte('\n')
		}
		c.write(t, name, b.String())
	}
	third := docs / 3
	write("a/0.jsonl", all[:third/2])
	write("a/1.jsonl", all[third/2:third])
	write("b/all.jsonl", all[third:2*third])
	write("facts/facts.jsonl", all[2*third:])
	return c
}

func (c *corpus) write(t testing.TB, name, text string) {
	t.Helper()
	path := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
}

// config is a build of the corpus with everything on.
func (c *corpus) config(out string) *Config {
	cfg := Default()
	cfg.Out, cfg.Tokenizer, cfg.Seed = out, testTokenizer, 3
	cfg.Clean.Off = []string{"all"} // the words are made up
	cfg.Repair.Unwrap = "never"
	cfg.Language.Keep = nil
	two := 2.5
	for _, name := range []string{"a", "b", "facts"} {
		s := Source{Name: name, Paths: []string{filepath.Join(c.dir, name, "*.jsonl")}, Read: read.Default()}
		s.Read.Limits.Unit = 256 << 10
		if name == "facts" {
			s.Upsample = &two
		}
		cfg.Sources = append(cfg.Sources, s)
	}
	cfg.Decontaminate.Sets = []decontam.Set{{Name: "bench", Paths: []string{filepath.Join(c.dir, "bench.jsonl")}, Fields: []string{"question"}}}
	cfg.Dedup.Lines.MinLeft = 10
	cfg.Valid = 0.05
	cfg.ShardTokens = 50_000
	return cfg
}

// sums are the sha256 of a data set's files: shards and index, not the reports,
// which say how long it took.
func sums(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "train-") || strings.HasPrefix(e.Name(), "valid-") || e.Name() == shard.IndexFile {
			b, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			m[e.Name()] = fmt.Sprintf("%x", sha256.Sum256(b))
		} else if strings.HasPrefix(e.Name(), ".") && e.Name() != lockFile {
			t.Errorf("%s is left in %s", e.Name(), dir)
		}
	}
	return m
}

// same compares two data sets.
func same(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s: %s differs", what, name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d files, want %d", what, len(got), len(want))
	}
}

func mustBuild(t testing.TB, c *Config) *Report {
	t.Helper()
	r, err := Build(context.Background(), c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBuildIsDeterministic: workers and memory change nothing, the seed does. In
// 1 MiB, sorting spills to disk.
func TestBuildIsDeterministic(t *testing.T) {
	c := writeCorpus(t, 5000)
	out := t.TempDir()
	cfg := c.config(filepath.Join(out, "one"))
	cfg.Workers = 1
	mustBuild(t, cfg)
	want := sums(t, cfg.Out)
	if len(want) < 3*4+1 {
		t.Fatalf("%d files; several shards of both splits were expected", len(want))
	}
	cfg = c.config(filepath.Join(out, "many"))
	cfg.Workers, cfg.Memory, cfg.KeepWork = 5, 1<<20, true
	mustBuild(t, cfg)
	same(t, "five workers, little memory", sums(t, cfg.Out), want)
	if left, _ := os.ReadDir(filepath.Join(cfg.Out, workDir, scratchDir)); len(left) != 0 {
		t.Errorf("%d files of sorting are left", len(left))
	}
	cfg = c.config(filepath.Join(out, "seed"))
	cfg.Seed++
	mustBuild(t, cfg)
	if got := sums(t, cfg.Out); got["train-00000.bin"] == want["train-00000.bin"] {
		t.Error("another seed gives the same order")
	}
}

// readSplit returns the documents of a split by ID, and how often each is there.
func readSplit(t testing.TB, dir, tokenizer, split string) (texts map[string]string, times map[string]int) {
	t.Helper()
	set, err := shard.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if err := set.Verify(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	tok, _, err := modelfile.OpenTokenizer(tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	s, err := set.Split(split)
	if err != nil {
		t.Fatal(err)
	}
	texts, times = map[string]string{}, map[string]int{}
	for i := range s.Documents() {
		id, err := s.ID(i)
		if err != nil {
			t.Fatal(err)
		}
		ids, err := s.Document(i, nil)
		if err != nil {
			t.Fatal(err)
		}
		bos, _ := tok.BOS()
		eos, _ := tok.EOS()
		if ids[0] != bos || ids[len(ids)-1] != eos {
			t.Fatalf("%s does not begin with BOS and end with EOS", id)
		}
		text, err := tok.Decode(ids[1 : len(ids)-1])
		if err != nil {
			t.Fatal(err)
		}
		if old, ok := texts[id]; ok && old != text {
			t.Fatalf("%s has two texts", id)
		}
		texts[id] = text
		times[id]++
	}
	return texts, times
}

// TestBuildKeepsAndDrops: of copies one is left, no benchmark item is, the menu
// stands in one document, the mix is as planned, and no document is in two splits.
func TestBuildKeepsAndDrops(t *testing.T) {
	c := writeCorpus(t, 3000)
	cfg := c.config(filepath.Join(t.TempDir(), "out"))
	r := mustBuild(t, cfg)
	train, times := readSplit(t, cfg.Out, testTokenizer, shard.Train)
	valid, validTimes := readSplit(t, cfg.Out, testTokenizer, shard.Valid)
	menus, seen := 0, map[string]string{}
	for _, split := range []map[string]string{train, valid} {
		for id, text := range split {
			if other, ok := seen[text]; ok {
				t.Errorf("%s and %s are the same", id, other)
			}
			seen[text] = id
			for _, item := range c.items {
				if strings.Contains(text, item) {
					t.Errorf("%s has the benchmark item %q", id, item)
				}
			}
			menus += strings.Count(text, "rest of a menu")
		}
	}
	if menus != 1 {
		t.Errorf("the menu stands in %d documents", menus)
	}
	for id := range valid {
		if times[id] > 0 || validTimes[id] != 1 {
			t.Errorf("%s is in the validation split %d times, in training %d times", id, validTimes[id], times[id])
		}
	}
	if share := float64(len(valid)) / float64(len(train)+len(valid)); share < 0.03 || share > 0.07 {
		t.Errorf("%.3f of the documents are for validation, want about 0.05", share)
	}
	once, often := 0, [4]int{}
	for id, n := range times {
		if !strings.HasPrefix(id, "facts/") {
			if once++; n != 1 {
				t.Errorf("%s is there %d times", id, n)
			}
			continue
		}
		if n < 2 || n > 3 {
			t.Errorf("%s is there %d times, want 2 or 3", id, n)
		}
		often[min(n, 3)]++
	}
	if d := often[2] - often[3]; once == 0 || d < -(often[2]+often[3])/8 || d > (often[2]+often[3])/8 {
		t.Errorf("%d facts are there twice, %d three times; half of each was planned", often[2], often[3])
	}
	var sum Tally
	for i := range r.Sources {
		s := &r.Sources[i]
		if diff := s.Mix.Achieved - s.Mix.Tokens; diff < -500 || diff > 500 {
			t.Errorf("%s: %d tokens were drawn, %d planned", s.Name, s.Mix.Achieved, s.Mix.Tokens)
		}
		sum.merge(&s.Tally)
	}
	if int(sum.In.Documents) != c.docs || int(sum.Kept.Documents) != len(train)+len(valid) {
		t.Errorf("the report says %d read and %d kept; there are %d and %d", sum.In.Documents, sum.Kept.Documents, c.docs, len(train)+len(valid))
	}
	var dropped int64
	for _, n := range sum.Dropped {
		dropped += n.Documents
	}
	if dropped+sum.Kept.Documents != sum.In.Documents {
		t.Errorf("%d read, %d kept and %d dropped do not add up", sum.In.Documents, sum.Kept.Documents, dropped)
	}
	for rule, atLeast := range map[string]int64{ruleExact: 55, ruleNear: 50, ruleDecontaminate: 28} {
		if got := sum.Dropped[rule].Documents; got < atLeast || got > atLeast*5/4 {
			t.Errorf("%s dropped %d documents, want about %d", rule, got, atLeast)
		}
		if e := sum.Examples[rule]; len(e) == 0 || e[0].ID == "" || e[0].Text == "" {
			t.Errorf("%s has no examples", rule)
		}
	}
	if e := r.Sources[1].Examples[ruleExact]; !strings.Contains(e[0].Detail, "the same text as a/") && !strings.Contains(e[0].Detail, "the same text as b/") {
		t.Errorf("an example of a copy says %q", e[0].Detail)
	}
	again, err := Build(context.Background(), cfg, Options{})
	if err != nil || !again.Already {
		t.Errorf("a second build of the same: %v", err)
	}
}

// TestBuildRefuses: input or settings that changed since the build began, and
// what is no build at all.
func TestBuildRefuses(t *testing.T) {
	c := writeCorpus(t, 300)
	out := filepath.Join(t.TempDir(), "out")
	cfg := c.config(out)
	cfg.KeepWork = true
	mustBuild(t, cfg)
	for want, change := range map[string]func(*Config){
		"seed: 3 then, 4 now":                     func(c *Config) { c.Seed++ },
		"dedup.near.threshold: 0.7 then, 0.8 now": func(c *Config) { c.Dedup.Near.Threshold = 0.8 },
		"sources[1].name":                         func(c *Config) { c.Sources[1].Name = "z" },
		"sources[2].upsample: 2.5 then, 2 now":    func(c *Config) { two := 2.0; c.Sources[2].Upsample = &two },
		"tokenizer":                               func(c *Config) { c.Tokenizer = "../tokenizer/testdata/ties.model" },
		"clean.off":                               func(c *Config) { c.Clean.Off = nil },
	} {
		cfg := c.config(out)
		change(cfg)
		if _, err := Build(context.Background(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	cfg = c.config(out)
	cfg.Workers, cfg.Memory = 7, 99<<20
	mustBuild(t, cfg) // what may change

	c.write(t, "a/2.jsonl", `{"text":"new"}`)
	if _, err := Build(context.Background(), c.config(out), Options{}); err == nil || !strings.Contains(err.Error(), "units") {
		t.Errorf("a new file: %v", err)
	}
	if err := os.Remove(filepath.Join(c.dir, "a/2.jsonl")); err != nil {
		t.Fatal(err)
	}
	c.write(t, "bench.jsonl", `{"question":"x"}`)
	if _, err := Build(context.Background(), c.config(out), Options{}); err == nil || !strings.Contains(err.Error(), "files[0].sha256") {
		t.Errorf("another benchmark: %v", err)
	}

	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(other, "thesis.txt"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(context.Background(), c.config(other), Options{}); err == nil || !strings.Contains(err.Error(), "thesis.txt") {
		t.Errorf("a directory with other things: %v", err)
	}
}

// TestDamagedWork: a result whose bytes changed between two runs is named, not used.
func TestDamagedWork(t *testing.T) {
	c := writeCorpus(t, 300)
	cfg := c.config(filepath.Join(t.TempDir(), "out"))
	cfg.KeepWork = true
	mustBuild(t, cfg)
	want := sums(t, cfg.Out)
	if err := os.Remove(filepath.Join(cfg.Out, shard.IndexFile)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"work/clean/000001.docs", "work/decide/near.pairs", "work/tokens/000000.tokens", "work/draw/draw.train.order", "train-00000.bin"} {
		path := filepath.Join(cfg.Out, name)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		bad := slices.Clone(raw)
		bad[len(bad)/2] ^= 1
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Build(context.Background(), cfg, Options{}); err == nil || !strings.Contains(err.Error(), filepath.Base(name)) {
			t.Errorf("%s was changed: %v", name, err)
		}
		if err := os.Remove(path); err != nil { // as the message says
			t.Fatal(err)
		}
		mustBuild(t, cfg)
		same(t, name+" again", sums(t, cfg.Out), want)
		if err := os.Remove(filepath.Join(cfg.Out, shard.IndexFile)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCancel(t *testing.T) {
	c := writeCorpus(t, 1000)
	cfg := c.config(filepath.Join(t.TempDir(), "out"))
	ctx, cancel := context.WithCancel(context.Background())
	n := 0
	_, err := Build(ctx, cfg, Options{Progress: func(string, int64, int64) {
		if n++; n == 5 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the error is %v", err)
	}
	mustBuild(t, cfg)
	fresh := c.config(filepath.Join(t.TempDir(), "out"))
	mustBuild(t, fresh)
	same(t, "after an interrupt", sums(t, cfg.Out), sums(t, fresh.Out))
}
