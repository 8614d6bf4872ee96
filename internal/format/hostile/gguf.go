package hostile

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
)

// Numbers of the types of values and tensors, from the GGUF specification.
const (
	ggufUint8  = 0
	ggufUint16 = 2
	ggufUint32 = 4
	ggufFloat  = 6
	ggufBool   = 7
	ggufString = 8
	ggufArray  = 9
	ggufUint64 = 10

	ggmlF32    = 0
	ggmlQ4_0   = 2
	ggmlIQ2XXS = 16
	ggmlI8     = 24
	ggmlF64    = 28
)

func le16(b []byte, v uint16) []byte    { return binary.LittleEndian.AppendUint16(b, v) }
func le32(b []byte, v uint32) []byte    { return binary.LittleEndian.AppendUint32(b, v) }
func le64(b []byte, v uint64) []byte    { return binary.LittleEndian.AppendUint64(b, v) }
func ggufStr(b []byte, s string) []byte { return append(le64(b, uint64(len(s))), s...) }
func ggufStrings(list ...string) []byte {
	var b []byte
	for _, s := range list {
		b = ggufStr(b, s)
	}
	return b
}

// ggufFile is a GGUF file put together by hand. Counts are those of what was
// added plus a lie.
type ggufFile struct {
	magic          string
	version        uint32
	kvs, infos     []byte
	keys, tensors  uint64
	moreKeys       uint64
	moreTensors    uint64
	data           int // bytes of the data section
	withoutPadding bool
}

func newGGUF() *ggufFile { return &ggufFile{magic: "GGUF", version: 3} }

// kv adds a key with the bytes of its value.
func (g *ggufFile) kv(key string, typ uint32, value []byte) *ggufFile {
	g.kvs = append(le32(ggufStr(g.kvs, key), typ), value...)
	g.keys++
	return g
}

func (g *ggufFile) str(key, value string) *ggufFile {
	return g.kv(key, ggufString, ggufStr(nil, value))
}
func (g *ggufFile) u32(key string, v uint32) *ggufFile { return g.kv(key, ggufUint32, le32(nil, v)) }
func (g *ggufFile) u16(key string, v uint16) *ggufFile { return g.kv(key, ggufUint16, le16(nil, v)) }

// array adds an array that says that it has n elements.
func (g *ggufFile) array(key string, elem uint32, n uint64, elements []byte) *ggufFile {
	return g.kv(key, ggufArray, append(le64(le32(nil, elem), n), elements...))
}

// tensor adds a tensor's entry; dims are as in the file, innermost first.
func (g *ggufFile) tensor(name string, typ uint32, offset uint64, dims ...uint64) *ggufFile {
	return g.tensorOf(name, uint32(len(dims)), typ, offset, dims...)
}

func (g *ggufFile) tensorOf(name string, nDims, typ uint32, offset uint64, dims ...uint64) *ggufFile {
	g.infos = le32(ggufStr(g.infos, name), nDims)
	for _, d := range dims {
		g.infos = le64(g.infos, d)
	}
	g.infos = le64(le32(g.infos, typ), offset)
	g.tensors++
	return g
}

// withData gives the data section so many bytes.
func (g *ggufFile) withData(n int) *ggufFile {
	g.data = n
	return g
}

func (g *ggufFile) header() []byte {
	b := le32([]byte(g.magic), g.version)
	b = le64(b, g.tensors+g.moreTensors)
	b = le64(b, g.keys+g.moreKeys)
	return append(append(b, g.kvs...), g.infos...)
}

func (g *ggufFile) bytes() []byte {
	b := g.header()
	if g.withoutPadding {
		return b
	}
	return append(b, make([]byte, (32-len(b)%32)%32+g.data)...)
}

// llamaGGUF begins a file as most begin.
func llamaGGUF() *ggufFile { return newGGUF().str("general.architecture", "llama") }

