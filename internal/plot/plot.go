// Package plot draws figures: curves, bars and histograms, and the curves of
// training runs from their metrics. A figure becomes an SVG, which stands alone
// or inside a page and names no other host, or a PNG.
//
// The same data give the same bytes. Colours differ for people who do not see
// all colours (Okabe and Ito's palette), and legends stand above the axes, where
// they hide no data.
package plot

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Frame is what stands around the data.
type Frame struct {
	Title          string
	XLabel, YLabel string
	LogX, LogY     bool     // logarithmic axes: every value must be above 0
	YMin, YMax     *float64 // fixed ends of the y axis; nil: as the data
	Note           string   // small text below the axes: how to read the figure
	Width, Height  float64  // points of 1/72 inch; 0: a size that fits the data
}

// Figure is a drawing that is ready to be written.
type Figure struct {
	title, note   string
	legend        []entry
	panels        []panel
	width, height float64
}

// panel is one pair of axes; panels stand one below the other, with heights in
// proportion to share.
type panel struct {
	axes  *plot.Plot
	share float64
}

// entry is one name in a legend.
type entry struct {
	name   string
	color  color.Color
	dashes []vg.Length
	block  bool // a filled square instead of a line
}

const (
	defaultWidth  = 560
	defaultHeight = 340
	pngDPI        = 144
)

// palette is Okabe and Ito's, dark enough for lines on white.
var palette = []color.NRGBA{
	{0x00, 0x72, 0xB2, 0xFF}, {0xD5, 0x5E, 0x00, 0xFF}, {0x00, 0x9E, 0x73, 0xFF}, {0xCC, 0x79, 0xA7, 0xFF},
	{0xE6, 0x9F, 0x00, 0xFF}, {0x56, 0xB4, 0xE9, 0xFF}, {0x59, 0x59, 0x59, 0xFF}, {0xA8, 0x9C, 0x00, 0xFF},
}

var (
	ink  = color.NRGBA{0x22, 0x22, 0x22, 0xFF}
	grey = color.NRGBA{0x66, 0x66, 0x66, 0xFF}
	pale = color.NRGBA{0xDD, 0xDD, 0xDD, 0xFF}
)

// colorOf returns the i-th colour; after the last the first comes again.
func colorOf(i int) color.NRGBA { return palette[i%len(palette)] }

// dashesOf tells apart lines that share a colour.
func dashesOf(i int) []vg.Length {
	switch i / len(palette) % 3 {
	case 1:
		return []vg.Length{6, 3}
	case 2:
		return []vg.Length{1.5, 2}
	}
	return nil
}

// style is text in the one font of all figures.
func style(size float64, c color.Color) text.Style {
	return text.Style{Color: c, Font: font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Length(size)), Handler: plot.DefaultTextHandler}
}

// newAxes makes empty axes with a frame's labels.
func newAxes(f *Frame) *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = pale, pale
	p.Add(grid)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Tick.Color = grey, grey
		a.Padding = 0
		a.Tick.Length = 4
		tick := style(9, ink)
		tick.XAlign, tick.YAlign = a.Tick.Label.XAlign, a.Tick.Label.YAlign
		a.Tick.Label = tick
		label := style(10, ink)
		label.XAlign, label.YAlign = a.Label.TextStyle.XAlign, a.Label.TextStyle.YAlign
		a.Label.TextStyle = label
		a.Label.Padding = 4
	}
	p.X.Label.Text, p.Y.Label.Text = clean(f.XLabel), clean(f.YLabel)
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks(6), ticks(5)
	if f.LogX {
		p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, logTicks{}
	}
	if f.LogY {
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, logTicks{}
	}
	return p
}

// figure makes a Figure with a frame's texts and size.
func (f *Frame) figure(height float64) *Figure {
	fig := &Figure{title: clean(f.Title), note: f.Note, width: f.Width, height: f.Height}
	if fig.width == 0 {
		fig.width = defaultWidth
	}
	if fig.height == 0 {
		fig.height = height
	}
	return fig
}

// fixY applies a frame's own ends of the y axis.
func (f *Frame) fixY(p *plot.Plot) error {
	if f.YMin != nil {
		p.Y.Min = *f.YMin
	}
	if f.YMax != nil {
		p.Y.Max = *f.YMax
	}
	if p.Y.Min >= p.Y.Max {
		return fmt.Errorf("plot: the y axis would go from %g to %g", p.Y.Min, p.Y.Max)
	}
	if f.LogY && p.Y.Min <= 0 {
		return fmt.Errorf("plot: a logarithmic y axis cannot begin at %g", p.Y.Min)
	}
	return nil
}

