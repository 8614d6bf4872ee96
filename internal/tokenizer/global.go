package tokenizer

import (
	"container/heap"
)

// encodeGlobal is SentencePiece's algorithm as it stands, over the whole text at
// once: among all neighbours whose joined text is a piece, the best score wins,
// then the leftmost. It is what encodeSpan is measured against, and what is used
// where pieces of kind unused can arise: those are taken apart again by the way
// they were last looked up anywhere in the text, so no part of a text can be
// encoded by itself.
func (t *Tokenizer) encodeGlobal(out *output, text string) {
	g := globalMerge{t: t, apart: map[string][2]string{}}
	g.split(text)
	for i := 1; i < len(g.symbols); i++ {
		g.offer(i-1, i)
	}
	for g.Len() > 0 {
		c := heap.Pop(&g).(candidate)
		l, r := &g.symbols[c.left], &g.symbols[c.right]
		if l.text == "" || r.text == "" || len(l.text)+len(r.text) != c.size {
			continue // one of the two has changed since
		}
		l.text += r.text
		r.text = ""
		l.next = r.next
		if r.next >= 0 {
			g.symbols[r.next].prev = c.left
		}
		g.offer(l.prev, c.left)
		g.offer(c.left, l.next)
	}
	for i := 0; i >= 0; i = g.symbols[i].next {
		g.emit(out, g.symbols[i].text)
	}
}

type globalMerge struct {
	t          *Tokenizer
	symbols    []globalSymbol
	candidates []candidate
	apart      map[string][2]string // unused piece -> the two it was made of
}

type globalSymbol struct {
	text       string // "" once merged into its left neighbour
	prev, next int    // -1 at the ends
	frozen     bool   // a user-defined symbol: never merged
}

type candidate struct {
	left, right, size int
	score             float32
}

func (g *globalMerge) split(text string) {
	for i := 0; i < len(text); {
		s := globalSymbol{prev: len(g.symbols) - 1, next: len(g.symbols) + 1}
		n := 0
		if g.t.user != nil {
			var id int32
			if id, n = g.t.user.match(text[i:]); n > 0 {
				s.text, s.frozen = g.t.pieces[id].Text, true
			}
		}
		if n == 0 {
			var r rune
			r, n = decodeRune(text[i:])
			s.text = string(r)
		}
		g.symbols = append(g.symbols, s)
		i += n
	}
	g.symbols[len(g.symbols)-1].next = -1
}

// offer makes two neighbours a candidate if their joined text is a piece.
func (g *globalMerge) offer(left, right int) {
	if left < 0 || right < 0 || g.symbols[left].frozen || g.symbols[right].frozen {
		return
	}
	l, r := g.symbols[left].text, g.symbols[right].text
	id, ok := g.t.normal[l+r]
	if !ok {
		return
	}
	heap.Push(g, candidate{left, right, len(l) + len(r), g.t.pieces[id].Score})
	if g.t.pieces[id].Kind == Unused {
		g.apart[l+r] = [2]string{l, r}
	}
}

func (g *globalMerge) emit(out *output, text string) {
	id, ok := g.t.normal[text]
	if !ok {
		for _, r := range text {
			g.t.addUnknown(out, r)
		}
		return
	}
	if g.t.pieces[id].Kind == Unused {
		if parts, ok := g.apart[text]; ok {
			g.emit(out, parts[0])
			g.emit(out, parts[1])
			return
		}
	}
	out.add(id)
}

// The heap of candidates, best first.

func (g *globalMerge) Len() int { return len(g.candidates) }

func (g *globalMerge) Less(i, j int) bool {
	a, b := g.candidates[i], g.candidates[j]
	return a.score > b.score || a.score == b.score && a.left < b.left
}

func (g *globalMerge) Swap(i, j int) {
	g.candidates[i], g.candidates[j] = g.candidates[j], g.candidates[i]
}

func (g *globalMerge) Push(x any) { g.candidates = append(g.candidates, x.(candidate)) }

func (g *globalMerge) Pop() any {
	last := len(g.candidates) - 1
	c := g.candidates[last]
	g.candidates = g.candidates[:last]
	return c
}
