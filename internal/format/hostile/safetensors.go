package hostile

import (
	"fmt"
	"slices"
	"strings"
)

// sft makes a safetensors file from the header's text, with so many bytes of
// data.
func sft(header string, data int) []byte {
	b := append(le64(nil, uint64(len(header))), header...)
	return append(b, make([]byte, data)...)
}

// ValidSafetensors returns a valid file and the length of its header: cut
// anywhere in it, it must be refused.
func ValidSafetensors() (data []byte, header int) {
	text := `{"__metadata__":{"format":"pt","é\n":"\ud83e\udd99"},` +
		`"b":{"dtype":"BF16","shape":[3],"data_offsets":[16,22]},` +
		`"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},` +
		"\n\t" + `"empty": {"shape" : [0, 5], "data_offsets": [16 , 16], "dtype":"F64" }, ` +
		`"scalar":{"dtype":"U8","shape":[],"data_offsets":[22,23]}}   `
	return sft(text, 23), 8 + len(text)
}

// Safetensors lists the bad safetensors files and sets.
func Safetensors() []Case {
	return slices.Concat(sftHeaders(), sftRanges(), sftMembers(), sftSets())
}

func sftCase(check int, name, field, value string, data []byte) Case {
	return Case{Name: "safetensors " + name, Check: check, Field: field, Value: value, Files: one("m.safetensors", data)}
}

