package generate

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// probabilities draws n tokens and returns each one's share.
func probabilities(t *testing.T, p Params, logits []float32, n int) map[int32]float64 {
	t.Helper()
	s, err := NewSampler(p, len(logits))
	if err != nil {
		t.Fatal(err)
	}
	got := map[int32]float64{}
	for range n {
		id, err := s.Sample(logits)
		if err != nil {
			t.Fatal(err)
		}
		got[id] += 1 / float64(n)
	}
	return got
}

// logitsOf gives logits whose softmax is p.
func logitsOf(p ...float64) []float32 {
	l := make([]float32, len(p))
	for i, v := range p {
		l[i] = float32(math.Log(v) + 3)
	}
	return l
}

func off() Params {
	return Params{Temperature: 1, TopP: 1, Typical: 1, RepeatPenalty: 1, RepeatLastN: 64, LogProbs: -1, Seed: 1}
}

func TestDistributions(t *testing.T) {
	base := []float64{0.05, 0.4, 0.1, 0.3, 0.15}
	for _, c := range []struct {
		name string
		set  func(*Params)
		want map[int32]float64
	}{
		{"plain", func(p *Params) {}, map[int32]float64{0: 0.05, 1: 0.4, 2: 0.1, 3: 0.3, 4: 0.15}},
		{"greedy", func(p *Params) { p.Temperature = 0 }, map[int32]float64{1: 1}},
		{"top-k 2", func(p *Params) { p.TopK = 2 }, map[int32]float64{1: 4. / 7, 3: 3. / 7}},
		{"top-p 0.8 keeps the token that crosses it", func(p *Params) { p.TopP = 0.8 }, map[int32]float64{1: 0.4 / 0.85, 3: 0.3 / 0.85, 4: 0.15 / 0.85}},
		{"min-p 0.5", func(p *Params) { p.MinP = 0.5 }, map[int32]float64{1: 4. / 7, 3: 3. / 7}},
		// p^2: 0.0025 0.16 0.01 0.09 0.0225, sum 0.285
		{"temperature 0.5", func(p *Params) { p.Temperature = 0.5 }, map[int32]float64{0: 0.0025 / 0.285, 1: 0.16 / 0.285, 2: 0.01 / 0.285, 3: 0.09 / 0.285, 4: 0.0225 / 0.285}},
		// at temperature 0.5 tokens 1 and 3 already have 0.877 of the mass
		{"temperature before top-p", func(p *Params) { p.Temperature, p.TopP = 0.5, 0.8 }, map[int32]float64{1: 0.64, 3: 0.36}},
		// entropy is 1.392 nats; -log p: 3.00 0.92 2.30 1.20 1.90, so the order is 3, 1, 4, 2, 0
		{"typical 0.29", func(p *Params) { p.Typical = 0.29 }, map[int32]float64{3: 1}},
		{"typical 0.6", func(p *Params) { p.Typical = 0.6 }, map[int32]float64{1: 4. / 7, 3: 3. / 7}},
		{"forbidden by bias", func(p *Params) { p.LogitBias = map[int32]float32{1: float32(math.Inf(-1))} }, map[int32]float64{0: 0.05 / 0.6, 2: 0.1 / 0.6, 3: 0.5, 4: 0.25}},
		{"bias", func(p *Params) { p.LogitBias = map[int32]float32{0: 100} }, map[int32]float64{0: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := off()
			c.set(&p)
			got := probabilities(t, p, logitsOf(base...), 40000)
			for id := range base {
				w := c.want[int32(id)]
				// four standard deviations of a share of 40,000 draws
				if tol := 4*math.Sqrt(w*(1-w)/40000) + 1e-9; math.Abs(got[int32(id)]-w) > tol {
					t.Errorf("token %d came with probability %.4f, want %.4f", id, got[int32(id)], w)
				}
			}
		})
	}
}

