package pii

// The functions of this file that are tried by match return how many groups of
// the numeral they are (0: not this kind).

// card: payment cards by the length and prefix that issuers use, grouped as on
// cards or not at all, with Luhn's check digit (ISO/IEC 7812).
func card(m *numeral) (int, Kind) {
	n, groups := m.n, m.g
	switch {
	case m.g == 1 && n >= 13 && n <= 19:
	case m.shape(4, 4, 4, 4) && m.separated(4, " -"):
		groups, n = 4, 16
		if m.g >= 5 && m.seps[3] == m.seps[0] && m.groups[4] == 3 {
			groups, n = 5, 19
		}
	case m.shape(4, 6, 5) && m.separated(3, " -"):
		groups, n = 3, 15
	case m.shape(4, 6, 4) && m.separated(3, " -"):
		groups, n = 3, 14
	default:
		return 0, 0
	}
	if groups < m.g && m.seps[groups-1] != ' ' {
		return 0, 0
	}
	d := m.digits[:n]
	if !issued(d) || !luhn(d) {
		return 0, 0
	}
	return groups, Card
}

// issued reports whether an issuer gives out cards with this prefix and length.
func issued(d []byte) bool {
	prefix := func(n int) int { return value(d[:n]) }
	switch n := len(d); {
	case d[0] == 4:
		return n == 13 || n == 16 || n == 19 // Visa
	case prefix(2) >= 51 && prefix(2) <= 55, prefix(4) >= 2221 && prefix(4) <= 2720:
		return n == 16 // Mastercard
	case prefix(2) == 34, prefix(2) == 37:
		return n == 15 // American Express
	case prefix(4) == 6011, prefix(2) == 65, prefix(3) >= 644 && prefix(3) <= 649:
		return n >= 16 // Discover
	case prefix(4) >= 3528 && prefix(4) <= 3589:
		return n == 16 || n == 19 // JCB
	case prefix(3) >= 300 && prefix(3) <= 305, prefix(2) == 36, prefix(2) == 38:
		return n == 14 // Diners Club
	case prefix(2) == 62:
		return n >= 16 // UnionPay
	}
	return false
}

func value(d []byte) int {
	v := 0
	for _, x := range d {
		v = v*10 + int(x)
	}
	return v
}

