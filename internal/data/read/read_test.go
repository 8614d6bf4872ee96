package read

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/cria-llm/cria/internal/data/doc"
)

// write makes a file in a temporary directory.
func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// all reads every document of a file, unit by unit.
func all(path string, c Config, st *doc.Stats) (docs []doc.Document, err error) {
	units, err := Units("src", path, filepath.Base(path), c)
	if err != nil {
		return nil, err
	}
	for _, u := range units {
		r, err := Open(u, c, st)
		if err != nil {
			return docs, err
		}
		for {
			var d doc.Document
			if err = r.Next(&d); err != nil {
				break
			}
			docs = append(docs, d)
		}
		r.Close()
		if err != io.EOF {
			return docs, err
		}
	}
	return docs, nil
}

func texts(docs []doc.Document) (all []string) {
	for _, d := range docs {
		all = append(all, d.Text)
	}
	return all
}

func TestText(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Config)
		file   string
		want   []string
	}{
		{"file", nil, "One\n\ntwo\n", []string{"One\n\ntwo"}},
		{"file without text", nil, " \n", nil},
		{"empty file", nil, "", nil},
		{"line", func(c *Config) { c.Split = "line" }, "One\n\ntwo\r\n three", []string{"One", "two\r", " three"}},
		{"blank", func(c *Config) { c.Split = "blank" }, "\nOne\nstill\n\n\n \ntwo\n\n", []string{"One\nstill", "two"}},
		{"two blank", func(c *Config) { c.Split, c.BlankLines = "blank", 2 }, "One\n\nstill\n\n\ntwo", []string{"One\n\nstill\n", "two"}},
		{"separator", func(c *Config) { c.Split, c.Separator = "separator", "<|end|>" }, "One<|end|>two <|en\n<|end|>\n<|end|>three", []string{"One", "two <|en\n", "three"}},
		{"regexp", func(c *Config) { c.Split, c.Regexp = "regexp", `^CHAPTER \d+$` }, "Front\nCHAPTER 1\nOne\nCHAPTER x\nCHAPTER 2\r\nTwo\n", []string{"Front", "One\nCHAPTER x", "Two"}},
		{"regexp kept", func(c *Config) { c.Split, c.Regexp, c.KeepMatch = "regexp", `^CHAPTER \d+$`, true }, "CHAPTER 1\nOne\nCHAPTER 2\nTwo\n", []string{"CHAPTER 1\nOne", "CHAPTER 2\nTwo"}},
	} {
		cfg := Default()
		if c.change != nil {
			c.change(&cfg)
		}
		if err := cfg.Validate(); err != nil {
			t.Fatal(c.name, err)
		}
		docs, err := all(write(t, "a.txt", []byte(c.file)), cfg, &doc.Stats{})
		if err != nil || !slices.Equal(texts(docs), c.want) {
			t.Errorf("%s: %q, %v, want %q", c.name, texts(docs), err, c.want)
		}
	}
}

// TestUnitsGiveTheSameDocuments: a file cut into units of any size gives the
// same documents, with the same ids, as one that is read at once.
func TestUnitsGiveTheSameDocuments(t *testing.T) {
	var lines, json, parts strings.Builder
	for i := range 40 {
		text := strings.Repeat("ab ", i%13) + fmt.Sprint(i)
		fmt.Fprintf(&lines, "%s\n", text)
		fmt.Fprintf(&json, "{\"text\": %q, \"url\": \"http://x.org/%d\"}\n", text, i)
		fmt.Fprintf(&parts, "%s<|end|>", text)
	}
	for _, c := range []struct {
		name, file string
		change     func(*Config)
	}{
		{"a.txt", lines.String(), func(c *Config) { c.Split = "line" }},
		{"a.jsonl", json.String(), func(*Config) {}},
		{"b.txt", parts.String(), func(c *Config) { c.Split, c.Separator = "separator", "<|end|>" }},
	} {
		cfg := Default()
		c.change(&cfg)
		path := write(t, c.name, []byte(c.file))
		want, err := all(path, cfg, &doc.Stats{})
		if err != nil || len(want) != 40 {
			t.Fatalf("%s: %d documents, %v", c.name, len(want), err)
		}
		for _, size := range []int64{1, 7, 16, 33, 500, 1000} {
			cfg.Limits.Unit = size
			got, err := all(path, cfg, &doc.Stats{})
			if err != nil || !slices.EqualFunc(got, want, func(a, b doc.Document) bool { return a.ID == b.ID && a.Text == b.Text }) {
				t.Fatalf("%s in units of %d: %d documents of %d, %v", c.name, size, len(got), len(want), err)
			}
		}
	}
}

