package read

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// parseObject returns the values of a JSON object by name; they share memory
// with line. It gives what json.Unmarshal gives, in a fraction of its time for
// lines that are one long string: a byte of it is looked at once.
func parseObject(line []byte) (map[string]json.RawMessage, error) {
	if object, ok := quickObject(line); ok {
		return object, nil
	}
	var object map[string]json.RawMessage
	err := json.Unmarshal(line, &object)
	return object, err
}

// parseString returns the text of a JSON string; false for any other value.
func parseString(raw []byte) (string, bool) {
	if raw[0] != '"' {
		return "", false
	}
	if s, ok := quickString(raw); ok {
		return s, true
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// quickObject reads objects that are valid JSON; false says that json.Unmarshal
// must look at the line.
func quickObject(line []byte) (map[string]json.RawMessage, bool) {
	i := skipSpace(line, 0)
	if i == len(line) || line[i] != '{' {
		return nil, false
	}
	object := map[string]json.RawMessage{}
	for i++; ; i++ {
		i = skipSpace(line, i)
		end, ok := stringEnd(line, i)
		if !ok {
			return nil, false
		}
		name, ok := parseString(line[i:end])
		if !ok {
			return nil, false
		}
		i = skipSpace(line, end)
		if i == len(line) || line[i] != ':' {
			return nil, false
		}
		i = skipSpace(line, i+1)
		end, ok = valueEnd(line, i)
		if !ok {
			return nil, false
		}
		object[name] = line[i:end]
		i = skipSpace(line, end)
		if i == len(line) {
			return nil, false
		}
		switch line[i] {
		case ',':
		case '}':
			return object, skipSpace(line, i+1) == len(line)
		default:
			return nil, false
		}
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// valueEnd returns where the valid value that begins at i ends.
func valueEnd(b []byte, i int) (end int, ok bool) {
	if i < len(b) && b[i] == '"' {
		return stringEnd(b, i)
	}
	depth := 0
	for end = i; end < len(b); end++ {
		switch c := b[end]; {
		case c == '"':
			if end, ok = stringEnd(b, end); !ok {
				return 0, false
			}
			end--
		case c == '{' || c == '[':
			depth++
		case depth > 0 && (c == '}' || c == ']'):
			depth--
		case depth == 0 && (c == ',' || c == '}'):
			value := bytes.TrimRight(b[i:end], " \t\r\n")
			return i + len(value), json.Valid(value)
		}
		if depth > 1000 {
			return 0, false
		}
	}
	return 0, false
}

// stringEnd returns where the valid JSON string that begins at i ends.
func stringEnd(b []byte, i int) (end int, ok bool) {
	if i >= len(b) || b[i] != '"' {
		return 0, false
	}
	for i++; ; i++ {
		i = plain(b, i)
		switch {
		case i == len(b) || b[i] < ' ':
			return 0, false
		case b[i] == '"':
			return i + 1, true
		case b[i] != '\\':
			continue
		}
		if i++; i == len(b) {
			return 0, false
		}
		switch b[i] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if _, ok := hex4(b, i+1); !ok {
				return 0, false
			}
			i += 4
		default:
			return 0, false
		}
	}
}

// plain returns a place from i on before which nothing ends a string, begins an
// escape or is a control character. It takes eight bytes at a time.
func plain(b []byte, i int) int {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for ; i+8 <= len(b); i += 8 {
		x := binary.LittleEndian.Uint64(b[i:])
		quote, escape := x^'"'*ones, x^'\\'*ones
		// The high bit of a byte that is below ' ', '"' or '\'. A borrow may set it
		// for others behind such a one, which only ends the loop too.
		if ((x-' '*ones)&^x|(quote-ones)&^quote|(escape-ones)&^escape)&high != 0 {
			break
		}
	}
	for i < len(b) && b[i] >= ' ' && b[i] != '"' && b[i] != '\\' {
		i++
	}
	return i
}

// quickString unquotes a valid JSON string; false says that json.Unmarshal must.
func quickString(raw []byte) (string, bool) {
	raw = raw[1 : len(raw)-1]
	if !utf8.Valid(raw) {
		return "", false
	}
	i := bytes.IndexByte(raw, '\\')
	if i < 0 {
		return string(raw), true
	}
	var out strings.Builder
	out.Grow(len(raw)) // an escape is longer than what it stands for
	for ; i >= 0; i = bytes.IndexByte(raw, '\\') {
		out.Write(raw[:i])
		c := raw[i+1]
		raw = raw[i+2:]
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r, _ := hex4(raw, 0)
			if r >= 0xd800 && r < 0xe000 { // half of a pair
				return "", false
			}
			out.WriteRune(r)
			raw = raw[4:]
			continue
		}
		out.WriteByte(c)
	}
	out.Write(raw)
	return out.String(), true
}

// hex4 reads four hexadecimal digits.
func hex4(b []byte, i int) (r rune, ok bool) {
	if i+4 > len(b) {
		return 0, false
	}
	for _, c := range b[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = (c | 0x20) - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
