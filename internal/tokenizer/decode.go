package tokenizer

import (
	"strings"
	"unicode/utf8"
)

// Decode returns the text of ids as SentencePiece does: control tokens have
// none, the dummy prefix is taken off the beginning, and byte tokens that form
// no UTF-8 become U+FFFD each.
func (t *Tokenizer) Decode(ids []int32) (string, error) {
	var b strings.Builder
	d := Decoder{t: t, start: true}
	for _, id := range ids {
		text, err := d.Push(id)
		if err != nil {
			return "", err
		}
		b.WriteString(text)
	}
	b.WriteString(d.Flush())
	return b.String(), nil
}

// Decoder decodes ids one by one. All texts it returns, joined, are what Decode
// returns, and each is whole UTF-8.
type Decoder struct {
	t     *Tokenizer
	start bool   // a leading space is the dummy prefix
	seen  bool   // the dummy prefix was taken off, or there is text
	held  []byte // of byte tokens: the beginning of a character
}

// NewDecoder returns a decoder. With start the ids begin a text, so that the
// dummy prefix is taken off; without they continue one.
func (t *Tokenizer) NewDecoder(start bool) *Decoder { return &Decoder{t: t, start: start} }

// Push returns the text that id completes, often empty.
func (d *Decoder) Push(id int32) (string, error) {
	t := d.t
	if id < 0 || int(id) >= len(t.pieces) {
		return "", t.rangeError(id)
	}
	p := &t.pieces[id]
	if p.Kind == Byte {
		b, _ := byteOfPiece(p.Text)
		d.held = append(d.held, b)
		return d.characters(false), nil
	}
	out := d.Flush()
	if out != "" || d.seen {
		d.start = false
	}
	text := t.surfaces[id]
	if d.start && (t.settings.dummyPrefix || t.settings.removeExtra) && strings.HasPrefix(p.Text, space) && p.Kind != Unknown && p.Kind != Control {
		text = text[1:] // a surface has one byte for the piece's three
		// Where extra spaces are removed, all leading ones are.
		d.seen = !t.settings.removeExtra
	}
	if text != "" {
		d.seen = true
	}
	return out + text, nil
}

// Flush returns what an unfinished character leaves: U+FFFD for each byte.
func (d *Decoder) Flush() string { return d.characters(true) }

// characters takes whole characters off the held bytes, and U+FFFD for each byte
// that can begin none. At the end nothing can be finished any more.
func (d *Decoder) characters(end bool) string {
	if len(d.held) == 0 {
		return ""
	}
	var out []byte
	for len(d.held) > 0 && (end || utf8.FullRune(d.held)) {
		r, n := utf8.DecodeRune(d.held)
		out = utf8.AppendRune(out, r)
		d.held = d.held[n:]
	}
	if len(out) > 0 {
		d.seen = true
	}
	return string(out)
}
