package plot

import (
	"fmt"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Series is a row of values, one for each label or bin.
type Series struct {
	Name   string // in the legend; empty: not there
	Values []float64
}

// Bars draws horizontal bars, the first label on top, with the value written at
// each bar's end. Several series stand one below the other, or, stacked, in one
// bar, whose total is written. Values must not be negative; a logarithmic axis
// (Frame.LogX) is not possible, as a bar begins at 0.
func Bars(f Frame, labels []string, stacked bool, series ...Series) (*Figure, error) {
	if f.LogX || f.LogY {
		return nil, fmt.Errorf("plot: bars begin at 0, which a logarithmic axis does not have")
	}
	if len(labels) == 0 || len(series) == 0 {
		return nil, fmt.Errorf("plot: %d labels and %d series of bars: nothing to draw", len(labels), len(series))
	}
	if err := checkSeries(series, len(labels)); err != nil {
		return nil, err
	}
	b := &bars{series: series, n: len(labels), stacked: stacked}
	p := newAxes(&f)
	p.X.Min, p.X.Max = 0, b.longest()*1.12 // room for the numbers
	if p.X.Max == 0 {
		p.X.Max = 1
	}
	p.Y.Min, p.Y.Max = -0.5, float64(len(labels))-0.5
	names := make(plot.ConstantTicks, len(labels))
	for i, l := range labels {
		names[i] = plot.Tick{Value: float64(len(labels) - 1 - i), Label: clean(l)}
	}
	p.Y.Tick.Marker, p.Y.Tick.Length = names, 0
	addClipped(p, b)

	slot := 18.0
	if !stacked {
		slot = max(slot, 13*float64(len(series)))
	}
	fig := f.figure(90 + slot*float64(len(labels)))
	fig.panels = []panel{{p, 1}}
	fig.legend = seriesLegend(series)
	return fig, nil
}

func checkSeries(series []Series, n int) error {
	for _, s := range series {
		if len(s.Values) != n {
			return fmt.Errorf("plot: series %q has %d values; %d are needed", s.Name, len(s.Values), n)
		}
		for i, v := range s.Values {
			if !(v >= 0) || math.IsInf(v, 1) {
				return fmt.Errorf("plot: series %q: value %d is %g; it must be 0 or more", s.Name, i, v)
			}
		}
	}
	return nil
}

func seriesLegend(series []Series) (out []entry) {
	for i, s := range series {
		if s.Name != "" {
			out = append(out, entry{name: clean(s.Name), color: colorOf(i), block: true})
		}
	}
	return out
}

// bars is a plotter of horizontal bars.
type bars struct {
	series  []Series
	n       int
	stacked bool
}

func (b *bars) longest() (most float64) {
	for i := range b.n {
		sum := 0.0
		for _, s := range b.series {
			if sum += s.Values[i]; !b.stacked {
				most = max(most, s.Values[i])
			}
		}
		if b.stacked {
			most = max(most, sum)
		}
	}
	return most
}

// Plot draws the bars.
func (b *bars) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	st := style(8.5, ink)
	st.YAlign = draw.YCenter
	const thick = 0.76 // of the distance between two labels
	for i := range b.n {
		top, height, from := float64(b.n-1-i)+thick/2, thick, 0.0
		if !b.stacked {
			height = thick / float64(len(b.series))
		}
		for j, s := range b.series {
			lo, hi := y(top-height), y(top)
			fillRect(c, colorOf(j), x(from), lo, x(from+s.Values[i]), hi)
			if !b.stacked {
				c.FillText(st, vg.Point{X: x(s.Values[i]) + 3, Y: (lo+hi)/2 + 1}, short(s.Values[i]))
				top -= height
			} else {
				from += s.Values[i]
			}
		}
		if b.stacked {
			c.FillText(st, vg.Point{X: x(from) + 3, Y: y(top-height/2) + 1}, short(from))
		}
	}
}

func fillRect(c draw.Canvas, fill color.Color, x0, y0, x1, y1 vg.Length) {
	if x1 > x0 && y1 > y0 {
		c.FillPolygon(fill, []vg.Point{{X: x0, Y: y0}, {X: x1, Y: y0}, {X: x1, Y: y1}, {X: x0, Y: y1}})
	}
}

