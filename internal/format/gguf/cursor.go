package gguf

import (
	"encoding/binary"
	"unicode"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/format/ferr"
)

const hintDamaged = "the file is cut or damaged: get it again"

// cursor walks through the mapped header. Nothing is allocated for a length
// before that many bytes are known to be there.
type cursor struct {
	file     string
	data     []byte
	at       int
	elements int // of arrays, so far
}

// A field is named by its path, given to the cursor's methods in two pieces that
// are joined only for an error: files have many fields and few errors.
func join(field, sub string) string {
	if sub == "" {
		return field
	}
	return field + ": " + sub
}

func (c *cursor) left() int { return len(c.data) - c.at }

func (c *cursor) malformed(field string, value any, problem string, args ...any) *ferr.Error {
	return ferr.New(ferr.Malformed, c.file, field, value, problem, args...)
}

// take returns the next n bytes.
func (c *cursor) take(n int, field, sub string) ([]byte, error) {
	if c.left() < n {
		return nil, ferr.New(ferr.Malformed, c.file, join(field, sub), nil, "needs %d bytes at offset %d, where %d are left", n, c.at, c.left()).WithHint(hintDamaged)
	}
	b := c.data[c.at : c.at+n]
	c.at += n
	return b, nil
}

func (c *cursor) u32(field, sub string) (uint32, error) {
	b, err := c.take(4, field, sub)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b), nil
}

func (c *cursor) u64(field, sub string) (uint64, error) {
	b, err := c.take(8, field, sub)
	if err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint64(b), nil
}

// count reads a number of things of at least size bytes each.
func (c *cursor) count(field, sub string, size, most int) (int, error) {
	n, err := c.u64(field, sub)
	if err != nil {
		return 0, err
	}
	if n > uint64(c.left()/size) {
		return 0, ferr.New(ferr.Malformed, c.file, join(field, sub), n, "the %d bytes that are left hold %d at most", c.left(), c.left()/size).WithHint(hintDamaged)
	}
	if n > uint64(most) {
		return 0, c.malformed(join(field, sub), n, "at most %d are allowed", most)
	}
	return int(n), nil
}

// str reads a string of at most so many bytes.
func (c *cursor) str(field string, most int) ([]byte, error) {
	n, err := c.count(field, "length", 1, most)
	if err != nil {
		return nil, err
	}
	return c.take(n, field, "")
}

// name reads a key or a tensor's name: these are printed, so control characters
// are refused.
func (c *cursor) name(field string, most int) (string, error) {
	b, err := c.str(field, most)
	if err != nil {
		return "", err
	}
	if len(b) == 0 {
		return "", c.malformed(field, nil, "an empty name")
	}
	s := string(b)
	if !utf8.ValidString(s) {
		return "", c.malformed(field, s, "a name must be UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return "", c.malformed(field, s, "a name with control characters")
		}
	}
	return s, nil
}

// valueType reads the type of a metadata value.
func (c *cursor) valueType(field, sub string) (valueType, error) {
	t, err := c.u32(field, sub)
	if err != nil {
		return 0, err
	}
	if t >= uint32(numValueTypes) {
		return 0, c.malformed(join(field, sub), t, "types 0 to %d are known", numValueTypes-1)
	}
	return valueType(t), nil
}

// value reads a metadata value.
func (c *cursor) value(field string, t valueType) (any, error) {
	switch t {
	case typeArray:
		return c.array(field, 1)
	case typeString:
		b, err := c.str(field, maxStringBytes)
		return string(b), err
	}
	b, err := c.take(valueTypes[t].size, field, "")
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	switch t {
	case typeUint8:
		return b[0], nil
	case typeInt8:
		return int8(b[0]), nil
	case typeUint16:
		return le.Uint16(b), nil
	case typeInt16:
		return int16(le.Uint16(b)), nil
	case typeUint32:
		return le.Uint32(b), nil
	case typeInt32:
		return int32(le.Uint32(b)), nil
	case typeUint64:
		return le.Uint64(b), nil
	case typeInt64:
		return int64(le.Uint64(b)), nil
	case typeBool:
		if b[0] > 1 {
			return nil, c.malformed(field, b[0], "a bool is 0 or 1")
		}
		return b[0] == 1, nil
	}
	v, err := decode(b, t, 1)
	if err != nil {
		return nil, c.malformed(field, nil, "%v", err)
	}
	switch v := v.(type) {
	case []float32:
		return v[0], nil
	case []float64:
		return v[0], nil
	}
	panic("gguf: a value type without a reader")
}

