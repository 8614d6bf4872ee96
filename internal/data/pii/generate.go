package pii

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// generator makes labelled documents. What it plants is computed by the rules of
// whoever gives the numbers out, not by the scanner's.
type generator struct {
	rng       *rand.Rand
	negatives int
}

func (g *generator) pick(list ...string) string { return list[g.rng.IntN(len(list))] }

func (g *generator) word(list string) string { return g.pick(strings.Fields(list)...) }

// fill replaces each # by a digit and each ~ by one from 2 to 9.
func (g *generator) fill(format string) string {
	b := []byte(format)
	for i, c := range b {
		switch c {
		case '#':
			b[i] = byte('0' + g.rng.IntN(10))
		case '~':
			b[i] = byte('2' + g.rng.IntN(8))
		}
	}
	return string(b)
}

// document returns a text of several sentences and its labels.
func (g *generator) document() (string, []Span) {
	var b strings.Builder
	var labels []Span
	for i := range 6 + g.rng.IntN(8) {
		if i > 0 {
			b.WriteString(g.pick(" ", " ", " ", "\n", "\n\n"))
		}
		switch g.rng.IntN(4) {
		case 0:
			kind := Kind(g.rng.IntN(int(Kinds)))
			sentence, value := g.positive(kind)
			before, after, _ := strings.Cut(sentence, "@@")
			b.WriteString(before)
			labels = append(labels, Span{b.Len(), b.Len() + len(value), kind})
			b.WriteString(value + after)
		case 1, 2:
			g.negatives++
			b.WriteString(g.negative())
		default:
			b.WriteString(g.plain())
		}
	}
	return b.String(), labels
}

const (
	firstNames = "Anna Ben Chloé David Elif Farid Grace Hana Ivan Julia Kofi Lena Marco Nadia Omar Priya Quentin Rosa Sven Tanya Uma Viktor Wei Ximena Yusuf Zoë"
	lastNames  = "Smith Müller García Rossi Novak Okafor Tanaka Singh Dubois Jansen Kowalski Andersson Silva Nguyen O'Brien Johnson Brown Haddad"
	domains    = "gmail.com yahoo.co.uk web.de orange.fr outlook.com proton.me uni-heidelberg.de cs.example-lab.edu mail.ru libero.it company.io stadt.bayern"
)

func (g *generator) name() string { return g.word(firstNames) + " " + g.word(lastNames) }

// positive returns a sentence with @@ where the value belongs.
func (g *generator) positive(k Kind) (sentence, value string) {
	switch k {
	case Email:
		first, last := ascii(g.word(firstNames)), ascii(g.word(lastNames))
		value = g.pick(first+"."+last, first[:1]+last, first+"_"+g.fill("##"), last+g.fill("###"), first+"+news", last+"-"+first, strings.ToUpper(first)) + "@" + g.word(domains)
		sentence = g.pick("Write to @@ for details.", "You can reach "+g.name()+" at @@.", "E-mail: @@", "Contact <@@> or come by.", "mailto:@@", "Send your CV to @@, please.", "("+g.name()+", @@)", "Her address, @@, no longer works.")
	case Phone:
		return g.phone()
	case IP:
		if g.rng.IntN(4) == 0 {
			return g.pick("The request came from @@ at night.", "Blocked [@@]:8080 for a day.", "User @@ edited this page.", "IP: @@"), g.ipv6()
		}
		value = g.ipv4()
		sentence = g.pick("The request came from @@ at night.", "User @@ edited this page.", "Blocked @@:8080 after many attempts.", "IP: @@", "Failed login from @@, port 22.", "His machine (@@) was offline.", "ping @@ shows nothing.")
	case Card:
		value = g.card()
		sentence = g.pick("My card number is @@.", "Card: @@ exp 04/29", "Charge it to @@, please.", "Visa/MC @@ CVV 123", "payment with @@ was declined", "He read @@ aloud.")
	case IBAN:
		value = g.iban()
		sentence = g.pick("Please transfer to @@.", "IBAN: @@", "IBAN @@ (BIC on request)", "The account @@ was closed.", "Konto "+g.name()+", @@")
	default:
		return g.identity()
	}
	return sentence, value
}

