package pii

import "strings"

// countryCodes are the calling codes of ITU-T E.164; two-digit ones by their
// value, the three-digit ones by their first two digits (all of 21, 22, … are
// three digits long).
var (
	twoDigits   = codeSet(20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46, 47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62, 63, 64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98)
	threeDigits = codeSet(21, 22, 23, 24, 25, 26, 29, 35, 37, 38, 42, 50, 59, 67, 68, 69, 85, 87, 88, 96, 97, 99)
)

func codeSet(codes ...int) (m [100]bool) {
	for _, c := range codes {
		m[c] = true
	}
	return m
}

// international is a number that begins with "+": a known calling code, and 8 to
// 15 digits in all. Groups of digits that go on behind them are left out.
func (m *numeral) international(s string) (Span, bool) {
	// Behind a letter, digit or bracket the "+" adds.
	if before := byteAt(s, m.start-1); before > ' ' && strings.IndexByte("(:\"'>[,;/|*", before) < 0 || byteAt(s, m.end) == '=' {
		return Span{}, false
	}
	groups, n := 0, 0
	for groups < m.g && n+int(m.groups[groups]) <= 15 {
		if groups > 1 && groups < m.g-1 && m.seps[groups-1] == ' ' && m.seps[groups] == '.' && m.seps[0] != '.' {
			break // a decimal follows
		}
		n += int(m.groups[groups])
		groups++
	}
	code := value(m.digits[:2])
	if n < 8 || m.digits[0] != 1 && m.digits[0] != 7 && !twoDigits[code] && !threeDigits[code] {
		return Span{}, false
	}
	for i := range groups - 1 {
		if m.seps[i] == '/' && i > 1 {
			return Span{}, false
		}
	}
	return Span{m.start, m.upTo(s, groups), Phone}, true
}

// national is a number without a calling code: in a form that is used for little
// else, or behind a word that says so.
func (m *numeral) national(s, word string, done int) (Span, bool) {
	said := context[word] == phone
	whole := func() (Span, bool) { return Span{m.start, m.end, Phone}, true }
	if g := m.northAmerican(said); g > 0 {
		return Span{m.start, m.upTo(s, g), Phone}, true
	}
	if m.dateLike() {
		return Span{}, false
	}
	// France, and others that dial in pairs: 01 23 45 67 89.
	if m.shape(2, 2, 2, 2, 2) && m.g == 5 && m.separated(5, " .-") && m.digits[0] == 0 && m.digits[1] != 0 {
		return whole()
	}
	// A trunk 0, 9 to 12 digits in two to four groups: much of Europe, Asia and
	// Oceania. A dot would be a number's, not a phone's, but for pairs; groups in
	// front belong to something longer.
	if inner := byteAt(s, m.start-1) == ' ' && isDigit(byteAt(s, m.start-2)); !inner && (m.digits[0] == 0 && m.digits[1] != 0 || m.open && m.digits[0] == 0) && m.n >= 9 && m.n <= 12 && m.g >= 2 && m.g <= 5 && m.groups[0] >= 2 && m.groups[0] <= 6 && m.noDots() {
		return whole()
	}
	if said && m.n >= 7 && m.n <= 15 && m.g <= 6 && m.noDots() {
		return whole()
	}
	return Span{}, false
}

func (m *numeral) noDots() bool {
	for i := range m.g - 1 {
		if m.seps[i] == '.' {
			return false
		}
	}
	return true
}

// northAmerican checks numbers of the North American plan, (212) 555-0123, and
// returns how many groups they take. With spaces alone or in one piece they must
// be said to be phone numbers.
func (m *numeral) northAmerican(said bool) int {
	from, d := 0, 0 // first group and digit behind a leading 1
	if m.groups[0] == 1 && m.digits[0] == 1 && m.g > 1 {
		from, d = 1, 1
	}
	nanp := func() bool {
		a, x := m.digits[d:d+3], m.digits[d+3:d+6]
		return a[0] >= 2 && x[0] >= 2 && !(a[1] == 1 && a[2] == 1) && !(x[1] == 1 && x[2] == 1)
	}
	last := from + 3
	if m.g >= last && m.groups[from] == 3 && m.groups[from+1] == 3 && m.groups[from+2] == 4 && (m.g == last || m.seps[last-1] == ' ') {
		s1, s2 := m.seps[from], m.seps[from+1]
		form := s1 == ')' && (s2 == '-' || s2 == ' ' || s2 == '.') || s1 == s2 && (s1 == '-' || s1 == '.') || s1 == '/' && s2 == '-' || s1 == ' ' && s2 == '-' || s1 == ' ' && s2 == ' ' && (said || from == 1)
		if form && nanp() {
			return last
		}
		return 0
	}
	if m.g == 1 && m.n == 10 && said && nanp() {
		return 1
	}
	// (212) 5550123 and 555-0123 behind a word.
	if m.g == 2 && m.groups[0] == 3 && m.groups[1] == 7 && m.seps[0] == ')' && nanp() {
		return 2
	}
	return 0
}

// dateLike reports whether the numeral is a date, a range of years or a date
// with a time.
func (m *numeral) dateLike() bool {
	year := func(i, at int) bool {
		v := value(m.digits[at : at+4])
		return m.groups[i] == 4 && v >= 1000 && v < 2200
	}
	switch {
	case m.g >= 2 && m.shape(4, 4) && year(0, 0) && year(1, 4):
		return true
	case m.g >= 3 && m.groups[0] == 4 && m.groups[1] <= 2 && m.groups[2] <= 2 && year(0, 0):
		return true
	case m.g >= 3 && m.groups[0] <= 2 && m.groups[1] <= 2 && m.groups[2] == 4:
		return year(2, int(m.groups[0]+m.groups[1]))
	}
	return m.g == 1 && m.n == 8 && year4(m.digits[:4]) && value(m.digits[4:6]) <= 12 && value(m.digits[6:8]) <= 31
}

func year4(d []byte) bool { return value(d) >= 1800 && value(d) < 2200 }
