package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// words is the table of the instructions that Go's assembler lacks: GNU
// syntax with a placeholder per operand field, and the bits outside these
// fields. Placeholders: Vd, Vn and Vm (registers, bits 0, 5 and 16; Sd is Vd),
// [S] an element of 32 bits (H = bit 11, L = bit 21), and the shifts #L8, #L16
// and #R8 … #R32 (left and right, by lane width).
var words = []struct {
	syntax string
	bits   uint32
}{
	{"sdot Vd.4s, Vn.16b, Vm.16b", 0x4e809400},
	{"sdot Vd.4s, Vn.16b, Vm.4b[S]", 0x4f80e000},

	{"fadd Vd.4s, Vn.4s, Vm.4s", 0x4e20d400},
	{"fsub Vd.4s, Vn.4s, Vm.4s", 0x4ea0d400},
	{"fmul Vd.4s, Vn.4s, Vm.4s", 0x6e20dc00},
	{"fdiv Vd.4s, Vn.4s, Vm.4s", 0x6e20fc00},
	{"fmax Vd.4s, Vn.4s, Vm.4s", 0x4e20f400},
	{"faddp Vd.4s, Vn.4s, Vm.4s", 0x6e20d400},
	{"fmul Vd.4s, Vn.4s, Vm.s[S]", 0x4f809000},
	{"fmla Vd.4s, Vn.4s, Vm.s[S]", 0x4f801000},
	{"fmaxv Sd, Vn.4s", 0x6e30f800},
	{"umaxv Sd, Vn.4s", 0x6eb0a800},
	{"addv Sd, Vn.4s", 0x4eb1b800},
	{"fabs Vd.4s, Vn.4s", 0x4ea0f800},
	{"fsqrt Vd.4s, Vn.4s", 0x6ea1f800},
	{"fcvtl Vd.2d, Vn.2s", 0x0e617800},
	{"fcvtl2 Vd.2d, Vn.4s", 0x4e617800},
	{"fneg Vd.4s, Vn.4s", 0x6ea0f800},
	{"fcmgt Vd.4s, Vn.4s, Vm.4s", 0x6ea0e400},
	{"fcmeq Vd.4s, Vn.4s, Vm.4s", 0x4e20e400},
	{"scvtf Vd.4s, Vn.4s", 0x4e21d800},
	{"fcvtns Vd.4s, Vn.4s", 0x4e21a800},
	{"fcvtl Vd.4s, Vn.4h", 0x0e217800},
	{"fcvtl2 Vd.4s, Vn.8h", 0x4e217800},
	{"fcvtn Vd.4h, Vn.4s", 0x0e216800},
	{"fcvtn2 Vd.8h, Vn.4s", 0x4e216800},
	{"shll Vd.4s, Vn.4h, #16", 0x2e613800},
	{"shll2 Vd.4s, Vn.8h, #16", 0x6e613800},

	{"mul Vd.4s, Vn.4s, Vm.4s", 0x4ea09c00},
	{"mla Vd.4s, Vn.4s, Vm.4s", 0x4ea09400},
	{"mls Vd.4s, Vn.4s, Vm.4s", 0x6ea09400},
	{"mul Vd.4s, Vn.4s, Vm.s[S]", 0x4f808000},
	{"mla Vd.4s, Vn.4s, Vm.s[S]", 0x6f800000},
	{"mls Vd.4s, Vn.4s, Vm.s[S]", 0x6f804000},
	{"neg Vd.4s, Vn.4s", 0x6ea0b800},
	{"cmgt Vd.4s, Vn.4s, Vm.4s", 0x4ea03400},
	{"saddlp Vd.8h, Vn.16b", 0x4e202800},
	{"saddlp Vd.4s, Vn.8h", 0x4e602800},
	{"xtn Vd.4h, Vn.4s", 0x0e612800},
	{"xtn2 Vd.8h, Vn.4s", 0x4e612800},
	{"xtn Vd.8b, Vn.8h", 0x0e212800},
	{"xtn2 Vd.16b, Vn.8h", 0x4e212800},
	{"sshll Vd.8h, Vn.8b, #L8", 0x0f00a400},
	{"sshll2 Vd.8h, Vn.16b, #L8", 0x4f00a400},
	{"sshll Vd.4s, Vn.4h, #L16", 0x0f00a400},
	{"sshll2 Vd.4s, Vn.8h, #L16", 0x4f00a400},
	{"sshr Vd.16b, Vn.16b, #R8", 0x4f000400},
	{"sshr Vd.4s, Vn.4s, #R32", 0x4f000400},
}

