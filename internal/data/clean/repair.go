package clean

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/cria-llm/cria/internal/data/doc"
)

// RepairConfig is the section "repair" of a build's configuration.
type RepairConfig struct {
	Mojibake    bool `yaml:"mojibake"`     // UTF-8 that was read as Latin-1 or Windows-1252, once or several times
	NFC         bool `yaml:"nfc"`          // Unicode normalisation form C
	Controls    bool `yaml:"controls"`     // control characters and the like go; line ends become \n
	Invisible   bool `yaml:"invisible"`    // zero-width spaces, byte order marks and soft hyphens go
	Spaces      bool `yaml:"spaces"`       // no-break, thin, ideographic and other spaces become plain ones
	Ligatures   bool `yaml:"ligatures"`    // ﬁ becomes fi
	PlainQuotes bool `yaml:"plain_quotes"` // “ ” ‘ ’ become " and '

	// Unwrap joins lines that were cut to a width, as in plain-text books:
	// "auto" where a text looks so, "never", "always".
	Unwrap string `yaml:"unwrap"`
}

// DefaultRepair mends what is broken and leaves typography alone.
func DefaultRepair() RepairConfig {
	return RepairConfig{Mojibake: true, NFC: true, Controls: true, Invisible: true, Spaces: true, Ligatures: true, Unwrap: "auto"}
}

// Validate says what is wrong with the settings.
func (c *RepairConfig) Validate() error {
	switch c.Unwrap {
	case "auto", "never", "always":
		return nil
	}
	return fmt.Errorf("repair.unwrap is %q: auto, never or always is needed", c.Unwrap)
}

// Repair is the step "repair". It drops no document.
type Repair struct{ config RepairConfig }

// NewRepair checks the configuration.
func NewRepair(config RepairConfig) (*Repair, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return &Repair{config}, nil
}

// Name is the step's section in the configuration.
func (p *Repair) Name() string { return "repair" }

// Rules is empty: repairing drops nothing.
func (p *Repair) Rules() []string { return nil }

// Process repairs d.Text; it is valid UTF-8 then. st counts documents that were
// changed as "repair.KIND".
func (p *Repair) Process(d *doc.Document, st *doc.Stats) *doc.Drop {
	before := d.Text
	d.Text = p.Text(d.Text, st)
	if len(d.Text) != len(before) || d.Text != before { // equal strings that share memory compare at once
		st.Add("repair.documents", 1)
	}
	return nil
}

// Text repairs a text.
func (p *Repair) Text(s string, st *doc.Stats) string {
	count := func(kind, was string) {
		if was != s {
			st.Add("repair."+kind, 1)
		}
	}
	was := s
	if !utf8.ValidString(s) {
		s = validUTF8(s)
		count("invalid_bytes", was)
	}
	c := &p.config
	todo := inspect(s)
	if todo&maybeMojibake != 0 && c.Mojibake {
		was = s
		for range 3 { // text that went through several wrong readings
			fixed := unmojibake(s)
			if fixed == s {
				break
			}
			s = fixed
		}
		count("mojibake", was)
		todo = inspect(s)
	}
	if todo&maybeReplace != 0 || todo&maybeQuotes != 0 && c.PlainQuotes {
		was = s
		s = p.replace(s)
		count("characters", was)
	}
	if todo&maybeDecomposed != 0 && c.NFC && !norm.NFC.IsNormalString(s) {
		was = s
		s = norm.NFC.String(s)
		count("nfc", was)
	}
	if c.Unwrap != "never" {
		was = s
		s = unwrap(s, c.Unwrap == "always")
		count("unwrap", was)
	}
	return s
}

// validUTF8 makes sense of bytes that are no UTF-8. Where a text has no sequence
// of UTF-8 at all, it is read as Windows-1252, as browsers do; in others each
// bad byte becomes U+FFFD.
func validUTF8(s string) string {
	good, bad := 0, 0
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			bad++
		} else {
			good++
		}
		i += n
	}
	var b strings.Builder
	b.Grow(len(s) + 2*bad)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if good == 0 && n == 1 && s[i] >= utf8.RuneSelf {
			r = windows1252(s[i])
		}
		b.WriteRune(r)
		i += n
	}
	return b.String()
}

