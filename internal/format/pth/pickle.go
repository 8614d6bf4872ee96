package pth

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/format/ferr"
)

// Limits on a pickle. A value of one byte in the file takes up to about 100 in
// memory, so these bound what a hostile one can take. A 70B model's pickle has
// about 100 KB, 30,000 opcodes and 6,000 objects.
const (
	maxPickleBytes = 8 << 20
	maxOps         = 1 << 19
	maxObjects     = 1 << 17 // dicts, lists, tuples, storages and tensors
	maxGlobalBytes = 128
)

// Values of the machine are nil (None), bool, int64, float64, string, tuple,
// *list, *dict, *global, *storage and *tensorRef.
type (
	tuple []any
	list  struct{ items []any }
	item  struct{ key, value any }
	dict  struct {
		ordered bool // an OrderedDict, which may have attributes
		items   []item
		index   map[any]bool // the keys, once there are many
	}
)

// machine is an interpreter for the opcodes that torch.save writes, those of
// protocol 2. It has no way to import, call or construct anything but what the
// table in rebuild.go holds.
type machine struct {
	file     string
	data     []byte
	entries  map[string]*entry
	storages map[string]*storage

	at, op  int // where to read; where the opcode in work is
	ops     int
	objects int
	stack   []any
	marks   []int // stack heights at which marks stand
	memo    []any
}

// unpickle runs a pickle to its end and returns its value. entries hold the
// storages that it may speak of.
func unpickle(file string, data []byte, entries map[string]*entry) (any, error) {
	m := &machine{file: file, data: data, entries: entries, storages: map[string]*storage{}}
	if len(data) > maxPickleBytes {
		return nil, m.malformed(nil, "the pickle has %d bytes, at most %d are allowed", len(data), maxPickleBytes)
	}
	for {
		m.op = m.at
		b, err := m.take(1)
		if err != nil {
			return nil, err
		}
		if m.ops++; m.ops > maxOps {
			return nil, m.malformed(nil, "at most %d opcodes are allowed", maxOps)
		}
		if b[0] == opStop {
			break
		}
		if err := m.step(b[0]); err != nil {
			return nil, err
		}
	}
	if len(m.stack) != 1 || len(m.marks) != 0 {
		return nil, m.malformed(nil, "the stack has %d values and %d marks; one value is expected", len(m.stack), len(m.marks))
	}
	if left := len(data) - m.at; left != 0 {
		return nil, m.malformed(nil, "%d bytes follow the end of the pickle", left)
	}
	return m.stack[0], nil
}

// field names the opcode in work.
func (m *machine) field() string {
	if m.op >= len(m.data) {
		return "data.pkl"
	}
	return fmt.Sprintf("data.pkl: %s at offset %d", opName(m.data[m.op]), m.op)
}

func (m *machine) malformed(value any, problem string, args ...any) *ferr.Error {
	return ferr.New(ferr.Malformed, m.file, m.field(), value, problem, args...)
}

func (m *machine) unsupported(value any, problem string, args ...any) *ferr.Error {
	return ferr.New(ferr.Unsupported, m.file, m.field(), value, problem, args...)
}

// take returns the next n bytes.
func (m *machine) take(n uint64) ([]byte, error) {
	if left := uint64(len(m.data) - m.at); n > left {
		return nil, m.malformed(nil, "needs %d bytes at offset %d, where %d are left", n, m.at, left).WithHint(hintDamaged)
	}
	b := m.data[m.at : m.at+int(n)]
	m.at += int(n)
	return b, nil
}

// line returns the bytes before the next line feed.
func (m *machine) line() (string, error) {
	near := m.data[m.at:min(m.at+maxGlobalBytes, len(m.data))]
	n := bytes.IndexByte(near, '\n')
	if n < 0 {
		return "", m.malformed(near, "no line of at most %d bytes", maxGlobalBytes)
	}
	m.at += n + 1
	return string(near[:n]), nil
}

// uint reads an unsigned number of n bytes.
func (m *machine) uint(n int) (uint64, error) {
	b, err := m.take(uint64(n))
	if err != nil {
		return 0, err
	}
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	return v, nil
}

// object counts a value that takes memory of its own.
func (m *machine) object() error {
	if m.objects++; m.objects > maxObjects {
		return m.malformed(nil, "at most %d dicts, lists, tuples and tensors are allowed", maxObjects)
	}
	return nil
}

func (m *machine) push(v any) { m.stack = append(m.stack, v) }

// floor is the stack height below which values belong to an outer mark.
func (m *machine) floor() int {
	if len(m.marks) == 0 {
		return 0
	}
	return m.marks[len(m.marks)-1]
}

