package mix

import (
	"math"
	"strings"
	"testing"
)

func TestPlan(t *testing.T) {
	up := func(name string, tokens int64, upsample float64) Source {
		return Source{Name: name, Tokens: tokens, Upsample: upsample}
	}
	by := func(name string, tokens int64, weight, epochs float64) Source {
		return Source{Name: name, Tokens: tokens, Upsample: 1, Weight: weight, MaxEpochs: epochs}
	}
	for _, c := range []struct {
		name    string
		budget  int64
		sources []Source
		want    []int64
		capped  string
	}{
		{"natural", 0, []Source{up("a", 100, 1), up("b", 300, 1)}, []int64{100, 300}, ""},
		{"facts twice", 0, []Source{up("a", 100, 2), up("b", 300, 1)}, []int64{200, 300}, ""},
		{"facts ten times, four at most", 0, []Source{up("a", 100, 10), up("b", 300, 1)}, []int64{400, 300}, "a"},
		{"natural with a budget", 200, []Source{up("a", 100, 1), up("b", 300, 1)}, []int64{50, 150}, ""},
		{"facts three times with a budget", 600, []Source{up("a", 100, 3), up("b", 300, 1)}, []int64{300, 300}, ""},
		{"weights", 1000, []Source{by("a", 500, 1, 0), by("b", 5000, 3, 0)}, []int64{250, 750}, ""},
		{"a cap gives to the others", 1000, []Source{by("a", 100, 5, 2), by("b", 5000, 4, 0), by("c", 5000, 1, 0)}, []int64{200, 640, 160}, "a"},
		{"a second cap follows from the first", 1000, []Source{by("a", 100, 5, 2), by("b", 500, 4, 1), by("c", 5000, 1, 0)}, []int64{200, 500, 300}, "a"},
		{"weights without a budget", 0, []Source{by("a", 100, 1, 2), by("b", 1000, 1, 1)}, []int64{200, 200}, ""},
		{"more than there is", 10_000, []Source{by("a", 100, 1, 2), by("b", 1000, 1, 1)}, []int64{200, 1000}, "a"},
	} {
		shares, notes, err := Plan(Config{Tokens: c.budget, MaxEpochs: 4}, c.sources)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		capped, sum := "", 0.0
		for i, s := range shares {
			if s.Tokens != c.want[i] {
				t.Errorf("%s: source %s gives %d tokens, want %d", c.name, s.Name, s.Tokens, c.want[i])
			}
			if e := float64(c.want[i]) / float64(c.sources[i].Tokens); math.Abs(s.Epochs-e) > 1e-9 {
				t.Errorf("%s: source %s has %g epochs, want %g", c.name, s.Name, s.Epochs, e)
			}
			if s.Capped {
				capped += s.Name
			}
			sum += s.Share
		}
		if capped != c.capped || math.Abs(sum-1) > 1e-9 {
			t.Errorf("%s: capped are %q, want %q; shares add up to %g", c.name, capped, c.capped, sum)
		}
		if short := c.name == "more than there is"; short != (len(notes) > 0) {
			t.Errorf("%s: notes are %q", c.name, notes)
		}
	}
}

func TestPlanRefuses(t *testing.T) {
	for want, sources := range map[string][]Source{
		"weight is missing": {{Name: "a", Tokens: 1, Upsample: 1, Weight: 1}, {Name: "b", Tokens: 1, Upsample: 1}},
		"upsample":          {{Name: "a", Tokens: 1, Upsample: 2, Weight: 1}},
		"no tokens":         {{Name: "a", Upsample: 1}},
	} {
		if _, _, err := Plan(Default(), sources); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", sources, err, want)
		}
	}
}
