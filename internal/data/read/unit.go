package read

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/cria-llm/cria/internal/data/doc"
)

// Units cuts one file into units: large uncompressed files of lines into ranges,
// any other file is one. name is the file's name inside of its source.
func Units(source, path, name string, c Config) ([]doc.Unit, error) {
	format, compression, err := c.format(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %s is no regular file", path, kind(info.Mode()))
	}
	u := doc.Unit{
		Source: source, Format: format, Path: path, Name: name,
		End: info.Size(), Size: info.Size(), MTime: info.ModTime().UnixNano(),
	}
	if compression != "" || !c.divisible(format) || u.Size <= c.Limits.Unit {
		return []doc.Unit{u}, nil
	}
	n := (u.Size + c.Limits.Unit - 1) / c.Limits.Unit
	var all []doc.Unit
	for i := range n {
		part := u
		part.Start, part.End = u.Size/n*i, u.Size/n*(i+1)
		if i == n-1 {
			part.End = u.Size
		}
		all = append(all, part)
	}
	return all, nil
}

func kind(m fs.FileMode) string {
	if m.IsDir() {
		return "a directory"
	}
	return "it (" + m.Type().String() + ")"
}

// divisible reports whether reading can begin in the middle of a file.
func (c *Config) divisible(format string) bool {
	switch format {
	case "jsonl":
		return true
	case "txt":
		return c.Split == "line" || c.Split == "separator" && !selfOverlaps(c.Separator)
	}
	return false
}

// ErrTooManyBad is found in the error of a unit with more unusable records than
// Config.MaxBad.
var ErrTooManyBad = errors.New("too many unusable records")

// Open opens a unit. What is left out is counted in st, which must not be used
// elsewhere until Close.
func Open(u doc.Unit, c Config, st *doc.Stats) (doc.Reader, error) {
	_, compression, err := c.format(u.Path)
	if err != nil {
		return nil, err
	}
	b := &base{unit: u, config: &c, st: st}
	if u.Format == "parquet" {
		return openParquet(b)
	}
	f, err := os.Open(u.Path)
	if err != nil {
		return nil, err
	}
	b.file = f
	var r io.Reader = f
	if compression != "" {
		if r, b.expander, err = expand(f, compression, u, &c.Limits); err != nil {
			f.Close()
			return nil, b.failed(0, err)
		}
	}
	switch u.Format {
	case "txt":
		return newText(b, r)
	case "jsonl":
		return newJSON(b, r)
	case "html":
		return newHTML(b, r)
	case "warc":
		return newWARC(b, r)
	}
	f.Close()
	return nil, fmt.Errorf("%s: format %q is none of %s", u.Path, u.Format, strings.Join(formats, ", "))
}

// base is what all readers have.
type base struct {
	unit     doc.Unit
	config   *Config
	st       *doc.Stats
	file     *os.File
	expander io.Closer // nil for none
	bad      int
}

func (b *base) Close() error {
	if b.expander != nil {
		b.expander.Close()
	}
	if b.file != nil {
		return b.file.Close()
	}
	return nil
}

// failed is an error at a place in the file, counted in expanded bytes.
func (b *base) failed(offset int64, err error) error {
	return fmt.Errorf("%s: at byte %d: %w", b.unit.Path, offset, err)
}

// reject counts a record that cannot be used. It returns an error if that makes
// too many.
func (b *base) reject(place int64, kind, problem string) error {
	return b.rejectAt(fmt.Sprintf("at byte %d", place), kind, problem)
}

func (b *base) rejectAt(place, kind, problem string) error {
	b.bad++
	b.st.Add("read.bad."+kind, 1)
	where := fmt.Sprintf("%s: %s: %s", b.unit.Path, place, problem)
	b.st.Sample("read.bad."+kind, where)
	if max := b.config.MaxBad; max >= 0 && b.bad > max {
		return fmt.Errorf("%s: %w (max_bad is %d; raise it if they may be left out)", where, ErrTooManyBad, max)
	}
	return nil
}

// fill makes a document of a text from a place in the file.
func (b *base) fill(d *doc.Document, text, id, link string, meta map[string]string) {
	d.Reset()
	d.ID, d.Source = b.unit.Source+"/"+b.unit.Name+"#"+id, b.unit.Source
	d.Text, d.URL, d.Domain, d.Meta = text, link, domain(link), meta
	b.st.Add("read.documents", 1)
	b.st.Add("read.bytes", int64(len(text)))
}

// domain is the registrable domain of a URL, "" for none.
func domain(link string) string {
	if link == "" {
		return ""
	}
	if !strings.Contains(link, "://") {
		link = "http://" + link
	}
	u, err := url.Parse(link)
	if err != nil {
		return ""
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if d, err := publicsuffix.EffectiveTLDPlusOne(host); err == nil {
		return d
	}
	return host // an address, or a name without a dot
}
