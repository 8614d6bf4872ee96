package plot

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeRun makes a run directory with that metrics file.
func writeRun(t *testing.T, name, metrics string) string {
	dir := filepath.Join(t.TempDir(), name)
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, MetricsFile), []byte(metrics), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestReadRun: a resumed run, with fields that are not on every line, that no
// one knows, that are no numbers, and with a last line that a crash cut off.
func TestReadRun(t *testing.T) {
	r, err := ReadRun(writeRun(t, "first", `{"step":1,"tokens":10,"time":"2026-01-01T00:00:00Z","loss":5,"lr":0.1,"kl":[1]}
{"step":2,"tokens":20,"loss":4,"lr":0.2,"val_loss":4.5}

{"step":3,"tokens":30,"loss":9,"lr":0.3,"val_loss":8.5}
{"step":2,"tokens":20,"loss":4.25,"lr":0.2,"val_loss":null}
{"step":3,"tokens":30,"loss":3,"lr":0.3,"reward":0.5}
{"step":4,"tokens":40,"lo`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		field, over string
		x, y        []float64
	}{
		{"loss", AxisTokens, []float64{10, 20, 30}, []float64{5, 4.25, 3}},
		{"lr", AxisSteps, []float64{1, 2, 3}, []float64{0.1, 0.2, 0.3}},
		{"val_loss", AxisTokens, []float64{20}, []float64{4.5}}, // that of step 3 was from before the resume
		{"reward", AxisSteps, []float64{3}, []float64{0.5}},
		{"nothing", AxisSteps, nil, nil},
	} {
		x, y, err := r.over(c.field, c.over)
		if err != nil || !slices.Equal(x, c.x) || !slices.Equal(y, c.y) {
			t.Errorf("%s over %s: %v %v %v, want %v %v", c.field, c.over, x, y, err, c.x, c.y)
		}
	}
	if r.Name != "first" || !slices.Equal(r.Fields, []string{"loss", "lr", "reward", "val_loss"}) {
		t.Errorf("name %q, fields %q", r.Name, r.Fields)
	}
	if len(r.Notes) != 2 || !strings.Contains(r.Notes[0], "line 7, the last, is cut off") || !strings.Contains(r.Notes[1], "2 steps were computed again") {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestReadRunRefuses(t *testing.T) {
	for metrics, want := range map[string]string{
		"":                                   "no metrics yet",
		"{\"step\":1,\"lo\n{\"step\":2}\n":   "line 1 is no JSON object",
		"[1]\n{\"step\":2}\n":                "line 1 is no JSON object",
		"{\"step\":1}\n{\"loss\":2}\n":       "line 2 has no step",
		"{\"step\":1.5}\n":                   "line 1: step is 1.5; a whole number from 0",
		"{\"step\":-1}\n":                    "line 1: step is -1; a whole number from 0",
		"{\"step\":1,\"tokens\":\"many\"}\n": `line 1: tokens is "many"`,
		"{\"step\":1,\"loss\":\"low\"}\n":    `line 1: loss is "low"; a number is needed`,
		"{\"step\":1,\"x\":\"" + strings.Repeat("a", maxLine) + "\"}\n": "line 1 is longer than",
	} {
		dir := writeRun(t, "r", metrics)
		if _, err := ReadRun(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Join(dir, MetricsFile)) {
			t.Errorf("%.40q: got %v, want the file and %q", metrics, err, want)
		}
	}
	if _, err := ReadRun(t.TempDir()); err == nil || !strings.Contains(err.Error(), MetricsFile) {
		t.Errorf("a directory without metrics: %v", err)
	}
}

// TestLongFile: parsing does not depend on where the read buffer ends.
func TestLongFile(t *testing.T) {
	var b strings.Builder
	const n = 20000
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "{\"step\":%d,\"tokens\":%d,\"loss\":%d.5,\"pad\":\"%s\"}\n", i, 3*i, i, strings.Repeat("x", i%97))
	}
	r, err := ReadRun(writeRun(t, "r", b.String()))
	if err != nil {
		t.Fatal(err)
	}
	x, y, err := r.over("loss", AxisTokens)
	if err != nil || len(x) != n {
		t.Fatal(len(x), err)
	}
	for i := range x {
		if x[i] != float64(3*i+3) || y[i] != float64(i)+1.5 {
			t.Fatalf("point %d is (%g, %g)", i, x[i], y[i])
		}
	}
}

func TestTokensGoBack(t *testing.T) {
	r, err := ReadRun(writeRun(t, "r", "{\"step\":1,\"tokens\":9,\"loss\":1}\n{\"step\":2,\"tokens\":8,\"loss\":1}\n{\"step\":3,\"lr\":1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.over("loss", AxisTokens); err == nil || !strings.Contains(err.Error(), "line 2: tokens go back from 9 to 8") {
		t.Errorf("%v", err)
	}
	if _, _, err := r.over("lr", AxisTokens); err == nil || !strings.Contains(err.Error(), "line 3 has lr and no tokens") {
		t.Errorf("%v", err)
	}
}

func TestSmooth(t *testing.T) {
	y := []float64{8, 4, 2, 4, 6, 2}
	for window, want := range map[int][]float64{
		3: {8, 14. / 3, 10. / 3, 4, 4, 4},
		4: {8, 14. / 3, 24. / 5, 18. / 5, 14. / 4, 4}, // as 5
	} {
		got := smooth(y, window)
		for i := range want {
			if d := got[i] - want[i]; d > 1e-12 || d < -1e-12 {
				t.Errorf("window %d: %v, want %v", window, got, want)
				break
			}
		}
	}
}

// TestRuns: the figure of two runs has their names, its panels and what it says
// about smoothing, and notes say what is missing.
func TestRuns(t *testing.T) {
	a, err := ReadRun(writeRun(t, "small", "{\"step\":0,\"tokens\":0,\"loss\":5,\"lr\":0.1}\n{\"step\":1,\"tokens\":100,\"loss\":4,\"lr\":0.1,\"val_loss\":4}\n{\"step\":2,\"tokens\":200,\"loss\":3,\"lr\":0.1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := ReadRun(writeRun(t, "large", "{\"step\":1,\"tokens\":100,\"loss\":3}\n{\"step\":2,\"tokens\":400,\"loss\":2}\n"))
	if err != nil {
		t.Fatal(err)
	}
	fig, notes, err := Runs([]*Run{a, b}, RunsConfig{Over: AxisTokens, Smooth: 2, LogX: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(fig.panels) != 2 { // no run has grad_norm
		t.Errorf("%d panels", len(fig.panels))
	}
	for _, p := range fig.panels {
		if p.axes.X.Min > 100 || p.axes.X.Max < 400 {
			t.Errorf("a panel goes from %g to %g tokens", p.axes.X.Min, p.axes.X.Max)
		}
	}
	svg, err := fig.SVG()
	if err != nil {
		t.Fatal(err)
	}
	text := wellFormed(t, "runs", svg)
	for _, want := range []string{"Training loss", "small", "large", "loss (nats per token)", "learning rate", "tokens", "mean of 3 logged values", "validation loss"} {
		if !strings.Contains(text, want) {
			t.Errorf("the figure does not say %q: %s", want, text)
		}
	}
	all := strings.Join(notes, "\n")
	if !strings.Contains(all, "loss at 0 tokens cannot stand on a logarithmic axis") || !strings.Contains(all, "has no lr") {
		t.Errorf("notes %q", notes)
	}
	for want, c := range map[string]RunsConfig{
		`runs over "days"`:              {Over: "days"},
		"1 labels for 2 runs":           {Over: AxisTokens, Labels: []string{"a"}},
		"smoothing over -1":             {Over: AxisTokens, Smooth: -1},
		`no run has the field "reward"`: {Over: AxisTokens, Panels: []string{"reward"}},
		"a size of -1x0":                {Over: AxisTokens, Width: -1},
	} {
		if _, _, err := Runs([]*Run{a, b}, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}
