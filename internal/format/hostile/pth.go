package hostile

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
)

// zipEntry is an entry of an archive. The fields after data are lies: each that
// is set replaces what is true.
type zipEntry struct {
	name, data string

	localName string // in the local header
	localSize uint32
	method    uint16
	flags     uint16
	mode      uint32 // Unix
	size      uint64 // in the central directory, uncompressed and compressed
	bigger    uint64 // uncompressed only
	at        int64  // offset of the local header, from the true one
	crc       uint32 // is added
}

// zipEnd changes the records at an archive's end.
type zipEnd struct {
	entries   uint64 // replaces the number of entries
	size      int64  // is added to the size of the central directory
	start     int64  // and to its offset
	disk      uint32
	locator   int64  // is added to the offset of the zip64 record
	no64      bool   // leaves the zip64 records out
	comment   string // at the end
	shortOnly uint16 // replaces the number of entries in the short record
}

// zip makes an archive as torch.save lays it out: stored entries, zip64 records.
func zip(end zipEnd, entries ...zipEntry) []byte {
	le := binary.LittleEndian
	var out, dir []byte
	for _, e := range entries {
		start := int64(len(out))
		sum := crc32.ChecksumIEEE([]byte(e.data)) + e.crc
		name, size := e.name, uint32(len(e.data))
		if e.localName != "" {
			name = e.localName
		}
		if e.localSize != 0 {
			size = e.localSize
		}
		out = append(out, "PK\x03\x04\x00\x00"...)
		out = le.AppendUint16(out, e.flags)
		out = le.AppendUint16(out, e.method)
		out = le.AppendUint32(out, 0) // time
		out = le.AppendUint32(out, sum)
		out = le.AppendUint32(out, size)
		out = le.AppendUint32(out, size)
		out = le.AppendUint16(out, uint16(len(name)))
		out = le.AppendUint16(out, 0)
		out = append(out, name...)
		out = append(out, e.data...)

		packed := uint64(len(e.data))
		if e.size != 0 {
			packed = e.size
		}
		full := packed
		if e.bigger != 0 {
			full = e.bigger
		}
		var extra []byte
		short := func(v uint64) uint32 {
			if v < math.MaxUint32 {
				return uint32(v)
			}
			extra = le.AppendUint64(extra, v)
			return math.MaxUint32
		}
		full32 := short(full)
		packed32 := short(packed)
		if extra != nil {
			extra = append(le.AppendUint16([]byte{1, 0}, uint16(len(extra))), extra...)
		}
		dir = append(dir, "PK\x01\x02\x00\x03\x00\x00"...)
		dir = le.AppendUint16(dir, e.flags)
		dir = le.AppendUint16(dir, e.method)
		dir = le.AppendUint32(dir, 0)
		dir = le.AppendUint32(dir, sum)
		dir = le.AppendUint32(dir, packed32)
		dir = le.AppendUint32(dir, full32)
		dir = le.AppendUint16(dir, uint16(len(e.name)))
		dir = le.AppendUint16(dir, uint16(len(extra)))
		dir = append(dir, 0, 0, 0, 0, 0, 0) // comment, disk, internal attributes
		dir = le.AppendUint32(dir, e.mode<<16)
		dir = le.AppendUint32(dir, uint32(start+e.at))
		dir = append(dir, e.name...)
		dir = append(dir, extra...)
	}
	start, n := int64(len(out)), uint64(len(entries))
	if end.entries != 0 {
		n = end.entries
	}
	out = append(out, dir...)
	record := int64(len(out))
	if !end.no64 {
		out = append(out, "PK\x06\x06"...)
		out = le.AppendUint64(out, 44)
		out = le.AppendUint32(out, 0) // versions
		out = le.AppendUint32(out, end.disk)
		out = le.AppendUint32(out, 0)
		out = le.AppendUint64(out, n)
		out = le.AppendUint64(out, n)
		out = le.AppendUint64(out, uint64(int64(len(dir))+end.size))
		out = le.AppendUint64(out, uint64(start+end.start))
		out = append(out, "PK\x06\x07\x00\x00\x00\x00"...)
		out = le.AppendUint64(out, uint64(record+end.locator))
		out = le.AppendUint32(out, 1)
	}
	short := uint16(min(n, math.MaxUint16))
	if end.shortOnly != 0 {
		short = end.shortOnly
	}
	out = append(out, "PK\x05\x06\x00\x00\x00\x00"...)
	out = le.AppendUint16(out, short)
	out = le.AppendUint16(out, short)
	out = le.AppendUint32(out, uint32(int64(len(dir))+end.size))
	out = le.AppendUint32(out, uint32(start+end.start))
	out = le.AppendUint16(out, uint16(len(end.comment)))
	return append(out, end.comment...)
}

