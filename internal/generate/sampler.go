package generate

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Params say how tokens are chosen. The steps run in this order: logit bias,
// penalties, temperature, top-k, typical, top-p, min-p; temperature comes
// before top-p as in Meta's generation.py.
type Params struct {
	MaxTokens   int     // most tokens to generate; 0: until the context is full
	Temperature float32 // 0: greedy
	TopK        int     // keep the K most probable; 0: all
	TopP        float32 // keep the smallest set with this much probability; 1: all
	MinP        float32 // keep what has at least this share of the most probable one's probability; 0: all
	Typical     float32 // locally typical sampling (arXiv 2202.00666); 1: off

	RepeatPenalty    float32 // divides positive and multiplies negative logits of recent tokens (arXiv 1909.05858); 1: off
	PresencePenalty  float32 // subtracted once from recent tokens' logits; 0: off
	FrequencyPenalty float32 // subtracted per recent occurrence; 0: off
	RepeatLastN      int     // how many recent tokens the penalties see; -1: all

	LogitBias map[int32]float32 // added to logits; -Inf forbids a token
	Seed      uint64            // same seed, same text
	LogProbs  int               // how many alternatives to report with each token; -1: no log-probabilities

	Stop    []string // texts that end generation, not part of the output
	StopIDs []int32  // tokens that end generation, not part of the output
}

// DefaultParams are what `cria run` uses where nothing else is asked for.
func DefaultParams() Params {
	return Params{Temperature: 0.8, TopK: 40, TopP: 0.95, MinP: 0.05, Typical: 1, RepeatPenalty: 1, RepeatLastN: 64, LogProbs: -1}
}

// Validate names the first field that makes no sense.
func (p *Params) Validate() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("generate: %s is %v; %s", field, value, want)
	}
	finite := func(f float32) bool { return !math.IsNaN(float64(f)) && !math.IsInf(float64(f), 0) }
	switch {
	case p.MaxTokens < 0:
		return bad("max tokens", p.MaxTokens, "it must be 0 (no limit but the context) or more")
	case !finite(p.Temperature) || p.Temperature < 0:
		return bad("temperature", p.Temperature, "it must be 0 (greedy) or more")
	case p.TopK < 0:
		return bad("top-k", p.TopK, "it must be 0 (off) or more")
	case !(p.TopP > 0 && p.TopP <= 1):
		return bad("top-p", p.TopP, "it must be above 0 and at most 1 (off)")
	case !(p.MinP >= 0 && p.MinP <= 1):
		return bad("min-p", p.MinP, "it must be from 0 (off) to 1")
	case !(p.Typical > 0 && p.Typical <= 1):
		return bad("typical", p.Typical, "it must be above 0 and at most 1 (off)")
	case !(p.RepeatPenalty >= 1e-3 && p.RepeatPenalty <= 1e3):
		return bad("repeat penalty", p.RepeatPenalty, "it must be from 0.001 to 1000; 1 is off")
	case !(abs(p.PresencePenalty) <= 1e3):
		return bad("presence penalty", p.PresencePenalty, "it must be from -1000 to 1000; 0 is off")
	case !(abs(p.FrequencyPenalty) <= 1e3):
		return bad("frequency penalty", p.FrequencyPenalty, "it must be from -1000 to 1000; 0 is off")
	case p.RepeatLastN < -1:
		return bad("repeat-last-n", p.RepeatLastN, "it must be -1 (all), 0 (off) or more")
	case p.LogProbs < -1:
		return bad("log-probabilities", p.LogProbs, "it must be -1 (none) or the number of alternatives")
	}
	for id, b := range p.LogitBias {
		if math.IsNaN(float64(b)) || math.IsInf(float64(b), 1) {
			return bad(fmt.Sprintf("logit bias of token %d", id), b, "it must be finite, or -Inf to forbid the token")
		}
	}
	for _, s := range p.Stop {
		if s == "" {
			return bad("stop", `""`, "an empty stop text would end every answer at once")
		}
	}
	return nil
}

func abs(f float32) float64 { return math.Abs(float64(f)) }

// Choice is a token and its probability under the model: log softmax of the
// logits as the model gave them, before any bias, penalty or temperature.
type Choice struct {
	ID      int32
	LogProb float64
}

// candidate is one token that may still be chosen.
type candidate struct {
	id    int32
	logit float32
	p     float64

	offTypical float64 // of typical: how far its information is from the entropy
}

// Sampler chooses tokens. It is not safe for concurrent use and allocates
// nothing per token.
type Sampler struct {
	p      Params
	vocab  int // ids from here on have no text and are never chosen
	rng    *rand.Rand
	pcg    *rand.PCG
	cand   []candidate
	logits []float32
	recent []int32
	counts map[int32]int
	top    []Choice
}

