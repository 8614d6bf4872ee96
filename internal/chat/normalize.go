package chat

import (
	"strings"
)

// normalize rewrites a template so that texts which differ only in white space
// without meaning become equal, and no others. Without meaning are, with the
// settings that Hugging Face's code runs templates with: white space inside of
// {% %} and {{ }} other than between words and in strings; the first line break
// behind a {% %} (trim_blocks) and blanks between the beginning of a line and a
// {% %} (lstrip_blocks); all white space next to a "-" inside of the brackets;
// one line break at the end; comments. So are the quotes of a string, and whether
// it spells a line break as \n.
func normalize(s string) string {
	s = strings.TrimSuffix(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	var out strings.Builder
	var last tag
	for first := true; ; first = false {
		text, next, rest := cutTag(s)
		if next.blankBefore() {
			line := strings.LastIndexByte(text, '\n') + 1
			if (line > 0 || first) && strings.Trim(text[line:], " \t") == "" {
				text = text[:line]
			}
		}
		if next.trimBefore {
			text = strings.TrimRight(text, " \t\n\r")
		}
		if last.trimAfter {
			text = strings.TrimLeft(text, " \t\n\r")
		} else if last.kind == '%' || last.kind == '#' {
			text = strings.TrimPrefix(text, "\n")
		}
		out.WriteString(text)
		switch next.kind {
		case 0:
			return out.String()
		case '%':
			out.WriteString("{%" + squeezeTag(next.inner) + "%}")
		case '{':
			out.WriteString("{{" + squeezeTag(next.inner) + "}}")
		}
		last, s = next, rest
	}
}

// tag is one {% %}, {{ }} or {# #}.
type tag struct {
	kind                  byte // '%', '{' or '#'; 0 behind the last one
	inner                 string
	trimBefore, trimAfter bool // by a "-" inside of the brackets
}

// blankBefore says that blanks are dropped between the beginning of its line and
// the tag.
func (t tag) blankBefore() bool { return t.kind == '%' || t.kind == '#' }

// cutTag cuts s around its first tag.
func cutTag(s string) (text string, t tag, rest string) {
	for i := 0; i+1 < len(s); i++ {
		if s[i] != '{' || strings.IndexByte("%{#", s[i+1]) < 0 {
			continue
		}
		t.kind = s[i+1]
		t.inner, rest = cutInner(s[i+2:], t.kind)
		t.inner, t.trimBefore = strings.CutPrefix(t.inner, "-")
		t.inner, t.trimAfter = strings.CutSuffix(t.inner, "-")
		return s[:i], t, rest
	}
	return s, tag{}, ""
}

// cutInner returns what stands before the end of a tag and what behind.
func cutInner(s string, kind byte) (inner, rest string) {
	end := map[byte]string{'%': "%}", '{': "}}", '#': "#}"}[kind]
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], end) {
			return s[:i], s[i+2:]
		}
		if kind != '#' && (s[i] == '\'' || s[i] == '"') {
			i += len(quoted(s[i:])) - 1
		}
	}
	return s, ""
}

// quoted returns the string literal that s begins with.
func quoted(s string) string {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case s[0]:
			return s[:i+1]
		}
	}
	return s
}

// squeezeTag drops white space of a tag's inside but between words, and spells
// strings in one way.
func squeezeTag(s string) string {
	var out strings.Builder
	space := false
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case strings.IndexByte(" \t\n\r", c) >= 0:
			space = true
			i++
			continue
		case c == '\'' || c == '"':
			q := quoted(s[i:])
			i += len(q)
			q = strings.ReplaceAll(q, "\n", `\n`)
			if body, closed := strings.CutSuffix(q[1:], `"`); c == '"' && closed && !strings.Contains(body, "'") {
				q = "'" + body + "'"
			}
			out.WriteString(q)
		default:
			if o := out.String(); space && o != "" && isWord(c) && isWord(o[len(o)-1]) {
				out.WriteByte(' ')
			}
			out.WriteByte(c)
			i++
		}
		space = false
	}
	return out.String()
}

func isWord(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c >= 0x80
}
