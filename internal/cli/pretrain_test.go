package cli

import (
	"testing"
	"time"

	"github.com/cria-llm/cria/internal/train"
)

// The line of a training run fits the terminal; the bar goes before the figures.
func TestTrainLine(t *testing.T) {
	p := train.Progress{Step: 250, Steps: 1000, Loss: 3.21456, TokensPerS: 12345.6, FLOPS: 30e9, Left: 3*time.Hour + 25*time.Minute + 9*time.Second}
	for _, c := range []struct {
		peak  float64
		width int
		want  string
	}{
		{60e9, 110, "step 250/1000 [=======                       ] loss 3.215, 12346 tokens/s (50% of peak), 3h25m9s left"},
		{60e9, 78, "step 250/1000 [=      ] loss 3.215, 12346 tokens/s (50% of peak), 3h25m9s left"},
		{0, 60, "step 250/1000 loss 3.215, 12346 tokens/s, 3h25m9s left"},
		{60e9, 70, "step 250/1000 loss 3.215, 12346 tokens/s (50% of peak), 3h25m9s left"},
		{60e9, 20, "step 250/1000 loss 3"},
	} {
		got := trainLine(p, c.peak, c.width)
		if got != c.want || len(got) > c.width {
			t.Errorf("in %d columns: %q (%d), want %q", c.width, got, len(got), c.want)
		}
	}
}
