package plot

import (
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Line is one curve. X must not descend.
type Line struct {
	Name   string // in the legend; empty: not there
	X, Y   []float64
	Color  int  // lines of one colour belong together
	Dashed bool // dashes and a dot at each point: few points that were measured
	Faint  bool // in the background
}

// Lines draws curves over one pair of axes. A curve with more points than the
// figure can show is drawn by the extremes of each piece of the width, which
// looks the same.
func Lines(f Frame, lines ...Line) (*Figure, error) {
	fig := f.figure(defaultHeight)
	p, err := lineAxes(&f, lines)
	if err != nil {
		return nil, err
	}
	fig.panels = []panel{{p, 1}}
	fig.legend = lineLegend(lines)
	return fig, nil
}

// lineLegend names the lines that have names.
func lineLegend(lines []Line) (out []entry) {
	for _, l := range lines {
		if l.Name == "" {
			continue
		}
		e := entry{name: clean(l.Name), color: colorOf(l.Color), dashes: dashesOf(l.Color)}
		if l.Dashed {
			e.dashes = []vg.Length{4, 3}
		}
		out = append(out, e)
	}
	return out
}

// lineAxes makes axes with the lines in them.
func lineAxes(f *Frame, lines []Line) (*plot.Plot, error) {
	p := newAxes(f)
	if err := setRange(p, f, lines); err != nil {
		return nil, err
	}
	for i := range lines {
		if err := addLine(p, f, &lines[i]); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// setRange makes the axes as long as the data, with some room above and below.
func setRange(p *plot.Plot, f *Frame, lines []Line) error {
	for i := range lines {
		l := &lines[i]
		if len(l.X) != len(l.Y) {
			return fmt.Errorf("plot: line %q has %d x and %d y", l.Name, len(l.X), len(l.Y))
		}
		for j, x := range l.X {
			y := l.Y[j]
			switch {
			case math.IsNaN(x) || math.IsInf(x, 0) || math.IsNaN(y) || math.IsInf(y, 0):
				return fmt.Errorf("plot: line %q: point %d is (%g, %g)", l.Name, j, x, y)
			case f.LogX && x <= 0 || f.LogY && y <= 0:
				return fmt.Errorf("plot: line %q: point %d, (%g, %g), cannot stand on a logarithmic axis", l.Name, j, x, y)
			case j > 0 && x < l.X[j-1]:
				return fmt.Errorf("plot: line %q: x descends at point %d", l.Name, j)
			}
			p.X.Min, p.X.Max = min(p.X.Min, x), max(p.X.Max, x)
			p.Y.Min, p.Y.Max = min(p.Y.Min, y), max(p.Y.Max, y)
		}
	}
	if p.X.Min > p.X.Max {
		return fmt.Errorf("plot: there is no point to draw")
	}
	p.X.Min, p.X.Max = widen(p.X.Min, p.X.Max, 0, f.LogX)
	p.Y.Min, p.Y.Max = widen(p.Y.Min, p.Y.Max, 0.04, f.LogY)
	return f.fixY(p)
}

// widen adds a share of the range at both ends, or something where there is no
// range.
func widen(lo, hi, share float64, log bool) (float64, float64) {
	if share == 0 && lo < hi {
		return lo, hi // to the last bit: nothing is cut off
	}
	if log {
		lo, hi = widen(math.Log(lo), math.Log(hi), share, false)
		return math.Exp(lo), math.Exp(hi)
	}
	if lo == hi {
		d := max(math.Abs(lo)/10, 1e-12)
		return lo - d, hi + d
	}
	d := (hi - lo) * share
	return lo - d, hi + d
}

func addLine(p *plot.Plot, f *Frame, l *Line) error {
	if len(l.X) == 0 {
		return nil
	}
	xy := thin(l.X, l.Y, f.LogX)
	pl, err := plotter.NewLine(xy)
	if err != nil {
		return fmt.Errorf("plot: line %q: %w", l.Name, err)
	}
	c := colorOf(l.Color)
	pl.Width, pl.Dashes = 1.3, dashesOf(l.Color)
	if l.Faint {
		c.A, pl.Width = 0x50, 0.8
	}
	pl.Color = c
	var dots *plotter.Scatter
	if l.Dashed {
		// Darker, to be seen in front of a noisy line of the same colour.
		c.R, c.G, c.B = c.R/2, c.G/2, c.B/2
		pl.Color, pl.Dashes = c, []vg.Length{4, 3}
		if dots, err = plotter.NewScatter(xy); err != nil {
			return fmt.Errorf("plot: line %q: %w", l.Name, err)
		}
	} else if len(xy) == 1 { // a line of one point would be nothing
		if dots, err = plotter.NewScatter(xy); err != nil {
			return fmt.Errorf("plot: line %q: %w", l.Name, err)
		}
	}
	addClipped(p, pl)
	if dots != nil {
		dots.GlyphStyle = draw.GlyphStyle{Color: color.Color(c), Radius: 2, Shape: draw.CircleGlyph{}}
		addClipped(p, dots)
	}
	return nil
}

// addClipped adds a plotter without letting it move the ends of the axes.
func addClipped(p *plot.Plot, pl plot.Plotter) {
	x0, x1, y0, y1 := p.X.Min, p.X.Max, p.Y.Min, p.Y.Max
	p.Add(pl)
	p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = x0, x1, y0, y1
}

// pieces of the width are about as wide as a pixel.
const pieces = 1000

// thin leaves the first, lowest, highest and last point of each piece of the
// width.
func thin(x, y []float64, log bool) plotter.XYs {
	xy := make(plotter.XYs, 0, min(len(x), 4*pieces))
	if len(x) <= 4*pieces {
		for i := range x {
			xy = append(xy, plotter.XY{X: x[i], Y: y[i]})
		}
		return xy
	}
	at := func(i int) float64 {
		if log {
			return math.Log(x[i])
		}
		return x[i]
	}
	lo, span := at(0), at(len(x)-1)-at(0)
	piece := func(i int) int {
		if span == 0 {
			return 0
		}
		return min(int((at(i)-lo)/span*pieces), pieces-1)
	}
	for first := 0; first < len(x); {
		last, low, high := first, first, first
		for i := first; i < len(x) && piece(i) == piece(first); i++ {
			last = i
			if y[i] < y[low] {
				low = i
			}
			if y[i] > y[high] {
				high = i
			}
		}
		previous := -1
		for _, i := range []int{first, min(low, high), max(low, high), last} {
			if i > previous {
				xy = append(xy, plotter.XY{X: x[i], Y: y[i]})
				previous = i
			}
		}
		first = last + 1
	}
	return xy
}