// validGGUF has values of several types and three tensors.
func validGGUF() *ggufFile {
	return llamaGGUF().u32("general.alignment", 32).u16("llama.block_count", 1).
		kv("llama.attention.layer_norm_rms_epsilon", ggufFloat, le32(nil, 0x3727c5ac)).
		kv("tokenizer.ggml.add_bos_token", ggufBool, []byte{1}).
		kv("general.size", ggufUint64, le64(nil, 1<<40)).
		array("tokenizer.ggml.tokens", ggufString, 3, ggufStrings("<unk>", "<s>", "</s>")).
		array("nested", ggufArray, 1, append(le64(le32(nil, ggufUint8), 2), 1, 2)).
		tensor("output_norm.weight", ggmlF32, 0, 4).
		tensor("token_embd.weight", ggmlQ4_0, 32, 32, 2).
		tensor("blk.0.attn_q.weight", ggmlF32, 96, 2, 2).withData(128)
}

// ValidGGUF returns a valid file and the length of its header: cut anywhere in
// it, it must be refused.
func ValidGGUF() (data []byte, header int) {
	g := validGGUF()
	return g.bytes(), len(g.header())
}

// ggufPart is a part of a split set with one tensor.
func ggufPart(no, count, tensors uint16, tensor string) []byte {
	g := newGGUF()
	if no == 0 {
		g.str("general.architecture", "llama")
	}
	g.u16("split.no", no).u16("split.count", count).kv("split.tensors.count", ggufUint32, le32(nil, uint32(tensors)))
	return g.tensor(tensor, ggmlF32, 0, 4).withData(16).bytes()
}

// GGUF lists the bad GGUF files.
func GGUF() []Case {
	return slices.Concat(ggufCounts(), ggufDims(), ggufPlaces(), ggufWords(), ggufSplits())
}

func ggufCase(check int, name, field, value string, file func() *ggufFile) Case {
	return Case{Name: "gguf " + name, Check: check, Field: field, Value: value, Files: func() []File {
		return []File{{Name: "m.gguf", Data: file().bytes()}}
	}}
}

func ggufBytes(check int, name, field, value string, data func() []byte) Case {
	return Case{Name: "gguf " + name, Check: check, Field: field, Value: value, Files: func() []File {
		return []File{{Name: "m.gguf", Data: data()}}
	}}
}

// ggufSparse makes a file that is filled up with zeros.
func ggufSparse(check int, name, field, value string, size int64, file func() *ggufFile) Case {
	return Case{Name: "gguf " + name, Check: check, Field: field, Value: value, Files: func() []File {
		return []File{{Name: "m.gguf", Data: file().bytes(), Size: size}}
	}}
}