// natives are the vector instructions that Go's assembler has, by GNU name.
var natives = map[string]string{
	"add": "VADD", "sub": "VSUB", "addp": "VADDP",
	"and": "VAND", "orr": "VORR", "eor": "VEOR", "bsl": "VBSL", "bit": "VBIT", "bif": "VBIF",
	"fmla": "VFMLA", "fmls": "VFMLS", "umax": "VUMAX",
	"shl": "VSHL", "ushr": "VUSHR", "sli": "VSLI", "sri": "VSRI", "ushll": "VUSHLL", "ushll2": "VUSHLL2",
	"zip1": "VZIP1", "zip2": "VZIP2", "uzp1": "VUZP1", "uzp2": "VUZP2", "trn1": "VTRN1", "trn2": "VTRN2",
	"dup": "VDUP", "mov": "VMOV", "movi": "VMOVI", "ext": "VEXT", "tbl": "VTBL", "cmtst": "VCMTST",
}

type form struct {
	re     *regexp.Regexp
	fields []string
	bits   uint32
}

var forms = func() []form {
	place := regexp.MustCompile(`\bV[dnm]|\bSd|\[S\]|#[LR]\d+`)
	var fs []form
	for _, w := range words {
		f := form{bits: w.bits, fields: place.FindAllString(w.syntax, -1)}
		var re strings.Builder
		last := 0
		for _, at := range place.FindAllStringIndex(w.syntax, -1) {
			re.WriteString(regexp.QuoteMeta(w.syntax[last:at[0]]))
			re.WriteString(map[byte]string{'V': `v(\d+)`, 'S': `s(\d+)`, '[': `\[(\d)\]`, '#': `#(\d+)`}[w.syntax[at[0]]])
			last = at[1]
		}
		re.WriteString(regexp.QuoteMeta(w.syntax[last:]))
		f.re = regexp.MustCompile("^" + re.String() + "$")
		fs = append(fs, f)
	}
	return fs
}()

// encode returns the bits of an instruction of the table.
func encode(text string) (uint32, bool) {
	for _, f := range forms {
		m := f.re.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		bits := f.bits
		for i, field := range f.fields {
			n64, _ := strconv.Atoi(m[i+1])
			n := uint32(n64)
			switch {
			case field == "Vd" || field == "Sd":
				bits |= n
			case field == "Vn":
				bits |= n << 5
			case field == "Vm":
				bits |= n << 16
			case field == "[S]":
				bits |= n>>1<<11 | n&1<<21
			case field[1] == 'L':
				width, _ := strconv.Atoi(field[2:])
				bits |= (uint32(width) + n) << 16
			case field[1] == 'R':
				width, _ := strconv.Atoi(field[2:])
				bits |= (2*uint32(width) - n) << 16
			}
		}
		return bits, true
	}
	return 0, false
}

var operand = regexp.MustCompile(`\{[^}]*\}|[^,\s]+(?:\.[0-9a-z]+)?(?:\[\d+\])?`)

// native translates an instruction that Go's assembler has: operands reversed,
// v1.4s as V1.S4, v1.s[2] as V1.S[2], w1 and x1 as R1, #1 as $1.
func native(text string) (string, error) {
	name, rest, _ := strings.Cut(text, " ")
	op, ok := natives[name]
	if !ok {
		return "", fmt.Errorf("neon: instruction %q is neither in the table nor in Go's assembler", text)
	}
	ops := operand.FindAllString(rest, -1)
	out := make([]string, len(ops))
	for i, o := range ops {
		out[len(ops)-1-i] = goOperand(o)
	}
	return op + " " + strings.Join(out, ", "), nil
}

var (
	vecOperand  = regexp.MustCompile(`^v(\d+)\.(\d*)([bhsd])(\[\d+\])?$`)
	gprOperand  = regexp.MustCompile(`^[wx](\d+)$`)
	listOperand = regexp.MustCompile(`^\{(.*)\}$`)
)

func goOperand(o string) string {
	if m := vecOperand.FindStringSubmatch(o); m != nil {
		return "V" + m[1] + "." + strings.ToUpper(m[3]) + m[2] + m[4]
	}
	if m := gprOperand.FindStringSubmatch(o); m != nil {
		return "R" + m[1]
	}
	if m := listOperand.FindStringSubmatch(o); m != nil {
		return "[" + goOperand(strings.TrimSpace(m[1])) + "]"
	}
	if strings.HasPrefix(o, "#") {
		return "$" + o[1:]
	}
	return o
}