// sftHeaders are no headers: check 12.
func sftHeaders() []Case {
	length := func(name, value string, n uint64, size int64) Case {
		c := sftCase(12, name, "header length", value, nil)
		c.Files = func() []File {
			return []File{{Name: "m.safetensors", Data: append(le64(nil, n), `{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`...), Size: size}}
		}
		return c
	}
	text := func(name, field, value, header string) Case { return sftCase(12, name, field, value, sft(header, 4)) }
	const f32 = `{"dtype":"F32","shape":[],"data_offsets":[0,4]}`
	return []Case{
		sftCase(12, "empty file", "file length", "0", nil),
		sftCase(12, "7 bytes", "file length", "7", make([]byte, 7)),
		length("header of 2^63 bytes", "9223372036854775808", 1<<63, 0),
		length("header of 2^64-1 bytes", "18446744073709551615", 1<<64-1, 0),
		length("header over 100 MB that is there", "100000001", 100_000_001, 200_000_000),
		length("header of 99 MB that is not there", "99000000", 99_000_000, 0),
		length("header of 0 bytes", "0", 0, 0),
		length("header of 1 byte", "1", 1, 0),
		{Name: "safetensors 99 MB of zeros behind a key", Check: 12, Field: "header", Files: func() []File {
			return []File{{Name: "m.safetensors", Data: append(le64(nil, 99_000_000), `{"`...), Size: 100_000_000}}
		}},
		{Name: "safetensors name of 5 MB", Check: 12, Field: "header: key", Files: func() []File {
			return []File{{Name: "m.safetensors", Data: sft(`{"`+strings.Repeat("n", 5_000_000)+`":`+f32+`}`, 4)}}
		}},
		text("header is an array", "header", "[", `[]`),
		text("space before the header", "header", " {", ` {"a":`+f32+`}`),
		text("bad UTF-8", "header: key", `a\xff`, "{\"a\xff\":"+f32+"}"),
		text("overlong UTF-8", "header: key", `a\xc0\xaf`, "{\"a\xc0\xaf\":"+f32+"}"),
		text("surrogate in UTF-8", "header: key", `a\xed\xa0\x80`, "{\"a\xed\xa0\x80\":"+f32+"}"),
		text("UTF-8 cut", "header: key", `a\xf0\x9f\xa6`, "{\"a\xf0\x9f\xa6\":"+f32+"}"),
		text("bad UTF-8 outside of strings", "header", `\xff`, "{\xff\"a\":"+f32+"}"),
		text("bad UTF-8 in a metadata value", `__metadata__: "a"`, `\xff`, "{\"__metadata__\":{\"a\":\"\xff\"},\"t\":"+f32+"}"),
		text("half a surrogate pair", "header: key", `\\ud800`, `{"a\ud800":`+f32+`}`),
		text("bad escape", "header: key", `\\x`, `{"a\x":`+f32+`}`),
		text("control character in a string", "header: key", "0x09", "{\"a\tb\":"+f32+"}"),
		text("name with a line end", "header: key", `a\nb`, `{"a\nb":`+f32+`}`),
		text("empty name", "header: key", `""`, `{"":`+f32+`}`),
		text("name of 1,025 bytes", "header: key", "1024", `{"`+strings.Repeat("n", 1025)+`":`+f32+`}`),
		text("no end", "header", "", `{"a":`+f32),
		text("string without an end", "header: key", "", `{"a`),
		text("string that ends in a backslash", "header: key", "", `{"a\`),
		text("comma at the end", "header: key", "}", `{"a":`+f32+`,}`),
		text("no comma", "header", "b", `{"a":`+f32+`"b":`+f32+`}`),
		text("no colon", `header: "a"`, "=", `{"a"=`+f32+`}`),
		text("text behind the header", "header", "x", `{"a":`+f32+`} x`),
		text("two headers", "header", "{}", `{"a":`+f32+`}{}`),
		text("NUL behind the header", "header", "", `{"a":`+f32+"}\x00"),
		text("no data left for no tensor", "data", "4", `{}`),
	}
}

// sftRanges are tensors whose bytes are not where they must be: check 13.
func sftRanges() []Case {
	tensors := func(name, field, value string, data int, list ...string) Case {
		return sftCase(13, name, field, value, sft("{"+strings.Join(list, ",")+"}", data))
	}
	t := func(name, dtype, shape string, offsets ...string) string {
		return fmt.Sprintf(`%q:{"dtype":%q,"shape":[%s],"data_offsets":[%s]}`, name, dtype, shape, strings.Join(offsets, ","))
	}
	a := t("a", "F32", "4", "0", "16")
	const offsets, shape = "tensor t: data_offsets", "tensor t: shape"
	return []Case{
		tensors("begin after end", offsets, "[16 0]", 16, t("t", "F32", "4", "16", "0")),
		tensors("negative begin", offsets, "-16", 16, t("t", "F32", "4", "-16", "0")),
		tensors("negative dimension", shape, "-4", 16, t("t", "F32", "-4", "0", "16")),
		tensors("two negative dimensions", shape, "-2", 16, t("t", "F32", "-2,-2", "0", "16")),
		tensors("hole between", offsets, "[17 33]", 33, a, t("t", "F32", "4", "17", "33")),
		tensors("hole before", offsets, "[4 20]", 20, t("t", "F32", "4", "4", "20")),
		tensors("hole behind", "data", "4", 20, t("t", "F32", "4", "0", "16")),
		tensors("overlap", offsets, "[12 28]", 28, a, t("t", "F32", "4", "12", "28")),
		tensors("the same bytes twice", offsets, "[0 16]", 16, a, t("t", "F32", "4", "0", "16")),
		tensors("empty tensor inside of another", offsets, "[8 8]", 16, a, t("t", "F32", "0", "8", "8")),
		tensors("empty tensor beyond the end", offsets, "[17 17]", 16, a, t("t", "F32", "0", "17", "17")),
		tensors("beyond the end", offsets, "[0 16]", 15, t("t", "F32", "4", "0", "16")),
		tensors("far beyond the end", offsets, "[16 576460752303423504]", 16, a, t("t", "I8", "576460752303423488", "16", "576460752303423504")),
		tensors("range larger than the shape", offsets, "[0 16]", 16, t("t", "F32", "3", "0", "16")),
		tensors("range smaller than the shape", offsets, "[0 16]", 16, t("t", "F32", "5", "0", "16")),
		tensors("range of another type", offsets, "[0 16]", 16, t("t", "F16", "4", "0", "16")),
		tensors("empty range of a scalar", offsets, "[0 0]", 0, t("t", "F32", "", "0", "0")),
		tensors("shape that wraps 2^64", shape, "211106198978564", 4, t("t", "I8", "4194305,4194305,211106198978564", "0", "4")),
		tensors("shape that wraps 2^64, F32", shape, "4194305", 16, t("t", "F32", "4194305,4194305,211106198978564", "0", "16")),
		tensors("shape that wraps to 0", shape, "4294967296", 0, t("t", "I8", "4294967296,4294967296", "0", "0")),
		tensors("dimension of 2^63", shape, "9223372036854775808", 0, t("t", "I8", "9223372036854775808", "0", "0")),
		tensors("dimension of 2^64", shape, "18446744073709551616", 0, t("t", "I8", "18446744073709551616", "0", "0")),
		tensors("dimension of 2^63 behind 0", shape, "9223372036854775808", 0, t("t", "I8", "0,9223372036854775808", "0", "0")),
		tensors("33 dimensions", shape, "32", 1, t("t", "I8", strings.Repeat("1,", 32)+"1", "0", "1")),
		tensors("dimension 1.0", shape, "1.0", 4, t("t", "F32", "1.0", "0", "4")),
		tensors("dimension 1e0", shape, "1e0", 4, t("t", "F32", "1e0", "0", "4")),
		tensors("dimension 01", shape, "01", 4, t("t", "F32", "01", "0", "4")),
		tensors("dimension null", shape, "null", 4, t("t", "F32", "null", "0", "4")),
		tensors("dimension as a string", shape, `\"1\"`, 4, t("t", "F32", `"1"`, "0", "4")),
		tensors("one offset", offsets, "[0]", 4, t("t", "F32", "1", "0")),
		tensors("three offsets", offsets, "2", 4, t("t", "F32", "1", "0", "4", "8")),
		tensors("no offsets", offsets, "[]", 4, t("t", "F32", "1")),
		tensors("half a byte", shape, "[3]", 1, t("t", "F4", "3", "0", "1")),
		tensors("unknown type", "tensor t: dtype", "F33", 4, t("t", "F33", "1", "0", "4")),
		tensors("type in lower case", "tensor t: dtype", "f32", 4, t("t", "f32", "1", "0", "4")),
	}
}

// sftMembers have a key twice, a wrong one or too few: check 14.
func sftMembers() []Case {
	text := func(name, field, value, header string, data int) Case {
		return sftCase(14, name, field, value, sft(header, data))
	}
	const f32 = `{"dtype":"F32","shape":[],"data_offsets":[0,4]}`
	return []Case{
		text("tensor twice", "header: key", `"t"`, `{"t":`+f32+`,"t":{"dtype":"F32","shape":[],"data_offsets":[4,8]}}`, 8),
		text("tensor twice, all the same", "header: key", `"t"`, `{"t":`+f32+`,"t":`+f32+`}`, 4),
		text("tensor twice, once escaped", "header: key", `"t"`, `{"t":`+f32+`,"\u0074":`+f32+`}`, 4),
		text("dtype twice", "tensor t: key", "dtype", `{"t":{"dtype":"F16","dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4),
		text("shape twice", "tensor t: key", "shape", `{"t":{"dtype":"F32","shape":[1],"shape":[],"data_offsets":[0,4]}}`, 4),
		text("offsets twice", "tensor t: key", "data_offsets", `{"t":{"dtype":"F32","shape":[],"data_offsets":[0,4],"data_offsets":[0,4]}}`, 4),
		text("metadata twice", "header: key", "__metadata__", `{"__metadata__":{"a":"b"},"__metadata__":{"a":"c"},"t":`+f32+`}`, 4),
		text("metadata key twice", "__metadata__: key", `"a"`, `{"__metadata__":{"a":"b","a":"c"},"t":`+f32+`}`, 4),
		text("metadata with a number", `__metadata__: "a"`, "1", `{"__metadata__":{"a":1},"t":`+f32+`}`, 4),
		text("metadata is a text", "__metadata__", `\"pt\"`, `{"__metadata__":"pt","t":`+f32+`}`, 4),
		text("no dtype", "tensor t: dtype", "", `{"t":{"shape":[],"data_offsets":[0,4]}}`, 4),
		text("no shape", "tensor t: shape", "", `{"t":{"dtype":"F32","data_offsets":[0,4]}}`, 4),
		text("no data_offsets", "tensor t: data_offsets", "", `{"t":{"dtype":"F32","shape":[]}}`, 4),
		text("unknown member", "tensor t: key", "strides", `{"t":{"dtype":"F32","shape":[],"strides":[1],"data_offsets":[0,4]}}`, 4),
		text("tensor is null", "tensor t", "null", `{"t":null}`, 0),
		text("shape is a number", "tensor t: shape", "1", `{"t":{"dtype":"F32","shape":1,"data_offsets":[0,4]}}`, 4),
		text("100,000 brackets", "tensor t: shape", "[", `{"t":{"dtype":"F32","shape":`+strings.Repeat("[", 100_000)+`}}`, 4),
		text("100,000 braces", "tensor t: dtype", "{", `{"t":{"dtype":`+strings.Repeat(`{"a":`, 100_000)+`}}`, 4),
	}
}

// sftSets are sharded models that do not fit together.
func sftSets() []Case {
	file := func(name string, tensors ...string) File {
		var list []string
		for i, t := range tensors {
			list = append(list, fmt.Sprintf(`%q:{"dtype":"F32","shape":[1],"data_offsets":[%d,%d]}`, t, 4*i, 4*i+4))
		}
		return File{Name: name, Data: sft("{"+strings.Join(list, ",")+"}", 4*len(tensors))}
	}
	first, second := file("1.safetensors", "a", "b"), file("2.safetensors", "c")
	index := func(name, field, value, text string, files ...File) Case {
		return Case{Name: "safetensors index: " + name, Check: 14, Field: field, Value: value, Files: func() []File {
			return append([]File{{Name: "model.safetensors.index.json", Data: []byte(text)}}, files...)
		}}
	}
	weights := func(name, field, value, weightMap string, files ...File) Case {
		return index(name, field, value, `{"metadata":{"total_size":12},"weight_map":{`+weightMap+`}}`, files...)
	}
	outside := func(name, shard, value string) Case {
		return weights("shard "+name, `weight_map: "a"`, value, `"a":"`+shard+`"`, file("1.safetensors", "a"))
	}
	const abc = `"a":"1.safetensors","b":"1.safetensors","c":"2.safetensors"`
	return []Case{
		index("empty", "index", "", ""),
		index("empty object", "weight_map", "", "{}"),
		index("no tensors", "weight_map", "", `{"weight_map":{}}`),
		index("bad UTF-8", `index: "a"`, `\xff`, "{\"a\":\"\xff\"}"),
		index("weight_map twice", "index: key", "weight_map", `{"weight_map":{"a":"1.safetensors"},"weight_map":{"a":"1.safetensors"}}`, file("1.safetensors", "a")),
		index("nested 1,000 deep", `index: "metadata"`, "", `{"metadata":`+strings.Repeat("[", 1000)),
		index("bad value", `index: "metadata"`, "nul", `{"metadata":nul,"weight_map":{}}`),
		index("text behind", "index", "x", `{"weight_map":{"a":"1.safetensors"}}x`, file("1.safetensors", "a")),
		weights("tensor twice", "weight_map: key", `"a"`, `"a":"1.safetensors","a":"2.safetensors"`, first, second),
		weights("shard is a number", `weight_map: "a"`, "1", `"a":1`),
		weights("shard missing", `weight_map: "c"`, "2.safetensors", abc, first),
		weights("tensor not in its shard", `weight_map: "d"`, "2.safetensors", abc+`,"d":"2.safetensors"`, first, second),
		weights("tensor not in the index", "tensor b", "", `"a":"1.safetensors","c":"2.safetensors"`, first, second),
		weights("tensor in another shard", "tensor b", "2.safetensors", `"a":"1.safetensors","b":"2.safetensors","c":"2.safetensors"`, first, second),
		weights("tensor in two shards", "tensor b", "1.safetensors", abc, first, file("2.safetensors", "c", "b")),
		weights("bad shard", "header length", "1", abc, first, File{Name: "2.safetensors", Data: append(le64(nil, 1), '{')}),
		outside("above", "../1.safetensors", "../1.safetensors"),
		outside("absolute", "/etc/passwd", "/etc/passwd"),
		outside("below", "x/1.safetensors", "x/1.safetensors"),
		outside("with a backslash", `..\\1.safetensors`, `..\\1.safetensors`),
		outside("on a drive", "C:1.safetensors", "C:1.safetensors"),
		outside("itself a directory", ".", `"."`),
		outside("empty", "", `""`),
		outside("with NUL", `1.safetensors\u0000`, `\x00`),
	}
}