// ggufCounts claim more than the file holds: checks 1 to 5.
func ggufCounts() []Case {
	const huge, hugeText = 1 << 63, "9223372036854775808"
	bigString := func(n uint64) []byte { return append(le64(nil, n), "short"...) }
	return []Case{
		ggufCase(1, "2^60 tensors", "tensor count", "1152921504606846976", func() *ggufFile {
			g := llamaGGUF()
			g.moreTensors = 1 << 60
			return g
		}),
		ggufBytes(1, "more tensors than bytes", "tensor count", "1000", func() []byte {
			g := validGGUF()
			g.moreTensors = 997
			return g.bytes()
		}),
		ggufBytes(1, "one tensor too many", "tensor 3: name: length", "", func() []byte {
			g := validGGUF()
			g.moreTensors = 1
			g.data = 0
			g.withoutPadding = true
			return g.bytes()
		}),
		ggufSparse(1, "a million tensors", "tensor count", "1000000", 40_000_000, func() *ggufFile {
			g := llamaGGUF()
			g.moreTensors = 1_000_000
			return g
		}),
		ggufCase(2, "2^63 keys", "key count", "9223372036854775809", func() *ggufFile {
			g := llamaGGUF()
			g.moreKeys = 1 << 63
			return g
		}),
		ggufSparse(2, "a million keys", "key count", "1000001", 20_000_000, func() *ggufFile {
			g := llamaGGUF()
			g.moreKeys = 1_000_000
			return g
		}),
		ggufBytes(2, "one key too many", "key 8: length", "", func() []byte {
			g := validGGUF()
			g.moreKeys, g.infos, g.tensors, g.withoutPadding = 1, make([]byte, 7), 0, true
			return g.bytes()
		}),
		ggufBytes(3, "key of 2^63 bytes", "key 0: length", hugeText, func() []byte {
			return append(le64(le64(le32([]byte("GGUF"), 3), 0), 1), append(bigString(huge), make([]byte, 64)...)...)
		}),
		ggufCase(3, "string of 2^63 bytes", "general.name: length", hugeText, func() *ggufFile {
			return llamaGGUF().kv("general.name", ggufString, bigString(huge))
		}),
		ggufCase(3, "string of 2^64-1 bytes", "general.name: length", "18446744073709551615", func() *ggufFile {
			return llamaGGUF().kv("general.name", ggufString, bigString(1<<64-1))
		}),
		ggufBytes(3, "string longer than the rest", "general.name: length", "6", func() []byte {
			g := llamaGGUF().kv("general.name", ggufString, bigString(6))
			g.withoutPadding = true
			return g.bytes()
		}),
		ggufSparse(3, "string of 17 MiB", "general.name: length", "17825792", 18<<20, func() *ggufFile {
			return llamaGGUF().kv("general.name", ggufString, le64(nil, 17<<20))
		}),
		ggufBytes(3, "tensor name of 2^63 bytes", "tensor 0: name: length", hugeText, func() []byte {
			g := llamaGGUF()
			g.moreTensors, g.infos = 1, append(bigString(huge), make([]byte, 64)...)
			return g.bytes()
		}),
		ggufBytes(4, "49 bytes, array of 2^63", "a: length", hugeText, func() []byte {
			b := le64(le64(le32([]byte("GGUF"), 3), 0), 1)
			return le64(le32(le32(ggufStr(b, "a"), ggufArray), ggufUint8), huge)
		}),
		ggufBytes(4, "43 bytes", "a: length", "", func() []byte {
			b := le64(le64(le32([]byte("GGUF"), 3), 0), 1)
			return le64(le32(le32(ggufStr(b, "a"), ggufArray), ggufUint8), huge)[:43]
		}),
		ggufCase(4, "array of 2^63 arrays", "a: length", hugeText, func() *ggufFile {
			return newGGUF().array("a", ggufArray, huge, make([]byte, 64))
		}),
		ggufCase(4, "array of 2^62 uint32", "a: length", "4611686018427387904", func() *ggufFile {
			return newGGUF().array("a", ggufUint32, 1<<62, make([]byte, 64))
		}),
		ggufCase(4, "2^26 strings", "tokens: length", "67108864", func() *ggufFile {
			return newGGUF().array("tokens", ggufString, 1<<26, ggufStrings("a", "b"))
		}),
		ggufBytes(4, "strings that end early", "tokens", "", func() []byte {
			g := newGGUF().array("tokens", ggufString, 100_000, le64(make([]byte, 799_992), 1))
			g.withoutPadding = true
			return g.bytes()
		}),
		ggufSparse(4, "20 million empty arrays", "a: length", "20000000", 20_000_000*12+100, func() *ggufFile {
			return newGGUF().array("a", ggufArray, 20_000_000, nil)
		}),
		ggufCase(5, "arrays nested 1,000 deep", "a", "", func() *ggufFile {
			b := le64(le32(nil, ggufUint8), 0)
			for range 1000 {
				b = append(le64(le32(nil, ggufArray), 1), b...)
			}
			return newGGUF().kv("a", ggufArray, b)
		}),
		ggufCase(5, "arrays nested 5 deep", "a", "", func() *ggufFile {
			b := le64(le32(nil, ggufUint8), 0)
			for range 4 {
				b = append(le64(le32(nil, ggufArray), 1), b...)
			}
			return newGGUF().kv("a", ggufArray, b)
		}),
	}
}