// short writes a value with three digits.
func short(v float64) string {
	if v == 0 {
		return "0"
	}
	if v == math.Trunc(v) && v < 1e4 {
		return number(v, 1)
	}
	return trim(number(v, math.Pow10(int(math.Floor(math.Log10(v)))-2)))
}

// trim takes the zeros at the end of a decimal fraction away, before a unit or
// exponent too.
func trim(s string) string {
	end := strings.IndexAny(s, "kMBTe")
	if end < 0 {
		end = len(s)
	}
	if !strings.Contains(s[:end], ".") {
		return s
	}
	return strings.TrimRight(strings.TrimRight(s[:end], "0"), ".") + s[end:]
}

// Histogram draws counts between edges, len(edges) = bins + 1, ascending.
// Several series lie over each other, half transparent. With a logarithmic y
// axis an empty bin has no bar.
func Histogram(f Frame, edges []float64, counts ...Series) (*Figure, error) {
	if len(edges) < 2 || len(counts) == 0 {
		return nil, fmt.Errorf("plot: a histogram of %d edges and %d series: nothing to draw", len(edges), len(counts))
	}
	for i, e := range edges {
		if math.IsNaN(e) || math.IsInf(e, 0) || i > 0 && e <= edges[i-1] {
			return nil, fmt.Errorf("plot: edge %d of a histogram is %g; edges are numbers that ascend", i, e)
		}
	}
	if f.LogX && edges[0] <= 0 {
		return nil, fmt.Errorf("plot: the first edge is %g, which cannot stand on a logarithmic axis", edges[0])
	}
	if err := checkSeries(counts, len(edges)-1); err != nil {
		return nil, err
	}
	p := newAxes(&f)
	p.X.Min, p.X.Max = edges[0], edges[len(edges)-1]
	p.Y.Min, p.Y.Max = 0, 0
	least := math.Inf(1)
	for _, s := range counts {
		for _, v := range s.Values {
			p.Y.Max = max(p.Y.Max, v)
			if v > 0 {
				least = min(least, v)
			}
		}
	}
	switch {
	case p.Y.Max == 0 && f.LogY:
		return nil, fmt.Errorf("plot: all counts are 0, which a logarithmic axis does not have")
	case p.Y.Max == 0:
		p.Y.Max = 1
	case f.LogY:
		p.Y.Min, p.Y.Max = least/2, p.Y.Max*1.3
	default:
		p.Y.Max *= 1.05
	}
	if err := f.fixY(p); err != nil {
		return nil, err
	}
	addClipped(p, &histogram{edges, counts})
	fig := f.figure(260)
	fig.panels = []panel{{p, 1}}
	fig.legend = seriesLegend(counts)
	return fig, nil
}

// histogram is a plotter of vertical bars between edges.
type histogram struct {
	edges  []float64
	counts []Series
}

// Plot draws the bars.
func (h *histogram) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for j, s := range h.counts {
		fill := colorOf(j)
		if len(h.counts) > 1 {
			fill.A = 0x90
		}
		for i, v := range s.Values {
			if v > p.Y.Min {
				fillRect(c, fill, x(h.edges[i]), c.Min.Y, x(h.edges[i+1])-0.5, min(y(v), c.Max.Y))
			}
		}
	}
}

// Bins counts values in n bins of equal width, or equal ratio where log is set,
// from the least value to the greatest.
func Bins(values []float64, n int, log bool) (edges, counts []float64, err error) {
	if len(values) == 0 || n < 1 {
		return nil, nil, fmt.Errorf("plot: %d values in %d bins: nothing to count", len(values), n)
	}
	at := func(v float64) float64 { return v }
	back := at
	if log {
		at, back = math.Log, math.Exp
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for i, v := range values {
		if a := at(v); math.IsNaN(a) || math.IsInf(a, 0) {
			return nil, nil, fmt.Errorf("plot: value %d is %g, which has no place among the bins", i, v)
		}
		lo, hi = min(lo, at(v)), max(hi, at(v))
	}
	if lo == hi {
		lo, hi = widen(lo, hi, 0, false)
	}
	edges, counts = make([]float64, n+1), make([]float64, n)
	for i := range edges {
		edges[i] = back(lo + (hi-lo)*float64(i)/float64(n))
	}
	for _, v := range values {
		counts[min(int((at(v)-lo)/(hi-lo)*float64(n)), n-1)]++
	}
	return edges, counts, nil
}
