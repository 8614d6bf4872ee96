package tokenizer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestModelKeepsItsBytes(t *testing.T) {
	for _, path := range models(t) {
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := load(t, path).Model(); !bytes.Equal(got, want) {
			t.Errorf("%s: the written model differs from the one that was read", path)
		}
	}
}

// TestConversions: whatever a tokenizer goes through, it stays the same.
func TestConversions(t *testing.T) {
	for _, path := range models(t) {
		want := load(t, path)
		viaGGUF, err := FromGGUF(want.GGUF())
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if got := viaGGUF.Model(); bytes.Equal(got, want.Model()) {
			t.Errorf("%s: a model made of GGUF has the trainer's settings, which GGUF does not hold", path)
		} else if viaModel, err := Parse(got); err != nil || !viaModel.Equal(viaGGUF) {
			t.Errorf("%s: written as a model and read again, it is another tokenizer (%v)", path, err)
		}
		if strings.Contains(path, "user") { // GGUF cannot tell the spaces of user-defined symbols from "▁"
			continue
		}
		if !viaGGUF.Equal(want) {
			t.Errorf("%s: via GGUF it is another tokenizer", path)
		}
		readGoldens(t, strings.TrimSuffix(path, ".model")+".jsonl", func(g golden) { g.check(t, viaGGUF) })
	}
}

// TestStories260K: llama2.c's tokenizer.bin gives the ids that SentencePiece gives
// with the same pieces, and becomes a model.
func TestStories260K(t *testing.T) {
	data, err := os.ReadFile(shared(t, "weights/stories260K/tok512.bin"))
	if err != nil {
		t.Fatal(err)
	}
	tk, err := ParseFile(data)
	if err != nil {
		t.Fatal(err)
	}
	readGoldens(t, "testdata/tok512.jsonl", func(g golden) { g.check(t, tk) })
	again, err := ParseFile(tk.Model())
	if err != nil || !again.Equal(tk) {
		t.Errorf("written as a model and read again, it is another tokenizer (%v)", err)
	}
}

func TestParseFile(t *testing.T) {
	for name, want := range map[string]string{
		"testdata/user.model":          "",
		"testdata/user.tokenizer.json": "",
		"testdata/gen.py":              "neither",
		"testdata/llama.jsonl":         `field "in" is not known`,
	} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseFile(b); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error that names %q", name, err, want)
		}
	}
	for _, b := range []string{"", "{", "\n", "\n\x00", "\n\x00\x00\x00", "\x00\x00\x00\x00"} {
		if _, err := ParseFile([]byte(b)); err == nil {
			t.Errorf("%q is taken for a tokenizer", b)
		}
	}
}

// edited returns a small valid model with one thing changed.
func edited(edit func(pieces *[][]byte, trainer, normalizer *[]byte)) []byte {
	var pieces [][]byte
	for _, p := range smallPieces("ab▁", "ab") {
		m := appendFloat(appendBytes(nil, fieldPieceText, p.Text), fieldPieceScore, p.Score)
		pieces = append(pieces, appendVarint(m, fieldPieceType, int64(p.Kind)))
	}
	trainer := appendBool(appendVarint(nil, fieldModelType, modelTypeBPE), fieldByteFallback, true)
	normalizer := appendBool(nil, fieldRemoveExtra, false)
	edit(&pieces, &trainer, &normalizer)
	var b []byte
	for _, p := range pieces {
		b = appendBytes(b, fieldPieces, p)
	}
	return appendBytes(appendBytes(b, fieldTrainerSpec, trainer), fieldNormalizerSpec, normalizer)
}

