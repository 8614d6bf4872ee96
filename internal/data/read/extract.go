package read

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// extractor cuts a page into blocks.
type extractor struct {
	title, canonical string
	blocks           []block
	tooDeep          bool

	// The block under way.
	text      strings.Builder
	linkChars int  // characters of its text that are in links
	chars     int  // all of them, spaces not counted
	space     bool // white space was seen behind the text
}

// block is a piece of text that a browser would give its own line.
type block struct {
	text  string
	kind  atom.Atom // P for plain ones; H1 to H6, Li, Pre, Tr, Blockquote
	words int
	links float64 // part of its characters that are in links
	main  bool    // the markup says that it belongs to the content
}

// context is what elements tell those inside of them.
type context struct {
	kind   atom.Atom
	link   bool
	pre    bool
	inMain bool
	list   int // depth of lists
}

// head finds title and canonical URL.
func (x *extractor) head(n *html.Node) {
	for c := range n.Descendants() {
		switch {
		case c.DataAtom == atom.Body:
			return
		case c.DataAtom == atom.Title && x.title == "" && c.FirstChild != nil:
			x.title = strings.Join(strings.Fields(c.FirstChild.Data), " ")
		case c.DataAtom == atom.Link && strings.EqualFold(attribute(c, "rel"), "canonical"):
			x.canonical = strings.TrimSpace(attribute(c, "href"))
		}
	}
}

func attribute(n *html.Node, key string) string {
	for i := range n.Attr {
		if n.Attr[i].Key == key {
			return n.Attr[i].Val
		}
	}
	return ""
}

// mainElement returns the one element that the page names as its content, if it
// holds a good part of the text in paragraphs; the whole page otherwise.
func (x *extractor) mainElement(root *html.Node) *html.Node {
	var candidates []*html.Node
	articles := 0
	total := 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		switch {
		case n.DataAtom == atom.P:
			total += textLength(n)
		case n.DataAtom == atom.Article:
			articles++
			candidates = append(candidates, n)
		case n.DataAtom == atom.Main || attribute(n, "role") == "main" || attribute(n, "itemprop") == "articleBody":
			candidates = append(candidates, n)
		}
	}
	best, most := root, 0
	for _, n := range candidates {
		if n.DataAtom == atom.Article && articles > 1 {
			continue // a list of teasers, or an article with comments
		}
		length := 0
		for p := range n.Descendants() {
			if p.DataAtom == atom.P {
				length += textLength(p)
			}
		}
		// The innermost of those that hold about the same.
		if length*2 > total && length*10 >= most*9 {
			best, most = n, max(most, length)
		}
	}
	return best
}

// textLength counts the bytes of text in an element, links left out.
func textLength(n *html.Node) int {
	total := 0
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if c.Type == html.TextNode {
			total += len(strings.TrimSpace(c.Data))
		} else if c.DataAtom == atom.Em || c.DataAtom == atom.Strong || c.DataAtom == atom.B || c.DataAtom == atom.I || c.DataAtom == atom.Span {
			if c.FirstChild != nil && c.FirstChild.Type == html.TextNode {
				total += len(c.FirstChild.Data)
			}
		}
	}
	return total
}

// walk collects the text below an element.
func (x *extractor) walk(n *html.Node, c context, depth int) {
	if depth > maxDepth {
		x.tooDeep = true
		return
	}
	switch n.Type {
	case html.TextNode:
		x.add(n.Data, c)
		return
	case html.ElementNode:
		if skipped(n, c) {
			return
		}
	case html.DocumentNode:
	default:
		return
	}
	own := false // begins and ends a block
	switch n.DataAtom {
	case atom.Br:
		x.newline(c)
		return
	case atom.A:
		c.link = true
	case atom.Pre:
		own, c.pre, c.kind = true, true, atom.Pre
	case atom.Li, atom.Dt, atom.Dd:
		own, c.kind = true, atom.Li
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		own, c.kind = true, n.DataAtom
	case atom.Tr:
		own, c.kind = true, atom.Tr
	case atom.Td, atom.Th:
		if x.text.Len() > 0 {
			x.text.WriteString(" |")
			x.space = true
		}
	case atom.Ul, atom.Ol:
		own = true
		c.list++
	case atom.Main, atom.Article:
		own, c.inMain = true, true
	case atom.P:
		if own = c.kind != atom.Li && c.kind != atom.Tr; own {
			c.kind = atom.P
		}
	case atom.Address, atom.Aside, atom.Blockquote, atom.Body, atom.Center, atom.Details, atom.Dialog, atom.Div, atom.Dl,
		atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Form, atom.Header, atom.Hgroup, atom.Hr, atom.Html,
		atom.Section, atom.Summary, atom.Table, atom.Tbody, atom.Thead, atom.Caption:
		own, c.kind = true, atom.P
	}
	if own {
		x.flush(c)
	}
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		x.walk(child, c, depth+1)
	}
	if own {
		x.flush(c)
	}
}

