package plot

import (
	"fmt"
	"slices"
	"strings"

	"gonum.org/v1/plot"
)

// What runs can be drawn over.
const (
	AxisTokens = "tokens"
	AxisSteps  = "steps"
)

// RunsConfig says how runs are drawn.
type RunsConfig struct {
	Labels []string // names in the legend, one for each run; nil: the runs' own
	Title  string
	Over   string   // AxisTokens or AxisSteps
	Panels []string // fields of the metrics, from the top; nil: loss, lr and grad_norm as far as they are there
	// Smooth is the number of logged values that are averaged around each, 0 or 1
	// for none; the values themselves are then drawn faintly.
	Smooth        int
	LogX, LogY    bool     // LogY is for the first panel
	YMin, YMax    *float64 // of the first panel
	Width, Height float64  // points of 1/72 inch; 0: a size that fits the panels
}

// fieldLabels are those of the fields that Cria's own trainer writes; they must
// be numbers.
var fieldLabels = map[string]string{
	"loss":         "loss (nats per token)",
	"val_loss":     "validation loss (nats per token)",
	"lr":           "learning rate",
	"grad_norm":    "gradient norm",
	"tokens_per_s": "tokens/s",
}

// Validate refuses settings that make no figure.
func (c *RunsConfig) Validate(runs int) error {
	switch {
	case c.Over != AxisTokens && c.Over != AxisSteps:
		return fmt.Errorf("plot: runs over %q; %s and %s are possible", c.Over, AxisTokens, AxisSteps)
	case c.Smooth < 0:
		return fmt.Errorf("plot: smoothing over %d values; 0 is none", c.Smooth)
	case len(c.Labels) > 0 && len(c.Labels) != runs:
		return fmt.Errorf("plot: %d labels for %d runs", len(c.Labels), runs)
	case c.Width < 0 || c.Height < 0 || c.Width > 10000 || c.Height > 10000:
		return fmt.Errorf("plot: a size of %gx%g points; 0 to 10000 are possible", c.Width, c.Height)
	}
	return nil
}

// Runs draws runs in one figure, a colour for each: the training loss as the
// paper's figure 5 has it, with validation loss where it was measured, and
// further fields in panels below. notes say what could not be drawn.
func Runs(runs []*Run, c RunsConfig) (fig *Figure, notes []string, err error) {
	if err := c.Validate(len(runs)); err != nil {
		return nil, nil, err
	}
	labels := c.Labels
	if len(labels) == 0 {
		labels = names(runs)
	}
	panels := c.Panels
	if len(panels) == 0 {
		panels = present(runs, "loss", "lr", "grad_norm")
		if len(panels) == 0 {
			return nil, nil, fmt.Errorf("plot: %s has none of loss, lr and grad_norm; name panels: %s", runs[0].Path, strings.Join(runs[0].Fields, ", "))
		}
	}
	if c.Title == "" && panels[0] == "loss" {
		c.Title = "Training loss"
	}
	frame := Frame{Title: c.Title, LogX: c.LogX, Width: c.Width, Height: c.Height, Note: c.note(panels, runs)}
	fig = frame.figure(defaultHeight + 110*float64(len(panels)-1))
	for i, l := range labels {
		fig.legend = append(fig.legend, entry{name: clean(l), color: colorOf(i), dashes: dashesOf(i)})
	}
	drawn := make([][]Line, len(panels))
	for i, field := range panels {
		more, err := c.lines(runs, field, &drawn[i])
		if err != nil {
			return nil, nil, err
		}
		notes = append(notes, more...)
	}
	lo, hi := xRange(drawn)
	for i, field := range panels {
		f := Frame{YLabel: field, LogX: c.LogX}
		if l, ok := fieldLabels[field]; ok {
			f.YLabel = l
		}
		share, marks := 1.0, ticks(4)
		if i == 0 {
			f.LogY, f.YMin, f.YMax = c.LogY, c.YMin, c.YMax
			share, marks = 3, 5
		}
		p, err := lineAxes(&f, drawn[i])
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", field, err)
		}
		if !f.LogY {
			p.Y.Tick.Marker = marks
		}
		p.X.Min, p.X.Max = widen(lo, hi, 0, c.LogX)
		if i == len(panels)-1 {
			p.X.Label.Text = map[string]string{AxisTokens: "tokens", AxisSteps: "optimiser steps"}[c.Over]
		} else {
			p.X.Tick.Marker = unlabelled{p.X.Tick.Marker}
		}
		fig.panels = append(fig.panels, panel{p, share})
	}
	return fig, notes, nil
}