// Pieces of a pickle of protocol 2.
func pGlobal(module, name string) string { return "c" + module + "\n" + name + "\n" }

func pString(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}

func pInt(n int64) string {
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}

func pInts(v ...int64) string {
	s := "("
	for _, n := range v {
		s += pInt(n)
	}
	return s + "t"
}

func pStorage(class, key string, numel int64) string {
	return "(" + pString("storage") + pGlobal("torch", class) + pString(key) + pString("cpu") + pInt(numel) + "tQ"
}

// pTensor is a float tensor in a storage.
func pTensor(storage string, offset int64, size, stride string) string {
	return pGlobal("torch._utils", "_rebuild_tensor_v2") + "(" + storage + pInt(offset) + size + stride + "\x89" +
		pGlobal("collections", "OrderedDict") + ")RtR"
}

// pModel is a dict of one tensor "w".
func pModel(tensor string) string { return "\x80\x02}" + pString("w") + tensor + "s." }

// goodTensor fits into the 24 bytes that pth puts into storage 0.
func goodTensor() string {
	return pTensor(pStorage("FloatStorage", "0", 6), 0, pInts(2, 3), pInts(3, 1))
}

func pthEntries(pickle string, more ...zipEntry) []zipEntry {
	return append([]zipEntry{
		{name: "m/data.pkl", data: pickle},
		{name: "m/byteorder", data: "little"},
		{name: "m/data/0", data: strings.Repeat("\x00\x00\x80\x3f", 6)},
		{name: "m/version", data: "3\n"},
	}, more...)
}

// ValidPTH is a valid checkpoint of one tensor, for files cut from it and for the
// seeds of fuzz targets.
func ValidPTH() []byte { return zip(zipEnd{}, pthEntries(pModel(goodTensor()))...) }

// PTH lists bad PyTorch checkpoints.
func PTH() []Case {
	var all []Case
	all = append(all, pthCode()...)
	all = append(all, pthTensors()...)
	all = append(all, pthPickles()...)
	return append(all, pthZips()...)
}

func pthCase(check int, name, field, value, pickle string) Case {
	return Case{Name: "pth " + name, Check: check, Field: field, Value: value, Files: func() []File {
		return []File{{Name: "consolidated.00.pth", Data: zip(zipEnd{}, pthEntries(pickle)...)}}
	}}
}

// Canary is the file that pickles of pthCode would make if they were run.
const Canary = "canary"

