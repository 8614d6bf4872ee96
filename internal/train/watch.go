package train

import (
	"fmt"
	"math"
	"strings"
)

// A run that leaves its path does so within a step or two, while its loss moves
// by a tenth between neighbouring steps; the first steps fall fast and say
// nothing of what is usual.
const (
	watchDecay  = 0.9 // of the running mean, per step
	watchAfter  = 20  // steps until the mean is trusted
	watchMargin = 0.5 // nats: near a loss of zero any factor is reached by noise
)

// StopError says that a run cannot go on: the step was not applied, and the last
// checkpoint is from before it.
type StopError struct {
	Step    int
	Problem string
	Samples []string // what the step trained on
	Last    string   // the last checkpoint; "" where there is none
}

func (e *StopError) Error() string {
	s := fmt.Sprintf("train: step %d: %s; the step was not applied. It trained on %s.", e.Step, e.Problem, strings.Join(e.Samples, ", "))
	if e.Last == "" {
		return s + " There is no checkpoint yet. Try a lower learning rate or a longer warm-up"
	}
	return s + fmt.Sprintf(" The last good checkpoint is %s. Look at the data, or go on from there with a lower learning rate (optimizer.learning_rate, --resume --accept-changes)", e.Last)
}

// judge says what is wrong with a step, "" for nothing.
func (s *State) judge(loss, norm, factor float64) string {
	finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	switch {
	case !finite(loss):
		return fmt.Sprintf("the loss is %v", loss)
	case !finite(norm):
		return fmt.Sprintf("the gradient's norm is %v", norm)
	case factor > 0 && s.Step >= watchAfter && loss > factor*s.LossMean && loss > s.LossMean+watchMargin:
		return fmt.Sprintf("the loss jumped to %.4g from a running mean of %.4g (spike_factor %g)", loss, s.LossMean, factor)
	}
	return ""
}

// saw takes a good step's loss into the running mean.
func (s *State) saw(loss float64) {
	if s.Step == 0 {
		s.LossMean = loss
	}
	s.LossMean = watchDecay*s.LossMean + (1-watchDecay)*loss
}
