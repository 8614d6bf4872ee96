package pth

import (
	"math/bits"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/tensor"
)

// elem is a type of tensor elements.
type elem struct {
	name string       // as PyTorch prints it, without "torch."
	typ  tensor.DType // Invalid where Cria has none
	size int          // bytes
}

// storage is a block of elements that tensors are views of.
type storage struct {
	key  string
	elem *elem // nil: untyped, numel is in bytes and each tensor has its own type
	data []byte
}

// tensorRef is a tensor as the pickle describes it: plain numbers, unchecked
// until it has a name that an error can show.
type tensorRef struct {
	storage      *storage
	elem         *elem
	offset       int64 // in elements, as sizes and strides
	size, stride []int64
	lazy         string // an operation that the values still need, or ""
}

// global is a name that a pickle may use: a function, a type of storage or of
// elements, or a class.
type global struct {
	name  string
	call  func(m *machine, g *global, args tuple) (any, error)
	elem  *elem
	class string
}

// What a global that cannot be called stands for.
const (
	classStorage = "storage"
	classDType   = "dtype"
	classTensor  = "tensor"
)

// globals is all that a pickle may name. PyTorch writes the elements of a storage
// as the name of a class where it had one in 2020, and later types as untyped
// storages with a dtype beside them.
var globals = makeGlobals()

func makeGlobals() map[string]*global {
	all := map[string]*global{}
	add := func(g *global) { all[g.name] = g }
	for _, t := range []struct {
		storage string
		elem    elem
	}{
		{"FloatStorage", elem{"float32", tensor.F32, 4}},
		{"HalfStorage", elem{"float16", tensor.F16, 2}},
		{"BFloat16Storage", elem{"bfloat16", tensor.BF16, 2}},
		{"DoubleStorage", elem{"float64", tensor.F64, 8}},
		{"CharStorage", elem{"int8", tensor.I8, 1}},
		{"IntStorage", elem{"int32", tensor.I32, 4}},
		{"LongStorage", elem{"int64", tensor.I64, 8}},
		{"ShortStorage", elem{"int16", tensor.Invalid, 2}},
		{"ByteStorage", elem{"uint8", tensor.Invalid, 1}},
		{"BoolStorage", elem{"bool", tensor.Invalid, 1}},
		{"ComplexFloatStorage", elem{"complex64", tensor.Invalid, 8}},
		{"ComplexDoubleStorage", elem{"complex128", tensor.Invalid, 16}},
		{"", elem{"uint16", tensor.Invalid, 2}},
		{"", elem{"uint32", tensor.Invalid, 4}},
		{"", elem{"uint64", tensor.Invalid, 8}},
		{"", elem{"float8_e4m3fn", tensor.Invalid, 1}},
		{"", elem{"float8_e4m3fnuz", tensor.Invalid, 1}},
		{"", elem{"float8_e5m2", tensor.Invalid, 1}},
		{"", elem{"float8_e5m2fnuz", tensor.Invalid, 1}},
		{"", elem{"float8_e8m0fnu", tensor.Invalid, 1}},
	} {
		add(&global{name: "torch." + t.elem.name, class: classDType, elem: &t.elem})
		if t.storage != "" {
			add(&global{name: "torch." + t.storage, class: classStorage, elem: &t.elem})
		}
	}
	add(&global{name: "torch.storage.UntypedStorage", class: classStorage})
	add(&global{name: "torch.Tensor", class: classTensor})
	add(&global{name: "torch.nn.parameter.Parameter", class: classTensor})
	add(&global{name: "collections.OrderedDict", call: newOrderedDict})
	add(&global{name: "torch.Size", call: newSize})
	add(&global{name: "torch._utils._rebuild_tensor_v2", call: rebuildTensor})
	add(&global{name: "torch._utils._rebuild_tensor_v3", call: rebuildTensorOfType})
	add(&global{name: "torch._utils._rebuild_parameter", call: rebuildParameter})
	add(&global{name: "torch._utils._rebuild_parameter_with_state", call: rebuildParameter})
	add(&global{name: "torch._tensor._rebuild_from_type_v2", call: rebuildFromType})
	return all
}

// args checks the number of arguments of a call.
func (m *machine) args(g *global, args tuple, least, most int) error {
	if len(args) < least || len(args) > most {
		return m.malformed(g.name, "%d arguments; %d to %d are expected", len(args), least, most)
	}
	return nil
}

func newOrderedDict(m *machine, g *global, args tuple) (any, error) {
	return &dict{ordered: true}, m.args(g, args, 0, 0)
}

// newSize makes the tuple that torch.Size is.
func newSize(m *machine, g *global, args tuple) (any, error) {
	if err := m.args(g, args, 1, 1); err != nil {
		return nil, err
	}
	t, ok := args[0].(tuple)
	if !ok {
		return nil, m.malformed(g.name, "made of %s; a tuple is expected", kindOf(args[0]))
	}
	return t, nil
}

// rebuildTensor takes (storage, offset, size, stride, requires_grad, hooks
// [, metadata]).
func rebuildTensor(m *machine, g *global, args tuple) (any, error) {
	if err := m.args(g, args, 6, 7); err != nil {
		return nil, err
	}
	return m.tensor(g, args, nil, args[6:])
}

// rebuildTensorOfType takes (storage, offset, size, stride, requires_grad, hooks,
// dtype [, metadata]).
func rebuildTensorOfType(m *machine, g *global, args tuple) (any, error) {
	if err := m.args(g, args, 7, 8); err != nil {
		return nil, err
	}
	dt, ok := args[6].(*global)
	if !ok || dt.class != classDType {
		return nil, m.malformed(g.name, "the dtype is %s", kindOf(args[6]))
	}
	return m.tensor(g, args, dt.elem, args[7:])
}