// ggufDims have impossible shapes: checks 6 and 7.
func ggufDims() []Case {
	shape := func(check int, name, field, value string, typ uint32, dims ...uint64) Case {
		return ggufCase(check, name, "tensor t: "+field, value, func() *ggufFile {
			return llamaGGUF().tensor("t", typ, 0, dims...).withData(256)
		})
	}
	nDims := func(name, value string, n uint32, dims ...uint64) Case {
		return ggufCase(6, name, "tensor t: n_dims", value, func() *ggufFile {
			return llamaGGUF().tensorOf("t", n, ggmlF32, 0, dims...).withData(256)
		})
	}
	return []Case{
		nDims("0 dimensions", "0", 0),
		nDims("5 dimensions", "5", 5, 1, 1, 1, 1, 1),
		nDims("2^32-1 dimensions", "4294967295", 1<<32-1, 1),
		shape(6, "dimension 0", "dimension 1", "0", ggmlF32, 4, 0),
		shape(7, "product wraps to 0", "dimension 1", "4294967296", ggmlF32, 1<<32, 1<<32),
		shape(7, "product wraps to 4", "dimension 1", "9223372036854775809", ggmlF32, 4, 1<<63+1),
		shape(7, "negative dimension", "dimension 0", "18446744073709551615", ggmlF32, 1<<64-1),
		shape(7, "product of three wraps", "dimension 2", "211106198978564", ggmlF32, 4194305, 4194305, 211106198978564),
		ggufCase(7, "bytes wrap", "tensor t: elements", "2305843009213693952", func() *ggufFile {
			return llamaGGUF().tensor("t", ggmlF64, 0, 1<<61).withData(256)
		}),
		shape(7, "row of half a block", "dimension 0", "48", ggmlQ4_0, 48, 2),
	}
}

// ggufPlaces have impossible alignments and extents: checks 8 and 9.
func ggufPlaces() []Case {
	alignment := func(name, value string, v uint32) Case {
		return ggufCase(8, name, "general.alignment", value, func() *ggufFile {
			return llamaGGUF().u32("general.alignment", v).tensor("t", ggmlF32, 0, 4).withData(64)
		})
	}
	at := func(name, value string, offset uint64, typ uint32, dims ...uint64) Case {
		return ggufCase(9, name, "tensor t: offset", value, func() *ggufFile {
			return llamaGGUF().tensor("first", ggmlF32, 0, 16).tensor("t", typ, offset, dims...).withData(128)
		})
	}
	return []Case{
		alignment("alignment 0", "0", 0),
		alignment("alignment 3", "3", 3),
		alignment("alignment 2^30", "1073741824", 1<<30),
		alignment("alignment 2^31+32", "2147483680", 1<<31+32),
		ggufCase(8, "alignment as a string", "general.alignment", "", func() *ggufFile { return llamaGGUF().str("general.alignment", "32") }),
		at("offset beyond the file", "160", 160, ggmlF32, 4),
		at("size beyond the file", "64", 64, ggmlF32, 17),
		at("size of 2^60", "64", 64, ggmlI8, 1<<60),
		at("offset and size wrap", "18446744073709551552", 1<<64-64, ggmlF32, 16),
		at("misaligned", "72", 72, ggmlF32, 4),
		at("overlapping", "32", 32, ggmlF32, 4),
		at("overlapping, the same offset", "0", 0, ggmlF32, 4),
		ggufBytes(9, "no data", "tensor data", "", func() []byte {
			g := validGGUF()
			g.withoutPadding = true
			return g.bytes()
		}),
		ggufCase(9, "65,536 tensors in one place", "offset", "0", func() *ggufFile {
			g := llamaGGUF().withData(64)
			for i := range 1 << 16 {
				g.tensor(strconv.Itoa(i), ggmlI8, 0, 1)
			}
			return g
		}),
	}
}