// add appends text; runs of white space become one space, as a browser shows
// them.
func (x *extractor) add(s string, c context) {
	if c.pre {
		x.text.WriteString(s)
		x.chars += len(s)
		return
	}
	for i, word := range strings.Fields(s) {
		if i == 0 && s[0] > ' ' && !x.space {
			// goes on right behind the text before
		} else if x.text.Len() > 0 && !strings.HasSuffix(x.text.String(), "\n") {
			x.text.WriteByte(' ')
		}
		x.space = false
		x.text.WriteString(word)
		x.chars += len(word)
		if c.link {
			x.linkChars += len(word)
		}
	}
	if s != "" && s[len(s)-1] <= ' ' {
		x.space = true
	}
}

func (x *extractor) newline(c context) {
	if x.text.Len() > 0 {
		x.text.WriteByte('\n')
		x.space = false
	}
}

// flush ends the block under way.
func (x *extractor) flush(c context) {
	text := strings.TrimRight(x.text.String(), " \n\t\r|")
	if !c.pre {
		text = strings.TrimSpace(text)
	}
	if strings.TrimSpace(text) != "" {
		b := block{text: text, kind: c.kind, words: len(strings.Fields(text)), main: c.inMain}
		if x.chars > 0 {
			b.links = float64(x.linkChars) / float64(x.chars)
		}
		x.blocks = append(x.blocks, b)
	}
	x.text.Reset()
	x.chars, x.linkChars, x.space = 0, 0, false
}

// skipped reports whether an element is no content by its name, its role, or
// because it is hidden, or by what its class and id call it.
func skipped(n *html.Node, c context) bool {
	switch n.DataAtom {
	case atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Iframe, atom.Svg, atom.Object, atom.Embed, atom.Canvas,
		atom.Select, atom.Button, atom.Textarea, atom.Input, atom.Label, atom.Nav, atom.Aside, atom.Menu, atom.Dialog,
		atom.Audio, atom.Video, atom.Head, atom.Datalist, atom.Option, atom.Map, atom.Form:
		return n.DataAtom != atom.Form || textLengthBelow(n) < 2000 // some sites put the whole page into a form
	case atom.Footer:
		return true
	case atom.Header:
		return !c.inMain // of an article it holds the headline
	case atom.Html, atom.Body, atom.Main:
		return false
	}
	named := unnamed
	for i := range n.Attr {
		switch a := &n.Attr[i]; a.Key {
		case "hidden":
			return true
		case "aria-hidden":
			if a.Val == "true" {
				return true
			}
		case "style":
			if v := strings.ReplaceAll(strings.ToLower(a.Val), " ", ""); strings.Contains(v, "display:none") || strings.Contains(v, "visibility:hidden") {
				return true
			}
		case "role":
			switch a.Val {
			case "navigation", "banner", "contentinfo", "complementary", "search", "dialog", "alert", "menu", "menubar", "toolbar", "tablist":
				return true
			}
		case "class", "id":
			if len(a.Val) < 1000 {
				named = max(named, namedAs(a.Val))
			}
		}
	}
	if named == furniture && n.DataAtom != atom.Article {
		// A name alone must not take most of the page.
		return textLengthBelow(n) < 5000 || n.DataAtom == atom.Ul
	}
	return false
}

// naming is what an element's class or id says of it; the larger wins.
type naming uint8

const (
	unnamed naming = iota
	furniture
	mainText
)

// namedAs looks at the last word that means something in each of the names:
// "entry-meta" is furniture though entries are content. "no-sidebar" is neither.
func namedAs(names string) (best naming) {
	for _, name := range strings.Fields(names) {
		words := nameWords(name)
		for i := len(words) - 1; i >= 0; i-- {
			if goodNames[words[i]] {
				best = mainText
				break
			}
			if badNames[words[i]] {
				if !slices.ContainsFunc(words, func(w string) bool { return w == "no" || w == "has" || w == "with" || w == "without" }) {
					best = max(best, furniture)
				}
				break
			}
		}
	}
	return best
}

// textLengthBelow counts the bytes of text in paragraphs below an element.
func textLengthBelow(n *html.Node) int {
	total := 0
	for c := range n.Descendants() {
		if c.DataAtom == atom.P {
			total += textLength(c)
		}
	}
	return total
}