// badModels are models that must be refused, with what the error names.
func badModels() map[string]struct {
	model []byte
	want  string
} {
	type bad = struct {
		model []byte
		want  string
	}
	piece := func(i int, fields []byte) []byte {
		return edited(func(p *[][]byte, _, _ *[]byte) { (*p)[i] = append(slices.Clone((*p)[i]), fields...) })
	}
	trainer := func(fields []byte) []byte {
		return edited(func(_ *[][]byte, tr, _ *[]byte) { *tr = append(*tr, fields...) })
	}
	normalizer := func(fields []byte) []byte {
		return edited(func(_ *[][]byte, _, n *[]byte) { *n = append(*n, fields...) })
	}
	huge := binary.AppendUvarint([]byte{fieldPieces<<3 | byte(wireBytes)}, 1<<60)
	many := bytes.Repeat([]byte{fieldPieces<<3 | byte(wireBytes), 0}, 10_000_000)
	return map[string]bad{
		"empty":               {nil, "missing"},
		"text":                {[]byte("version https://git-lfs.github.com/spec/v1\n"), "tokenizer.model"},
		"length 2^60":         {huge, "1152921504606846976"},
		"nested length 2^60":  {piece(5, huge), "piece: field 1: length 1152921504606846976"},
		"ten million pieces":  {many, "more than 1048576 pieces"},
		"empty piece":         {piece(5, appendBytes(nil, fieldPieceText, "")), "piece 5 is empty"},
		"long piece":          {piece(5, appendBytes(nil, fieldPieceText, strings.Repeat("x", maxPieceBytes+1))), "piece 5 has 1025 bytes"},
		"bad UTF-8":           {piece(260, appendBytes(nil, fieldPieceText, "\xff")), "piece 260"},
		"NaN score":           {piece(260, appendFloat(nil, fieldPieceScore, float32(math.NaN()))), "piece 260"},
		"piece twice":         {piece(260, appendBytes(nil, fieldPieceText, "ab")), `pieces 259 and 260 are both "ab"`},
		"normal and control":  {piece(260, appendBytes(nil, fieldPieceText, "<s>")), `pieces 1 and 260 are both "<s>"`},
		"piece type":          {piece(260, appendVarint(nil, fieldPieceType, 9)), "type 9"},
		"type beyond int32":   {piece(260, appendVarint(nil, fieldPieceType, 1<<40)), "out of the range"},
		"wire type":           {piece(260, appendVarint(nil, fieldPieceScore, 1)), "score has wire type"},
		"two unknown":         {piece(260, appendVarint(nil, fieldPieceType, int64(Unknown))), "both of kind unknown"},
		"no unknown":          {piece(0, appendVarint(nil, fieldPieceType, int64(Control))), "no piece is of kind unknown"},
		"byte spelled wrong":  {piece(3, appendBytes(nil, fieldPieceText, "<0xzz>")), "<0xzz>"},
		"byte missing":        {piece(3, appendVarint(appendBytes(nil, fieldPieceText, "zz"), fieldPieceType, 1)), "<0x00> is missing"},
		"bytes, no fallback":  {trainer(appendBool(nil, fieldByteFallback, false)), "byte fallback is off"},
		"unigram":             {trainer(appendVarint(nil, fieldModelType, modelTypeUnigram)), "UNIGRAM"},
		"bos id out of range": {trainer(appendVarint(nil, fieldBOSID, 262+1)), "bos_id is 263"},
		"pad id out of range": {trainer(appendVarint(nil, fieldPadID, -2)), "pad_id is -2"},
		"space suffix":        {trainer(appendBool(nil, fieldSpaceSuffix, true)), "treat_whitespace_as_suffix"},
		"normaliser":          {normalizer(appendBytes(appendBytes(nil, fieldNormalizer, "nmt_nfkc"), fieldCharsMap, "x")), "nmt_nfkc"},
		"no escape":           {normalizer(appendBool(nil, fieldEscapeSpaces, false)), "escape_whitespaces"},
		"group":               {[]byte{fieldTrainerSpec<<3 | 3}, "wire type"},
		"field 0":             {[]byte{0, 0}, "field number 0"},
		"long varint":         {append(bytes.Repeat([]byte{0x80}, 10), 2), "key"},
	}
}

func TestModelRefusals(t *testing.T) {
	if _, err := Parse(edited(func(*[][]byte, *[]byte, *[]byte) {})); err != nil {
		t.Fatalf("the unedited model: %v", err)
	}
	for name, c := range badModels() {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(c.model)
			var format *FormatError
			var unsupported *UnsupportedError
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error that names %q", err, c.want)
			} else if !errors.As(err, &format) && !errors.As(err, &unsupported) {
				t.Errorf("%T is neither a FormatError nor an UnsupportedError", err)
			}
		})
	}
}