// What inspect found that may have to be done.
const (
	maybeMojibake   = 1 << iota // a lead byte's character before a continuation byte's
	maybeReplace                // a character that replace may change
	maybeQuotes                 // a quotation mark that replace changes if it is told to
	maybeDecomposed             // a character that NFC may change
)

// plain are the ASCII bytes that nothing is done about.
var plain = func() (p [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		p[c] = true
	}
	p['\n'], p['\t'] = true, true
	return p
}()

// inspect looks at each character once, so that clean text costs one pass.
func inspect(s string) (todo int) {
	lead := -1 // where a character that may be a lead byte ended
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		if s[i] < utf8.RuneSelf {
			todo |= maybeReplace
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if lead == i {
			todo |= maybeMojibake
		}
		i += n
		switch {
		case r < 0x100:
			if r < 0xa1 || r == 0xad {
				todo |= maybeReplace
			} else if r >= 0xc2 && r <= 0xf4 {
				lead = i
			}
		case r < 0x300, r >= 0x400 && r < 0x483, r >= 0x3001 && r < 0x3099, r >= 0x3400 && r < 0xa000, r >= 0xac00 && r < 0xd7a4:
			// Latin, Cyrillic, kana, ideographs and Hangul syllables as they should be
		case r >= 0x2000 && r < 0x2070:
			switch r {
			case '–', '—', '…', '•':
			case '‘', '’', '‚', '‛', '“', '”', '„', '‟':
				todo |= maybeQuotes
			default:
				todo |= maybeReplace
			}
		case r == 0x3000, r == 0xfeff, r >= 0xfb00 && r <= 0xfb06, r >= 0xfff9 && r <= 0xfffb, r == 0x180e:
			todo |= maybeReplace
		default:
			todo |= maybeDecomposed
		}
	}
	return todo
}

// replace changes single characters.
func (p *Repair) replace(s string) string {
	var b strings.Builder
	same := 0 // s[same:i] is not written yet and stays
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		to, change := p.replacement(r)
		if !change {
			i += n
			continue
		}
		if r == '\r' && strings.HasPrefix(s[i:], "\r\n") {
			n = 2
		}
		b.WriteString(s[same:i])
		b.WriteString(to)
		i += n
		same = i
	}
	if same == 0 {
		return s
	}
	b.WriteString(s[same:])
	return b.String()
}

// replacement says what a character becomes.
func (p *Repair) replacement(r rune) (to string, change bool) {
	c := &p.config
	switch {
	case r == '\r' || r == '\v' || r == '\f' || r == 0x2028 || r == 0x2029:
		return "\n", c.Controls
	case r < ' ' || r == 0x7f: // \n and \t are plain
		return "", c.Controls
	case r >= 0x80 && r < 0xa0:
		if w := windows1252(byte(r)); w != r {
			return string(w), c.Mojibake // Latin-1's controls are Windows-1252's characters, misread
		}
		return "", c.Controls // NEL, 0x85, is an ellipsis far more often than a line end
	case r >= 0xfff9 && r <= 0xfffb || r >= 0x206a && r <= 0x206f: // annotations, deprecated formatting
		return "", c.Controls
	case r == 0x200b || r == 0x2060 || r == 0xfeff || r == 0x180e || r == 0xad:
		return "", c.Invisible // not the zero-width joiners: scripts and emoji need them
	case r == 0xa0 || r >= 0x2000 && r <= 0x200a || r == 0x202f || r == 0x205f || r == 0x3000:
		return " ", c.Spaces
	case r >= 0xfb00 && r <= 0xfb06:
		return [...]string{"ff", "fi", "fl", "ffi", "ffl", "st", "st"}[r-0xfb00], c.Ligatures
	case r >= 0x2018 && r <= 0x201b:
		return "'", c.PlainQuotes
	case r >= 0x201c && r <= 0x201f:
		return "\"", c.PlainQuotes
	}
	return "", false
}