func ascii(s string) string {
	return strings.NewReplacer("é", "e", "ë", "e", "ü", "u", "í", "i", "'", "").Replace(strings.ToLower(s))
}

func (g *generator) phone() (sentence, value string) {
	free := []string{ // forms that need no word in front
		"(~1#) ~3#-####", "~0#-~4#-####", "~2#.~5#.####", "1-800-~6#-####", "+1 ~0# ~7# ####", "+1-~3#-~4#-####", "+1 (~2#) ~3#-####",
		"+44 20 7946 ####", "+44 7700 ######", "020 7946 ####", "07700 9#####", "0161 496 ####",
		"+49 30 #######", "+49 (0)30 ######", "030 / ######", "0171/#######", "+33 1 ## ## ## ##", "01 ## ## ## ##", "06.##.##.##.##",
		"+34 6## ### ###", "+39 06 ########", "+91 9#### #####", "+81 3-####-####", "03-####-####", "+55 11 9####-####", "+61 4## ### ###", "04## ### ###", "+86 138 #### ####", "+46 70-### ## ##",
	}
	said := []string{"~0# ~1# ####", "~03~4#####", "9#### #####", "6## ### ###", "555-~####", "8 9## ### ## ##", "22 ### ## ##", "1#########"}
	if g.rng.IntN(4) == 0 {
		value = g.fill(g.pick(said...))
		return g.pick("Call @@ after six.", "Tel. @@", "Phone: @@", "My mobile number is @@.", "Text me at @@!", "WhatsApp @@", "Cell: @@ (evenings)"), value
	}
	value = g.fill(g.pick(free...))
	return g.pick("Call @@ after six.", "Tel: @@", "You can reach us on @@.", "For bookings, @@.", g.name()+" – @@", "Her number was @@, I think.", "Reception @@ (24 hours)", "Please dial @@ or write."), value
}

func (g *generator) ipv4() string {
	for {
		a := netip.AddrFrom4([4]byte{byte(1 + g.rng.IntN(223)), byte(g.rng.IntN(256)), byte(g.rng.IntN(256)), byte(1 + g.rng.IntN(254))})
		b := a.As4()
		if b[0] != 10 && b[0] != 127 && b[0] != 192 && b[0] != 172 && b[0] != 169 && b[0] != 198 && b[0] != 203 && b[0] != 100 {
			return a.String()
		}
	}
}

func (g *generator) ipv6() string {
	var a [16]byte
	for i := range a {
		a[i] = byte(g.rng.IntN(256))
	}
	copy(a[:], []byte{0x2a, byte(g.rng.IntN(16))})
	if g.rng.IntN(2) == 0 {
		clear(a[6:14])
	}
	return netip.AddrFrom16(a).String()
}

// card makes a number with the right last digit.
func (g *generator) card() string {
	format := g.pick("4##############", "51#############", "55#############", "2223###########", "34############", "37############", "6011###########", "36###########", "3530###########")
	digits := g.fill(format)
	for last := '0'; last <= '9'; last++ {
		s := digits + string(last)
		sum := 0
		for i := range len(s) { // from the right: every second one doubled, cross sums
			v := int(s[len(s)-1-i] - '0')
			if i%2 == 1 {
				v = v*2/10 + v*2%10
			}
			sum += v
		}
		if sum%10 == 0 {
			digits = s
			break
		}
	}
	sep := g.pick("", " ", " ", "-")
	if sep == "" {
		return digits
	}
	cuts := []int{4, 8, 12}
	if len(digits) < 16 {
		cuts = []int{4, 10}
	}
	for i := len(cuts) - 1; i >= 0; i-- {
		digits = digits[:cuts[i]] + sep + digits[cuts[i]:]
	}
	return digits
}

