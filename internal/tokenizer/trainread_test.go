package tokenizer

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// writeFiles writes files below a new directory, compressed as their names say.
func writeFiles(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		data := []byte(text)
		var b bytes.Buffer
		switch filepath.Ext(name) {
		case ".gz":
			z := gzip.NewWriter(&b)
			if _, err := z.Write(data); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
			data = b.Bytes()
		case ".zst":
			z, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			data = z.EncodeAll(data, nil)
		}
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestFileSources: all kinds of files give the words of their texts.
func TestFileSources(t *testing.T) {
	dir := writeFiles(t, map[string]string{
		"a.txt": "one\n", "b.TXT.gz": "two\n", "sub/c.txt.zst": "three\n",
		"d.jsonl": `{"id": 1, "text": "four\u0020five"}` + "\n\n" + `{"text": "", "id": 2}` + "\n", "e.jsonl.gz": `{"text": "six"}`, "f.jsonl.zst": `{"text": "seven\neight"}`,
		"g.jsonl": `{"messages": [{"role": "user", "content": "fourteen"}, {"content": "fifteen"}]}`, "README.md": "nine", ".hidden/x.txt": "ten", ".y.txt": "eleven", "data.txt.bz2": "twelve",
	})
	other := writeFiles(t, map[string]string{"corpus.raw": "thirteen"})
	sources, skipped, err := FileSources([]string{dir, filepath.Join(other, "corpus.raw")}, "text,messages")
	if err != nil {
		t.Fatal(err)
	}
	c := DefaultTrainConfig()
	c.Workers = 2
	var got []string
	for w := range cutWords(t, c, sources...) {
		got = append(got, w)
	}
	slices.Sort(got)
	if want := " eight| fifteen| five| four| fourteen| one| seven| six| thirteen| three| two"; strings.Join(got, "|") != want {
		t.Errorf("%q, want %q", strings.Join(got, "|"), want)
	}
	for i := range skipped {
		skipped[i], _ = filepath.Rel(dir, skipped[i])
	}
	if got := strings.Join(skipped, " "); got != "README.md data.txt.bz2" {
		t.Errorf("skipped are %q", got)
	}
	for _, paths := range [][]string{{filepath.Join(dir, "missing")}, {filepath.Join(writeFiles(t, map[string]string{"x.md": ""}))}} {
		if _, _, err := FileSources(paths, "text"); err == nil || !strings.Contains(err.Error(), paths[0]) {
			t.Errorf("%s: %v", paths[0], err)
		}
	}
}

// TestSourcesRefused: an error names the file, and the line where there are lines.
func TestSourcesRefused(t *testing.T) {
	many := strings.Repeat(`{"text": "`+strings.Repeat("word ", 200)+`"}`+"\n", 3000) // several chunks
	for _, c := range []struct{ name, text, want string }{
		{"broken.jsonl", `{"text": "a"}` + "\n" + `{"text": `, "line 2: unexpected end"},
		{"field.jsonl", `{"text": "a"}` + "\n\n" + `{"body": "b", "id": 1}`, `line 3: the object has no field "text"; it has ["body" "id"]`},
		{"type.jsonl", many + `{"text": 5}`, "line 3001: field \"text\" is 5, neither a string nor messages"},
		{"null.jsonl", `{"text": null}`, "is null, neither a string nor messages"},
		{"messages.jsonl", `{"text": [{"role": "user"}]}`, "message 0 has no content"},
		{"array.jsonl", `["a"]`, "line 1"},
		{"binary.txt", "GGUF\x03\x00\x00", "byte 5 is NUL"},
	} {
		dir := writeFiles(t, map[string]string{c.name: c.text})
		path := filepath.Join(dir, c.name)
		sources, _, err := FileSources([]string{path}, "text")
		if err != nil {
			t.Fatal(err)
		}
		cfg := DefaultTrainConfig()
		_, _, err = Train(context.Background(), cfg, sources...)
		if err == nil || !strings.Contains(err.Error(), path+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	for _, name := range []string{"cut.txt.gz", "cut.txt.zst"} {
		path := filepath.Join(writeFiles(t, map[string]string{name: many}), name)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for what, bad := range map[string][]byte{"cut off": data[:len(data)/2], "no such file": []byte("plain text, longer than a header")} {
			if err := os.WriteFile(path, bad, 0o666); err != nil {
				t.Fatal(err)
			}
			sources, _, err := FileSources([]string{path}, "text")
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err = Train(context.Background(), DefaultTrainConfig(), sources...); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
}

// TestProgress: it grows to the size of the files, compressed or not.
func TestProgress(t *testing.T) {
	text := strings.Repeat("some words of text\n", 200000)
	dir := writeFiles(t, map[string]string{"a.txt": text, "b.txt.gz": text})
	sources, _, err := FileSources([]string{dir}, "text")
	if err != nil {
		t.Fatal(err)
	}
	var last, of, calls int64
	k := chunkReader{sources: sources, progress: func(done, total int64) {
		if done < last {
			t.Errorf("%d bytes behind %d", done, last)
		}
		last, of = done, total
		calls++
	}}
	idle := func(context.Context, *chunk) error { return nil }
	if err := k.run(context.Background(), []func(context.Context, *chunk) error{idle, idle}); err != nil {
		t.Fatal(err)
	}
	if want := sources[0].Size + sources[1].Size; last != want || of != want || calls < 4 {
		t.Errorf("%d of %d bytes in %d calls, want %d", last, of, calls, want)
	}
}

// TestMeasureTexts compares with plain encoding; a long text is measured in parts.
func TestMeasureTexts(t *testing.T) {
	a, b := load(t, "testdata/llama.model"), load(t, "testdata/squeeze.model")
	var long strings.Builder
	for i := range 60000 {
		fmt.Fprintf(&long, "line %d of the  text, é日本 ☃\n", i)
	}
	dir := writeFiles(t, map[string]string{"a.txt": long.String(), "b.jsonl": `{"text": "one two"}` + "\n" + `{"text": " three"}`, "c.txt": "", "d.txt": strings.Repeat("wordwithoutend", 100000)})
	sources, _, err := FileSources([]string{dir}, "text")
	if err != nil {
		t.Fatal(err)
	}
	for _, workers := range []int{1, 3} {
		got, err := MeasureTexts(context.Background(), []*Tokenizer{a, b}, sources, workers, nil)
		if err != nil || len(got) != 4 {
			t.Fatal(len(got), err)
		}
		if m := got[0]; m.Bytes != int64(long.Len()) || m.Words != 60000*7 {
			t.Errorf("%+v", m)
		}
		want := int64(len(a.Encode(long.String(), EncodeOptions{})))
		if r := got[0].Results[0]; r.Tokens != want || got[0].BytesPerToken(0) != float64(long.Len())/float64(want) || got[0].Fertility(0) != float64(want)/420000 {
			t.Errorf("%+v, want %d tokens", r, want)
		}
		if r := got[0].Results[1]; r.Unknown == 0 || r.ByteTokens != 0 {
			t.Errorf("without byte fallback: %+v", r)
		}
		if r := got[0].Results[0]; r.ByteTokens == 0 || r.Unknown != 0 {
			t.Errorf("with byte fallback: %+v", r)
		}
		two := len(a.Encode("one two", EncodeOptions{})) + len(a.Encode(" three", EncodeOptions{}))
		if m := got[1]; m.Bytes != 13 || m.Words != 3 || m.Results[0].Tokens != int64(two) {
			t.Errorf("%+v, want %d tokens", m, two)
		}
		if m := got[2]; m.Bytes != 0 || m.Words != 0 || m.Fertility(0) != 0 || m.BytesPerToken(1) != 0 {
			t.Errorf("%+v", m)
		}
		if m := got[3]; m.Words != 1 {
			t.Errorf("a word longer than a chunk counts as %d", m.Words)
		}
	}
}