// NewSampler makes a sampler for a model whose first vocab ids may be chosen.
func NewSampler(p Params, vocab int) (*Sampler, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	for id := range p.LogitBias {
		if id < 0 || int(id) >= vocab {
			return nil, fmt.Errorf("generate: logit bias of token %d; the vocabulary has ids 0 to %d", id, vocab-1)
		}
	}
	pcg := rand.NewPCG(p.Seed, 0x63726961) // the second word only separates our streams from others'
	s := &Sampler{p: p, vocab: vocab, pcg: pcg, rng: rand.New(pcg),
		cand: make([]candidate, 0, vocab), logits: make([]float32, vocab)}
	if n := p.RepeatLastN; s.penalises() { // room for all that can come
		if n < 0 || n > vocab {
			s.counts = make(map[int32]int, vocab)
		} else {
			s.counts = make(map[int32]int, n+1)
		}
		s.recent = make([]int32, 0, 4*min(max(n, 0), 1<<16)+1) // longer windows grow as they fill
	}
	return s, nil
}

// Accept tells the sampler of a token of the sequence (prompt or generated), for
// the penalties.
func (s *Sampler) Accept(id int32) {
	n := s.p.RepeatLastN
	if n == 0 || !s.penalises() {
		return
	}
	s.counts[id]++
	if n < 0 {
		return
	}
	s.recent = append(s.recent, id)
	if len(s.recent) > n {
		old := s.recent[len(s.recent)-n-1]
		if s.counts[old]--; s.counts[old] == 0 {
			delete(s.counts, old)
		}
		if len(s.recent) > 4*n { // forget what has left the window
			s.recent = append(s.recent[:0], s.recent[len(s.recent)-n:]...)
		}
	}
}

func (s *Sampler) penalises() bool {
	return s.p.RepeatPenalty != 1 || s.p.PresencePenalty != 0 || s.p.FrequencyPenalty != 0
}

// Sample chooses a token from the logits of one row, which it does not change.
func (s *Sampler) Sample(row []float32) (int32, error) {
	logits := row[:s.vocab]
	if len(s.p.LogitBias) > 0 || len(s.counts) > 0 {
		copy(s.logits, logits)
		logits = s.logits
		s.adjust(logits)
	}
	best, ok := argmax(logits)
	if !ok {
		return 0, fmt.Errorf("generate: the model's logits have no largest value (NaN, infinity, or all forbidden); the model file may be damaged: try `cria show --verify`")
	}
	if s.p.Temperature == 0 {
		return best, nil
	}
	s.fill(logits, logits[best])
	s.typical()
	s.nucleus()
	return s.draw(), nil
}

// adjust applies bias and penalties.
func (s *Sampler) adjust(logits []float32) {
	for id, b := range s.p.LogitBias {
		logits[id] += b
	}
	for id, n := range s.counts {
		if int(id) >= len(logits) {
			continue
		}
		l := logits[id]
		if l > 0 {
			l /= s.p.RepeatPenalty
		} else {
			l *= s.p.RepeatPenalty
		}
		logits[id] = l - s.p.PresencePenalty - float32(n)*s.p.FrequencyPenalty
	}
}

// argmax returns the id of the largest logit, the smallest id among equals; it
// is not ok where there is none, or it is infinite.
func argmax(logits []float32) (id int32, ok bool) {
	best := float32(math.Inf(-1))
	for i, l := range logits {
		if l > best {
			best, id, ok = l, int32(i), true
		} else if l != l {
			return 0, false
		}
	}
	return id, ok && !math.IsInf(float64(best), 1)
}

// byProbability orders candidates by falling logit, then by id, so that equal
// logits never depend on the sorting.
func byProbability(a, b candidate) int {
	if c := cmp.Compare(b.logit, a.logit); c != 0 {
		return c
	}
	return cmp.Compare(a.id, b.id)
}

// fill collects the candidates: of the tokens that top-k leaves those that can
// matter, with their probabilities, sorted by falling probability where a later
// step asks for it.
func (s *Sampler) fill(logits []float32, best float32) {
	s.cand = s.cand[:0]
	t := float64(s.p.Temperature)
	if k := s.p.TopK; k > 0 && k < len(logits) {
		s.topK(logits, k)
	} else {
		for i, l := range logits {
			s.cand = append(s.cand, candidate{id: int32(i), logit: l})
		}
	}
	sum := 0.0
	for i := range s.cand {
		c := &s.cand[i]
		c.p = math.Exp((float64(c.logit) - float64(best)) / t)
		sum += c.p
	}
	// What has less than (1-top-p)/n of the probability has, all together, less
	// than 1-top-p, so the nucleus lies in the rest and only that is sorted.
	// Typical sampling needs them all.
	cut := 0.0
	if s.p.Typical == 1 {
		cut = (1 - float64(s.p.TopP)) / float64(len(s.cand))
		if m := float64(s.p.MinP) / sum; m > cut {
			cut = m * (1 - 1e-9)
		}
	}
	n := 0
	for _, c := range s.cand {
		if c.p /= sum; c.p >= cut && c.p > 0 {
			s.cand[n] = c
			n++
		}
	}
	s.cand = s.cand[:n]
	if s.p.Typical < 1 || s.p.TopP < 1 || s.p.MinP > 0 { // drawing needs no order
		slices.SortFunc(s.cand, byProbability)
	}
}