// array reads an array at some depth of nesting.
func (c *cursor) array(field string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, c.malformed(field, nil, "arrays are nested more than %d deep", maxDepth)
	}
	t, err := c.valueType(field, "elements: type")
	if err != nil {
		return nil, err
	}
	size := valueTypes[t].size
	switch t {
	case typeString:
		size = stringLenBytes
	case typeArray:
		size = minArrayBytes
	}
	n, err := c.count(field, "length", size, maxElements)
	if err != nil {
		return nil, err
	}
	if c.elements += n; c.elements > maxElements {
		return nil, c.malformed(field, nil, "the file's arrays have more than %d elements together", maxElements)
	}
	switch t {
	case typeString:
		return c.strings(field, n)
	case typeArray:
		nested := Nested{} // grows with what is read
		for range n {
			v, err := c.array(field, depth+1)
			if err != nil {
				return nil, err
			}
			nested = append(nested, v)
		}
		return nested, nil
	}
	b, err := c.take(n*size, field, "")
	if err != nil {
		return nil, err
	}
	if t == typeBool {
		for i, x := range b {
			if x > 1 {
				return nil, c.malformed(field, x, "element %d: a bool is 0 or 1", i)
			}
		}
	}
	v, err := decode(b, t, n)
	if err != nil {
		return nil, c.malformed(field, nil, "%v", err)
	}
	return v, nil
}

// strings reads an array of n strings. All lengths are checked before anything
// is allocated; then the whole array is copied once and cut, which reads a
// vocabulary of 32,000 pieces in a fraction of the time of as many copies.
func (c *cursor) strings(field string, n int) ([]string, error) {
	start := c.at
	for i := range n {
		if _, err := c.str(field, maxStringBytes); err != nil {
			return nil, ferr.New(ferr.Malformed, c.file, field, nil, "string %d of %d is longer than the file or than %d bytes", i, n, maxStringBytes).WithHint(hintDamaged)
		}
	}
	all := string(c.data[start:c.at])
	out := make([]string, n)
	at := 0
	for i := range out {
		size := int(binary.LittleEndian.Uint64(c.data[start+at:]))
		at += stringLenBytes
		out[i] = all[at : at+size]
		at += size
	}
	return out, nil
}

// decode makes a slice of n values of plain type.
func decode(b []byte, t valueType, n int) (any, error) {
	switch t {
	case typeUint8:
		return decodeAs[uint8](b, n)
	case typeInt8:
		return decodeAs[int8](b, n)
	case typeUint16:
		return decodeAs[uint16](b, n)
	case typeInt16:
		return decodeAs[int16](b, n)
	case typeUint32:
		return decodeAs[uint32](b, n)
	case typeInt32:
		return decodeAs[int32](b, n)
	case typeUint64:
		return decodeAs[uint64](b, n)
	case typeInt64:
		return decodeAs[int64](b, n)
	case typeFloat32:
		return decodeAs[float32](b, n)
	case typeFloat64:
		return decodeAs[float64](b, n)
	case typeBool:
		return decodeAs[bool](b, n)
	}
	panic("gguf: a value type without a reader")
}

func decodeAs[T any](b []byte, n int) ([]T, error) {
	out := make([]T, n)
	_, err := binary.Decode(b, binary.LittleEndian, out)
	return out, err
}
