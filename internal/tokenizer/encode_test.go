package tokenizer

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEncodeOptions(t *testing.T) {
	tk := llama2(t)
	for _, c := range []struct {
		text string
		opt  EncodeOptions
		want []int32
	}{
		{"", EncodeOptions{}, nil},
		{"", EncodeOptions{BOS: true, EOS: true}, []int32{1, 2}},
		{"Hello", EncodeOptions{BOS: true}, []int32{1, 15043}},
		{"Hello", EncodeOptions{EOS: true}, []int32{15043, 2}},
		{"Hello", EncodeOptions{NoPrefix: true}, []int32{10994}},
		// Special tokens are plain text unless asked for.
		{"</s><s>", EncodeOptions{}, []int32{1533, 29879, 5299, 29879, 29958}},
		{"</s><s>", EncodeOptions{Special: true}, []int32{2, 1}},
		{"Hello</s>Hello", EncodeOptions{Special: true}, []int32{15043, 2, 15043}},
		{" <s> Hello", EncodeOptions{Special: true}, []int32{259, 1, 29871, 15043}},
		{"<unk><0x41>", EncodeOptions{Special: true}, []int32{0, 529, 29900, 29916, 29946, 29896, 29958}},
		{"<s", EncodeOptions{Special: true}, []int32{529, 29879}},
	} {
		if got := tk.Encode(c.text, c.opt); !slices.Equal(got, c.want) {
			t.Errorf("%q with %+v: %d, want %d", c.text, c.opt, got, c.want)
		}
	}
	// Behind special tokens without a dummy prefix, as legacy=False has it.
	first, err := tk.With(Changes{PrefixAfterSpecial: new(false)})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := first.Encode("Hello</s>Hello", EncodeOptions{Special: true}), []int32{15043, 2, 10994}; !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	tk := load(t, "testdata/noprefix.model") // without byte fallback
	ids := []int32{tk.UNK()}
	// Runs of unknown characters are one token, but not with what was there.
	if got, want := tk.Append(ids, "\u0007\u0008", EncodeOptions{}), []int32{tk.UNK(), tk.UNK()}; !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
}

func TestIDsOfSpecialTokens(t *testing.T) {
	tk := load(t, "testdata/user.model")
	bos, okB := tk.BOS()
	eos, okE := tk.EOS()
	pad, okP := tk.PAD()
	if bos != 1 || eos != 2 || pad != 3 || tk.UNK() != 0 || !okB || !okE || !okP {
		t.Errorf("BOS %d %v, EOS %d %v, PAD %d %v, UNK %d", bos, okB, eos, okE, pad, okP, tk.UNK())
	}
	if pad, ok := load(t, "testdata/llama.model").PAD(); ok {
		t.Errorf("Llama's tokenizer has no padding, but PAD is %d", pad)
	}
	if id, ok := tk.ID("<ctl>"); !ok || tk.Piece(id).Kind != Control {
		t.Errorf("<ctl> is %d %v", id, ok)
	}
	if id, ok := tk.ID("no such piece"); ok {
		t.Errorf("there is a piece %d", id)
	}
}

// TestTenMegabytes: one call with 10 MB takes memory in proportion to the text
// and its ids, also where there is no place to cut it. (What is quadratic would
// not end.)
func TestTenMegabytes(t *testing.T) {
	tk := llama2(t)
	rng := rand.New(rand.NewPCG(3, 4))
	letters := make([]byte, 10<<20)
	for i := range letters {
		letters[i] = "etaoinshrdlucmfwygpbvk"[rng.IntN(22)]
	}
	for name, text := range map[string]string{
		"one letter":     strings.Repeat("a", 10<<20),
		"random letters": string(letters),
		"spaces":         strings.Repeat(" ", 2<<20),
		"not UTF-8":      strings.Repeat("\xff", 2<<20),
	} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		ids := tk.Encode(text, EncodeOptions{})
		runtime.ReadMemStats(&after)
		// All that was ever allocated: the text with its dummy prefix, the ids
		// as they grow, and the windows.
		limit := uint64(len(text) + 6*4*cap(ids) + 16<<20)
		if got := after.TotalAlloc - before.TotalAlloc; got > limit {
			t.Errorf("%s: %d MB allocated, the limit is %d", name, got>>20, limit>>20)
		}
		if got, err := tk.Decode(ids); err != nil || got != strings.ToValidUTF8(text, "\ufffd") && name != "not UTF-8" {
			t.Errorf("%s: the text does not come back (%v)", name, err)
		}
	}
}

