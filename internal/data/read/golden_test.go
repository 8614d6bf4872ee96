package read

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/data/doc"
)

// The files are made by other tools: testdata/golden/gen.py.

func TestParquet(t *testing.T) {
	for _, codec := range []string{"snappy", "zstd", "gzip"} {
		path := "testdata/golden/table-" + codec + ".parquet"
		c := Default()
		c.ID, c.URL, c.Fields = "id", "meta.url", []string{"label", "meta.score"}
		var st doc.Stats
		docs, err := all(path, c, &st)
		if err != nil || len(docs) != 23 || st.Counts["read.bad.no_text"] != 1 || st.Counts["read.empty"] != 1 {
			t.Fatalf("%s: %d documents, %v, %v", path, len(docs), st.Counts, err)
		}
		for i, d := range docs {
			row := i
			if i >= 7 {
				row += 2
			}
			want := doc.Document{
				ID: fmt.Sprintf("src/table-%s.parquet#%d", codec, row), Source: "src",
				URL: fmt.Sprintf("https://site%d.org/%d", row%3, row), Domain: fmt.Sprintf("site%d.org", row%3),
				Text: fmt.Sprintf("text %d ", row) + strings.Repeat("é", row),
			}
			label := [2]string{"even", "odd"}[row%2]
			if d.ID != want.ID || d.URL != want.URL || d.Domain != want.Domain || d.Text != want.Text || d.Meta["label"] != label || d.Meta["meta.score"] != fmt.Sprint(float64(row)/4) {
				t.Errorf("%s: row %d is %+v", path, row, d)
			}
		}
		for want, change := range map[string]func(*Config){
			`no column "content"; columns of text are text, meta.url, label`: func(c *Config) { c.Text = "content" },
			`column "messages" is nested`:                                    func(c *Config) { c.Text = "messages" },
			`column "messages.list.element.role" is nested`:                  func(c *Config) { c.Text = "messages.list.element.role" },
			`column "meta" is nested`:                                        func(c *Config) { c.Fields = []string{"meta"} },
			`column "id" is no text`:                                         func(c *Config) { c.Text = "id" },
		} {
			c := Default()
			change(&c)
			if _, err := all(path, c, &st); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %s", path, err, want)
			}
		}
	}
}

// TestDamagedParquet: a file cut anywhere, or with a flipped byte, is read or
// refused, never a crash.
func TestDamagedParquet(t *testing.T) {
	whole, err := os.ReadFile("testdata/golden/table-snappy.parquet")
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole); n += 97 {
		if _, err := all(write(t, "cut.parquet", whole[:n]), Default(), &doc.Stats{}); err == nil {
			t.Errorf("cut at byte %d: no error", n)
		}
	}
	for n := 0; n < len(whole); n += 23 {
		bad := bytes.Clone(whole)
		bad[n] ^= 0xff
		path := write(t, "bad.parquet", bad)
		if _, err := all(path, Default(), &doc.Stats{}); err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("byte %d flipped: the error does not name the file: %v", n, err)
		}
	}
}

func TestWARC(t *testing.T) {
	const filler = " This paragraph has enough words to be taken for content by any rule, which is what it is here for."
	want := []string{
		"https://www.one.org/utf8 one.org Zürich – Ωmega." + filler,
		"https://two.com/latin two.com Zürich façade." + filler,
		"https://two.com/sjis two.com 日本語のページ。" + filler,
		"https://two.com/plain two.com Plain text, “quoted”.",
		"https://three.net/chunked three.net In chunks." + filler,
		"https://wet.org/y wet.org Converted text.",
	}
	for _, path := range []string{"testdata/golden/crawl.warc", "testdata/golden/crawl.warc.gz"} {
		c := Default()
		c.Fields = []string{"title"}
		var st doc.Stats
		docs, err := all(path, c, &st)
		var got []string
		for _, d := range docs {
			got = append(got, d.URL+" "+d.Domain+" "+d.Text)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v\n%s\nwant\n%s", path, err, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if docs[0].Meta["title"] != "Page" {
			t.Errorf("title is %q", docs[0].Meta["title"])
		}
		for kind, n := range map[string]int64{"read.skipped.warcinfo": 1, "read.skipped.request": 1, "read.skipped.http_status": 1, "read.skipped.content_type": 1} {
			if st.Counts[kind] != n {
				t.Errorf("%s: %s is %d, want %d", path, kind, st.Counts[kind], n)
			}
		}
	}
}