// pthCode are pickles that ask to run something.
func pthCode() []Case {
	command := pString("touch " + Canary)
	call := func(module, name, args string) string {
		return "\x80\x02" + pGlobal(module, name) + "(" + args + "tR."
	}
	type c struct{ name, field, value, pickle string }
	var all []Case
	for _, c := range []c{
		{"os.system", "GLOBAL at offset 2", `"os.system"`, call("os", "system", command)},
		{"posix.system", "GLOBAL at offset 2", `"posix.system"`, call("posix", "system", command)},
		{"nt.system", "GLOBAL at offset 2", `"nt.system"`, call("nt", "system", command)},
		{"subprocess.Popen", "GLOBAL at offset 2", `"subprocess.Popen"`, call("subprocess", "Popen", command)},
		{"eval", "GLOBAL at offset 2", `"builtins.eval"`, call("builtins", "eval", pString("open('canary','w')"))},
		{"exec of Python 2", "GLOBAL at offset 2", `"__builtin__.exec"`, call("__builtin__", "exec", pString("open('canary','w')"))},
		{"getattr", "GLOBAL at offset 2", `"builtins.getattr"`, call("builtins", "getattr", pGlobal("os", "system"))},
		{"torch.load", "GLOBAL at offset 2", `"torch.load"`, call("torch", "load", pString("other.pth"))},
		{"a function through a module", "GLOBAL at offset 2", `"torch.serialization.os.system"`, call("torch.serialization", "os.system", command)},
		{"a dotted name", "GLOBAL at offset 2", `"torch._utils._rebuild_tensor_v2"`, call("torch", "_utils._rebuild_tensor_v2", command)},
		{"numpy", "GLOBAL at offset 2", `"numpy.core.multiarray._reconstruct"`, call("numpy.core.multiarray", "_reconstruct", command)},
		{"beside a tensor", "GLOBAL at offset ", `"os.system"`, "\x80\x02}(" + pString("w") + goodTensor() + pString("x") + call("os", "system", command)[2:] + "u."},
		{"STACK_GLOBAL", "STACK_GLOBAL at offset 16", "", "\x80\x02" + pString("os") + pString("sy") + "\x93(" + command + "tR."},
		{"INST", "INST at offset 3", "", "\x80\x02(ios\nsystem\n."},
		{"OBJ", "OBJ at offset ", "", "\x80\x02(" + pGlobal("collections", "OrderedDict") + command + "o."},
		{"NEWOBJ", "NEWOBJ at offset ", "", "\x80\x02" + pGlobal("collections", "OrderedDict") + ")\x81."},
		{"EXT1", "EXT1 at offset 2", "", "\x80\x02\x82\x01."},
		{"PERSID", "PERSID at offset 2", "", "\x80\x02Pos.system\n."},
		{"protocol 4", "PROTO at offset 0", "4", "\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x8c\x06system\x93."},
		{"protocol 0", "INST at offset 1", "", "(ios\nsystem\n."},
		{"call of a dtype", "REDUCE at offset ", "torch.float32", "\x80\x02" + pGlobal("torch", "float32") + ")R."},
		{"call of a string", "REDUCE at offset ", "a string", "\x80\x02" + command + ")R."},
		{"call with a list", "REDUCE at offset ", "a list", "\x80\x02" + pGlobal("collections", "OrderedDict") + "]R."},
		{"OrderedDict with arguments", "REDUCE at offset ", "collections.OrderedDict", call("collections", "OrderedDict", "]")},
		{"attributes of a dict", "BUILD at offset 4", "a dict", "\x80\x02}}b."},
		{"attributes of a tensor", "BUILD at offset ", "a tensor", "\x80\x02" + goodTensor() + "}b."},
		{"attributes that are a list", "BUILD at offset ", "a list", "\x80\x02" + pGlobal("collections", "OrderedDict") + ")R]b."},
		{"another function behind a type", "REDUCE at offset ", "collections.OrderedDict", call("torch._tensor", "_rebuild_from_type_v2", pGlobal("collections", "OrderedDict")+pGlobal("torch", "Tensor")+")}")},
		{"another type", "REDUCE at offset ", "torch.float32", call("torch._tensor", "_rebuild_from_type_v2", pGlobal("torch._utils", "_rebuild_tensor_v2")+pGlobal("torch", "float32")+")}")},
		{"a type of itself", "REDUCE at offset ", "torch._tensor._rebuild_from_type_v2", call("torch._tensor", "_rebuild_from_type_v2", pGlobal("torch._tensor", "_rebuild_from_type_v2")+pGlobal("torch", "Tensor")+")}")},
	} {
		all = append(all, pthCase(15, "runs "+c.name, c.field, c.value, c.pickle))
	}
	return all
}