// SVG returns the figure as an SVG element without an XML declaration: a file of
// its own, or a part of an HTML page.
func (f *Figure) SVG() ([]byte, error) {
	c := vgsvg.New(vg.Length(f.width), vg.Length(f.height))
	f.draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return nil, fmt.Errorf("plot: %w", err)
	}
	out := b.Bytes()
	start, head := bytes.Index(out, []byte("<svg ")), []byte(nil)
	end := start + bytes.IndexByte(out[start:], '>')
	// Viewers without the font take one with its widths; the size is the
	// reader's to change.
	head = fmt.Appendf(head, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" width="%gpt" height="%gpt" role="img" aria-label="%s">`,
		f.width, f.height, f.width, f.height, html.EscapeString(f.title))
	body := bytes.ReplaceAll(out[end+1:], []byte("font-family:Liberation Sans;"), []byte("font-family:'Liberation Sans',Arial,Helvetica,sans-serif;"))
	return append(head, body...), nil
}

// PNG returns the figure as a PNG image, two pixels for a point.
func (f *Figure) PNG() ([]byte, error) {
	c := vgimg.NewWith(vgimg.UseWH(vg.Length(f.width), vg.Length(f.height)), vgimg.UseDPI(pngDPI))
	f.draw(draw.New(c))
	var b bytes.Buffer
	if _, err := (vgimg.PngCanvas{Canvas: c}).WriteTo(&b); err != nil {
		return nil, fmt.Errorf("plot: %w", err)
	}
	return b.Bytes(), nil
}

const margin = 10

// draw puts title, legend, panels and note onto a canvas, from the top.
func (f *Figure) draw(c draw.Canvas) {
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	c = draw.Crop(c, margin, -margin, margin, -margin)
	if f.title != "" {
		st := style(12, ink)
		st.YAlign = draw.YTop
		c.FillText(st, vg.Point{X: c.Min.X, Y: c.Max.Y}, f.title)
		c.Max.Y -= 20
	}
	c.Max.Y -= f.drawLegend(c)
	c.Min.Y += f.drawNote(c)

	left, right := vg.Length(0), vg.Length(0)
	parts := f.split(c)
	data := make([]draw.Canvas, len(parts))
	for i, part := range parts {
		data[i] = f.panels[i].axes.DataCanvas(part)
		left = max(left, data[i].Min.X)
		right = max(right, c.Max.X-data[i].Max.X)
	}
	for i, part := range parts { // all x axes begin and end below each other
		f.panels[i].axes.Draw(draw.Crop(part, left-data[i].Min.X, c.Max.X-data[i].Max.X-right, 0, 0))
	}
}

// split divides what is left of a canvas among the panels.
func (f *Figure) split(c draw.Canvas) []draw.Canvas {
	const gap = 8
	total := 0.0
	for _, p := range f.panels {
		total += p.share
	}
	room := float64(c.Max.Y-c.Min.Y) - gap*float64(len(f.panels)-1)
	parts := make([]draw.Canvas, len(f.panels))
	top := c.Max.Y
	for i, p := range f.panels {
		h := vg.Length(room * p.share / total)
		parts[i] = draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{Min: vg.Point{X: c.Min.X, Y: top - h}, Max: vg.Point{X: c.Max.X, Y: top}}}
		top -= h + gap
	}
	return parts
}

// drawLegend writes the names in rows from the top and returns their height.
func (f *Figure) drawLegend(c draw.Canvas) vg.Length {
	if len(f.legend) == 0 {
		return 0
	}
	const sample, row, space = 18, 15, 14
	st := style(9.5, ink)
	st.YAlign = draw.YCenter
	x, y := c.Min.X, c.Max.Y-row/2
	for _, e := range f.legend {
		w := sample + 5 + st.Width(e.name)
		if x > c.Min.X && x+w > c.Max.X {
			x, y = c.Min.X, y-row
		}
		if e.block {
			c.FillPolygon(e.color, []vg.Point{{X: x + 4, Y: y - 5}, {X: x + 14, Y: y - 5}, {X: x + 14, Y: y + 5}, {X: x + 4, Y: y + 5}})
		} else {
			c.StrokeLine2(draw.LineStyle{Color: e.color, Width: 2, Dashes: e.dashes}, x, y, x+sample, y)
		}
		c.FillText(st, vg.Point{X: x + sample + 5, Y: y + 1}, e.name)
		x += w + space
	}
	return c.Max.Y - y + row/2 + 4
}

// drawNote writes the note, wrapped, at the bottom and returns its height.
func (f *Figure) drawNote(c draw.Canvas) vg.Length {
	st := style(8, grey)
	st.YAlign = draw.YBottom
	lines := wrap(f.note, c.Max.X-c.Min.X, st)
	for i, line := range lines {
		c.FillText(st, vg.Point{X: c.Min.X, Y: c.Min.Y + vg.Length(len(lines)-1-i)*11}, line)
	}
	if len(lines) == 0 {
		return 0
	}
	return vg.Length(len(lines))*11 + 5
}

// wrap cuts a text into lines of at most that width, at spaces.
func wrap(s string, width vg.Length, st text.Style) (lines []string) {
	line := ""
	for _, word := range strings.Fields(clean(s)) {
		switch {
		case line == "":
			line = word
		case st.Width(line+" "+word) <= width:
			line += " " + word
		default:
			lines, line = append(lines, line), word
		}
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// clean replaces what neither XML nor one line of text can hold.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < 0x20 || r == 0x7F || r == 0xFFFE || r == 0xFFFF:
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
