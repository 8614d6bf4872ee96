package llama_test

import (
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/llama"
)

// TestShapes compares parameter counts with the published ones: Meta's model
// cards and TinyLlama's, and for the small shapes the number in the name.
func TestShapes(t *testing.T) {
	want := map[string]int{
		"llama1-7b": 6738415616, "llama1-13b": 13015864320, "llama1-33b": 32528943616, "llama1-65b": 65285660672,
		"llama2-7b": 6738415616, "llama2-13b": 13015864320, "llama2-34b": 33743970304, "llama2-70b": 68976648192,
		"tinyllama-1.1b": 1100048384, "110m": 109529856, "15m": 15191712,
	}
	about := map[string][2]int{"8m": {7.9e6, 8.2e6}, "7m": {6.9e6, 7.4e6}, "2m": {1.9e6, 2.2e6}, "1m": {0.95e6, 1.05e6},
		"0.5m": {0.5e6, 0.55e6}, "0.3m": {0.25e6, 0.34e6}}
	for _, name := range llama.ShapeNames() {
		c, err := llama.Shape(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		n := c.Parameters()
		if r, ok := about[name]; ok {
			if n < r[0] || n > r[1] {
				t.Errorf("%s has %d parameters, want %d to %d", name, n, r[0], r[1])
			}
		} else if n != want[name] {
			t.Errorf("%s has %d parameters, want %d", name, n, want[name])
		}
	}
	if _, err := llama.Shape("8b"); err == nil || !strings.Contains(err.Error(), "llama2-70b") {
		t.Errorf("an unknown shape: %v, want the list of names", err)
	}
}
