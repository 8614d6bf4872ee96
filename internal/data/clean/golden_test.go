package clean

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/data/doc"
)

// The files are measured by other tools: testdata/golden/gen.py.

func golden(t *testing.T, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("testdata/golden/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}

func TestRepairEqualsFtfy(t *testing.T) {
	var cases []struct{ In, Out string }
	golden(t, "ftfy.json", &cases)
	c := DefaultRepair()
	c.Unwrap = "never"
	r, err := NewRepair(c)
	if err != nil {
		t.Fatal(err)
	}
	// ftfy keeps typographic spaces, zero-width spaces and soft hyphens.
	more := strings.NewReplacer("\u00a0", " ", "\u00ad", "", "\u200b", "")
	for _, c := range cases {
		if got, want := r.Text(c.In, &doc.Stats{}), more.Replace(c.Out); got != want {
			t.Errorf("%q (%+q)\nbecomes %q, ftfy has\n        %q", c.In, c.In, got, want)
		}
	}
}

func TestRulesEqualDatatrove(t *testing.T) {
	var cases []struct {
		Text   string
		Values map[string]float64
	}
	golden(t, "gopher.json", &cases)
	c := Default()
	c.Off, c.On = []string{"all"}, []string{"gopher", "repetition"}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for i, c := range cases {
		for _, v := range s.Measure(c.Text, "") {
			want, ok := c.Values[v.Rule]
			if !ok {
				t.Fatalf("no golden for %s", v.Rule)
			}
			compared++
			if math.Abs(v.Measured-want) > 1e-9 {
				t.Errorf("document %d: %s is %v, want %v", i, v.Rule, v.Measured, want)
			}
		}
	}
	if compared != 40*21 {
		t.Errorf("%d values compared, want %d", compared, 40*21)
	}
}
