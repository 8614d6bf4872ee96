package tokenizer

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestBulkGoldens: SentencePiece's ids, through one encoder that remembers what it
// saw, with the text's buffer used again and again.
func TestBulkGoldens(t *testing.T) {
	check := func(t *testing.T, tk *Tokenizer, path string) {
		b := tk.NewBulk()
		var buf []byte
		var ids []int32
		for range 2 { // the second time from memory
			readGoldens(t, path, func(g golden) {
				if g.Out != nil {
					return
				}
				buf = append(buf[:0], g.In...)
				ids = b.AppendEncode(append(ids[:0], 7, 8), buf, EncodeOptions{})
				if !slices.Equal(ids[2:], g.IDs) {
					t.Errorf("%q: %d, SentencePiece gives %d", g.In, ids[2:], g.IDs)
				}
			})
		}
	}
	for _, path := range models(t) {
		t.Run(filepath.Base(path), func(t *testing.T) {
			check(t, load(t, path), strings.TrimSuffix(path, ".model")+".jsonl")
		})
	}
	t.Run("llama2", func(t *testing.T) { check(t, llama2(t), "testdata/llama2.jsonl") })
}

// TestBulkIsExact compares random recombinations of a text's words, so that memory
// is hit and overwritten, with SentencePiece's algorithm over the whole text.
func TestBulkIsExact(t *testing.T) {
	tk := load(t, "testdata/llama.model")
	b := tk.NewBulk()
	b.s.memo = b.s.memo[:64]
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("the and of to in that 12 1984 x=1; «été» 日本語の文章 an extraordinarily extraordinary ordinary or\tdinary \xff\xfe antidisestablishmentarianism a\x00b")
	var text []byte
	var ids []int32
	for range 2000 {
		text = text[:0]
		for range 1 + rng.IntN(20) {
			w := words[rng.IntN(len(words))]
			text = append(text, w[rng.IntN(len(w)):]...)
			text = append(text, "    "[:rng.IntN(4)]...)
		}
		var want output
		tk.encodeGlobal(&want, " "+string(text))
		ids = b.AppendEncode(ids[:0], text, EncodeOptions{BOS: true, EOS: true})
		if ids[0] != 1 || ids[len(ids)-1] != 2 || !slices.Equal(ids[1:len(ids)-1], want.ids) {
			t.Fatalf("%q: %d, want %d", text, ids, want.ids)
		}
	}
}

func TestBulkAllocatesNothing(t *testing.T) {
	tk := load(t, "testdata/user.model")
	b := tk.NewBulk()
	text := bytes.Repeat([]byte("the <sep> naïve 日本語 words, 1984 and  antidisestablishmentarianism\n"), 50)
	ids := b.AppendEncode(nil, text, EncodeOptions{})
	n := testing.AllocsPerRun(10, func() { ids = b.AppendEncode(ids[:0], text, EncodeOptions{}) })
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzBulk compares encoders that have seen many texts with whole texts.
func FuzzBulk(f *testing.F) {
	names := []string{"llama", "noprefix", "cross", "ties", "user", "squeeze", "squeezeuser", "unused"}
	tks, bulks := make([]*Tokenizer, len(names)), make([]*Bulk, len(names))
	for i, name := range names {
		tks[i] = load(f, "testdata/"+name+".model")
		bulks[i] = tks[i].NewBulk()
	}
	f.Add([]byte("Hello  world 123 日本語\xff\xe2\x96 ▁▁ the<sep> the  "))
	f.Add(bytes.Repeat([]byte("ab "), 50))
	f.Fuzz(func(t *testing.T, text []byte) {
		for i, tk := range tks {
			whole := string(text)
			if tk.settings.removeExtra {
				whole = squeeze(whole)
			}
			if whole != "" && tk.settings.dummyPrefix {
				whole = " " + whole
			}
			var want output
			if whole != "" {
				tk.encodeGlobal(&want, whole)
			}
			if got := bulks[i].AppendEncode(nil, text, EncodeOptions{}); !slices.Equal(got, want.ids) {
				t.Fatalf("%s: %q: %d, want %d", names[i], text, got, want.ids)
			}
		}
	})
}

// BenchmarkBulk encodes line by line; -cpu 1 gives the figure per core.
func BenchmarkBulk(b *testing.B) {
	tk := llama2(b)
	if path := os.Getenv("CRIA_TOKENIZER_MODEL"); path != "" {
		tk = load(b, path)
	}
	all := []byte(sharedText(b))
	lines := bytes.SplitAfter(all, []byte("\n"))
	bulk := tk.NewBulk()
	var ids []int32
	b.SetBytes(int64(len(all)))
	b.ReportAllocs()
	for b.Loop() {
		for _, l := range lines {
			ids = bulk.AppendEncode(ids[:0], l, EncodeOptions{})
		}
	}
}
