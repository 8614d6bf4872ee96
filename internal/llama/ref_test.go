package llama_test

import (
	"math"
	"testing"

	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/device/ref"
	"github.com/cria-llm/cria/internal/tensor"
)

// Every kernel set gives the reference device's logits. For block quants the
// difference is the 8-bit rounding of activations, so the bounds are wider: one
// rounded product is off by about 1% of its deviation, and here every layer has
// four, one after the other.
func TestAgainstReferenceDevice(t *testing.T) {
	tokens := 90
	if testing.Short() {
		tokens = 20
	}
	for _, dt := range tensor.WeightTypes() {
		c := smallConfig(dt)
		src := randomModel(t, c, dt, 3)
		ids := randomIDs(tokens, c.VocabSize, 6)
		all := func(int) int { return len(ids) }
		want := forwardAll(t, deviceModel(t, ref.New[float64](), c, src), tensor.F32, ids, all)
		std := deviation(want)
		bound, rmsBound := 2e-5*std, 5e-6*std
		if dt.IsQuant() {
			bound, rmsBound = 0.3*std, 0.05*std
		}
		for _, set := range kernel.Sets() {
			got := forwardAll(t, cpuModel(t, c, src, 2, set.Name), tensor.F32, ids, all)
			worst, at := 0.0, 0
			var sq float64
			for i := range want {
				e := math.Abs(float64(got[i] - want[i]))
				sq += e * e
				if e > worst {
					worst, at = e, i
				}
			}
			rms := math.Sqrt(sq / float64(len(want)))
			if !(worst <= bound && rms <= rmsBound) {
				t.Errorf("%s/%s: row %d, logit %d: %v, the reference has %v; error RMS %v; bounds %v and %v (deviation of the logits %v)",
					set.Name, dt, at/c.VocabSize, at%c.VocabSize, got[at], want[at], rms, bound, rmsBound, std)
			}
		}
	}
}

// deviation is the standard deviation.
func deviation(x []float32) float64 {
	var sum, sq float64
	for _, v := range x {
		sum += float64(v)
		sq += float64(v) * float64(v)
	}
	n := float64(len(x))
	return math.Sqrt(sq/n - sum/n*sum/n)
}
