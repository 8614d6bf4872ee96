package hostile

import (
	"math"
	"slices"
)

// ak42 is a checkpoint of llama2.c put together by hand, as its header says or,
// with more set, longer or shorter.
type ak42 struct {
	version                                     uint32 // 0 has no magic
	dim, hidden, layers, heads, kvs, vocab, seq int32
	shared                                      byte
	group                                       uint32
	pad                                         byte // all that follows in the header
	more                                        int
}

// good is a small model: tied, with more query heads than key heads.
func good(version uint32) ak42 {
	c := ak42{version: version, dim: 8, hidden: 12, layers: 2, heads: 2, kvs: 1, vocab: 5, seq: 3, shared: 1}
	if version == 2 {
		c.group = 4
	}
	return c
}

// goodBytes is the length of what follows good's header: norms, embeddings,
// layers, and in version 0 cosines and sines.
func goodBytes(version uint32) int {
	const norms, matrices = 2*8 + 2*8 + 8, 5*8 + 2*(8*8+4*8+4*8+8*8+3*8*12)
	switch version {
	case 0:
		return 4 * (norms + matrices + 3*2 + 3*2)
	case 1:
		return 4 * (norms + matrices)
	}
	return 4*norms + matrices + 4*matrices/4
}

func (c ak42) header() []byte {
	var b []byte
	if c.version != 0 {
		b = le32(le32(nil, 0x616b3432), c.version)
	}
	for _, v := range []int32{c.dim, c.hidden, c.layers, c.heads, c.kvs, c.vocab, c.seq} {
		b = le32(b, uint32(v))
	}
	if c.version == 0 {
		return b
	}
	b = append(b, c.shared)
	if c.version >= 2 {
		b = le32(b, c.group)
	}
	for len(b) < 256 {
		b = append(b, c.pad)
	}
	return b
}

// bytes has the data of good, whatever the header says.
func (c ak42) bytes() []byte {
	return append(c.header(), make([]byte, goodBytes(c.version)+c.more)...)
}

// ValidLlama2c returns a valid checkpoint of version 0, 1 or 2: cut anywhere, it
// must be refused.
func ValidLlama2c(version uint32) []byte { return good(version).bytes() }

// Llama2cBadScale returns a checkpoint of version 2 whose header is in order and
// whose first scale of tok_embeddings.weight is no number.
func Llama2cBadScale(scale float32) []byte {
	c := good(2)
	b := c.bytes()
	const norms, embeddings = 40, 40
	bits := le32(nil, math.Float32bits(scale))
	copy(b[256+4*norms+embeddings:], bits)
	return b
}

