package world

import (
	"cmp"
	"hash/fnv"
	"math/bits"
	"slices"
)

// Split says for what a text is made.
type Split int

const (
	// Train is what models are trained on: no held-out combination occurs.
	Train Split = iota
	// HeldOut is what they are examined with: each item has a combination of
	// known parts that never occurs in Train.
	HeldOut
)

func (s Split) String() string { return [...]string{"train", "held-out"}[s] }

// Shares of combinations that are held out, in percent.
const (
	heldFacts = 25 // of the questions about facts
	heldRest  = 10 // of all other combinations
)

// fraction maps a combination to [0,1), the same for every world.
func fraction(key string) float64 {
	h := fnv.New64a()
	h.Write([]byte(key))
	x := h.Sum64() // its low bits are good; the high ones need mixing
	hi, lo := bits.Mul64(x, 0x9e3779b97f4a7c15)
	return float64((hi^lo)>>11) / (1 << 53)
}

// IsHeldOut says whether a combination is kept out of training. Keys are made of
// names only (see Question.Key and its like), so that they can be made of a text
// as well as of what generated it.
func (w *World) IsHeldOut(key string) bool {
	if held, ok := w.held[key]; ok {
		return held
	}
	return fraction(key) < heldRest/100.0
}

// allowed says whether an item with this key belongs to a split.
func (w *World) allowed(key string, split Split) bool {
	return w.IsHeldOut(key) == (split == HeldOut)
}

// pairKey is the combination of a person and a thing in a story: Train has no
// story in which a person has to do with a thing that is held out for them.
func (w *World) pairKey(p personID, o objectID) string {
	return "story|" + w.people[p].name + "|" + w.objects[o].name
}

// holdOutFacts chooses the questions about facts that are held out: of each kind
// a quarter, spread over the answers, so that no answer is frequent among them.
func (w *World) holdOutFacts() {
	w.held, w.facts, w.byAsk = map[string]bool{}, map[string]*factSet{}, map[string][]Question{}
	for i := range questionTypes {
		t := &questionTypes[i]
		if t.facts == nil {
			continue
		}
		set := &factSet{all: t.facts(w)}
		w.facts[t.Name] = set
		if !t.pairs { // of those there are thousands, each held out by itself
			w.holdOutOf(t.Name, set.all)
		}
		for _, q := range set.all {
			split := Train
			if w.IsHeldOut(q.Key) {
				split = HeldOut
			}
			set.split[split].add(q)
			w.byAsk[q.ask] = append(w.byAsk[q.ask], q)
		}
	}
}

func (w *World) holdOutOf(kind string, all []Question) {
	var set answerSet
	for _, q := range all {
		set.add(q)
	}
	for _, a := range set.answers {
		qs := slices.Clone(set.byAnswer[a])
		slices.SortFunc(qs, func(a, b Question) int { return cmp.Compare(fraction(a.Key), fraction(b.Key)) })
		n := int(heldFacts/100.0*float64(len(qs)) + fraction(kind+"|"+a))
		for i, q := range qs {
			w.held[q.Key] = i < n
		}
	}
}