// nameWords cuts class names and ids into words: "post-shareLinks" is post,
// share, links.
func nameWords(s string) []string {
	var all []string
	start := 0
	for i := 0; i <= len(s); i++ {
		end := i == len(s) || !(s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z')
		if end || s[i] < 'a' && i > start && s[i-1] >= 'a' {
			if i > start {
				all = append(all, strings.ToLower(s[start:i]))
			}
			start = i
			if end {
				start++
			}
		}
	}
	return all
}

// Words in class names and ids of what is no content, and of what is.
var (
	badNames = nameSet("ad ads advert advertisement sponsor sponsored promo promotion nav navbar navigation menu submenu breadcrumb breadcrumbs " +
		"sidebar footer cookie cookies consent gdpr popup modal overlay share sharing social sociable follow related recommended recirc trending " +
		"comment comments disqus reply replies newsletter subscribe subscription signup login register search pagination pager widget widgets " +
		"toolbar masthead banner tags taglist byline meta metadata copyright disclaimer skip hidden print noprint toc editsection navbox catlinks reflist reference references infobox jump headerlink permalink anchor author pager topbar breadcrumbs foot")
	goodNames = nameSet("article articlebody content main body post entry story text")
)

func nameSet(list string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(list) {
		m[w] = true
	}
	return m
}

// choose decides which blocks are content and joins them.
func (x *extractor) choose() string {
	keep := make([]bool, len(x.blocks))
	none := block{}
	for i := range x.blocks {
		prev, next := &none, &none
		if i > 0 {
			prev = &x.blocks[i-1]
		}
		if i+1 < len(x.blocks) {
			next = &x.blocks[i+1]
		}
		keep[i] = content(prev, &x.blocks[i], next)
	}
	// A headline stands for what follows; a list for what introduces it.
	for i := len(x.blocks) - 1; i >= 0; i-- {
		b := &x.blocks[i]
		following := i+1 < len(keep) && keep[i+1]
		switch {
		case heading(b):
			keep[i] = x.leads(keep, i)
		case (b.kind == atom.Li || b.kind == atom.Tr) && !keep[i] && b.links < 0.34:
			keep[i] = following
		}
	}
	for i := range x.blocks {
		b := &x.blocks[i]
		if (b.kind == atom.Li || b.kind == atom.Tr || b.main && b.words >= 3 && ends(b.text)) && !keep[i] && b.links < 0.34 {
			keep[i] = i > 0 && keep[i-1] && !heading(&x.blocks[i-1])
		}
	}
	// "Last changed 1998. Mail": what a page without furniture ends with.
	for i := len(x.blocks) - 1; i >= 0; i-- {
		if b := &x.blocks[i]; keep[i] && (b.words >= 10 || b.links < 0.1 || b.kind != atom.P) {
			break
		}
		keep[i] = false
	}
	var out strings.Builder
	last := -1
	for i := range x.blocks {
		if !keep[i] {
			continue
		}
		b := &x.blocks[i]
		if last >= 0 {
			out.WriteByte('\n')
			if same := x.blocks[last].kind; b.kind != same || b.kind != atom.Li && b.kind != atom.Tr {
				out.WriteByte('\n')
			}
		}
		if b.kind == atom.Li {
			out.WriteString("- ")
		}
		out.WriteString(b.text)
		last = i
	}
	return out.String()
}

// leads reports whether content follows a heading: within three blocks, as a
// line with the author or a box may come first, and before the next heading.
func (x *extractor) leads(keep []bool, i int) bool {
	for k := i + 1; k < len(keep) && k <= i+3; k++ {
		if keep[k] {
			return true
		}
		if heading(&x.blocks[k]) {
			return false
		}
	}
	return false
}

func heading(b *block) bool {
	return slices.Contains([]atom.Atom{atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6}, b.kind)
}

// ends reports whether a text ends like a sentence.
func ends(text string) bool {
	r := []rune(text[max(0, len(text)-8):])
	return !unicode.IsLetter(r[len(r)-1]) && !unicode.IsDigit(r[len(r)-1])
}

// content is the paper's decision tree on words and link density of a block and
// its neighbours.
func content(prev, b, next *block) bool {
	if b.links > 0.333333 {
		return false
	}
	// Ours: a whole sentence in a paragraph is content next to links too, as
	// between the buttons of a forum.
	if b.words >= 10 && b.kind == atom.P && ends(b.text) {
		return true
	}
	if prev.links <= 0.555556 {
		return b.words > 16 || next.words > 15 || prev.words > 4
	}
	return b.words > 40 || next.words > 17
}