// pthTensors are tensors that do not lie in their storages.
func pthTensors() []Case {
	type c struct{ name, field, value, tensor string }
	float := pStorage("FloatStorage", "0", 6)
	tensor := func(size, stride string) string { return pTensor(float, 0, size, stride) }
	var all []Case
	for _, c := range []c{
		{"storage smaller than the shape", "tensor w", "[2 4]", tensor(pInts(2, 4), pInts(4, 1))},
		{"storage smaller than shape and strides", "tensor w", "[4 1]", tensor(pInts(2, 3), pInts(4, 1))},
		{"storage offset past the end", "tensor w: storage offset", "7", pTensor(float, 7, pInts(1), pInts(1))},
		{"shape past the end by its offset", "tensor w", "offset 1", pTensor(float, 1, pInts(2, 3), pInts(3, 1))},
		{"negative offset", "tensor w: storage offset", "-1", pTensor(float, -1, pInts(2, 3), pInts(3, 1))},
		{"negative stride", "tensor w: stride", "[-3 1]", tensor(pInts(2, 3), pInts(-3, 1))},
		{"negative size", "tensor w: size", "[-2 3]", tensor(pInts(-2, 3), pInts(3, 1))},
		{"sizes that wrap", "tensor w: size", "[4294967296 4294967296]", tensor(pInts(1<<32, 1<<32), pInts(0, 0))},
		{"sizes that wrap beside a zero", "tensor w: size", "[0 4294967296 4294967296]", tensor(pInts(0, 1<<32, 1<<32), pInts(0, 0, 0))},
		{"extent that wraps", "tensor w: stride", "[9223372036854775807 1]", tensor(pInts(5, 2), pInts(math.MaxInt64, 1))},
		{"2^40 elements of stride 0", "tensor w", "1099511627776 elements", tensor(pInts(1<<40), pInts(0))},
		{"fewer strides than sizes", "tensor w", "2 sizes and 1 strides", tensor(pInts(2, 3), pInts(1))},
		{"9 dimensions", "tensor w", "9 sizes", tensor(pInts(1, 1, 1, 1, 1, 1, 1, 1, 1), pInts(1, 1, 1, 1, 1, 1, 1, 1, 1))},
		{"size that is a list", "REDUCE at offset", "no tuple of integers", tensor("]", pInts())},
		{"stride of floats", "REDUCE at offset", "no tuple of integers", tensor(pInts(1), "(G\x3f\xf0\x00\x00\x00\x00\x00\x00t")},
		{"tensor without a storage", "REDUCE at offset", "None", pTensor("N", 0, pInts(1), pInts(1))},
		{"too few arguments", "REDUCE at offset", "1 arguments", pGlobal("torch._utils", "_rebuild_tensor_v2") + "(" + float + "tR"},
		{"parameter of nothing", "REDUCE at offset", "None", pGlobal("torch._utils", "_rebuild_parameter") + "(N\x88}tR"},
		{"dtype that is a class", "REDUCE at offset", "torch.FloatStorage", pGlobal("torch._utils", "_rebuild_tensor_v3") + "(" + float + pInt(0) + pInts(1) + pInts(1) + "\x89}" + pGlobal("torch", "FloatStorage") + "tR"},
		{"dtype unlike the storage", "REDUCE at offset", "float32", pGlobal("torch._utils", "_rebuild_tensor_v3") + "(" + float + pInt(0) + pInts(1) + pInts(1) + "\x89}" + pGlobal("torch", "bfloat16") + "tR"},
		{"storage with more elements than bytes", `storage "0"`, "7", pTensor(pStorage("FloatStorage", "0", 7), 0, pInts(7), pInts(1))},
		{"storage of 2^62 elements", `storage "0"`, "4611686018427387904", pTensor(pStorage("FloatStorage", "0", 1<<62), 0, pInts(1), pInts(1))},
		{"storage of -1 elements", `storage "0"`, "-1", pTensor(pStorage("FloatStorage", "0", -1), 0, pInts(1), pInts(1))},
		{"storage that is not there", `storage "1"`, "no entry", pTensor(pStorage("FloatStorage", "1", 6), 0, pInts(1), pInts(1))},
		{"storage outside of the archive", `storage "../../etc/passwd"`, "no entry", pTensor(pStorage("FloatStorage", "../../etc/passwd", 6), 0, pInts(1), pInts(1))},
		{"storage of two types", `storage "0"`, "torch.IntStorage", "(" + goodTensor() + pTensor(pStorage("IntStorage", "0", 6), 0, pInts(6), pInts(1)) + "t"},
		{"id of a storage that is a string", "BINPERSID at offset", "", pString("0") + "Q"},
		{"id of a storage of another class", "BINPERSID at offset", "torch.float32", pTensor(pStorage("float32", "0", 6), 0, pInts(1), pInts(1))},
	} {
		all = append(all, pthCase(16, c.name, c.field, c.value, pModel(c.tensor)))
	}
	return all
}