// names are the runs' own; where two are the same, their paths.
func names(runs []*Run) []string {
	out := make([]string, len(runs))
	for i, r := range runs {
		out[i] = r.Name
		for j, o := range runs {
			if i != j && o.Name == r.Name {
				out[i] = r.Path
			}
		}
	}
	return out
}

// present returns those fields that one of the runs has.
func present(runs []*Run, fields ...string) (out []string) {
	for _, f := range fields {
		if slices.ContainsFunc(runs, func(r *Run) bool { return r.curves[f] != nil }) {
			out = append(out, f)
		}
	}
	return out
}

// lines makes one panel's lines; a panel of losses has the validation's too.
func (c *RunsConfig) lines(runs []*Run, field string, out *[]Line) (notes []string, err error) {
	if len(present(runs, field)) == 0 {
		return nil, fmt.Errorf("plot: no run has the field %q; %s has %s", field, runs[0].Path, strings.Join(runs[0].Fields, ", "))
	}
	for i, r := range runs {
		x, y, err := r.over(field, c.Over)
		if err != nil {
			return nil, err
		}
		if x == nil {
			notes = append(notes, fmt.Sprintf("%s has no %s", r.Path, field))
			continue
		}
		if c.LogX {
			k := 0
			for k < len(x) && x[k] <= 0 {
				k++
			}
			if k > 0 {
				notes = append(notes, fmt.Sprintf("%s: %s at 0 %s cannot stand on a logarithmic axis and is not drawn", r.Path, field, c.Over))
				x, y = x[k:], y[k:]
			}
		}
		line := Line{Name: r.Name, X: x, Y: y, Color: i}
		if field == "val_loss" {
			line.Dashed = true
		} else if c.Smooth > 1 && field != "lr" { // the schedule has no noise
			faint := line
			faint.Faint = true
			*out = append(*out, faint)
			line.Y = smooth(y, c.Smooth)
		}
		*out = append(*out, line)
	}
	if field == "loss" && len(present(runs, "val_loss")) > 0 {
		var validation []Line
		if _, err := c.lines(runs, "val_loss", &validation); err != nil { // that a run has none is clear from the figure
			return nil, err
		}
		*out = append(*out, validation...)
	}
	return notes, nil
}

// note says how to read the lines.
func (c *RunsConfig) note(panels []string, runs []*Run) string {
	var parts []string
	if c.Smooth > 1 {
		parts = append(parts, fmt.Sprintf("Lines: mean of %d logged values around each (fewer near the ends); faint: every logged value.", c.Smooth|1))
	}
	if slices.Contains(panels, "loss") && len(present(runs, "val_loss")) > 0 {
		parts = append(parts, "Dashed with dots: validation loss.")
	}
	return strings.Join(parts, " ")
}

// smooth averages the values around each, as many before as after it, so that
// no curve is shifted. At the start, where losses fall fast, the window is as
// narrow as that asks for; at the end, where they hardly do and single values
// are noise, it is cut. An even window becomes the next odd one.
func smooth(y []float64, window int) []float64 {
	half := window / 2
	sums := make([]float64, len(y)+1)
	for i, v := range y {
		sums[i+1] = sums[i] + v
	}
	out := make([]float64, len(y))
	for i := range y {
		h := min(half, i)
		end := min(i+h+1, len(y))
		out[i] = (sums[end] - sums[i-h]) / float64(end-i+h)
	}
	return out
}

// xRange is from the least to the greatest x of all panels.
func xRange(panels [][]Line) (lo, hi float64) {
	first := true
	for _, lines := range panels {
		for _, l := range lines {
			if n := len(l.X); n > 0 {
				if first {
					lo, hi, first = l.X[0], l.X[n-1], false
				}
				lo, hi = min(lo, l.X[0]), max(hi, l.X[n-1])
			}
		}
	}
	return lo, hi
}

// unlabelled keeps another axis' marks and leaves their numbers out: the panel
// below has them.
type unlabelled struct{ plot.Ticker }

// Ticks returns the marks.
func (u unlabelled) Ticks(lo, hi float64) []plot.Tick {
	marks := u.Ticker.Ticks(lo, hi)
	for i := range marks {
		if marks[i].Label != "" { // with no label at all it would be a minor one
			marks[i].Label = " "
		}
	}
	return marks
}
