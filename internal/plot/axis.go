package plot

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
)

// ticks marks a linear axis at about that many round numbers.
type ticks int

// Ticks returns marks with labels.
func (n ticks) Ticks(lo, hi float64) []plot.Tick {
	step := roundStep((hi - lo) / float64(n))
	if !(step > 0) || math.IsInf(step, 0) {
		return nil
	}
	var out []plot.Tick
	for i := math.Ceil(lo/step - 1e-9); i*step <= hi+step*1e-9; i++ {
		out = append(out, plot.Tick{Value: i * step, Label: number(i*step, step)})
	}
	return out
}

// roundStep is the smallest of 1, 2 and 5 times a power of ten that is at least
// x.
func roundStep(x float64) float64 {
	unit := math.Pow(10, math.Floor(math.Log10(x)))
	for _, m := range []float64{1, 2, 5} {
		if m*unit >= x*(1-1e-9) {
			return m * unit
		}
	}
	return 10 * unit
}

// logTicks marks a logarithmic axis.
type logTicks struct{}

// Ticks labels powers of ten, and twice and five times them where there are few;
// where not even those are three, an axis that short reads better with round
// numbers.
func (logTicks) Ticks(lo, hi float64) []plot.Tick {
	if lo <= 0 || hi <= lo {
		return nil
	}
	decades := math.Log10(hi / lo)
	every := 1 + int(decades/8) // label every so many powers of ten
	var out []plot.Tick
	labels := 0
	for e := int(math.Floor(math.Log10(lo))); math.Pow10(e) <= hi; e++ {
		for m := 1; m < 10; m++ {
			v := float64(m) * math.Pow10(e)
			if v < lo*(1-1e-9) || v > hi*(1+1e-9) {
				continue
			}
			t := plot.Tick{Value: v}
			if m == 1 && e%every == 0 || decades < 3 && (m == 2 || m == 5) {
				t.Label = number(v, v)
				labels++
			}
			out = append(out, t)
		}
	}
	if labels < 3 {
		return ticks(5).Ticks(lo, hi)
	}
	return out
}

// number writes a tick's value with as many decimals as the step between ticks
// needs; from ten thousand on with k, M, B (10^9) and T, below a thousandth with
// an exponent.
func number(v, step float64) string {
	if math.Abs(v) < step*1e-9 {
		return "0"
	}
	size := max(math.Abs(v), step)
	for _, u := range []struct {
		value float64
		name  string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "k"}} {
		if size >= u.value && size >= 1e4 {
			return decimals(v/u.value, step/u.value) + u.name
		}
	}
	if step < 1e-3 {
		digits := max(0, int(math.Floor(math.Log10(size)+1e-9)-math.Floor(math.Log10(step)+1e-9)))
		mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(v, 'e', digits, 64), "e")
		n, err := strconv.Atoi(exponent)
		if err != nil {
			panic(fmt.Sprintf("plot: %q is no exponent", exponent))
		}
		return fmt.Sprintf("%se%d", mantissa, n)
	}
	return decimals(v, step)
}

// decimals writes v with the decimals that a step needs.
func decimals(v, step float64) string {
	n := 0
	if step < 1 {
		n = int(math.Ceil(-math.Log10(step) - 1e-9))
	}
	return strconv.FormatFloat(v, 'f', n, 64)
}