func TestPenalties(t *testing.T) {
	s, err := NewSampler(Params{TopP: 1, Typical: 1, RepeatPenalty: 2, PresencePenalty: 0.25, FrequencyPenalty: 0.5, RepeatLastN: 3, LogProbs: -1}, 4)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []int32{3, 0, 0, 1} { // 3 has left the window of three
		s.Accept(id)
	}
	l := []float32{4, -1, 0.5, 0.6}
	s.adjust(l)
	want := []float32{4.0/2 - 0.25 - 2*0.5, -1*2 - 0.25 - 0.5, 0.5, 0.6}
	if !slices.Equal(l, want) {
		t.Errorf("logits %v, want %v", l, want)
	}
}

func TestPenaltyWindowForgets(t *testing.T) {
	p := off()
	p.PresencePenalty, p.RepeatLastN = 1, 5
	s, err := NewSampler(p, 100)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		s.Accept(int32(i % 100))
	}
	if len(s.counts) != 5 || s.counts[99] != 1 || s.counts[95] != 1 {
		t.Errorf("counts %v, want ids 95 to 99 once each", s.counts)
	}
}

func TestTopKAgainstSorting(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		logits := make([]float32, 1+rng.IntN(200))
		for i := range logits {
			logits[i] = float32(rng.IntN(20)) // many ties
		}
		ids := make([]int32, len(logits))
		for i := range ids {
			ids[i] = int32(i)
		}
		slices.SortStableFunc(ids, func(a, b int32) int { return int(logits[b] - logits[a]) })
		k := 1 + rng.IntN(len(logits))
		s, err := NewSampler(off(), len(logits))
		if err != nil {
			t.Fatal(err)
		}
		s.topK(logits, k)
		slices.SortFunc(s.cand, byProbability)
		for i, c := range s.cand {
			if c.id != ids[i] {
				t.Fatalf("top %d of %v: place %d is %d, want %d", k, logits, i, c.id, ids[i])
			}
		}
	}
}

func TestSameSeedSameText(t *testing.T) {
	logits := make([]float32, 50)
	for i := range logits {
		logits[i] = float32(i%7) / 3
	}
	draw := func(seed uint64) []int32 {
		p := off()
		p.Seed = seed
		s, err := NewSampler(p, len(logits))
		if err != nil {
			t.Fatal(err)
		}
		var ids []int32
		for range 30 {
			id, err := s.Sample(logits)
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		return ids
	}
	if !slices.Equal(draw(7), draw(7)) {
		t.Error("one seed gave two texts")
	}
	if slices.Equal(draw(7), draw(8)) {
		t.Error("two seeds gave one text")
	}
}

func TestLogProbs(t *testing.T) {
	p := off()
	p.LogProbs = 2
	s, err := NewSampler(p, 5)
	if err != nil {
		t.Fatal(err)
	}
	lp, top := s.LogProbs(logitsOf(0.05, 0.4, 0.1, 0.3, 0.15), 2)
	if math.Abs(lp-math.Log(0.1)) > 1e-6 {
		t.Errorf("log-probability %v, want log 0.1", lp)
	}
	if len(top) != 2 || top[0].ID != 1 || top[1].ID != 3 || math.Abs(top[1].LogProb-math.Log(0.3)) > 1e-6 {
		t.Errorf("alternatives %v", top)
	}
}

func TestUndefinedLogitsAreAnError(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(-1))
	for _, l := range [][]float32{{1, nan, 2}, {nan}, {inf, inf}, {1, -inf, 2}} {
		s, err := NewSampler(off(), len(l))
		if err != nil {
			t.Fatal(err)
		}
		if id, err := s.Sample(l); err == nil {
			t.Errorf("%v: token %d was chosen", l, id)
		}
	}
}

func TestTokensWithoutTextAreNeverChosen(t *testing.T) {
	s, err := NewSampler(Params{TopP: 1, Typical: 1, RepeatPenalty: 1, LogProbs: -1}, 3)
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := s.Sample([]float32{1, 3, 2, 99, 99}); id != 1 {
		t.Errorf("token %d was chosen, beyond or not the best of the vocabulary", id)
	}
}