// iban makes an account number with the right check digits.
func (g *generator) iban() string {
	format := g.pick("DE####################", "GB##WEST##############", "FR#########################", "ES######################", "NL##ABNA##########", "IT##X######################", "CH###################", "AT##################", "NO#############")
	s := g.fill(format[:2] + "00" + format[4:])
	text := s[4:] + s[:4]
	mod := 0
	for _, c := range text {
		if c >= 'A' {
			mod = (mod*100 + int(c-'A') + 10) % 97
		} else {
			mod = (mod*10 + int(c-'0')) % 97
		}
	}
	s = s[:2] + fmt.Sprintf("%02d", 98-mod) + s[4:]
	if g.rng.IntN(2) == 0 {
		var parts []string
		for ; len(s) > 4; s = s[4:] {
			parts = append(parts, s[:4])
		}
		s = strings.Join(append(parts, s), " ")
	}
	return s
}

// identity makes numbers of several countries.
func (g *generator) identity() (sentence, value string) {
	digits := func(n int) string { return g.fill(strings.Repeat("#", n)) }
	switch g.rng.IntN(6) {
	case 0:
		value = fmt.Sprintf("%03d-%02d-%04d", 1+g.rng.IntN(665), 1+g.rng.IntN(99), 1+g.rng.IntN(9999))
		return g.pick("SSN: @@", "Her social security number is @@.", "He wrote @@ on the form."), value
	case 1: // Brazil: weights from 10 (11) down, twice
		d := digits(9)
		for range 2 {
			sum, weight := 0, len(d)+1
			for _, c := range d {
				sum += int(c-'0') * weight
				weight--
			}
			check := 11 - sum%11
			if check > 9 {
				check = 0
			}
			d += fmt.Sprint(check)
		}
		value = d[:3] + "." + d[3:6] + "." + d[6:9] + "-" + d[9:]
		return g.pick("CPF: @@", "O CPF de "+g.name()+" é @@.", "cadastrado com @@ em maio"), value
	case 2: // Spain
		d := digits(8)
		n := 0
		fmt.Sscan(strings.TrimLeft(d, "0")+" ", &n)
		value = d + g.pick("", "-") + string("TRWAGMYFPDXBNJZSQVHLCKE"[n%23])
		return g.pick("DNI: @@", "con documento @@, vecino de Sevilla", "Firmado: "+g.name()+", @@."), value
	case 3: // United Kingdom
		format := g.pick("%s%s %s %s %s %s", "%s%s%s%s%s%s")
		value = fmt.Sprintf(format, g.word("A B C E G H J K L M N P R S T W X Y Z"), g.word("A B C E G H J K L M N P R S T W X Y Z"), digits(2), digits(2), digits(2), g.word("A B C D"))
		return g.pick("NI number: @@", "National Insurance No. @@", "His NINO is @@."), value
	case 4: // France
		d := fmt.Sprintf("%s%s%02d%02d%s%s", g.word("1 2"), digits(2), 1+g.rng.IntN(12), 1+g.rng.IntN(95), digits(3), digits(3))
		var n int64
		fmt.Sscan(d, &n)
		key := fmt.Sprintf("%02d", 97-n%97)
		value = g.pick(d+key, d[:1]+" "+d[1:3]+" "+d[3:5]+" "+d[5:7]+" "+d[7:10]+" "+d[10:]+" "+key, d+" "+key)
		return g.pick("Numéro de sécurité sociale : @@", "NIR @@", "assurée sous le @@."), value
	default: // Italy
		odd := []int{1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23}
		letter := func() string { return string(rune('A' + g.rng.IntN(26))) }
		s := letter() + letter() + letter() + letter() + letter() + letter() + digits(2) + g.word("A B C D E H L M P R S T") + fmt.Sprintf("%02d", 1+g.rng.IntN(31)) + letter() + digits(3)
		sum := 0
		for i, c := range s {
			v := int(c - '0')
			if c >= 'A' {
				v = int(c - 'A')
			}
			if i%2 == 0 { // the paper counts from 1
				v = odd[v]
			}
			sum += v
		}
		value = s + string(rune('A'+sum%26))
		return g.pick("Codice fiscale: @@", "C.F. @@", g.name()+" ("+"@@"+")"), value
	}
}

