package train

import "time"

// paceDecay weighs past steps, so that about the last ten count.
const paceDecay = 0.9

// pace is the speed of the last steps.
type pace struct{ tokens, ops, seconds, weight float64 }

func (p *pace) add(tokens, ops float64, took time.Duration) {
	p.tokens = paceDecay*p.tokens + tokens
	p.ops = paceDecay*p.ops + ops
	p.seconds = paceDecay*p.seconds + took.Seconds()
	p.weight = paceDecay*p.weight + 1
}

func (p *pace) tokensPerS() float64 { return p.tokens / p.seconds }
func (p *pace) flops() float64      { return p.ops / p.seconds }

func (p *pace) left(steps int) time.Duration {
	return time.Duration(float64(steps) * p.seconds / p.weight * float64(time.Second))
}