func TestValidateNamesTheField(t *testing.T) {
	nan := float32(math.NaN())
	for field, set := range map[string]func(*Params){
		"temperature":       func(p *Params) { p.Temperature = nan },
		"top-k":             func(p *Params) { p.TopK = -1 },
		"top-p":             func(p *Params) { p.TopP = 0 },
		"min-p":             func(p *Params) { p.MinP = 1.5 },
		"typical":           func(p *Params) { p.Typical = nan },
		"repeat penalty":    func(p *Params) { p.RepeatPenalty = 0 },
		"presence penalty":  func(p *Params) { p.PresencePenalty = nan },
		"frequency penalty": func(p *Params) { p.FrequencyPenalty = nan },
		"repeat-last-n":     func(p *Params) { p.RepeatLastN = -2 },
		"max tokens":        func(p *Params) { p.MaxTokens = -1 },
		"stop":              func(p *Params) { p.Stop = []string{""} },
		"logit bias":        func(p *Params) { p.LogitBias = map[int32]float32{1: nan} },
	} {
		p := DefaultParams()
		if err := p.Validate(); err != nil {
			t.Fatal(err)
		}
		set(&p)
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: error %v", field, err)
		}
	}
}

// TestAgainstHuggingFace compares the distributions that are drawn from with
// those of transformers' processors; testdata/sampling.py made them.
func TestAgainstHuggingFace(t *testing.T) {
	b, err := os.ReadFile("testdata/sampling.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Logits []float32
		Past   []int32
		Params map[string]float32
		P      []float64
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		p := off()
		p.RepeatLastN = -1
		for name, v := range c.Params {
			switch name {
			case "repeat":
				p.RepeatPenalty = v
			case "temperature":
				p.Temperature = v
			case "top_k":
				p.TopK = int(v)
			case "typical":
				p.Typical = v
			case "top_p":
				p.TopP = v
			case "min_p":
				p.MinP = v
			default:
				t.Fatalf("case %d: parameter %s", i, name)
			}
		}
		s, err := NewSampler(p, len(c.Logits))
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range c.Past {
			s.Accept(id)
		}
		if _, err := s.Sample(c.Logits); err != nil {
			t.Fatal(err)
		}
		got, total := make([]float64, len(c.Logits)), 0.0
		for _, cd := range s.cand { // what the last draw chose from
			total += cd.p
		}
		for _, cd := range s.cand {
			got[cd.id] = cd.p / total
		}
		for id, want := range c.P {
			if math.Abs(got[id]-want) > 2e-6 {
				t.Errorf("case %d %v: token %d has probability %.6f, want %.6f", i, c.Params, id, got[id], want)
			}
		}
	}
}

// A forbidden token has no probability and may not be drawn where rounding
// leaves a rest.
func TestForbiddenIsNoCandidate(t *testing.T) {
	p := off()
	p.LogitBias = map[int32]float32{2: float32(math.Inf(-1))}
	s, err := NewSampler(p, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Sample([]float32{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	for _, c := range s.cand {
		if c.id == 2 {
			t.Error("the forbidden token is a candidate")
		}
	}
}

func TestNothingAllocatedPerToken(t *testing.T) {
	for _, lastN := range []int{8, -1} {
		p := DefaultParams()
		p.RepeatPenalty, p.RepeatLastN, p.LogProbs, p.Typical = 1.1, lastN, 5, 0.9
		p.LogitBias = map[int32]float32{3: 1}
		s, err := NewSampler(p, 1000)
		if err != nil {
			t.Fatal(err)
		}
		logits := make([]float32, 1000)
		for i := range logits {
			logits[i] = float32(i*7919%1000) / 200
		}
		s.LogProbs(logits, 0) // makes the list of alternatives once
		next := int32(0)
		if n := testing.AllocsPerRun(2000, func() {
			if _, err := s.Sample(logits); err != nil {
				t.Fatal(err)
			}
			s.LogProbs(logits, 1)
			s.Accept(next % 1000)
			next++
		}); n != 0 {
			t.Errorf("window %d: %v allocations per token", lastN, n)
		}
	}
}