// TestDecoderStreams: the parts joined are Decode's text, each is whole UTF-8,
// and nothing is held back that is whole.
func TestDecoderStreams(t *testing.T) {
	tk := load(t, "testdata/user.model")
	rng := rand.New(rand.NewPCG(5, 6))
	for range 3000 {
		ids := make([]int32, rng.IntN(12))
		for i := range ids {
			ids[i] = rng.Int32N(270) // mostly bytes
			if rng.IntN(4) == 0 {
				ids[i] = rng.Int32N(int32(tk.VocabSize()))
			}
		}
		want, err := tk.Decode(ids)
		if err != nil {
			t.Fatal(err)
		}
		d := tk.NewDecoder(true)
		got := ""
		for _, id := range ids {
			part, err := d.Push(id)
			if err != nil {
				t.Fatal(err)
			}
			if !utf8.ValidString(part) {
				t.Fatalf("%d: the part %q is not whole", ids, part)
			}
			got += part
			if len(d.held) > 3 {
				t.Fatalf("%d: %x is held back", ids, d.held)
			}
		}
		if got += d.Flush(); got != want {
			t.Fatalf("%d: %q, want %q", ids, got, want)
		}
	}
}

func TestDecoderEmoji(t *testing.T) {
	tk := llama2(t)
	d := tk.NewDecoder(true)
	var parts []string
	for _, id := range tk.Encode("A 🦙!", EncodeOptions{}) {
		part, err := d.Push(id)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, part)
	}
	if want := []string{"A", " ", "", "", "", "🦙", "!"}; !slices.Equal(parts, want) {
		t.Errorf("%q, want %q", parts, want)
	}
	// A continued text keeps its space; cut in a character, U+FFFD for each byte.
	d = tk.NewDecoder(false)
	out := ""
	for _, id := range []int32{15043, 243, 162} {
		part, err := d.Push(id)
		if err != nil {
			t.Fatal(err)
		}
		out += part
	}
	if out != " Hello" || d.Flush() != "\ufffd\ufffd" || d.Flush() != "" {
		t.Errorf("%q, then the rest", out)
	}
}

// TestDecodeControl: control pieces have no text, however they are spelled.
func TestDecodeControl(t *testing.T) {
	pieces := append(smallPieces("a▁"), Piece{Text: "▁ctl", Kind: Control})
	tk, err := build(pieces, settings{dummyPrefix: true, byteFallback: true, unkSurface: "?"})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := tk.Decode([]int32{int32(len(pieces) - 1), 1, 260, 259, 260, 0}); err != nil || got != "a ?" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDecodeRange(t *testing.T) {
	tk := load(t, "testdata/llama.model")
	for _, id := range []int32{-1, int32(tk.VocabSize()), 1 << 30} {
		if _, err := tk.Decode([]int32{id}); err == nil {
			t.Errorf("id %d is decoded", id)
		}
		if _, err := tk.Surface(id); err == nil {
			t.Errorf("id %d has a surface", id)
		}
	}
}

// FuzzEncode compares texts cut into segments with the same texts as a whole.
func FuzzEncode(f *testing.F) {
	var tks []*Tokenizer
	for _, name := range []string{"llama", "noprefix", "cross", "ties"} {
		tks = append(tks, load(f, "testdata/"+name+".model"))
	}
	f.Add("Hello  world 123 日本語\xff\xe2\x96 ▁▁ the the", uint8(3))
	f.Add(strings.Repeat("ab ", 50), uint8(2))
	f.Fuzz(func(t *testing.T, text string, window uint8) {
		if text == "" || window < 2 {
			return
		}
		for _, tk := range tks {
			var want, got output
			tk.encodeGlobal(&want, text)
			tk.encodeSpan(&scratch{window: int(window)}, &got, text)
			if !slices.Equal(got.ids, want.ids) {
				t.Fatalf("%q: %d, want %d", text, got.ids, want.ids)
			}
		}
	})
}

// TestConcurrent: one tokenizer serves many goroutines, each with ids of its own.
func TestConcurrent(t *testing.T) {
	tk := load(t, "testdata/llama.model")
	texts := []string{"Once upon a time", "  spaces  and 1984", "日本語 \xff", strings.Repeat("solid", 200)}
	var want [][]int32
	for _, text := range texts {
		want = append(want, tk.Encode(text, EncodeOptions{}))
	}
	errs := make(chan string)
	for g := range 8 {
		go func() {
			for i := range 400 {
				k := (g + i) % len(texts)
				if got := tk.Encode(texts[k], EncodeOptions{}); !slices.Equal(got, want[k]) {
					errs <- texts[k]
					return
				}
			}
			errs <- ""
		}()
	}
	for range 8 {
		if text := <-errs; text != "" {
			t.Errorf("%q has other ids", text)
		}
	}
}