// Llama2c lists the bad checkpoints of llama2.c.
func Llama2c() []Case {
	change := func(check int, name, field, value string, version uint32, edit func(c *ak42)) Case {
		c := good(version)
		edit(&c)
		return Case{Name: "llama2c " + name, Check: check, Field: field, Value: value, Files: one("m.bin", c.bytes())}
	}
	raw := func(name, field, value string, data []byte) Case {
		return Case{Name: "llama2c " + name, Check: 10, Field: field, Value: value, Files: one("m.bin", data)}
	}
	list := []Case{
		raw("empty file", "file length", "0", nil),
		raw("27 bytes", "file length", "27", good(0).bytes()[:27]),
		raw("another format", "n_layers", "0", append([]byte("GGUF\x03\x00\x00\x00"), make([]byte, 1000)...)),
		raw("255 bytes of header", "file length", "255", good(1).header()[:255]),
		raw("magic alone", "file length", "28", append(le32(nil, 0x616b3432), make([]byte, 24)...)),
		change(10, "version 3", "version", "3", 3, func(*ak42) {}),
		raw("version 0 with the magic", "version", "0", slices.Concat(le32(nil, 0x616b3432), make([]byte, 1000))),
		change(10, "version -1", "version", "-1", 1<<32-1, func(*ak42) {}),
		change(10, "shared_classifier 2", "shared_classifier", "2", 1, func(c *ak42) { c.shared = 2 }),
		change(10, "shared_classifier of another file", "file length", "4416", 1, func(c *ak42) { c.shared = 0 }),
		change(10, "header with more in it", "header", "byte 37", 1, func(c *ak42) { c.pad = 1 }),
		change(10, "header with more behind the group size", "header", "byte 41", 2, func(c *ak42) { c.pad = 1 }),
		change(10, "vocab_size negative in version 1", "vocab_size", "-5", 1, func(c *ak42) { c.vocab = -5 }),
		change(10, "head of its own that is not there", "file length", "4236", 0, func(c *ak42) { c.vocab = -5 }),
		change(11, "blocks 2^31-1", "n_layers", "2147483647", 0, func(c *ak42) { c.layers = math.MaxInt32 }),
		change(11, "blocks -2^31", "n_layers", "-2147483648", 1, func(c *ak42) { c.layers = math.MinInt32 }),
		change(11, "blocks 4,096 that are not there", "file length", "", 0, func(c *ak42) { c.layers = 4096 }),
		change(11, "kv_heads not dividing heads", "n_kv_heads", "3", 0, func(c *ak42) { c.heads, c.kvs = 4, 3 }),
		change(11, "more kv_heads than heads", "n_kv_heads", "4", 0, func(c *ak42) { c.kvs = 4 }),
		change(11, "heads not dividing dim", "n_heads", "3", 0, func(c *ak42) { c.heads = 3 }),
		change(11, "more heads than dim", "n_heads", "16", 0, func(c *ak42) { c.heads = 16 }),
		change(11, "odd head", "n_heads", "8", 0, func(c *ak42) { c.heads = 8 }),
		change(10, "group size 0", "group_size", "0", 2, func(c *ak42) { c.group = 0 }),
		change(10, "group size 3", "group_size", "3", 2, func(c *ak42) { c.group = 3 }),
		change(10, "group size -4", "group_size", "-4", 2, func(c *ak42) { c.group = 1<<32 - 4 }),
		change(10, "group size 2^31-1", "group_size", "2147483647", 2, func(c *ak42) { c.group = math.MaxInt32 }),
		change(10, "another group size", "file length", "2416", 2, func(c *ak42) { c.group = 8 }),
		change(7, "everything 2^31-1", "n_layers", "2147483647", 1, func(c *ak42) {
			*c = ak42{version: 1, dim: math.MaxInt32, hidden: math.MaxInt32, layers: math.MaxInt32, heads: 1, kvs: 1, vocab: math.MaxInt32, seq: math.MaxInt32}
		}),
		change(7, "bytes of a matrix wrap", "tok_embeddings.weight", "2147483644", 1, func(c *ak42) { c.dim, c.vocab = math.MaxInt32-3, math.MaxInt32 }),
		change(7, "bytes of all layers wrap", "layers.", "2147483647", 1, func(c *ak42) {
			c.dim, c.hidden, c.layers, c.vocab = 1<<20, math.MaxInt32, 4096, 1
		}),
		change(7, "matrix of version 2 wraps", "tok_embeddings.weight", "2147483644", 2, func(c *ak42) { c.dim, c.vocab, c.group = math.MaxInt32-3, math.MaxInt32, 1 }),
	}
	for _, f := range []struct {
		field string
		at    func(c *ak42) *int32
	}{
		{"dim", func(c *ak42) *int32 { return &c.dim }}, {"hidden_dim", func(c *ak42) *int32 { return &c.hidden }},
		{"n_layers", func(c *ak42) *int32 { return &c.layers }}, {"n_heads", func(c *ak42) *int32 { return &c.heads }},
		{"n_kv_heads", func(c *ak42) *int32 { return &c.kvs }}, {"vocab_size", func(c *ak42) *int32 { return &c.vocab }},
		{"max_seq_len", func(c *ak42) *int32 { return &c.seq }},
	} {
		for version := range uint32(3) {
			name := f.field + " 0 in version " + string(rune('0'+version))
			list = append(list, change(11, name, f.field, "0", version, func(c *ak42) { *f.at(c) = 0 }))
		}
	}
	for version := range uint32(3) {
		name := " in version " + string(rune('0'+version))
		list = append(list,
			change(9, "a byte too few"+name, "file length", "", version, func(c *ak42) { c.more = -1 }),
			change(9, "a byte too many"+name, "file length", "", version, func(c *ak42) { c.more = 1 }),
			change(9, "another max_seq_len"+name, "max_seq_len", "", version, func(c *ak42) {
				if c.seq = 4; c.version != 0 { // there it changes no length
					c.more = 4
				}
			}))
	}
	return list
}