// cp1252 are the characters of the bytes 0x80 to 0x9F in Windows-1252; where it
// has none, Latin-1's control character, as in the WHATWG's encoding.
var cp1252 = []rune("€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008dŽ\u008f\u0090‘’“”•–—˜™š›œ\u009džŸ")

func windows1252(b byte) rune {
	if b >= 0x80 && b < 0xa0 {
		return cp1252[b-0x80]
	}
	return rune(b)
}

// byteOf is the byte that gives a character in Windows-1252 or Latin-1; 0 for
// none or ASCII.
func byteOf(r rune) byte {
	switch {
	case r < 0x80:
		return 0
	case r < 0x100:
		return byte(r)
	case r > 0x2122 || r > 0x2dc && r < 0x2013:
		return 0
	}
	for i, c := range cp1252 {
		if c == r {
			return byte(0x80 + i)
		}
	}
	return 0
}

// unmojibake turns runs of characters whose bytes are UTF-8 into what the UTF-8
// says. One such run may be an accident ("PASSÉ»" is also a letter of the
// phonetic alphabet), so weak runs are mended only in a text with strong ones.
func unmojibake(s string) string {
	type run struct {
		at, n int
		r     rune
	}
	var runs []run
	strong := false
	prev := rune(' ')
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			prev = rune(s[i])
			i++
			continue
		}
		r, n, sure := mojibake(s[i:], prev)
		if n > 0 {
			if k := len(runs); k > 0 && runs[k-1].at+runs[k-1].n == i {
				sure = true // two that touch are no accident
			}
			runs = append(runs, run{i, n, r})
			strong = strong || sure
			prev = r
			i += n
			continue
		}
		prev, n = utf8.DecodeRuneInString(s[i:])
		i += n
	}
	if !strong {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	done := 0
	for _, u := range runs {
		b.WriteString(s[done:u.at])
		b.WriteRune(u.r)
		done = u.at + u.n
	}
	b.WriteString(s[done:])
	return b.String()
}

// mojibake decodes the misread character that s begins with and returns the
// bytes of s that it takes, 0 if there is none; sure says that s can hardly be
// anything else.
func mojibake(s string, prev rune) (r rune, n int, sure bool) {
	var raw [utf8.UTFMax]byte
	lead, size := utf8.DecodeRuneInString(s)
	raw[0] = byteOf(lead)
	want := 0
	switch b := raw[0]; {
	case b >= 0xc2 && b <= 0xdf:
		want = 2
	case b >= 0xe0 && b <= 0xef:
		want = 3
	case b >= 0xf0 && b <= 0xf4:
		want = 4
	default:
		return 0, 0, false
	}
	n = size
	for k := 1; k < want; k++ {
		c, size := utf8.DecodeRuneInString(s[n:])
		raw[k] = byteOf(c)
		if raw[k] < 0x80 || raw[k] > 0xbf {
			return 0, 0, false
		}
		sure = sure || !afterWords(c)
		n += size
	}
	r, size = utf8.DecodeRune(raw[:want])
	control := r >= 0x80 && r < 0xa0 // a byte of the next reading, where text was misread twice
	if size != want || !control && !unicode.IsPrint(r) && !unicode.Is(unicode.Cf, r) && !unicode.IsSpace(r) {
		return 0, 0, false
	}
	// A capital right behind a small letter is no one's spelling, nor is Â before a
	// sign, but at the end of a word in capitals; â€ begins the dashes, quotes and
	// ellipses that are misread most.
	sure = sure || unicode.IsUpper(lead) && unicode.IsLower(prev) || lead == 'Â' && !unicode.IsUpper(prev) || lead == 'â' && raw[1] == 0x80
	return r, n, sure
}

// afterWords reports whether a character may stand right behind a letter in text
// that is in order: signs behind a word, and Windows-1252's letters.
func afterWords(c rune) bool {
	switch c {
	case '‘', '’', '“', '”', '…', '–', '—', '»', '«', '•', 0xa0, '€', '°', '™', '®', '©', '·', '›', '‹', '‚', '„', '²', '³', '¹', 0xad, 'º', 'ª', '½', 'œ', 'Œ', 'š', 'Š', 'ž', 'Ž', 'Ÿ', 'ƒ':
		return true
	}
	return false
}
