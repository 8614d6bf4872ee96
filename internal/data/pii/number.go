package pii

import (
	"net/netip"
	"strings"
)

// numeral is a sequence of groups of digits with single separators between
// them, as it stands in a text.
type numeral struct {
	start, end int
	digits     [maxDigits]byte // values 0 to 9
	n          int             // how many
	groups     [maxGroups]uint8
	seps       [maxGroups]byte // seps[i] stands behind groups[i]; ')' for ") " and ")-"
	g          int             // groups
	open       bool            // "(" before the first group
	plus       bool
	cut        bool // more groups follow
}

const (
	maxDigits = 24
	maxGroups = 12
)

// number looks at the digit at i, which begins a group. It returns the span that
// it is part of, or where to go on.
func number(s string, i, done int) (found Span, next int, ok bool) {
	run := i + 1
	for run < len(s) && isDigit(s[run]) {
		run++
	}
	before := byteAt(s, i-1)
	if isLetter(before) {
		if sp, ok := lettered(s, i, done); ok {
			return sp, 0, true
		}
		return Span{}, run, false
	}
	if before == ' ' && i >= 3 && i-3 >= done && isUpper(s[i-2]) && isUpper(s[i-3]) && !isAlnum(byteAt(s, i-4)) {
		if sp, ok := nino(s, i-3); ok {
			return sp, 0, true
		}
	}
	if before == '_' || before == '#' || before == '$' {
		return Span{}, run, false
	}
	if run-i > maxDigits {
		return Span{}, run, false
	}
	var m numeral
	m.read(s, i, done)
	if m.n < 7 && !(m.n >= 4 && m.g == 4) {
		// Too short for anything but an address: 1.2.3.4 has four digits. Go on
		// behind the groups, which no other number can begin in.
		return Span{}, max(run, m.end), false
	}
	if sp, ok := m.match(s, done); ok {
		return sp, 0, true
	}
	return Span{}, run, false
}

// read collects the groups from i on, while they could belong together.
func (m *numeral) read(s string, i, done int) {
	m.start = i
	if i > done && s[i-1] == '(' {
		m.open = true
		m.start--
	}
	if m.start > done && s[m.start-1] == '+' {
		m.plus = true
		m.start--
	}
	for m.g < maxGroups {
		from := i
		for i < len(s) && isDigit(s[i]) && m.n < maxDigits {
			m.digits[m.n] = s[i] - '0'
			m.n++
			i++
		}
		m.groups[m.g] = uint8(i - from)
		m.g++
		m.end = i
		if m.g == 1 && m.open && byteAt(s, i) != ')' {
			m.open = false // the parenthesis is around more than the number
			m.start++
		}
		if i >= len(s) || isDigit(s[i]) {
			return
		}
		sep, width := s[i], 1
		switch sep {
		case '-', '.', '/':
			if sep == '/' && byteAt(s, i-1) == ' ' {
				return
			}
		case ' ':
			switch {
			case byteAt(s, i+1) == '(' && enclosed(s[i+1:]):
				sep, width = '(', 2
			case (byteAt(s, i+1) == '/' || byteAt(s, i+1) == '-') && byteAt(s, i+2) == ' ' && isDigit(byteAt(s, i+3)):
				sep, width = s[i+1], 3
			}
		case '(':
			if !enclosed(s[i:]) {
				return
			}
		case ')':
			if c := byteAt(s, i+1); c == ' ' || c == '-' {
				width = 2
			}
		case 0xc2: // no-break space
			if byteAt(s, i+1) != 0xa0 {
				return
			}
			sep, width = ' ', 2
		case 0xe2: // U+2011, U+2013: hyphen that does not break, and dash
			if !strings.HasPrefix(s[i:], "‑") && !strings.HasPrefix(s[i:], "–") {
				return
			}
			sep, width = '-', 3
		default:
			return
		}
		if !isDigit(byteAt(s, i+width)) {
			return
		}
		m.seps[m.g-1] = sep
		i += width
	}
}

// enclosed reports whether s begins with digits in parentheses.
func enclosed(s string) bool {
	i := 1
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	return i > 1 && byteAt(s, i) == ')'
}

// match tries all groups, then fewer and fewer of them: what follows behind a
// space may be another number.
func (m *numeral) match(s string, done int) (Span, bool) {
	for {
		if sp, ok := m.matchAll(s, done); ok {
			return sp, true
		}
		g := m.g - 1
		for g > 0 && m.seps[g-1] != ' ' {
			g--
		}
		if g == 0 {
			return Span{}, false
		}
		m.end, m.cut = m.upTo(s, g), true
		for ; m.g > g; m.g-- {
			m.n -= int(m.groups[m.g-1])
		}
		if m.n < 7 {
			return Span{}, false
		}
	}
}

