package bench

import "slices"

// quartiles returns the lower quartile, the median and the upper quartile of
// at least one value, interpolating linearly between neighbours.
func quartiles(values []float64) (q1, median, q3 float64) {
	s := slices.Clone(values)
	slices.Sort(s)
	at := func(p float64) float64 {
		x := p * float64(len(s)-1)
		i := int(x)
		if i+1 == len(s) {
			return s[i]
		}
		return s[i] + (x-float64(i))*(s[i+1]-s[i])
	}
	return at(0.25), at(0.5), at(0.75)
}

func median(values []float64) float64 {
	_, m, _ := quartiles(values)
	return m
}

// turns are rounds of a limit and of the work that it bounds, measured one
// after the other so that both see the same state of a shared machine.
type turns struct {
	ratios []float64 // work / limit, one per round
	limits []float64
	works  []float64
}

// takeTurns measures n rounds. Even rounds begin with the limit and odd ones
// with the work, so that a drift within a round cancels out.
func takeTurns(n int, limit, work func() (float64, error)) (turns, error) {
	var t turns
	for i := range n {
		var l, w float64
		var err error
		if i%2 == 0 {
			if l, err = limit(); err != nil {
				return t, err
			}
		}
		if w, err = work(); err != nil {
			return t, err
		}
		if i%2 == 1 {
			if l, err = limit(); err != nil {
				return t, err
			}
		}
		t.ratios = append(t.ratios, w/l)
		t.limits = append(t.limits, l)
		t.works = append(t.works, w)
	}
	return t, nil
}

// agree reports whether two readings of one limit are within 10% of the larger.
func agree(a, b float64) bool { return max(a, b)-min(a, b) <= 0.1*max(a, b) }