// topK keeps the k largest logits, in a heap whose root is the least of them.
func (s *Sampler) topK(logits []float32, k int) {
	h := s.cand
	for i, l := range logits {
		c := candidate{id: int32(i), logit: l}
		if len(h) < k {
			h = append(h, c)
			for j := len(h) - 1; j > 0; {
				up := (j - 1) / 2
				if byProbability(h[up], h[j]) > 0 {
					break
				}
				h[up], h[j] = h[j], h[up]
				j = up
			}
			continue
		}
		if l <= h[0].logit { // equal logits: the earlier id stays
			continue
		}
		h[0] = c
		for j := 0; ; {
			child := 2*j + 1
			if child >= k {
				break
			}
			if child+1 < k && byProbability(h[child+1], h[child]) > 0 {
				child++
			}
			if byProbability(h[j], h[child]) > 0 {
				break
			}
			h[j], h[child] = h[child], h[j]
			j = child
		}
	}
	s.cand = h
}

// typical keeps the candidates whose information is closest to the entropy
// (arXiv 2202.00666, section 4).
func (s *Sampler) typical() {
	if s.p.Typical == 1 {
		return
	}
	entropy := 0.0
	for _, c := range s.cand {
		entropy -= c.p * math.Log(c.p)
	}
	for i := range s.cand {
		c := &s.cand[i]
		c.offTypical = math.Abs(-math.Log(c.p) - entropy)
	}
	slices.SortStableFunc(s.cand, func(a, b candidate) int { return cmp.Compare(a.offTypical, b.offTypical) })
	s.cand = s.cand[:mass(s.cand, float64(s.p.Typical))]
	slices.SortFunc(s.cand, byProbability)
}

// nucleus applies top-p (arXiv 1904.09751) and min-p (arXiv 2407.01082).
func (s *Sampler) nucleus() {
	if s.p.TopP < 1 {
		limit := float64(s.p.TopP)
		if s.p.Typical < 1 { // what typical sampling left is the whole
			total := 0.0
			for _, c := range s.cand {
				total += c.p
			}
			limit *= total
		}
		s.cand = s.cand[:mass(s.cand, limit)]
	}
	if s.p.MinP > 0 {
		least := s.cand[0].p * float64(s.p.MinP)
		n := 1
		for n < len(s.cand) && s.cand[n].p >= least {
			n++
		}
		s.cand = s.cand[:n]
	}
}

// mass returns how many of the first candidates reach the given probability, at
// least one.
func mass(cand []candidate, want float64) int {
	sum := 0.0
	for i, c := range cand {
		if sum += c.p; sum >= want {
			return i + 1
		}
	}
	return len(cand)
}

// draw chooses among the candidates by their probability.
func (s *Sampler) draw() int32 {
	total := 0.0
	for _, c := range s.cand {
		total += c.p
	}
	u := s.rng.Float64() * total
	for _, c := range s.cand {
		if u -= c.p; u < 0 {
			return c.id
		}
	}
	return s.cand[len(s.cand)-1].id
}

// LogProbs returns the log-probability of id and the Params.LogProbs most
// probable tokens. The slice is valid until the next call.
func (s *Sampler) LogProbs(row []float32, id int32) (float64, []Choice) {
	lse := logSumExp(row[:s.vocab])
	s.top = s.top[:0]
	if k := s.p.LogProbs; k > 0 {
		s.cand = s.cand[:0]
		s.topK(row[:s.vocab], min(k, s.vocab))
		slices.SortFunc(s.cand, byProbability)
		for _, c := range s.cand {
			s.top = append(s.top, Choice{c.id, float64(c.logit) - lse})
		}
	}
	return float64(row[id]) - lse, s.top
}

// logSumExp is log(sum(exp(x))), summed in float64.
func logSumExp(x []float32) float64 {
	best := float32(math.Inf(-1))
	for _, v := range x {
		best = max(best, v)
	}
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v - best))
	}
	return float64(best) + math.Log(sum)
}
