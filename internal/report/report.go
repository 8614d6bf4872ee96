// Package report writes HTML reports: one file with tables and figures that
// needs no script, asks no other host for anything, and reads well on light and
// dark screens. All text is escaped: what a report quotes stays text.
package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/cria-llm/cria/internal/plot"
)

// Page is a whole report.
type Page struct {
	Title    string
	Lead     string // says in a sentence or two what the report is about
	Sections []Section
}

// Section is a heading and what stands below it. Pages with more than two
// sections begin with a list of them.
type Section struct {
	Title string
	Parts []Part
}

// Part is a piece of a section: Text, Table, Figure, Quote or Folded.
type Part interface{ html() (template.HTML, error) }

// Text is a paragraph.
type Text string

// Table has a heading per column and as many cells in every row. Columns of
// numbers are aligned right.
type Table struct {
	Caption string
	Head    []string
	Rows    [][]string
}

// Figure is a drawing of package plot.
type Figure struct {
	*plot.Figure
	Caption string
}

// Quote is text as it was found, line breaks included.
type Quote struct {
	Source string // where it is from
	Text   string
}

// Folded is hidden until its summary is clicked.
type Folded struct {
	Summary string
	Parts   []Part
}

//go:embed page.html
var source string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"numbers": numbers}).Parse(source))

// Write writes the page. Errors are those of w, and of tables and figures that
// cannot be drawn.
func (p *Page) Write(w io.Writer) error {
	type section struct {
		ID    int
		Title string
		Parts []template.HTML
	}
	data := struct {
		Title, Lead string
		Sections    []section
	}{Title: p.Title, Lead: p.Lead}
	for i, s := range p.Sections {
		parts, err := render(s.Parts)
		if err != nil {
			return fmt.Errorf("report: section %q: %w", s.Title, err)
		}
		data.Sections = append(data.Sections, section{i + 1, s.Title, parts})
	}
	var b bytes.Buffer // an error must not leave half a page
	if err := page.Execute(&b, data); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func render(parts []Part) ([]template.HTML, error) {
	out := make([]template.HTML, len(parts))
	for i, p := range parts {
		var err error
		if out[i], err = p.html(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// piece executes one of the templates of page.html.
func piece(name string, data any) (template.HTML, error) {
	var b strings.Builder
	err := page.ExecuteTemplate(&b, name, data)
	return template.HTML(b.String()), err
}

func (t Text) html() (template.HTML, error) { return piece("text", t) }

func (t Table) html() (template.HTML, error) {
	for i, r := range t.Rows {
		if len(r) != len(t.Head) {
			return "", fmt.Errorf("table %q: row %d has %d cells for %d columns", t.Caption, i, len(r), len(t.Head))
		}
	}
	return piece("table", t)
}

func (f Figure) html() (template.HTML, error) {
	svg, err := f.SVG()
	if err != nil {
		return "", err
	}
	// Package plot escapes the texts within.
	return piece("figure", struct {
		SVG     template.HTML
		Caption string
	}{template.HTML(svg), f.Caption})
}

func (q Quote) html() (template.HTML, error) { return piece("quote", q) }

func (f Folded) html() (template.HTML, error) {
	parts, err := render(f.Parts)
	if err != nil {
		return "", err
	}
	return piece("folded", struct {
		Summary string
		Parts   []template.HTML
	}{f.Summary, parts})
}

// numbers says of each column whether its cells are numbers: they have a digit,
// and begin with one, a sign or nothing at all.
func numbers(t Table) []bool {
	out := make([]bool, len(t.Head))
	for i := range out {
		digits := false
		out[i] = true
		for _, r := range t.Rows {
			cell := r[i]
			if cell == "" || cell == "–" {
				continue
			}
			digits = true
			if strings.IndexAny(strings.TrimLeft(cell, "+-−<>≤≥~ "), "0123456789") != 0 {
				out[i] = false
			}
		}
		out[i] = out[i] && digits
	}
	return out
}