// pop takes the n topmost values, all above the last mark. The slice is valid
// until the next push.
func (m *machine) pop(n int) ([]any, error) {
	if have := len(m.stack) - m.floor(); n > have {
		return nil, m.malformed(nil, "takes %d values from a stack that holds %d", n, have)
	}
	v := m.stack[len(m.stack)-n:]
	m.stack = m.stack[:len(m.stack)-n]
	return v, nil
}

// popMark takes all values above the last mark, and the mark.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, m.malformed(nil, "there is no mark")
	}
	v := m.stack[m.floor():]
	m.stack = m.stack[:m.floor()]
	m.marks = m.marks[:len(m.marks)-1]
	return v, nil
}

// top returns the topmost value and leaves it.
func (m *machine) top() (any, error) {
	if len(m.stack) == m.floor() {
		return nil, m.malformed(nil, "there is no value on the stack")
	}
	return m.stack[len(m.stack)-1], nil
}

// step runs one opcode.
func (m *machine) step(op byte) error {
	switch op {
	case opProto:
		return m.proto()
	case opMark:
		m.marks = append(m.marks, len(m.stack))
	case opNone:
		m.push(nil)
	case opNewTrue, opNewFalse:
		m.push(op == opNewTrue)
	case opBinInt, opBinInt1, opBinInt2, opLong1, opBinFloat, opBinUnicode:
		return m.scalar(op)
	case opEmptyTuple, opTuple1, opTuple2, opTuple3, opTuple:
		return m.tuple(op)
	case opEmptyList:
		m.push(&list{})
		return m.object()
	case opEmptyDict:
		m.push(&dict{})
		return m.object()
	case opAppend, opAppends:
		return m.appendItems(op)
	case opSetItem, opSetItems:
		return m.setItems(op)
	case opBinPut, opLongBinPut, opBinGet, opLongBinGet:
		return m.memory(op)
	case opGlobal:
		return m.global()
	case opReduce:
		return m.reduce()
	case opBuild:
		return m.build()
	case opBinPersID:
		v, err := m.pop(1)
		if err != nil {
			return err
		}
		s, err := m.persistent(v[0])
		m.push(s)
		return err
	default:
		return m.unsupported(nil, "no opcode that a file of tensors needs").WithHint(hintRunsNothing)
	}
	return nil
}

// proto reads the protocol's number. Higher ones have opcodes of their own.
func (m *machine) proto() error {
	v, err := m.uint(1)
	if err != nil {
		return err
	}
	if v != 2 || m.op != 0 {
		return m.unsupported(v, "protocol 2 is read, at the pickle's beginning").WithHint("save the file again with torch.save and its own pickle_protocol")
	}
	return nil
}

// scalarBytes is the size of a scalar or, of strings and long integers, of its
// length.
var scalarBytes = [256]int{opBinInt: 4, opBinInt1: 1, opBinInt2: 2, opLong1: 1, opBinFloat: 8, opBinUnicode: 4}

func (m *machine) scalar(op byte) error {
	n, err := m.uint(scalarBytes[op])
	if err != nil {
		return err
	}
	switch op {
	case opBinInt:
		m.push(int64(int32(n)))
	case opBinInt1, opBinInt2:
		m.push(int64(n))
	case opLong1:
		if n > 8 {
			return m.malformed(nil, "an integer of %d bytes; at most 8 are allowed", n)
		}
		v, err := m.uint(int(n))
		if err != nil {
			return err
		}
		unused := 64 - 8*n
		m.push(int64(v<<unused) >> unused) // two's complement: the sign is the highest bit that is there
	case opBinFloat: // the one number in network order
		m.push(math.Float64frombits(binary.BigEndian.Uint64(m.data[m.at-8:])))
	case opBinUnicode:
		b, err := m.take(n)
		if err != nil {
			return err
		}
		if !utf8.Valid(b) {
			return m.malformed(b, "a string must be UTF-8")
		}
		m.push(string(b))
	}
	return nil
}

func (m *machine) tuple(op byte) error {
	var v []any
	var err error
	switch op {
	case opEmptyTuple:
	case opTuple:
		v, err = m.popMark()
	default:
		v, err = m.pop(int(op-opTuple1) + 1)
	}
	if err != nil {
		return err
	}
	m.push(append(tuple{}, v...))
	return m.object()
}

func (m *machine) appendItems(op byte) error {
	var v []any
	var err error
	if op == opAppend {
		v, err = m.pop(1)
	} else {
		v, err = m.popMark()
	}
	if err != nil {
		return err
	}
	top, err := m.top()
	if err != nil {
		return err
	}
	l, ok := top.(*list)
	if !ok {
		return m.malformed(nil, "appends to %s", kindOf(top))
	}
	l.items = append(l.items, v...)
	return nil
}