// matchAll tries the kinds on all groups, those with check digits first.
func (m *numeral) matchAll(s string, done int) (Span, bool) {
	after := byteAt(s, m.end)
	if isLetter(after) || after == '_' {
		if k, ok := m.dni(s); ok {
			return k, true
		}
		return Span{}, false
	}
	if m.plus {
		if m.glued(s) {
			return Span{}, false
		}
		return m.international(s)
	}
	before := byteAt(s, m.start-1)
	tight := before == '.' || before == ',' || before == '-' || before == '/' || before == ':' || before == '=' && m.g == 1
	if m.g >= 4 && !tight && m.isIPv4() {
		return m.ipv4(s)
	}
	if tight && before != ':' && before != '=' || m.decimal(s) {
		return Span{}, false
	}
	word := wordBefore(s, m.start, done)
	if context[word] == otherNumber {
		return Span{}, false
	}
	for _, f := range [...]func(*numeral) (int, Kind){card, ssn, cpf, nir, aadhaar} {
		if groups, kind := f(m); groups > 0 {
			return Span{m.start, m.upTo(s, groups), kind}, true
		}
	}
	if sp, ok := m.dni(s); ok {
		return sp, true
	}
	if m.glued(s) {
		return Span{}, false
	}
	return m.national(s, word, done)
}

// glued reports whether the last group goes on as a decimal, a sum or an angle:
// then it is another number's.
func (m *numeral) glued(s string) bool {
	c := byteAt(s, m.end)
	return isDigit(c) || (c == '.' || c == '+') && isDigit(byteAt(s, m.end+1)) || strings.HasPrefix(s[m.end:], "°")
}

// upTo returns where the first n groups end.
func (m *numeral) upTo(s string, n int) int {
	if n == m.g {
		return m.end
	}
	i := m.start // separators hold no digits
	for k := 0; k < n; k++ {
		for !isDigit(s[i]) {
			i++
		}
		i += int(m.groups[k])
	}
	return i
}

// decimal reports whether the numeral is a quantity: a part behind a comma, or a
// unit or currency sign behind it.
func (m *numeral) decimal(s string) bool {
	rest := s[m.end:]
	if len(rest) > 1 && rest[0] == ',' && isDigit(rest[1]) {
		return true
	}
	for _, sign := range [...]string{"%", "€", "£", " €", " %", "°", "×"} {
		if strings.HasPrefix(rest, sign) {
			return true
		}
	}
	return false
}

// shape reports whether the first len(groups) groups have these lengths.
func (m *numeral) shape(groups ...uint8) bool {
	if m.g < len(groups) {
		return false
	}
	for i, n := range groups {
		if m.groups[i] != n {
			return false
		}
	}
	return true
}

// separated reports whether the first n groups are divided by one and the same
// separator out of a set.
func (m *numeral) separated(n int, set string) bool {
	for i := range n - 1 {
		if strings.IndexByte(set, m.seps[i]) < 0 || m.seps[i] != m.seps[0] {
			return false
		}
	}
	return true
}

func (m *numeral) isIPv4() bool {
	for i := range 3 {
		if m.groups[i] > 3 || m.seps[i] != '.' {
			return false
		}
	}
	return m.groups[3] <= 3 && (m.g == 4 || m.seps[3] != '.')
}

func (m *numeral) ipv4(s string) (Span, bool) {
	end := m.upTo(s, 4)
	a, err := netip.ParseAddr(s[m.start:end])
	if err != nil || !public(a) {
		return Span{}, false
	}
	if word := wordBefore(s, m.start, 0); context[word] == otherNumber || context[word] == version {
		return Span{}, false
	}
	// 1.2.3.4 and the like number sections and versions far more often.
	if end-m.start <= 8 && (m.groups[0] == 1 || m.n < 6) && context[wordBefore(s, m.start, 0)] != address {
		return Span{}, false
	}
	return Span{m.start, end, IP}, true
}

// What words in front of a number say of it.
const (
	unknown = iota
	phone
	address
	version
	otherNumber
)

var context = func() map[string]uint8 {
	m := map[string]uint8{}
	for k, list := range map[uint8]string{
		phone:       "phone telephone tel telefon tél téléphone teléfono telefono telefoon cell mobile mob mobil handy call called calling text sms whatsapp fax ring reach dial hotline viber signal ph contact",
		address:     "ip address addr host server client from ping visitor",
		version:     "version versions v ver release released build firmware driver section sections chapter clause paragraph rev revision kernel java python chrome firefox article rule step figure table",
		otherNumber: "isbn issn doi order invoice tracking serial sku part item model article pages page pp lot ref reference ticket case patent rfc barcode ean upc catalog no nr número lat lon population",
	} {
		for _, w := range strings.Fields(list) {
			m[w] = k
		}
	}
	return m
}()

// wordBefore returns the word before i in lower case. Punctuation, and one
// further word of the kind that stands between a name and its number, are
// skipped: "call me at", "Phone number is:".
func wordBefore(s string, i, done int) string {
	for range 4 {
		for i > done && !wordByte(s[i-1]) {
			if s[i-1] == '\n' || s[i-1] == ';' || s[i-1] == '!' || s[i-1] == '?' {
				return ""
			}
			i--
		}
		end := i
		for i > done && end-i < 16 && wordByte(s[i-1]) {
			i--
		}
		word := strings.ToLower(s[i:end])
		switch word {
		case "at", "on", "is", "me", "us", "my", "him", "her", "number", "numbers", "to", "the", "or", "under", "was", "unter", "au", "al", "office", "home", "work", "line", "13", "10":
			continue
		}
		return word
	}
	return ""
}

func wordByte(c byte) bool { return isAlnum(c) || c >= 0x80 }