// negative is a sentence with something that looks like personal data.
func (g *generator) negative() string {
	list := []string{
		"Version 10.4.22.1 came out in May.", "Upgrade to v2.###.3.#.", "The build 6.1.7601.##### fixes it.", "See section 3.2.1.4 of the manual.", "Linux 5.15.0-##-generic boots.",
		"On 20##-03-1# it rained.", "Born 1#.0#.19##, died 0#/1#/20##.", "From 1914-1918 and 1939-1945.", "at 20##-11-0# 1#:45:07", "The log says 20##11#5.",
		"ISBN 978-3-16-148410-#", "ISBN-10: 0-306-40615-#", "ISBN 97801306####5", "ISSN 2049-36##.", "doi:10.1000/18#.###", "arXiv:2307.092##",
		"John 3:16 and Romans 8:28-39.", "Genesis 12:1-##", "Act 2, scene 3, lines 115-1##.",
		"It cost $1,2##,###.50 in all.", "about 1.2##.###,## EUR", "Rs. 12,34,###", "a budget of 35 000 000 dollars", "up 12.5% to 1,###.##", "$1#####.00 paid",
		"The population was 8,336,8## in 2020.", "Pi is 3.14159265358979.", "0.0000001##### metres", "a distance of 384,4## km", "1234567890123456#", "The sum 100000000####.", "ID4-####",
		"Order #10248#####, shipped.", "Tracking number 1Z999AA1012345678#", "Invoice no. 2023-0004##", "Item 4006381333###", "part number 123-456-###", "SKU 8801-2234-##", "serial 4111-2222-3333-444#A",
		"Pages 123-145 and 201–2##.", "pp. 1023-10##", "Vol. 12, No. 4, 2001.", "Chapter 11-12-1#", "a score of 21-19, 18-21, 21-1#", "aged 25-34-45-5#",
		"48.8566, 2.35## is Paris.", "51°30'26\"N 0°7'39\"W", "lat 40.7128 lon -74.00##", "std::vector<int> x;", "http://localhost:8080/a?id=12345678##", "ratio 16:9 or 4:3", "at 12:30:##", "Foo::Bar::baz()",
		"127.0.0.1 is your own machine.", "192.168.1.## is the router.", "10.0.0.# and 172.16.5.##", "255.255.255.0", "0.0.0.0/0",
		"@grace wrote that.", "Follow @user_12##.", "logo@2x.png", "sold @ 5.00 each", "user@localhost", "a@b", "#hash@tag", "foo @ bar.com",
		"RFC 2616 and RFC 793#.", "ISO 8601:2004, DIN 4102-1", "the year 2000 problem", "12500+21000-63## of them", "x+1000-1000=2500-10##", "59+49+42-20-29-31 = 7#", "sha256 9f86d081884c7d65", "3x3=9, 12*12=144", "call me in 5 minutes", "Call of Duty 4", "phone model 6110, 137 g", "Route 66, exit 12-1#", "a 100-200-400 m relay",
		"between 5000 and 60000 people", "about 20 000 - 30 000 of them", "the 1990-1991-1992 seasons", "model XJ 900 1992", "BMW 320 1998 cc", "DE12 postcode and SW1A 2AA", "GB 1900 stamps", "figure 4-12 to 4-1#", "size 10-12-14", "2001:db8::1 is for documentation", "fe80::1 on the link", "::1",
	}
	return g.fill(g.pick(list...))
}

// plain is a sentence with no numbers.
func (g *generator) plain() string {
	return g.name() + " " + g.word("saw heard found remembered painted sold lost") + " the " + g.word("old red quiet broken famous little") + " " + g.word("boat garden letter clock bridge song") + " " + g.pick("in the evening.", "before anyone else did.", "and told no one.", "near the harbour.")
}