func luhn(d []byte) bool {
	sum := 0
	for i, x := range d {
		v := int(x)
		if (len(d)-i)%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

// ssn: United States social security numbers, by the ranges that are given out.
func ssn(m *numeral) (int, Kind) {
	if !m.shape(3, 2, 4) || !m.separated(3, "- ") || m.g > 3 && m.seps[2] != ' ' {
		return 0, 0
	}
	area, group, serial := value(m.digits[:3]), value(m.digits[3:5]), value(m.digits[5:9])
	if area == 0 || area == 666 || area >= 900 || group == 0 || serial == 0 {
		return 0, 0
	}
	return 3, ID
}

// cpf: Brazil's tax numbers, 123.456.789-09, with two check digits.
func cpf(m *numeral) (int, Kind) {
	if m.g != 4 || !m.shape(3, 3, 3, 2) || m.seps[0] != '.' || m.seps[1] != '.' || m.seps[2] != '-' {
		return 0, 0
	}
	d := m.digits[:11]
	for n := 9; n < 11; n++ {
		sum := 0
		for i := range n {
			sum += int(d[i]) * (n + 1 - i)
		}
		if sum*10%11%10 != int(d[n]) {
			return 0, 0
		}
	}
	return m.g, ID
}

// nir: France's social security numbers: sex, year, month, department, commune,
// order, and a key modulo 97.
func nir(m *numeral) (int, Kind) {
	switch {
	case m.n != 15 || m.digits[0] != 1 && m.digits[0] != 2:
		return 0, 0
	case m.g == 1, m.g == 2 && m.shape(13, 2), m.g == 7 && m.shape(1, 2, 2, 2, 3, 3, 2):
	default:
		return 0, 0
	}
	if month := value(m.digits[3:5]); month < 1 || month > 12 && month < 20 {
		return 0, 0
	}
	if 97-value(m.digits[:13])%97 != value(m.digits[13:15]) {
		return 0, 0
	}
	return m.g, ID
}

// Tables of Verhoeff's check digit, made from the group of symmetries of a
// pentagon.
var verhoeffD, verhoeffP = func() (d [10][10]byte, p [8][10]byte) {
	for a := range 10 {
		for b := range 10 {
			switch {
			case a < 5 && b < 5:
				d[a][b] = byte((a + b) % 5)
			case a < 5:
				d[a][b] = byte((a+b-5)%5 + 5)
			case b < 5:
				d[a][b] = byte((a-5-b+5)%5 + 5)
			default:
				d[a][b] = byte((a - b + 5) % 5)
			}
		}
	}
	next := [10]byte{1, 5, 7, 6, 2, 8, 3, 0, 9, 4}
	for i := range 10 {
		p[0][i] = byte(i)
	}
	for k := 1; k < 8; k++ {
		for i := range 10 {
			p[k][i] = next[p[k-1][i]]
		}
	}
	return d, p
}()

func verhoeff(d []byte) bool {
	c := byte(0)
	for i := range d {
		c = verhoeffD[c][verhoeffP[i%8][d[len(d)-1-i]]]
	}
	return c == 0
}

// aadhaar: India's identity numbers, in three groups of four and no more.
func aadhaar(m *numeral) (int, Kind) {
	if m.g != 3 || m.cut || !m.shape(4, 4, 4) || !m.separated(3, " -") || m.digits[0] < 2 || !verhoeff(m.digits[:12]) {
		return 0, 0
	}
	return 3, ID
}

// dni: Spain's identity numbers, eight digits and a letter modulo 23.
func (m *numeral) dni(s string) (Span, bool) {
	if m.g != 1 || m.n != 8 || m.open || m.plus {
		return Span{}, false
	}
	end := m.end
	if byteAt(s, end) == '-' {
		end++
	}
	if !isUpper(byteAt(s, end)) || isAlnum(byteAt(s, end+1)) || spanish[value(m.digits[:8])%23] != s[end] {
		return Span{}, false
	}
	return Span{m.start, end + 1, ID}, true
}

const spanish = "TRWAGMYFPDXBNJZSQVHLCKE"

// lettered looks at numbers that begin with letters: i is the first digit.
func lettered(s string, i, done int) (Span, bool) {
	start := i
	for start > done && i-start < 7 && isUpper(s[start-1]) {
		start--
	}
	if start > 0 && (isAlnum(s[start-1]) || s[start-1] == '_') {
		return Span{}, false
	}
	switch i - start {
	case 1:
		return nie(s, start)
	case 2:
		if end, ok := iban(s, start); ok {
			return Span{start, end, IBAN}, true
		}
		return nino(s, start)
	case 6:
		return codiceFiscale(s, start)
	}
	return Span{}, false
}

// nie: Spain's identity numbers of foreigners, X1234567L.
func nie(s string, start int) (Span, bool) {
	if len(s) < start+9 || s[start] < 'X' || s[start] > 'Z' || isAlnum(byteAt(s, start+9)) {
		return Span{}, false
	}
	v := int(s[start] - 'X')
	for _, c := range []byte(s[start+1 : start+8]) {
		if !isDigit(c) {
			return Span{}, false
		}
		v = v*10 + int(c-'0')
	}
	if spanish[v%23] != s[start+8] {
		return Span{}, false
	}
	return Span{start, start + 9, ID}, true
}

// nino: the United Kingdom's national insurance numbers, AB 12 34 56 C, with or
// without spaces. They have no check digit.
func nino(s string, start int) (Span, bool) {
	a, b := s[start], s[start+1]
	bad := func(c byte, list string) bool {
		for i := range len(list) {
			if list[i] == c {
				return true
			}
		}
		return false
	}
	if bad(a, "DFIQUV") || bad(b, "DFIOQUV") {
		return Span{}, false
	}
	i := start + 2
	spaced := byteAt(s, i) == ' '
	for range 3 {
		if spaced && byteAt(s, i) == ' ' {
			i++
		}
		if !isDigit(byteAt(s, i)) || !isDigit(byteAt(s, i+1)) {
			return Span{}, false
		}
		i += 2
		if byteAt(s, i) == ' ' {
			spaced = true
		}
	}
	if spaced && byteAt(s, i) == ' ' {
		i++
	}
	if c := byteAt(s, i); c < 'A' || c > 'D' || isAlnum(byteAt(s, i+1)) {
		return Span{}, false
	}
	return Span{start, i + 1, ID}, true
}

// codiceFiscale: Italy's tax codes, six letters, year, month letter, day, place
// and a check letter.
func codiceFiscale(s string, start int) (Span, bool) {
	if len(s) < start+16 || isAlnum(byteAt(s, start+16)) {
		return Span{}, false
	}
	const shape = "AAAAAA00A00A000A"
	odd := [26]byte{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
	sum := 0
	for i := range 15 {
		c := s[start+i]
		var v int
		switch {
		case isDigit(c) && shape[i] == '0':
			v = int(c - '0')
		case isUpper(c) && shape[i] == 'A':
			v = int(c - 'A')
		default:
			return Span{}, false
		}
		if i%2 == 0 {
			v = int(odd[v])
		}
		sum += v
	}
	if s[start+15] != byte('A'+sum%26) {
		return Span{}, false
	}
	return Span{start, start + 16, ID}, true
}

// ibanLength is the length of account numbers by country (ISO 13616 registry).
var ibanLength = map[string]int{
	"AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28,
	"CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18,
	"GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32,
	"LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15,
	"PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25,
	"SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}

// iban checks an account number from its country on, with or without spaces
// between groups of four, by its length and its remainder modulo 97.
func iban(s string, start int) (end int, ok bool) {
	want := ibanLength[s[start:start+2]]
	if want == 0 {
		return 0, false
	}
	var c [34]byte
	n, i := 0, start
	for i < len(s) && n < want {
		switch {
		case isDigit(s[i]) || isUpper(s[i]):
			c[n] = s[i]
			n++
		case s[i] == ' ' && n%4 == 0 && n > 0:
		default:
			return 0, false
		}
		i++
	}
	if n < want || isAlnum(byteAt(s, i)) {
		return 0, false
	}
	mod := 0
	for k := range want {
		x := c[(k+4)%want]
		if isDigit(x) {
			mod = (mod*10 + int(x-'0')) % 97
		} else {
			mod = (mod*100 + int(x-'A') + 10) % 97
		}
	}
	return i, mod == 1
}
