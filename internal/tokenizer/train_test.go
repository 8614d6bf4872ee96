package tokenizer

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/train/*.model and the directory plain; then run its gen.py ids")

const trainText = "testdata/train/text.txt"

// trainFiles trains on files.
func trainFiles(t testing.TB, c TrainConfig, paths ...string) (*Tokenizer, *TrainReport) {
	t.Helper()
	sources, _, err := FileSources(paths, "text")
	if err != nil {
		t.Fatal(err)
	}
	tk, r, err := Train(context.Background(), c, sources...)
	if err != nil {
		t.Fatal(err)
	}
	return tk, r
}

// tokensOfLines counts the tokens of a file's lines, as testdata/train/gen.py does.
func tokensOfLines(t *testing.T, tk *Tokenizer, path string) (n int) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		n += len(tk.Encode(line, EncodeOptions{}))
	}
	return n
}

// sentencePieceRun is a case of testdata/train/trainer.json: what SentencePiece's
// own trainer made of the same text.
type sentencePieceRun struct {
	Train   string `json:"train"`
	Options struct {
		Coverage  *float64 `json:"character_coverage"`
		Digits    *bool    `json:"split_digits"`
		SpaceOnly *bool    `json:"allow_whitespace_only_pieces"`
		MaxLength *int     `json:"max_sentencepiece_length"`
		Control   []string `json:"control_symbols"`
		User      []string `json:"user_defined_symbols"`
	} `json:"options"`
	VocabSize int            `json:"vocab_size"`
	Alphabet  string         `json:"alphabet"`
	Tokens    map[string]int `json:"tokens"`
}

func (r *sentencePieceRun) config() TrainConfig {
	c := DefaultTrainConfig()
	c.VocabSize, c.ControlSymbols, c.UserDefinedSymbols = r.VocabSize, r.Options.Control, r.Options.User
	set(&c.CharacterCoverage, r.Options.Coverage)
	set(&c.SplitDigits, r.Options.Digits)
	set(&c.AllowWhitespaceOnlyPieces, r.Options.SpaceOnly)
	set(&c.MaxPieceLength, r.Options.MaxLength)
	return c
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// TestTrainLikeSentencePiece: on the same text and with the same settings the
// alphabet is SentencePiece's, and no text held out takes 0.5% more tokens.
func TestTrainLikeSentencePiece(t *testing.T) {
	raw, err := os.ReadFile("testdata/train/trainer.json")
	if err != nil {
		t.Fatal(err)
	}
	var runs []sentencePieceRun
	if err := json.Unmarshal(raw, &runs); err != nil || len(runs) < 8 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	for _, r := range runs {
		t.Run(r.Train, func(t *testing.T) {
			files := []string{trainText}
			if r.Train == "shared" {
				files = nil
				for _, dir := range []string{"gutenberg", "wikitext-2", "tinystories", "tinyshakespeare"} {
					some, err := filepath.Glob(filepath.Join(shared(t, "text/"+dir), "*.txt"))
					if err != nil {
						t.Fatal(err)
					}
					files = append(files, some...)
				}
				files = slices.DeleteFunc(files, func(f string) bool {
					return strings.HasSuffix(f, "Treasure-Island_120.txt") || strings.HasSuffix(f, "v1_valid_head.txt")
				})
			}
			tk, report := trainFiles(t, r.config(), files...)
			var alphabet strings.Builder
			for id := r.VocabSize - report.Alphabet; id < r.VocabSize; id++ {
				alphabet.WriteString(tk.Piece(int32(id)).Text)
			}
			if alphabet.String() != r.Alphabet {
				t.Errorf("%d: the alphabet is %q, SentencePiece's is %q", r.VocabSize, alphabet.String(), r.Alphabet)
			}
			for name, want := range r.Tokens {
				path := filepath.Join("testdata/train", name)
				if name != "held.txt" {
					path = shared(t, name)
				}
				got := tokensOfLines(t, tk, path)
				t.Logf("%d pieces, %s: %d tokens, SentencePiece %d (%+.2f%%)", r.VocabSize, name, got, want, 100*float64(got-want)/float64(want))
				if float64(got) > 1.005*float64(want) {
					t.Errorf("%d pieces, %s: %d tokens, SentencePiece's vocabulary gives %d", r.VocabSize, name, got, want)
				}
			}
		})
	}
}

// trained are the models whose ids testdata/train/gen.py takes from SentencePiece
// and transformers.
func trained(t *testing.T) map[string]*Tokenizer {
	plain := DefaultTrainConfig()
	plain.VocabSize = 700
	user := plain
	user.ControlSymbols = []string{"<ctl>", "<pad>", "[X]"}
	user.UserDefinedSymbols = []string{"<sep>", "▁▁", "日本", "the", "then", "1984", "▁with", "é"}
	p, _ := trainFiles(t, plain, trainText)
	u, _ := trainFiles(t, user, trainText)
	return map[string]*Tokenizer{"plain": p, "user": u}
}

// TestTrainedModels: the bytes of two models, whose ids SentencePiece and
// transformers gave for random strings.
func TestTrainedModels(t *testing.T) {
	models := trained(t)
	if *update {
		for name, tk := range models {
			if err := os.WriteFile("testdata/train/"+name+".model", tk.Model(), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := models["plain"].SaveDir("testdata/train/plain", true); err != nil {
			t.Fatal(err)
		}
	}
	for name, tk := range models {
		want, err := os.ReadFile("testdata/train/" + name + ".model")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(tk.Model(), want) {
			t.Errorf("%s.model has other bytes; if that is meant, run with -update", name)
		}
		readGoldens(t, "testdata/train/"+name+".jsonl", func(g golden) { g.check(t, tk) })
	}
	readGoldens(t, "testdata/train/plain.hf.jsonl", func(g golden) { g.check(t, models["plain"]) })
	if pad, ok := models["user"].PAD(); !ok || models["user"].Piece(pad).Text != "<pad>" {
		t.Errorf("<pad> among the control symbols is not the padding")
	}
}

// TestTrainedDirectory: what transformers read for plain.hf.jsonl is what SaveDir
// writes, and every form of it is the same tokenizer.
func TestTrainedDirectory(t *testing.T) {
	tk := trained(t)["plain"]
	dir := filepath.Join(t.TempDir(), "new")
	files, note, err := tk.SaveDir(dir, false)
	if err != nil || note != "" {
		t.Fatal(note, err)
	}
	var names []string
	for _, f := range files {
		names = append(names, filepath.Base(f))
		got, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(filepath.Join("testdata/train/plain", filepath.Base(f)))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s is not the one that transformers read: %v", f, err)
		}
	}
	if got := strings.Join(names, " "); got != "tokenizer_config.json special_tokens_map.json tokenizer.json tokenizer.model" {
		t.Errorf("the files are %s", got)
	}
	fast, err := os.ReadFile(filepath.Join(dir, "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseJSON(fast)
	if err != nil {
		t.Fatal(err)
	}
	readGoldens(t, "testdata/train/plain.jsonl", func(g golden) { g.check(t, again) })
	if again.PrefixAfterSpecial() || !again.settings.dummyPrefix {
		t.Errorf("tokenizer.json has lost where the dummy prefix goes: %+v", again.settings)
	}
	if _, _, err := tk.SaveDir(dir, false); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a tokenizer was replaced: %v", err)
	}
	// A tokenizer.json that does not belong to the new model must not stay.
	user := trained(t)["user"]
	if _, note, err = user.SaveDir(dir, true); err != nil || !strings.Contains(note, "tokenizer.json") {
		t.Errorf("%q, %v", note, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "tokenizer.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the older tokenizer.json stands beside another model: %v", err)
	}
}

// TestTrainRepeats: neither workers nor the order of sources nor the way text is
// divided into lines of sources changes a byte.
func TestTrainRepeats(t *testing.T) {
	raw, err := os.ReadFile(trainText)
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultTrainConfig()
	c.VocabSize = 900
	first, _ := trainFiles(t, c, trainText)
	lines := strings.SplitAfter(string(raw), "\n")
	half := len(lines) / 2
	a, b := strings.Join(lines[:half], ""), strings.Join(lines[half:], "")
	for workers, sources := range map[int][]Source{
		1: {TextSource("b", b), TextSource("a", a)},
		2: {TextSource("all", string(raw))},
		7: {TextSource("a", a), TextSource("b", strings.TrimSuffix(b, "\n"))},
	} {
		c.Workers = workers
		got, _, err := Train(context.Background(), c, sources...)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Model(), first.Model()) {
			t.Errorf("%d workers: other bytes", workers)
		}
	}
}

func TestTrainRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*TrainConfig)
		text string
		want string
	}{
		{"size", func(c *TrainConfig) { c.VocabSize = 0 }, "abc", "0 pieces"},
		{"too many", func(c *TrainConfig) { c.VocabSize = 1<<20 + 1 }, "abc", "1048577"},
		{"only bytes", func(c *TrainConfig) { c.VocabSize = 259 }, "abc", "259"},
		{"alphabet", func(c *TrainConfig) { c.VocabSize = 261 }, "abc", "ask for 263"}, // a b c ▁
		{"little text", func(c *TrainConfig) { c.VocabSize = 270 }, "abc", "a vocabulary of 266, not of 270"},
		{"coverage", func(c *TrainConfig) { c.CharacterCoverage = 1.5 }, "abc", "1.5"},
		{"length", func(c *TrainConfig) { c.MaxPieceLength = 0 }, "abc", "0 characters"},
		{"memory", func(c *TrainConfig) { c.Memory = 1000 }, "abc", "1000 bytes"},
		{"workers", func(c *TrainConfig) { c.Workers = -1 }, "abc", "-1 workers"},
		{"required", func(c *TrainConfig) { c.RequiredChars = "\xff" }, "abc", `"\xff"`},
		{"empty symbol", func(c *TrainConfig) { c.ControlSymbols = []string{""} }, "abc", "control symbol is empty"},
		{"space in symbol", func(c *TrainConfig) { c.UserDefinedSymbols = []string{"a b"} }, "abc", `"a b": write ▁`},
		{"NUL in symbol", func(c *TrainConfig) { c.UserDefinedSymbols = []string{"a\x00b"} }, "abc", "NUL"},
		{"long symbol", func(c *TrainConfig) { c.ControlSymbols = []string{strings.Repeat("x", 2000)} }, "abc", "2000 bytes"},
		{"symbol twice", func(c *TrainConfig) { c.ControlSymbols, c.UserDefinedSymbols = []string{"x"}, []string{"x"} }, "abc", `"x" is there twice`},
		{"symbol of all", func(c *TrainConfig) { c.UserDefinedSymbols = []string{"<s>"} }, "abc", `"<s>"`},
		{"byte", func(c *TrainConfig) { c.ControlSymbols = []string{"<0x41>"} }, "abc", `"<0x41>"`},
		{"no text", func(c *TrainConfig) {}, "\n\n", "no text"},
		{"binary", func(c *TrainConfig) {}, "PK\x00", "NUL"},
	} {
		cfg := DefaultTrainConfig()
		cfg.VocabSize = 300
		c.set(&cfg)
		_, _, err := Train(context.Background(), cfg, TextSource("some.txt", c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error with %q", c.name, err, c.want)
		}
	}
	if _, _, err := Train(context.Background(), DefaultTrainConfig()); err == nil {
		t.Error("no sources: no error")
	}
}

// TestTrainSoftLimit: without the hard limit a small text gives what it has.
func TestTrainSoftLimit(t *testing.T) {
	c := DefaultTrainConfig()
	c.VocabSize, c.HardVocabLimit = 400, false
	tk, r, err := Train(context.Background(), c, TextSource("t", "abc abc"))
	if err != nil {
		t.Fatal(err)
	}
	var long []string
	for id := 259; id < tk.VocabSize(); id++ {
		long = append(long, tk.Piece(int32(id)).Text)
	}
	// All pairs stand there twice: the shortest comes first, then by their bytes.
	if want := []string{"ab", "abc", "▁abc", "a", "b", "c", "▁"}; r.VocabSize != tk.VocabSize() || !slices.Equal(long, want) {
		t.Errorf("%q, want %q", long, want)
	}
}

// TestTrainStops: an interrupted training says so and leaves nothing behind.
func TestTrainStops(t *testing.T) {
	for _, stage := range []TrainStage{StageCount, StageMerge} {
		ctx, cancel := context.WithCancel(context.Background())
		c := DefaultTrainConfig()
		c.VocabSize, c.TempDir = 700, t.TempDir()
		c.Progress = func(s TrainStage, _, _ int64) {
			if s == stage {
				cancel()
			}
		}
		sources, _, err := FileSources([]string{trainText}, "")
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Train(ctx, c, sources...); !errors.Is(err, context.Canceled) {
			t.Errorf("stopped while %s: %v", stage, err)
		}
		if left, err := os.ReadDir(c.TempDir); err != nil || len(left) > 0 {
			t.Errorf("stopped while %s: %v is left, %v", stage, left, err)
		}
	}
}
