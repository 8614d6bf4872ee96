package tokenizer

import (
	"encoding/binary"
	"math"
)

// The wire format of protocol buffers, as far as ModelProto needs it:
// https://protobuf.dev/programming-guides/encoding.

// wireType is the low three bits of a field's key.
type wireType uint8

const (
	wireVarint  wireType = 0
	wireFixed64 wireType = 1
	wireBytes   wireType = 2
	wireFixed32 wireType = 5
)

// field is one field of a message. data aliases the file.
type field struct {
	num    uint64
	typ    wireType
	varint uint64 // wireVarint, wireFixed32, wireFixed64
	data   []byte // wireBytes
}

// fields calls visit for each field of a message, whose name is for errors.
func fields(message string, b []byte, visit func(field) error) error {
	size := len(b)
	for len(b) > 0 {
		at := size - len(b)
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return malformed("%s: broken field key at byte %d", message, at)
		}
		b = b[n:]
		f := field{num: key >> 3, typ: wireType(key & 7)}
		if f.num == 0 || f.num > 1<<29-1 {
			return malformed("%s: field number %d at byte %d", message, f.num, at)
		}
		switch f.typ {
		case wireVarint:
			if f.varint, n = binary.Uvarint(b); n <= 0 {
				return malformed("%s: field %d: broken varint", message, f.num)
			}
		case wireFixed64:
			if n = 8; len(b) < n {
				return malformed("%s: field %d is cut off", message, f.num)
			}
			f.varint = binary.LittleEndian.Uint64(b)
		case wireFixed32:
			if n = 4; len(b) < n {
				return malformed("%s: field %d is cut off", message, f.num)
			}
			f.varint = uint64(binary.LittleEndian.Uint32(b))
		case wireBytes:
			length, k := binary.Uvarint(b)
			if k <= 0 || length > uint64(len(b)-k) {
				return malformed("%s: field %d: length %d is more than the %d bytes left", message, f.num, length, len(b)-max(k, 0))
			}
			f.data = b[k : k+int(length)]
			n = k + int(length)
		default:
			return malformed("%s: field %d has wire type %d", message, f.num, f.typ)
		}
		b = b[n:]
		if err := visit(f); err != nil {
			return err
		}
	}
	return nil
}

// scalar is a place that a field's value goes to.
type scalar struct {
	name string
	to   any // *bool, *int64, *float32, *string or *[]byte
}

// set checks the wire type and stores the value.
func (s scalar) set(message string, f field) error {
	want := wireVarint
	switch s.to.(type) {
	case *float32:
		want = wireFixed32
	case *string, *[]byte:
		want = wireBytes
	}
	if f.typ != want {
		return malformed("%s.%s has wire type %d, not %d", message, s.name, f.typ, want)
	}
	switch to := s.to.(type) {
	case *bool:
		*to = f.varint != 0
	case *int64:
		*to = int64(int32(f.varint)) // int32 and enums travel sign-extended to 64 bits
		if v := int64(f.varint); v != *to {
			return malformed("%s.%s is %d, out of the range of int32", message, s.name, v)
		}
	case *float32:
		*to = math.Float32frombits(uint32(f.varint))
	case *string:
		*to = string(f.data)
	case *[]byte:
		*to = f.data
	}
	return nil
}

// message reads known fields into their places and skips all others.
func message(name string, b []byte, known map[uint64]scalar) error {
	return fields(name, b, func(f field) error {
		if s, ok := known[f.num]; ok {
			return s.set(name, f)
		}
		return nil
	})
}

// The writer: each function appends one field.

func appendVarint(b []byte, num uint64, v int64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(b, num<<3|uint64(wireVarint)), uint64(v))
}

func appendBool(b []byte, num uint64, v bool) []byte {
	if v {
		return appendVarint(b, num, 1)
	}
	return appendVarint(b, num, 0)
}

func appendFloat(b []byte, num uint64, v float32) []byte {
	return binary.LittleEndian.AppendUint32(binary.AppendUvarint(b, num<<3|uint64(wireFixed32)), math.Float32bits(v))
}

func appendBytes[T string | []byte](b []byte, num uint64, v T) []byte {
	b = binary.AppendUvarint(binary.AppendUvarint(b, num<<3|uint64(wireBytes)), uint64(len(v)))
	return append(b, v...)
}