func TestJSON(t *testing.T) {
	file := "\xef\xbb\xbf" + `{"text": "plain", "url": "https://news.example.co.uk/a?b", "meta": {"id": "x7", "n": 3}}
{"meta": {"id": "x8"}, "text": "esc\u0061pes \"\ud83d\ude00\""}

{"text": "  ", "meta": {"id": "x9"}}
{"text": null, "meta": {"id": "x10"}}
{"text": ["list"], "meta": {"id": "x11"}}
{"title": "no text", "meta": {"id": "x12"}}
{"text": "no id"}
not json
{"text": "cut off
{"text": "last", "meta": {"id": "x13"}}`
	c := Default()
	c.ID, c.Fields = "meta.id", []string{"meta.n", "meta.id"}
	var st doc.Stats
	docs, err := all(write(t, "a.jsonl", []byte(file)), c, &st)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"plain", "escapes \"😀\"", "last"}; !slices.Equal(texts(docs), want) {
		t.Fatalf("texts %q, want %q", texts(docs), want)
	}
	d := docs[0]
	if d.ID != "src/a.jsonl#x7" || d.URL != "https://news.example.co.uk/a?b" || d.Domain != "example.co.uk" || d.Meta["meta.n"] != "3" || d.Meta["meta.id"] != "x7" {
		t.Errorf("first document is %+v", d)
	}
	for kind, n := range map[string]int64{"read.bad.json": 2, "read.bad.no_text": 2, "read.bad.text_type": 1, "read.bad.no_id": 1, "read.empty": 1, "read.documents": 3} {
		if st.Counts[kind] != n {
			t.Errorf("%s is %d, want %d (%v)", kind, st.Counts[kind], n, st.Counts)
		}
	}
	if s := st.Samples["read.bad.text_type"]; len(s) != 1 || !strings.Contains(s[0], `a.jsonl: at byte 232: field "text" is no string`) {
		t.Errorf("sample is %q", s)
	}
	c.MaxBad = 5
	if _, err := all(write(t, "a.jsonl", []byte(file)), c, &doc.Stats{}); !errors.Is(err, ErrTooManyBad) || !strings.Contains(err.Error(), "max_bad is 5") {
		t.Errorf("the sixth bad record: %v", err)
	}
}

func TestCompressed(t *testing.T) {
	plain := []byte("{\"text\": \"one\"}\n{\"text\": \"two\"}\n")
	var gz, zst bytes.Buffer
	for range 2 { // members and frames that follow each other
		w := gzip.NewWriter(&gz)
		w.Write(plain)
		w.Close()
		z, _ := zstd.NewWriter(&zst)
		z.Write(plain)
		z.Close()
	}
	for name, data := range map[string][]byte{"a.jsonl.gz": gz.Bytes(), "a.jsonl.zst": zst.Bytes()} {
		docs, err := all(write(t, name, data), Default(), &doc.Stats{})
		if want := []string{"one", "two", "one", "two"}; err != nil || !slices.Equal(texts(docs), want) {
			t.Errorf("%s: %q, %v", name, texts(docs), err)
		}
		path := write(t, name, data[:len(data)-5])
		if docs, err = all(path, Default(), &doc.Stats{}); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s cut off: %q, %v", name, texts(docs), err)
		}
		if _, err := all(write(t, name, plain), Default(), &doc.Stats{}); err == nil {
			t.Errorf("%s that is not compressed gives no error", name)
		}
	}
}