// pthPickles are pickles that are no pickles, or too large ones.
func pthPickles() []Case {
	type c struct{ name, field, value, pickle string }
	// doubling is a list of lists, each of which holds the one before it twice.
	doubling := func(first string) string {
		s := "\x80\x02}" + pString("w") + "](" + first + "q\x00"
		for i := range 25 {
			s += fmt.Sprintf("](h%ch%ceq%c", i, i, i+1)
		}
		return s + "es."
	}
	var all []Case
	for _, c := range []c{
		{"memo index 2^31", "LONG_BINPUT at offset 3", "2147483648", "\x80\x02}r\x00\x00\x00\x80."},
		{"memo entry that is not there", "LONG_BINGET at offset 2", "4294967295", "\x80\x02j\xff\xff\xff\xff."},
		{"string of 2^31 bytes", "BINUNICODE at offset 2", "2147483648", "\x80\x02X\x00\x00\x00\x80abc."},
		{"string that is no UTF-8", "BINUNICODE at offset 2", `"\xff"`, "\x80\x02X\x01\x00\x00\x00\xff."},
		{"integer of 255 bytes", "LONG1 at offset 2", "255", "\x80\x02\x8a\xff" + strings.Repeat("\x01", 255) + "."},
		{"list of 2^31 by LONG4", "LONG4 at offset 2", "", "\x80\x02\x8b\x00\x00\x00\x80."},
		{"a million values in a list", "NONE at offset", "", "\x80\x02](" + strings.Repeat("N", 1<<20) + "e."},
		{"a million marks", "MARK at offset", "", "\x80\x02" + strings.Repeat("(", 1<<20) + "."},
		{"a million dicts", "EMPTY_DICT at offset", "", "\x80\x02" + strings.Repeat("}", 1<<20) + "."},
		{"many lists of one", "data.pkl: STOP", "the stack has 120000 values", "\x80\x02" + strings.Repeat("]Na", 120_000) + "."},
		{"many dicts of one", "data.pkl: STOP", "the stack has 100000 values", "\x80\x02" + strings.Repeat("}K\x01Ns", 100_000) + "."},
		{"9 MiB", "data.pkl", "9437184", "\x80\x02" + strings.Repeat("N", 9<<20-2)},
		{"lists doubled at each level", "data.pkl", "131072 values", doubling("N")},
		{"tensors doubled at each level", "tensor w.14.", "16384 tensors", doubling(goodTensor())},
		{"a list in itself", "data.pkl", "nested", "\x80\x02}" + pString("w") + "]q\x00h\x00as."},
		{"a dict in itself", "data.pkl", "nested", "\x80\x02}q\x00" + pString("w") + "h\x00s."},
		{"lists 100,000 deep", "data.pkl", "nested", "\x80\x02}" + pString("w") + strings.Repeat("]", 100_000) + strings.Repeat("a", 99_999) + "s."},
		{"key twice", "SETITEMS at offset", `"w"`, "\x80\x02}(" + strings.Repeat(pString("w")+goodTensor(), 2) + "u."},
		{"name twice by nesting", "tensor a.b", "", "\x80\x02}(" + pString("a.b") + goodTensor() + pString("a") + "}" + pString("b") + goodTensor() + "su."},
		{"key without a value", "SETITEMS at offset", "", "\x80\x02}(" + pString("w") + "u."},
		{"key that is a dict", "SETITEM at offset", "a dict", "\x80\x02}}Ns."},
		{"tensor without a name", "tensor name", "", "\x80\x02}" + pString("") + goodTensor() + "s."},
		{"tensor with a name of 1,000 bytes", "tensor name", "1000", "\x80\x02}" + pString(strings.Repeat("w", 1000)) + goodTensor() + "s."},
		{"tensor with a control character in its name", "tensor name", `"w\x1b[2J"`, "\x80\x02}" + pString("w\x1b[2J") + goodTensor() + "s."},
		{"items of a list", "SETITEM at offset", "a list", "\x80\x02]NNs."},
		{"appends to a dict", "APPEND at offset", "a dict", "\x80\x02}Na."},
		{"takes from an empty stack", "TUPLE3 at offset 3", "", "\x80\x02N\x87."},
		{"takes from below a mark", "TUPLE1 at offset 4", "", "\x80\x02N(\x85t."},
		{"no mark", "TUPLE at offset 2", "", "\x80\x02t."},
		{"stores from an empty stack", "BINPUT at offset 2", "", "\x80\x02q\x00."},
		{"appends to nothing", "APPEND at offset 3", "", "\x80\x02Na."},
		{"stops with nothing", "STOP at offset 2", "", "\x80\x02."},
		{"stops within a mark", "STOP at offset 4", "", "\x80\x02}(."},
		{"does not stop", "data.pkl", "", "\x80\x02}"},
		{"goes on after the end", "STOP at offset 3", "", "\x80\x02}.}"},
		{"an empty pickle", "data.pkl", "", ""},
		{"name without an end", "GLOBAL at offset 2", "", "\x80\x02c" + strings.Repeat("a", 1<<16)},
		{"no dict", "data.pkl", "a list", "\x80\x02]."},
		{"no opcode", "opcode 0xff at offset 2", "", "\x80\x02\xff."},
		{"protocol in the middle", "PROTO at offset 2", "2", "\x80\x02\x80\x02}."},
	} {
		all = append(all, pthCase(16, c.name, c.field, c.value, c.pickle))
	}
	return all
}

