package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image/color"
	"image/png"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		lo, hi float64
		log    bool
		want   string
	}{
		{0, 10, false, "0 2 4 6 8 10"},
		{1.4, 2.2, false, "1.4 1.6 1.8 2.0 2.2"},
		{-3, 3, false, "-2 0 2"},
		{0, 3e-4, false, "0 1e-4 2e-4 3e-4"},
		{0.00295, 0.00305, false, "2.96e-3 2.98e-3 3.00e-3 3.02e-3 3.04e-3"},
		{0, 2.1e12, false, "0 500B 1.0T 1.5T 2.0T"},
		{0, 45000, false, "0 10k 20k 30k 40k"},
		{1e3, 1e6, true, "1000 10k 100k 1M"},
		{1, 30, true, "1 2 5 10 20"},
		{1.5, 2.1, true, "1.6 1.8 2.0"},
		{1e-9, 1e12, true, "1e-9 1e-6 0.001 1 1000 1M 1B 1T"},
	} {
		marks := ticks(5).Ticks(c.lo, c.hi)
		if c.log {
			marks = logTicks{}.Ticks(c.lo, c.hi)
		}
		var got []string
		for _, m := range marks {
			if m.Value < c.lo*(1-1e-6)-1e-12 || m.Value > c.hi*(1+1e-6) {
				t.Errorf("%g to %g: a mark at %g", c.lo, c.hi, m.Value)
			}
			if m.Label != "" {
				got = append(got, m.Label)
			}
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("%g to %g (log %v): %q, want %q", c.lo, c.hi, c.log, s, c.want)
		}
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7: "7", 9999: "9999", 45000: "45k", 45500: "45.5k", 1234567: "1.23M", 0.5: "0.5", 0.12345: "0.123", 2e-5: "2e-5", 100000: "100k"} {
		if got := short(v); got != want {
			t.Errorf("short(%g) = %q, want %q", v, got, want)
		}
	}
}

// TestThin: of a long curve the drawn points are points of it, in order, and
// hold the extremes of each thousandth of the width.
func TestThin(t *testing.T) {
	const n = 50000
	x, y := make([]float64, n), make([]float64, n)
	for i := range x {
		x[i], y[i] = float64(i+1), math.Sin(float64(i)*float64(i)*1e-3)
	}
	y[31234] = 9 // one spike must not get lost
	for _, log := range []bool{false, true} {
		got := thin(x, y, log)
		if len(got) > 4*pieces || len(got) < pieces/2 {
			t.Errorf("log %v: %d points are drawn", log, len(got))
		}
		high := 0.0
		for i, p := range got {
			j := int(p.X) - 1
			if p.Y != y[j] || i > 0 && p.X <= got[i-1].X {
				t.Fatalf("log %v: point %d is (%g, %g)", log, i, p.X, p.Y)
			}
			high = max(high, p.Y)
		}
		if high != 9 || got[0].X != 1 || got[len(got)-1].X != n {
			t.Errorf("log %v: the highest is %g, ends %g and %g", log, high, got[0].X, got[len(got)-1].X)
		}
	}
	if got := thin(x[:3], y[:3], false); len(got) != 3 {
		t.Errorf("three points become %d", len(got))
	}
}

func TestBins(t *testing.T) {
	edges, counts, err := Bins([]float64{0, 1, 1.5, 2, 9.9, 10}, 5, false)
	if err != nil || !slices.Equal(edges, []float64{0, 2, 4, 6, 8, 10}) || !slices.Equal(counts, []float64{3, 1, 0, 0, 2}) {
		t.Errorf("%v %v %v", edges, counts, err)
	}
	edges, counts, err = Bins([]float64{1, 10, 99, 1000}, 3, true)
	if err != nil || len(edges) != 4 || math.Abs(edges[1]-10) > 1e-9 || math.Abs(edges[2]-100) > 1e-9 || counts[0]+counts[1]+counts[2] != 4 {
		t.Errorf("log: %v %v %v", edges, counts, err)
	}
	if _, counts, err = Bins([]float64{5, 5}, 4, false); err != nil || counts[0]+counts[1]+counts[2]+counts[3] != 2 {
		t.Errorf("equal values: %v %v", counts, err)
	}
	if _, _, err = Bins([]float64{1, 0}, 4, true); err == nil {
		t.Error("0 found a bin of logarithms")
	}
}