// TestBombs: what a small file can make a reader do is limited.
func TestBombs(t *testing.T) {
	var bomb bytes.Buffer
	w, _ := zstd.NewWriter(&bomb, zstd.WithWindowSize(1<<20))
	zeros := make([]byte, 1<<20)
	for range 70 {
		w.Write(zeros)
	}
	w.Close()
	c := Default()
	c.Split = "line"
	var st doc.Stats
	if _, err := all(write(t, "bomb.txt.zst", bomb.Bytes()), c, &st); !errors.Is(err, ErrExpands) || !strings.Contains(err.Error(), "limits.ratio") {
		t.Errorf("70 MiB of zeros: %v", err)
	}
	c.Limits.Ratio, c.Limits.Expanded = 1<<40, 65<<20
	if _, err := all(write(t, "bomb.txt.zst", bomb.Bytes()), c, &st); !errors.Is(err, ErrExpands) || !strings.Contains(err.Error(), "limits.expanded") {
		t.Errorf("70 MiB of zeros: %v", err)
	}
	c = Default()
	c.Limits.Record = 1000
	long := strings.Repeat("x", 999_999) + "\nshort\n"
	for _, split := range []string{"line", "file", "blank"} {
		c.Split = split
		var st doc.Stats
		docs, err := all(write(t, "long.txt", []byte(long)), c, &st)
		if err != nil || st.Counts["read.bad.too_long"] != 1 || split == "line" && len(docs) != 1 || split != "line" && len(docs) != 0 {
			t.Errorf("split %s: a line of 1 MB: %q, %v, %v", split, texts(docs), err, st.Counts)
		}
	}
	c.Split, c.MaxBad = "line", 0
	if _, err := all(write(t, "long.txt", []byte(long)), c, &st); !errors.Is(err, ErrTooManyBad) {
		t.Errorf("with max_bad 0: %v", err)
	}
}

func TestConfigErrors(t *testing.T) {
	for want, change := range map[string]func(*Config){
		`format is "csv"`:                   func(c *Config) { c.Format = "csv" },
		`split is "page"`:                   func(c *Config) { c.Split = "page" },
		`separator is empty`:                func(c *Config) { c.Split = "separator" },
		`it is for split: separator`:        func(c *Config) { c.Separator = "x" },
		`regexp is "("`:                     func(c *Config) { c.Split, c.Regexp = "regexp", "(" },
		`keep_match is set`:                 func(c *Config) { c.KeepMatch = true },
		`blank_lines is 0`:                  func(c *Config) { c.Split, c.BlankLines = "blank", 0 },
		`max_bad is -2`:                     func(c *Config) { c.MaxBad = -2 },
		`limits.record is 4294967296`:       func(c *Config) { c.Limits.Record = 1 << 32 },
		`limits.window is 5: at least 1048`: func(c *Config) { c.Limits.Window = 5 },
		`text is empty`:                     func(c *Config) { c.Text = "" },
	} {
		c := Default()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for name, want := range map[string]string{
		"a.csv": "does not say what it is", "a.parquet.gz": "compressed Parquet",
	} {
		if _, err := Units("s", write(t, name, nil), name, Default()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := all(write(t, "utf16.txt", []byte("\xff\xfeh\x00i\x00")), Default(), &doc.Stats{}); err == nil || !strings.Contains(err.Error(), "UTF-16") {
		t.Errorf("UTF-16: %v", err)
	}
	if _, err := Units("s", t.TempDir()+"/dir.txt/", "x", Default()); err == nil {
		t.Error("a missing file gives no error")
	}
}

func TestDomain(t *testing.T) {
	for link, want := range map[string]string{
		"https://www.Example.com/a": "example.com", "http://a.b.co.uk:8080": "b.co.uk", "example.org/x": "example.org",
		"http://127.0.0.1/x": "127.0.0.1", "http://localhost": "localhost", "": "", "::bad::": "",
		"https://user.github.io/p": "user.github.io",
	} {
		if got := domain(link); got != want {
			t.Errorf("domain of %q is %q, want %q", link, got, want)
		}
	}
}