// pthZips are archives that are none, or not torch.save's.
func pthZips() []Case {
	good := pModel(goodTensor())
	with := func(e zipEntry) []byte { return zip(zipEnd{}, pthEntries(good, e)...) }
	ending := func(end zipEnd) []byte { return zip(end, pthEntries(good)...) }
	changed := func(i int, change func(*zipEntry)) []byte {
		e := pthEntries(good)
		change(&e[i])
		return zip(zipEnd{}, e...)
	}
	inner := string(zip(zipEnd{}, zipEntry{name: "m/data/1"}))
	many := make([]zipEntry, 70_000)
	for i := range many {
		many[i].name = fmt.Sprintf("m/data/%d", i)
	}
	type c struct {
		name, field, value string
		data               []byte
	}
	var all []Case
	for _, c := range []c{
		{"entry ../x", `entry "../x"`, "leaves the archive", with(zipEntry{name: "../x"})},
		{"entry m/../../x", `entry "m/../../x"`, "leaves the archive", with(zipEntry{name: "m/../../x"})},
		{"entry /etc/passwd", `entry "/etc/passwd"`, "absolute", with(zipEntry{name: "/etc/passwd"})},
		{"entry C:/x", `entry "C:/x"`, "colon", with(zipEntry{name: "C:/x"})},
		{"entry ..\\x", `entry "m\\..\\x"`, "backslash", with(zipEntry{name: `m\..\x`})},
		{"entry with NUL", `entry "m/data\x00.pkl"`, "control", with(zipEntry{name: "m/data\x00.pkl"})},
		{"entry without a directory", `entry "x"`, "one directory", with(zipEntry{name: "x"})},
		{"entry of another directory", `entry "n/data/1"`, "m/", with(zipEntry{name: "n/data/1"})},
		{"entry without a name", `entry ""`, "", with(zipEntry{})},
		{"directory", `entry "m/data/"`, "a directory", with(zipEntry{name: "m/data/"})},
		{"name of 60,000 bytes", "entry ", "too long", with(zipEntry{name: "m/" + strings.Repeat("x", 60_000)})},
		{"symbolic link", "entry data/1", "symbolic link", with(zipEntry{name: "m/data/1", data: "/etc/passwd", mode: 0o120777})},
		{"two data.pkl", "entry data.pkl", "two entries", with(zipEntry{name: "m/data.pkl", data: "\x80\x02}."})},
		{"two storages 0", "entry data/0", "two entries", with(zipEntry{name: "m/data/0"})},
		{"entry of 2^40 bytes", "entry data/1", "1099511627776", with(zipEntry{name: "m/data/1", size: 1 << 40})},
		{"entry of 2^63 bytes", "entry data/1", "9223372036854775808", with(zipEntry{name: "m/data/1", size: 1 << 63})},
		{"stored entry of ratio 1000:1", "entry data/1", "1000", with(zipEntry{name: "m/data/1", data: "x", bigger: 1000})},
		{"deflated entry of ratio 1000:1", "entry data/1", "8", with(zipEntry{name: "m/data/1", data: deflatedZeros(), method: 8, bigger: 1 << 20})},
		{"deflated pickle", "entry data.pkl", "8", changed(0, func(e *zipEntry) { e.method = 8 })},
		{"encrypted entry", "entry data/1", "encrypted", with(zipEntry{name: "m/data/1", flags: 1})},
		{"strongly encrypted directory", "entry data/1: flags", "8192", with(zipEntry{name: "m/data/1", flags: 1 << 13})},
		{"overlapping entries", "entry data/1", "inside of entry data/0", zip(zipEnd{}, zipEntry{name: "m/data/0", data: inner}, zipEntry{name: "m/data/1", at: -int64(len(inner))})},
		{"one local header for two entries", "entry data/1", "another name", with(zipEntry{name: "m/data/1", at: -int64(len("PK\x03\x04") + 26 + len("m/version") + len("3\n"))})},
		{"local header in the directory", "entry data/1", "local header", with(zipEntry{name: "m/data/1", at: 50})},
		{"local header after the file", "entry data/1", "local header", with(zipEntry{name: "m/data/1", at: math.MaxInt32})},
		{"local header of another name", "entry data/1", "data/2", with(zipEntry{name: "m/data/1", localName: "m/data/2"})},
		{"local header of another size", "entry data/1", "77", with(zipEntry{name: "m/data/1", localSize: 77})},
		{"data that runs into the directory", "entry data/1", "into the central directory", with(zipEntry{name: "m/data/1", size: 200, localSize: 200})},
		{"pickle with another sum", "entry data.pkl", "CRC-32", changed(0, func(e *zipEntry) { e.crc = 1 })},
		{"entry that torch.save does not write", "entry setup.py", "", with(zipEntry{name: "m/setup.py"})},
		{"TorchScript", "entry code/a.py", "TorchScript", with(zipEntry{name: "m/code/a.py"})},
		{"no pickle", "entry data.pkl", "missing", zip(zipEnd{}, pthEntries(good)[1:]...)},
		{"no version", "entry version", "missing", zip(zipEnd{}, pthEntries(good)[:3]...)},
		{"version 11", "entry version", "11", changed(3, func(e *zipEntry) { e.data = "11\n" })},
		{"version x", "entry version", `"x"`, changed(3, func(e *zipEntry) { e.data = "x" })},
		{"big-endian", "entry byteorder", "big", changed(1, func(e *zipEntry) { e.data = "big" })},
		{"byte order of a PDP", "entry byteorder", "pdp", changed(1, func(e *zipEntry) { e.data = "pdp" })},
		{"2^40 entries", "entries", "1099511627776", ending(zipEnd{entries: 1 << 40})},
		{"an entry more", "entries", "5", ending(zipEnd{entries: 5})},
		{"an entry less", "central directory", "3 entries", ending(zipEnd{entries: 3})},
		{"70,000 entries", "entries", "70000", zip(zipEnd{}, many...)},
		{"directory that ends too early", "central directory", "", ending(zipEnd{size: -1})},
		{"directory that begins too late", "central directory", "", ending(zipEnd{start: 1})},
		{"directory after the file", "central directory", "", ending(zipEnd{start: 1 << 30})},
		{"other numbers in the two ends", "entries", "3", ending(zipEnd{shortOnly: 3})},
		{"zip64 record elsewhere", "zip64 locator", "", ending(zipEnd{locator: 3})},
		{"zip64 record after the file", "zip64 locator", "", ending(zipEnd{locator: math.MaxInt32})},
		{"archive in pieces", "end of central directory", "pieces", ending(zipEnd{disk: 1})},
		{"comment", "end of central directory", "", ending(zipEnd{comment: "x"})},
		{"no zip64 records where they are needed", "entries", "65535", ending(zipEnd{no64: true, shortOnly: math.MaxUint16})},
		{"no directory", "end of central directory", "", []byte("PK\x03\x04")},
		{"another format", "magic", "GGUF", []byte("GGUF\x03\x00\x00\x00")},
		{"empty file", "", "empty", nil},
		{"bare pickle", "format", "bare pickle", []byte("\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")},
		{"tar archive", "format", "tar", append(bytes.Repeat([]byte("s"), 257), append([]byte("ustar"), make([]byte, 300)...)...)},
		{"pointer of Git LFS", "", "Git LFS", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\n")},
	} {
		all = append(all, Case{Name: "pth " + c.name, Check: 17, Field: c.field, Value: c.value, Files: one("consolidated.00.pth", c.data)})
	}
	return all
}

// deflatedZeros is 1 MiB of zeros, deflated to about 1 KiB.
func deflatedZeros() string {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression) // fails for an unknown level only
	_, _ = w.Write(make([]byte, 1<<20))                // a bytes.Buffer takes all
	_ = w.Close()
	return b.String()
}