func (m *machine) setItems(op byte) error {
	var v []any
	var err error
	if op == opSetItem {
		v, err = m.pop(2)
	} else {
		v, err = m.popMark()
	}
	if err != nil {
		return err
	}
	top, err := m.top()
	if err != nil {
		return err
	}
	d, ok := top.(*dict)
	if !ok {
		return m.malformed(nil, "sets items of %s", kindOf(top))
	}
	if len(v)%2 != 0 {
		return m.malformed(nil, "a key without a value")
	}
	for i := 0; i < len(v); i += 2 {
		switch v[i].(type) {
		case string, int64:
		default:
			return m.unsupported(nil, "a key of a dict is %s; strings and integers are read", kindOf(v[i]))
		}
		if d.has(v[i]) {
			return m.malformed(v[i], "the key is set twice")
		}
		d.items = append(d.items, item{v[i], v[i+1]})
	}
	return nil
}

// has reports whether a key is set. Small dicts have no map, which would take
// several times their own memory.
func (d *dict) has(key any) bool {
	if len(d.items) < 16 {
		return slices.ContainsFunc(d.items, func(it item) bool { return it.key == key })
	}
	if d.index == nil {
		d.index = map[any]bool{}
	}
	for _, it := range d.items[len(d.index):] {
		d.index[it.key] = true
	}
	return d.index[key]
}

// memory stores and recalls values. Python numbers what it stores from 0 up, so
// the memo never has more entries than bytes were read.
func (m *machine) memory(op byte) error {
	size := 1
	if op == opLongBinPut || op == opLongBinGet {
		size = 4
	}
	i, err := m.uint(size)
	if err != nil {
		return err
	}
	if op == opBinGet || op == opLongBinGet {
		if i >= uint64(len(m.memo)) {
			return m.malformed(i, "the memo has %d entries", len(m.memo))
		}
		m.push(m.memo[i])
		return nil
	}
	if i != uint64(len(m.memo)) {
		return m.malformed(i, "the memo has %d entries and is numbered from 0 up", len(m.memo))
	}
	v, err := m.top()
	m.memo = append(m.memo, v)
	return err
}

// global looks a name up in the table of what may be used.
func (m *machine) global() error {
	module, err := m.line()
	if err != nil {
		return err
	}
	name, err := m.line()
	if err != nil {
		return err
	}
	g, ok := globals[module+"."+name]
	if !ok || strings.Contains(name, ".") {
		return m.unsupported(module+"."+name, "it is none of the names that rebuild tensors").WithHint(hintRunsNothing)
	}
	m.push(g)
	return nil
}

// What to do with a file that holds more than tensors.
const (
	hintStateDict   = "if you trust the file, load it with PyTorch and save its state dict alone: torch.save(model.state_dict(), path)"
	hintRunsNothing = "Cria runs nothing that a file names; " + hintStateDict
)

// reduce calls one of the table's functions.
func (m *machine) reduce() error {
	v, err := m.pop(2)
	if err != nil {
		return err
	}
	g, ok := v[0].(*global)
	if !ok || g.call == nil {
		return m.malformed(nil, "calls %s", kindOf(v[0]))
	}
	args, ok := v[1].(tuple)
	if !ok {
		return m.malformed(nil, "calls %s with %s for arguments", g.name, kindOf(v[1]))
	}
	res, err := g.call(m, g, args)
	if err != nil {
		return err
	}
	m.push(res)
	return m.object()
}

// build sets the attributes of an object. Only those of an OrderedDict are
// allowed, and left out: nn.Module keeps version numbers of its modules in them.
func (m *machine) build() error {
	v, err := m.pop(1)
	if err != nil {
		return err
	}
	top, err := m.top()
	if err != nil {
		return err
	}
	if d, ok := top.(*dict); !ok || !d.ordered {
		return m.unsupported(nil, "sets attributes of %s; those of an OrderedDict are allowed", kindOf(top)).WithHint(hintStateDict)
	}
	if _, ok := v[0].(*dict); !ok {
		return m.malformed(nil, "attributes are %s; a dict is expected", kindOf(v[0]))
	}
	return nil
}

// kindOf names a value as Python would.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case int64:
		return "an integer"
	case float64:
		return "a float"
	case string:
		return "a string"
	case tuple:
		return "a tuple"
	case *list:
		return "a list"
	case *dict:
		return "a dict"
	case *storage:
		return "a storage"
	case *tensorRef:
		return "a tensor"
	case *global:
		return v.name
	}
	panic(fmt.Sprintf("pth: a value of type %T", v))
}