// figures are one of each kind, with texts that must be escaped.
func figures(t *testing.T) map[string]*Figure {
	note := func(f *Figure, err error) *Figure {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	return map[string]*Figure{
		"lines": note(Lines(Frame{Title: "a < b & c\x00", XLabel: "tokens", YLabel: "loss", LogX: true, Note: "a note"},
			Line{Name: `"run" <1>`, X: []float64{1, 10, 100}, Y: []float64{3, 2, 1}},
			Line{Name: "point", X: []float64{50}, Y: []float64{2}, Color: 1},
			Line{Name: "none", Color: 2})),
		"bars":      note(Bars(Frame{Title: "bars"}, []string{"one", "two"}, false, Series{"", []float64{0, 0}})),
		"stacked":   note(Bars(Frame{Title: "stacked"}, []string{"one", "two"}, true, Series{"kept", []float64{1, 20000}}, Series{"dropped", []float64{3, 4}})),
		"histogram": note(Histogram(Frame{Title: "histogram", LogY: true}, []float64{0, 1, 2}, Series{"a", []float64{0, 5}}, Series{"b", []float64{7, 1}})),
	}
}

// TestFormats: every kind of figure is well-formed XML and a PNG of the stated
// size that is not empty, and is drawn the same way twice.
func TestFormats(t *testing.T) {
	again := figures(t)
	for name, f := range figures(t) {
		svg, err := f.SVG()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(svg, []byte("<svg ")) {
			t.Errorf("%s begins with %.20q", name, svg)
		}
		for _, foreign := range []string{"http://", "https://"} {
			if s := strings.Replace(string(svg), `xmlns="http://www.w3.org/2000/svg"`, "", 1); strings.Contains(s, foreign) {
				t.Errorf("%s names another host", name)
			}
		}
		text := wellFormed(t, name, svg)
		if !strings.Contains(text, strings.SplitN(f.title, "\x00", 2)[0]) {
			t.Errorf("%s: the title is not there: %q", name, text)
		}
		second, err := again[name].SVG()
		if err != nil || !bytes.Equal(svg, second) {
			t.Errorf("%s differs when drawn again", name)
		}
		data, err := f.PNG()
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if b := img.Bounds(); b.Dx() != int(math.Round(f.width*2)) || b.Dy() != int(math.Round(f.height*2)) {
			t.Errorf("%s: PNG of %v for %gx%g points", name, b, f.width, f.height)
		}
	}
}

// wellFormed parses an SVG and returns its text.
func wellFormed(t *testing.T, name string, svg []byte) string {
	var text strings.Builder
	for d := xml.NewDecoder(bytes.NewReader(svg)); ; {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text.String()
		} else if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s, ok := tok.(xml.CharData); ok {
			text.Write(s)
		}
	}
}

// TestBarsStandWhereTheyShould looks at the pixels of a bar twice as long as
// another.
func TestBarsStandWhereTheyShould(t *testing.T) {
	f, err := Bars(Frame{}, []string{"a", "b"}, false, Series{"", []float64{10, 20}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := f.PNG()
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var lengths []int // of the rows of blue pixels, from the top
	for y := range img.Bounds().Dy() {
		n := 0
		for x := range img.Bounds().Dx() {
			if color.NRGBAModel.Convert(img.At(x, y)) == colorOf(0) {
				n++
			}
		}
		if n > 0 && (len(lengths) == 0 || n > 2*lengths[len(lengths)-1]-20 && n > lengths[len(lengths)-1]+100) {
			lengths = append(lengths, n)
		}
	}
	if len(lengths) != 2 || math.Abs(float64(lengths[1])-2*float64(lengths[0])) > 4 {
		t.Errorf("bars of 10 and 20 are %v pixels long", lengths)
	}
}

func TestWhatCannotBeDrawn(t *testing.T) {
	nan, five := math.NaN(), 5.0
	for want, draw := range map[string]func() (*Figure, error){
		"no point": func() (*Figure, error) { return Lines(Frame{}) },
		"2 x and 1 y": func() (*Figure, error) {
			return Lines(Frame{}, Line{Name: "a", X: []float64{1, 2}, Y: []float64{1}})
		},
		"(1, NaN)": func() (*Figure, error) { return Lines(Frame{}, Line{X: []float64{1}, Y: []float64{nan}}) },
		"logarithmic axis": func() (*Figure, error) {
			return Lines(Frame{LogX: true}, Line{X: []float64{0, 1}, Y: []float64{1, 1}})
		},
		"descends": func() (*Figure, error) {
			return Lines(Frame{}, Line{X: []float64{2, 1}, Y: []float64{1, 1}})
		},
		"from 5 to": func() (*Figure, error) {
			return Lines(Frame{YMin: &five}, Line{X: []float64{1, 2}, Y: []float64{1, 2}})
		},
		"it must be 0 or more": func() (*Figure, error) {
			return Bars(Frame{}, []string{"a"}, false, Series{"", []float64{-1}})
		},
		"2 are needed": func() (*Figure, error) {
			return Bars(Frame{}, []string{"a", "b"}, false, Series{"", []float64{1}})
		},
		"edges are numbers that ascend": func() (*Figure, error) {
			return Histogram(Frame{}, []float64{1, 1}, Series{"", []float64{1}})
		},
		"all counts are 0": func() (*Figure, error) {
			return Histogram(Frame{LogY: true}, []float64{1, 2}, Series{"", []float64{0}})
		},
	} {
		if _, err := draw(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
