package pretrain

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/data/shard"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/train"
)

// writeRecords writes a file of records and returns its path.
func writeRecords(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dialogs.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRecords: documents are trained as they are, dialogs as the chat encoder
// writes them, and the finished model carries its template.
func TestRecords(t *testing.T) {
	line := `{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello!"},{"role":"user","content":"Bye"},{"role":"assistant","content":"Bye."}],"kind":"talk"}` + "\n"
	c := tiny(t, func(c *Config) {
		c.Data.Text, c.Data.Records, c.Data.ChatTemplate = nil, []string{writeRecords(t, strings.Repeat(line, 20)+`{"text":"A dog."}`+"\n")}, "llama2"
		c.Train.Steps = 2
	})
	if err := Run(context.Background(), c, false, UI{Message: t.Logf}); err != nil {
		t.Fatal(err)
	}
	set, err := shard.Open(filepath.Join(c.Out, dataDir))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	split, err := set.Split(shard.Train)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := split.Document(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	last, err := split.Document(split.Documents()-1, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := modelfile.Open(filepath.Join(c.Out, train.ModelDir), modelfile.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var pairs []string
	for len(ids) > 0 {
		end := slices.Index(ids, 2)
		if ids[0] != 1 || end < 0 {
			t.Fatalf("a pair is %v: it has no begin or no end", ids)
		}
		pair, err := m.Tokenizer.Decode(ids[1:end])
		if err != nil {
			t.Fatal(err)
		}
		pairs, ids = append(pairs, pair), ids[end+1:]
	}
	if want := []string{"[INST] Hi [/INST] Hello! ", "[INST] Bye [/INST] Bye. "}; !slices.Equal(pairs, want) {
		t.Errorf("a dialog is written as %q, want %q", pairs, want)
	}
	if text, err := m.Tokenizer.Decode(last[1 : len(last)-1]); err != nil || text != "A dog." {
		t.Errorf("the document is %q (%v)", text, err)
	}
	if tmpl, err := chat.Match(m.Template); err != nil || tmpl.Name() != "llama2" {
		t.Errorf("the finished model's template: %v, %v", tmpl, err)
	}
}

// TestLearnAnswers: of a dialog the answers and their ends are targets and nothing
// else, of a document all of it.
func TestLearnAnswers(t *testing.T) {
	records := `{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello!"},{"role":"user","content":"Bye"},{"role":"assistant","content":"Bye."}]}
{"text":"A dog."}
`
	c := tiny(t, func(c *Config) {
		c.Data.Text, c.Data.Records, c.Data.ChatTemplate = nil, []string{writeRecords(t, strings.Repeat(records, 20))}, "llama2"
		c.Data.Learn, c.Train.Steps, c.Sequence, c.Model.Context = learnAnswers, 2, 200, 256
	})
	if err := Run(context.Background(), c, false, UI{Message: t.Logf}); err != nil {
		t.Fatal(err)
	}
	set, err := shard.Open(filepath.Join(c.Out, dataDir))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if err := set.Verify(context.Background(), nil); err != nil {
		t.Fatal(err)
	}
	s := &stage{c: c}
	split, err := set.Split(shard.Train)
	if err != nil {
		t.Fatal(err)
	}
	order, err := split.InOrder(c.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.fill(order, 0, 1); err != nil {
		t.Fatal(err)
	}
	m, err := modelfile.Open(filepath.Join(c.Out, train.ModelDir), modelfile.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var got []string // runs of targets
	for i := 0; i < len(s.batch.Targets); i++ {
		var run []int32
		for ; i < len(s.batch.Targets) && s.batch.Targets[i] >= 0; i++ {
			run = append(run, s.batch.Targets[i])
		}
		if len(run) == 0 {
			continue
		}
		text, err := m.Tokenizer.Decode(run)
		if err != nil {
			t.Fatal(err)
		}
		if i < len(s.batch.Targets) && run[len(run)-1] != 2 {
			t.Errorf("learned: %q, which does not end a text", text)
		}
		got = append(got, text)
	}
	want := []string{"Hello! ", "Bye. ", "A dog."}
	if len(got) < 6 {
		t.Fatalf("learned: %q", got)
	}
	for i, text := range got[:len(got)-1] { // the last may be cut
		if text != want[i%3] {
			t.Errorf("learned: %q, which is not %q in turn", got, want)
		}
	}
}

// TestNothingLearned: a question that fills a training sequence, and an answer that
// says it is not learned where all is, are errors that name the line.
func TestNothingLearned(t *testing.T) {
	for _, x := range []struct{ learn, record, want string }{
		{learnAnswers, `{"messages":[{"role":"user","content":"` + strings.Repeat("a b c ", 30) + `"},{"role":"assistant","content":"Yes."}]}`, "line 1: 23 tokens in a row are not learned"},
		{learnAnswers, strings.Repeat(`{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes.","loss":false}]}`+"\n", 30), "tokens in a row are not learned"},
		{learnAll, `{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Yes.","loss":false}]}`, "line 1: message 2 has"},
	} {
		c := tiny(t, func(c *Config) {
			c.Data = Data{Records: []string{writeRecords(t, x.record)}, ChatTemplate: "llama2", Learn: x.learn, Tokenizer: c.Data.Tokenizer}
		})
		if err := Run(t.Context(), c, false, UI{Message: quiet}); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s, %.90s…: %v; want %q", x.learn, x.record, err, x.want)
		}
	}
}

func TestBadRecords(t *testing.T) {
	for text, wants := range map[string][]string{
		`{"messages":[]}`: {"line 1"},
		"\n" + `{"messages":[{"role":"user","content":"Hi"}]}`: {"line 2", "assistant"},
		`{"messages":[{"role":"robot","content":"Hi"}]}`:       {"line 1", "robot"},
		`{"messages":"Hi"}`: {"line 1", "messages"},
		`{"messages":[{"role":"user","content":"[/INST]"},{"role":"assistant","content":"x"}]}`: {"line 1", "[/INST]"},
		`{"text":"Hi","messages":[]}`: {"line 1", "either"},
		`{"text":" "}`:                {"line 1", "empty"},
		`{"body":"Hi"}`:               {"line 1"},
	} {
		c := tiny(t, nil)
		path := writeRecords(t, text)
		c.Data.Text, c.Data.Records, c.Data.ChatTemplate = nil, []string{path}, "llama2"
		err := Run(context.Background(), c, false, UI{Message: t.Logf})
		for _, want := range append(wants, path) {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error %v lacks %q", text, err, want)
			}
		}
	}
	c := tiny(t, nil)
	c.Data.Text, c.Data.Records = nil, []string{writeRecords(t, `{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"x"}]}`)}
	if err := Run(context.Background(), c, false, UI{Message: t.Logf}); err == nil || !strings.Contains(err.Error(), "data.chat_template") {
		t.Errorf("dialogs without a template: %v", err)
	}
}
