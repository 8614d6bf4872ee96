package read

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/cria-llm/cria/internal/data/doc"
)

// parquetFile reads the text column, and what else the configuration names, of
// a Parquet file, one row group after the other.
type parquetFile struct {
	*base
	pf      *parquet.File
	columns []*column // text, then id and url where they are asked for, then Fields
	id, url *column   // nil for none
	group   int       // the next row group
	row     int64     // the next row of the file
	left    int64     // rows of the current group
	failure error
}

// column reads the values of one column, row by row.
type column struct {
	name  string
	index int
	pages parquet.Pages
	page  parquet.Page
	in    parquet.ValueReader
	buf   [64]parquet.Value
	have  []parquet.Value
}

func openParquet(b *base) (r doc.Reader, err error) {
	b.file, err = os.Open(b.unit.Path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	p := &parquetFile{base: b}
	defer caught(b, &err)
	p.pf, err = parquet.OpenFile(b.file, b.unit.Size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("%s: no Parquet file: %w", b.unit.Path, err)
	}
	if err := p.checkSizes(); err != nil {
		return nil, err
	}
	add := func(name string, needed bool) (*column, error) {
		c, err := p.column(name, needed)
		if c != nil {
			p.columns = append(p.columns, c)
		}
		return c, err
	}
	text, err := add(b.config.Text, true)
	if err != nil {
		return nil, err
	}
	if !p.isString(text) {
		return nil, fmt.Errorf("%s: column %q is no text; columns of text are %s", b.unit.Path, text.name, strings.Join(p.textColumns(), ", "))
	}
	if b.config.ID != "" {
		if p.id, err = add(b.config.ID, true); err != nil {
			return nil, err
		}
	}
	if b.config.URL != "" {
		if p.url, err = add(b.config.URL, false); err != nil {
			return nil, err
		}
	}
	for _, name := range b.config.Fields {
		if _, err = add(name, true); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// caught makes an error of a panic: the library trusts some numbers of a file.
func caught(b *base, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: damaged Parquet file: %v", b.unit.Path, p)
	}
}

// checkSizes compares what the footer says of sizes with the file's own size.
func (p *parquetFile) checkSizes() error {
	most := max(64<<20, min(p.config.Limits.Expanded, p.unit.Size*min(p.config.Limits.Ratio, math.MaxInt64/max(p.unit.Size, 1))))
	for g, group := range p.pf.Metadata().RowGroups {
		for _, c := range group.Columns {
			m := &c.MetaData
			name := strings.Join(m.PathInSchema, ".")
			if m.TotalUncompressedSize > most || m.TotalUncompressedSize < 0 {
				return fmt.Errorf("%s: row group %d: column %s: %w: %d bytes are declared, at most %d are possible (limits.ratio, limits.expanded)", p.unit.Path, g, name, ErrExpands, m.TotalUncompressedSize, most)
			}
			if m.TotalCompressedSize < 0 || m.TotalCompressedSize > p.unit.Size {
				return fmt.Errorf("%s: row group %d: column %s: %d packed bytes are declared, the file has %d", p.unit.Path, g, name, m.TotalCompressedSize, p.unit.Size)
			}
		}
	}
	return nil
}

// column finds a column by its name or path; nil where it is missing and not
// needed.
func (p *parquetFile) column(name string, needed bool) (*column, error) {
	schema := p.pf.Schema()
	paths := schema.Columns()
	find := func(path []string) *column {
		i := slices.IndexFunc(paths, func(have []string) bool { return slices.Equal(have, path) })
		if i < 0 {
			return nil
		}
		return &column{name: name, index: i}
	}
	c := find([]string{name})
	if c == nil {
		c = find(strings.Split(name, "."))
	}
	if c != nil {
		leaf, _ := schema.Lookup(paths[c.index]...)
		if leaf.MaxRepetitionLevel > 0 {
			return nil, p.nested(name)
		}
		return c, nil
	}
	for _, path := range paths {
		if path[0] == name || strings.HasPrefix(strings.Join(path, "."), name+".") {
			return nil, p.nested(name)
		}
	}
	if !needed {
		return nil, nil
	}
	return nil, fmt.Errorf("%s: no column %q; columns of text are %s", p.unit.Path, name, strings.Join(p.textColumns(), ", "))
}

func (p *parquetFile) nested(name string) error {
	return fmt.Errorf("%s: column %q is nested (a list or object, such as the messages of a dialog); only plain columns are read: columns of text are %s", p.unit.Path, name, strings.Join(p.textColumns(), ", "))
}

func (p *parquetFile) isString(c *column) bool {
	leaf, ok := p.pf.Schema().Lookup(p.pf.Schema().Columns()[c.index]...)
	return ok && leaf.Node.Leaf() && leaf.Node.Type().Kind() == parquet.ByteArray
}

// textColumns lists the columns that could be the text.
func (p *parquetFile) textColumns() (names []string) {
	for i, path := range p.pf.Schema().Columns() {
		leaf, ok := p.pf.Schema().Lookup(path...)
		if ok && leaf.MaxRepetitionLevel == 0 && p.isString(&column{index: i}) {
			names = append(names, strings.Join(path, "."))
		}
	}
	if names == nil {
		return []string{"(none)"}
	}
	return names
}

func (p *parquetFile) Next(d *doc.Document) (err error) {
	if p.failure != nil {
		return p.failure
	}
	defer func() {
		if err != nil {
			p.failure = err
		}
	}()
	defer caught(p.base, &err)
	for {
		for p.left == 0 {
			if err := p.nextGroup(); err != nil {
				return err
			}
		}
		p.left--
		row := p.row
		p.row++
		ok, err := p.read(d, row)
		if err != nil || ok {
			return err
		}
	}
}

// nextGroup opens the columns of the next row group.
func (p *parquetFile) nextGroup() error {
	groups := p.pf.RowGroups()
	if p.group == len(groups) {
		return io.EOF
	}
	p.closeGroup()
	g := groups[p.group]
	p.group++
	p.left = g.NumRows()
	for _, c := range p.columns {
		c.pages = g.ColumnChunks()[c.index].Pages()
	}
	return nil
}

func (p *parquetFile) closeGroup() {
	for _, c := range p.columns {
		if c.page != nil {
			parquet.Release(c.page)
		}
		if c.pages != nil {
			c.pages.Close()
		}
		c.page, c.pages, c.in, c.have = nil, nil, nil, nil
	}
}

func (p *parquetFile) Close() error {
	p.closeGroup()
	return p.base.Close()
}

// next returns the column's value in the next row. It is valid until the next
// call.
func (c *column) next() (parquet.Value, error) {
	for len(c.have) == 0 {
		if c.in != nil {
			n, err := c.in.ReadValues(c.buf[:])
			c.have = c.buf[:n]
			if err != nil && err != io.EOF {
				return parquet.Value{}, err
			}
			if err == io.EOF {
				c.in = nil
			}
			if n > 0 {
				break
			}
			continue
		}
		if c.page != nil {
			parquet.Release(c.page)
			c.page = nil
		}
		page, err := c.pages.ReadPage()
		if err == io.EOF {
			return parquet.Value{}, io.ErrUnexpectedEOF // fewer values than rows
		}
		if err != nil {
			return parquet.Value{}, err
		}
		c.page, c.in = page, page.Values()
	}
	v := c.have[0]
	c.have = c.have[1:]
	return v, nil
}

// read makes a document of the next row; false if it was rejected or is empty.
func (p *parquetFile) read(d *doc.Document, row int64) (bool, error) {
	var text, id, link string
	var meta map[string]string
	var noText, tooLong bool
	for i, c := range p.columns {
		v, err := c.next()
		if err != nil {
			return false, fmt.Errorf("%s: row %d: column %q: %w", p.unit.Path, row, c.name, err)
		}
		switch {
		case i == 0:
			b := v.ByteArray()
			noText, tooLong = v.IsNull(), int64(len(b)) > p.config.Limits.Record
			if !tooLong {
				text = string(b)
			}
		case v.IsNull():
		case c == p.id:
			id = v.Clone().String()
		case c == p.url:
			link = v.Clone().String()
		default:
			if meta == nil {
				meta = map[string]string{}
			}
			meta[c.name] = v.Clone().String()
		}
	}
	place := "row " + strconv.FormatInt(row, 10)
	switch {
	case noText:
		return false, p.rejectAt(place, "no_text", fmt.Sprintf("column %q is null", p.config.Text))
	case tooLong:
		return false, p.rejectAt(place, "too_long", fmt.Sprintf("a text of more than %d bytes (limits.record)", p.config.Limits.Record))
	case p.id != nil && id == "":
		return false, p.rejectAt(place, "no_id", fmt.Sprintf("column %q is empty", p.config.ID))
	case strings.TrimSpace(text) == "":
		p.st.Add("read.empty", 1)
		return false, nil
	}
	if p.id == nil {
		id = strconv.FormatInt(row, 10)
	}
	p.fill(d, text, id, link, meta)
	return true, nil
}