// record is a WARC record with a plain text.
func record(body, header string) string {
	return "WARC/1.0\r\nWARC-Type: resource\r\nContent-Type: text/plain\r\n" + header + "\r\n\r\n" + body + "\r\n\r\n"
}

func TestDamagedWARC(t *testing.T) {
	good := func(s string) string { return record(s, fmt.Sprintf("Content-Length: %d", len(s))) }
	http := func(s string) string {
		return fmt.Sprintf("WARC/1.0\r\nWARC-Type: response\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n", len(s), s)
	}
	for _, c := range []struct{ name, file, kind string }{
		{"length", record("x", "Content-Length: 9z"), "warc_length"},
		{"negative length", record("x", "Content-Length: -1"), "warc_length"},
		{"no length", record("x", "A: b"), "warc_length"},
		{"no colon", record("x", "Content-Length 1"), "warc_header"},
		{"long line", record("x", "A: "+strings.Repeat("b", 100_000)), "warc_header"},
		{"endless header", record("x", strings.Repeat("A: b\r\n", 100_000)), "warc_header"},
		{"rubbish", "rubbish\r\nmore\r\n", "warc_damaged"},
		{"no HTTP", http("hello"), "http"},
		{"content encoding", http("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: br\r\n\r\nabc"), "content_encoding"},
		{"bad gzip", http("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b\x08nothing"), "content_encoding"},
	} {
		var st doc.Stats
		docs, err := all(write(t, "a.warc", []byte(good("one")+c.file+good("two"))), Default(), &st)
		if err != nil || !slices.Equal(texts(docs), []string{"one", "two"}) {
			t.Errorf("%s: %q, %v: the records around a bad one must be read", c.name, texts(docs), err)
		}
		if st.Counts["read.bad."+c.kind] == 0 {
			t.Errorf("%s: %v, want read.bad.%s", c.name, st.Counts, c.kind)
		}
	}
	var st doc.Stats
	path := write(t, "a.warc", []byte(good("one")+record("cut", "Content-Length: 100")))
	docs, err := all(path, Default(), &st)
	if len(docs) != 1 || err == nil || !strings.Contains(err.Error(), path+": at byte") {
		t.Errorf("a file that ends in a record: %q, %v", texts(docs), err)
	}
	c := Default()
	c.Limits.Record = 100
	docs, err = all(write(t, "a.warc", []byte(good(strings.Repeat("x", 200))+good("two"))), c, &st)
	if err != nil || len(docs) != 1 || st.Counts["read.bad.too_long"] != 1 {
		t.Errorf("a long record: %q, %v, %v", texts(docs), err, st.Counts)
	}
	// The whole pages of a server that packs them.
	docs, err = all(write(t, "a.warc", []byte(http("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\n\r\nnot packed after all"))), Default(), &st)
	if err != nil || !slices.Equal(texts(docs), []string{"not packed after all"}) {
		t.Errorf("a body that was unpacked by the crawler: %q, %v", texts(docs), err)
	}
}

func FuzzWARC(f *testing.F) {
	for _, name := range []string{"crawl.warc", "crawl.warc.gz"} {
		b, err := os.ReadFile("testdata/golden/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(record("x", "Content-Length: 1")))
	f.Fuzz(func(t *testing.T, data []byte) {
		name := "f.warc"
		if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
			name = "f.warc.gz"
		}
		c := Default()
		c.Limits.Record, c.Limits.HTML = 1<<16, 1<<16
		path := write(t, name, data)
		if _, err := all(path, c, &doc.Stats{}); err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("the error does not name the file: %v", err)
		}
	})
}

func FuzzHTML(f *testing.F) {
	f.Add([]byte("<html><meta charset=gbk><p>text</p>"), "text/html; charset=utf-16")
	f.Add([]byte("\xff\xfe<\x00p\x00"), "")
	f.Add([]byte("<table><tr><td>a<td>b</table><pre>\n x</pre><ul><li>a<ul><li>b"), "text/html")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		b := &base{config: &Config{Limits: Limits{HTML: 1 << 16}}}
		b.page(body, contentType)
	})
}