// ggufWords are wrong otherwise: check 10.
func ggufWords() []Case {
	head := func(name, field, value, magic string, version uint32) Case {
		return ggufCase(10, name, field, value, func() *ggufFile {
			g := validGGUF()
			g.magic, g.version = magic, version
			return g
		})
	}
	add := func(name, field, value string, change func(g *ggufFile)) Case {
		return ggufCase(10, name, field, value, func() *ggufFile {
			g := llamaGGUF()
			change(g)
			return g
		})
	}
	second := func(name, field, value, tensor string, typ uint32) Case {
		return ggufCase(10, name, field, value, func() *ggufFile {
			return llamaGGUF().tensor("t", ggmlF32, 0, 4).tensor(tensor, typ, 32, 4).withData(64)
		})
	}
	return []Case{
		ggufBytes(10, "empty file", "magic", "", func() []byte { return nil }),
		head("magic NOPE", "magic", "NOPE", "NOPE", 3),
		head("magic in lower case", "magic", "gguf", "gguf", 3),
		head("version 0", "version", "0", "GGUF", 0),
		head("version 1", "version", "1", "GGUF", 1),
		head("version 4", "version", "4", "GGUF", 4),
		head("version 2^32-1", "version", "4294967295", "GGUF", 1<<32-1),
		head("big-endian", "version", "0x3000000", "GGUF", 3<<24),
		add("key twice", "general.architecture", "", func(g *ggufFile) { g.str("general.architecture", "gpt2") }),
		add("empty key", "key 1", "", func(g *ggufFile) { g.str("", "x") }),
		add("key with a line end", "key 1", `a\nb`, func(g *ggufFile) { g.str("a\nb", "x") }),
		add("key of bad UTF-8", "key 1", `a\xff`, func(g *ggufFile) { g.str("a\xff", "x") }),
		add("key of 65,536 bytes", "key 1: length", "65536", func(g *ggufFile) { g.str(strings.Repeat("k", 1<<16), "x") }),
		add("value of type 13", "x: type", "13", func(g *ggufFile) { g.kv("x", 13, make([]byte, 8)) }),
		add("value of type 2^32-1", "x: type", "4294967295", func(g *ggufFile) { g.kv("x", 1<<32-1, make([]byte, 8)) }),
		add("array of type 13", "x: elements: type", "13", func(g *ggufFile) { g.array("x", 13, 1, make([]byte, 8)) }),
		add("bool 2", "x", "2", func(g *ggufFile) { g.kv("x", ggufBool, []byte{2}) }),
		add("bool 2 in an array", "x", "2", func(g *ggufFile) { g.array("x", ggufBool, 3, []byte{0, 1, 2}) }),
		second("tensor twice", "tensor t", "", "t", ggmlF32),
		second("empty tensor name", "tensor 1: name", "", "", ggmlF32),
		second("tensor name with an escape", "tensor 1: name", `\x1b[2J`, "\x1b[2J", ggmlF32),
		second("tensor name of 257 bytes", "tensor 1: name: length", "257", strings.Repeat("n", 257), ggmlF32),
		second("unknown tensor type", "tensor u: type", "1000", "u", 1000),
		second("tensor type of another program", "tensor u", "IQ2_XXS", "u", ggmlIQ2XXS),
	}
}

// ggufSplits are sets that do not fit together.
func ggufSplits() []Case {
	const one, two = "m-00001-of-00002.gguf", "m-00002-of-00002.gguf"
	set := func(name, field, value string, files ...File) Case {
		return Case{Name: "gguf set: " + name, Check: 10, Field: field, Value: value, Files: func() []File { return files }}
	}
	first := File{Name: one, Data: ggufPart(0, 2, 2, "a")}
	return []Case{
		set("of no parts", "split.count", "0", File{Name: "m-00001-of-00000.gguf", Data: ggufPart(0, 0, 1, "a")}),
		set("part beyond the last", "split.count", "2", File{Name: "m-00003-of-00002.gguf", Data: ggufPart(0, 2, 2, "a")}),
		set("part 0", "split.count", "2", File{Name: "m-00000-of-00002.gguf", Data: ggufPart(0, 2, 2, "a")}),
		set("name says nothing", "split.count", "2", File{Name: "m.gguf", Data: ggufPart(0, 2, 2, "a")}),
		set("name says another number", "split.count", "2", File{Name: "m-00001-of-00003.gguf", Data: ggufPart(0, 2, 2, "a")}),
		set("count as a string", "split.count", "", File{Name: one, Data: newGGUF().str("split.count", "2").bytes()}),
		set("part missing", two, "", first),
		set("part of another set", "split.count", "3", first, File{Name: two, Data: ggufPart(1, 3, 2, "b")}),
		set("the same part twice", "split.no", "0", first, File{Name: two, Data: first.Data}),
		set("part without numbers", "split.no", "", first, File{Name: two, Data: newGGUF().tensor("b", ggmlF32, 0, 4).withData(16).bytes()}),
		set("tensor in both", "tensor a", "", first, File{Name: two, Data: ggufPart(1, 2, 2, "a")}),
		set("tensors missing", "split.tensors.count", "3", File{Name: one, Data: ggufPart(0, 2, 3, "a")}, File{Name: two, Data: ggufPart(1, 2, 3, "b")}),
		set("bad part", "magic", "NOPE", first, File{Name: two, Data: []byte("NOPE and more")}),
	}
}