// TestHostileModelsAreCheap: refusing takes memory in proportion to the file.
func TestHostileModelsAreCheap(t *testing.T) {
	for name, c := range badModels() {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		begin := time.Now()
		_, err := Parse(c.model)
		took := time.Since(begin)
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; err == nil || grown > 1<<20 {
			t.Errorf("%s: %d bytes allocated, %v", name, grown, err)
		}
		if took > 10*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// TestCutModel: a model cut anywhere is refused.
func TestCutModel(t *testing.T) {
	b, err := os.ReadFile("testdata/llama.model")
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(b) {
		if tk, err := Parse(b[:n]); err == nil {
			t.Errorf("cut at %d of %d bytes, it is a tokenizer of %d pieces", n, len(b), tk.VocabSize())
		}
	}
}

func TestLlama2CRefusals(t *testing.T) {
	var good []byte
	good = binary.LittleEndian.AppendUint32(good, 6)
	for i, p := range smallPieces("ab ", "ab") {
		text := p.Text
		if i == 1 || i == 2 {
			text = "\n" + text + "\n"
		}
		good = binary.LittleEndian.AppendUint32(good, math.Float32bits(p.Score))
		good = binary.LittleEndian.AppendUint32(good, uint32(len(text)))
		good = append(good, text...)
	}
	good[0] = 8 // "\n</s>\n" has six bytes, the longest piece may have more
	tk, err := ParseLlama2C(good)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tk.Encode("ab", EncodeOptions{}), []int32{262, 259}; !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
	for name, c := range map[string]struct {
		edit func([]byte) []byte
		want string
	}{
		"empty":        {func(b []byte) []byte { return nil }, "0 bytes"},
		"header only":  {func(b []byte) []byte { return b[:4] }, "0 pieces"},
		"cut":          {func(b []byte) []byte { return b[:len(b)-1] }, "length"},
		"cut header":   {func(b []byte) []byte { return b[:4+7] }, "cut off"},
		"longest 2^31": {func(b []byte) []byte { return append([]byte{0, 0, 0, 0x80}, b[4:]...) }, "max_token_length"},
		"length 2^32":  {func(b []byte) []byte { return append(append(slices.Clone(b[:8]), 0xff, 0xff, 0xff, 0xff), b[12:]...) }, "4294967295"},
		"unknown":      {func(b []byte) []byte { return bytes.Replace(b, []byte("<unk>"), []byte("<xxx>"), 1) }, "<xxx>"},
		"byte":         {func(b []byte) []byte { return bytes.Replace(b, []byte("<0x07>"), []byte("<0x70>"), 1) }, "<0x70>"},
		"few":          {func(b []byte) []byte { return b[:4+8+5] }, "1 pieces"},
	} {
		if _, err := ParseLlama2C(c.edit(slices.Clone(good))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an error that names %q", name, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, c := range badModels() {
		if len(c.model) < 1<<16 {
			f.Add(c.model)
		}
	}
	f.Add(edited(func(*[][]byte, *[]byte, *[]byte) {}))
	for _, name := range []string{"unused", "user", "cross"} {
		b, err := os.ReadFile("testdata/" + name + ".model")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if tk, err := Parse(b); err == nil {
			use(t, tk)
		}
	})
}

func FuzzParseJSON(f *testing.F) {
	for _, name := range []string{"llama", "noprefix", "user"} {
		b, err := os.ReadFile("testdata/" + name + ".tokenizer.json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if tk, err := ParseJSON(b); err == nil {
			use(t, tk)
		}
	})
}

func FuzzParseLlama2C(f *testing.F) {
	b := binary.LittleEndian.AppendUint32(nil, 8)
	for _, p := range smallPieces("ab ", "ab") {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(p.Score))
		b = append(binary.LittleEndian.AppendUint32(b, uint32(len(p.Text))), p.Text...)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if tk, err := ParseLlama2C(b); err == nil {
			use(t, tk)
		}
	})
}

// use checks that a tokenizer which was accepted can be used, written and read.
func use(t *testing.T, tk *Tokenizer) {
	const text = "Hello  ab\xff日本 <s> 12"
	ids := tk.Encode(text, EncodeOptions{BOS: true, EOS: true, Special: true})
	if _, err := tk.Decode(ids); err != nil {
		t.Fatalf("own ids %d: %v", ids, err)
	}
	again, err := Parse(tk.Model())
	if err != nil {
		t.Fatalf("the written model: %v", err)
	}
	if got, want := again.Encode(text, EncodeOptions{}), tk.Encode(text, EncodeOptions{}); !slices.Equal(got, want) {
		t.Fatalf("the written model gives %d, not %d", got, want)
	}
}
