package clean

import (
	"strings"

	"github.com/cria-llm/cria/internal/data/words"
)

// scan is what one pass over a text's bytes counts.
type scan struct {
	hashes   int // "#"
	ellipses int // "..." and "…"
	curly    int // "{" and "}"
	lorem    int // "lorem ipsum"

	javascript, policy []uint32 // where the phrases were found, rising
}

// phrases finds phrases in any case, ASCII only, together with the single
// characters that rules count. It looks closer only at bytes that are the rarest
// letter of some phrase.
type phrases struct {
	at [256]uint8 // 0: nothing; else 1 + index into list
	of [][]phrase // by rarest letter
}

type phrase struct {
	text  string // lower case
	pivot int    // where its rarest letter is
	kind  phraseKind
}

type phraseKind uint8

const (
	lorem phraseKind = iota
	javascript
	policy
)

// rarest letters of English text first.
const rareness = "zqxjkvbpygfwmucldrhsnioate"

// special bytes that are no pivots.
const (
	atNone  = 0
	atMark  = 1 // one of # { } . and the first byte of …
	atFirst = 2 // first index of a pivot's list
)

func newPhrases(policies []string) *phrases {
	p := &phrases{}
	for _, c := range []byte("#{}.\xe2") {
		p.at[c] = atMark
	}
	add := func(text string, kind phraseKind) {
		text = strings.ToLower(text)
		pivot, best := -1, len(rareness)
		for i := range len(text) {
			if r := strings.IndexByte(rareness, text[i]); r >= 0 && r < best {
				pivot, best = i, r
			}
		}
		if pivot < 0 {
			return // Validate of the configuration refuses phrases without letters
		}
		c := text[pivot]
		if p.at[c] == atNone {
			p.of = append(p.of, nil)
			p.at[c] = uint8(len(p.of) - 1 + atFirst)
			p.at[c-'a'+'A'] = p.at[c]
		}
		list := &p.of[p.at[c]-atFirst]
		*list = append(*list, phrase{text, pivot, kind})
	}
	add("lorem ipsum", lorem)
	add("javascript", javascript)
	for _, text := range policies {
		add(text, policy)
	}
	return p
}

func (c *scan) scan(p *phrases, t *words.Text) {
	s := t.String
	*c = scan{javascript: c.javascript[:0], policy: c.policy[:0]}
	for i := 0; i < len(s); i++ {
		k := p.at[s[i]]
		if k == atNone {
			continue
		}
		if k == atMark {
			switch s[i] {
			case '#':
				c.hashes++
			case '{', '}':
				c.curly++
			case '.':
				if strings.HasPrefix(s[i:], "...") {
					c.ellipses++
					i += 2
				}
			default:
				if strings.HasPrefix(s[i:], "…") {
					c.ellipses++
				}
			}
			continue
		}
		for j := range p.of[k-atFirst] {
			ph := &p.of[k-atFirst][j]
			at := i - ph.pivot
			if at < 0 || len(s)-at < len(ph.text) || !equalFold(s[at:at+len(ph.text)], ph.text) {
				continue
			}
			switch ph.kind {
			case lorem:
				c.lorem++
			case javascript:
				c.javascript = append(c.javascript, uint32(at))
			case policy:
				c.policy = append(c.policy, uint32(at))
			}
		}
	}
}

// equalFold compares s in lower case with lower, byte by byte.
func equalFold(s, lower string) bool {
	for i := range len(lower) {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// within reports whether one of the rising positions lies in [start, end). It
// drops the positions before start: lines are asked for in their order.
func within(at *[]uint32, start, end uint32) bool {
	for len(*at) > 0 && (*at)[0] < start {
		*at = (*at)[1:]
	}
	return len(*at) > 0 && (*at)[0] < end
}