// tensor makes a tensor of what both functions begin with. e is nil where the
// storage gives the type. metadata holds one dict or nothing.
func (m *machine) tensor(g *global, args tuple, e *elem, metadata tuple) (any, error) {
	t := &tensorRef{elem: e}
	var ok bool
	if t.storage, ok = args[0].(*storage); !ok {
		return nil, m.malformed(g.name, "the storage is %s", kindOf(args[0]))
	}
	if t.elem == nil {
		t.elem = t.storage.elem
	}
	if t.elem == nil {
		return nil, m.malformed(g.name, "neither tensor nor storage %s has a type", t.storage.key)
	}
	if t.storage.elem != nil && t.storage.elem != t.elem {
		return nil, m.malformed(g.name, "a tensor of %s in storage %s of %s", t.elem.name, t.storage.key, t.storage.elem.name)
	}
	if t.offset, ok = args[1].(int64); !ok {
		return nil, m.malformed(g.name, "the storage offset is %s", kindOf(args[1]))
	}
	if t.size, ok = integers(args[2]); !ok {
		return nil, m.malformed(g.name, "the size is no tuple of integers")
	}
	if t.stride, ok = integers(args[3]); !ok {
		return nil, m.malformed(g.name, "the stride is no tuple of integers")
	}
	if len(metadata) == 1 && metadata[0] != nil {
		d, ok := metadata[0].(*dict)
		if !ok {
			return nil, m.malformed(g.name, "the metadata is %s", kindOf(metadata[0]))
		}
		// PyTorch keeps a conjugated or negated view as its source and a flag.
		for _, it := range d.items {
			if it.value != false {
				t.lazy = show(it.key)
			}
		}
	}
	return t, nil
}

func integers(v any) ([]int64, bool) {
	t, ok := v.(tuple)
	if !ok {
		return nil, false
	}
	out := make([]int64, len(t))
	for i := range t {
		if out[i], ok = t[i].(int64); !ok {
			return nil, false
		}
	}
	return out, true
}

// rebuildParameter takes (tensor, requires_grad, hooks [, state]): a parameter is
// its tensor.
func rebuildParameter(m *machine, g *global, args tuple) (any, error) {
	if err := m.args(g, args, 3, 4); err != nil {
		return nil, err
	}
	t, ok := args[0].(*tensorRef)
	if !ok {
		return nil, m.malformed(g.name, "made of %s; a tensor is expected", kindOf(args[0]))
	}
	return t, nil
}

// rebuildFromType takes (function, type, arguments, state): so a tensor is written
// that has Python attributes, which say nothing of its values.
func rebuildFromType(m *machine, g *global, args tuple) (any, error) {
	if err := m.args(g, args, 4, 4); err != nil {
		return nil, err
	}
	f, ok := args[0].(*global)
	if !ok || f.call == nil {
		return nil, m.malformed(g.name, "calls %s", kindOf(args[0]))
	}
	if class, ok := args[1].(*global); !ok || class.class != classTensor {
		return nil, m.malformed(g.name, "the type is %s", kindOf(args[1]))
	}
	fargs, ok := args[2].(tuple)
	if !ok {
		return nil, m.malformed(g.name, "the arguments are %s", kindOf(args[2]))
	}
	switch f.name {
	case "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3":
		return f.call(m, f, fargs)
	}
	return nil, m.malformed(g.name, "calls %s, which rebuilds no tensor", f.name)
}

// persistent resolves the id of a storage: ("storage", type, key, device, number
// of elements).
func (m *machine) persistent(id any) (any, error) {
	t, ok := id.(tuple)
	if !ok || len(t) != 5 || t[0] != "storage" {
		return nil, m.malformed(nil, "the id of a storage is a tuple of 5 that begins with \"storage\"")
	}
	class, ok := t[1].(*global)
	if !ok || class.class != classStorage {
		return nil, m.malformed(nil, "the type of a storage is %s", kindOf(t[1]))
	}
	key, isKey := t[2].(string)
	numel, isCount := t[4].(int64)
	if _, isDevice := t[3].(string); !isKey || !isDevice || !isCount {
		return nil, m.malformed(nil, "a storage's key, device and number of elements are %s, %s and %s", kindOf(t[2]), kindOf(t[3]), kindOf(t[4]))
	}
	field := "storage " + ferr.Quote(key)
	e := m.entries["data/"+key]
	if e == nil {
		return nil, ferr.New(ferr.Malformed, m.file, field, nil, "the archive has no entry of this name").WithHint(hintDamaged)
	}
	size := uint64(1)
	if class.elem != nil {
		size = uint64(class.elem.size)
	}
	if hi, lo := bits.Mul64(uint64(numel), size); numel < 0 || hi != 0 || lo != uint64(len(e.data)) {
		return nil, ferr.New(ferr.Malformed, m.file, field, numel, "the number of its elements, %d bytes each; the archive has %d bytes", size, len(e.data)).WithHint(hintDamaged)
	}
	s := m.storages[key]
	if s == nil {
		s = &storage{key: key, elem: class.elem, data: e.data}
		m.storages[key] = s
		return s, m.object()
	}
	if s.elem != class.elem {
		return nil, ferr.New(ferr.Malformed, m.file, field, nil, "it has two types, one of them %s", class.name)
	}
	return s, nil
}
