package pth

import "fmt"

// The opcodes of Python's pickle that are read: those that protocol 2 writes
// for tensors, plain values and containers.
const (
	opMark       = '('
	opStop       = '.'
	opBinInt     = 'J'
	opBinInt1    = 'K'
	opBinInt2    = 'M'
	opLong1      = 0x8a
	opBinFloat   = 'G'
	opNone       = 'N'
	opNewTrue    = 0x88
	opNewFalse   = 0x89
	opBinUnicode = 'X'
	opEmptyTuple = ')'
	opTuple      = 't'
	opTuple1     = 0x85
	opTuple2     = 0x86
	opTuple3     = 0x87
	opEmptyList  = ']'
	opAppend     = 'a'
	opAppends    = 'e'
	opEmptyDict  = '}'
	opSetItem    = 's'
	opSetItems   = 'u'
	opBinPut     = 'q'
	opLongBinPut = 'r'
	opBinGet     = 'h'
	opLongBinGet = 'j'
	opGlobal     = 'c'
	opReduce     = 'R'
	opBuild      = 'b'
	opBinPersID  = 'Q'
	opProto      = 0x80
)

// opNames gives Python's name of every opcode up to protocol 5, so that a
// refusal says what was refused.
var opNames = map[byte]string{
	opMark: "MARK", opStop: "STOP", opBinInt: "BININT", opBinInt1: "BININT1", opBinInt2: "BININT2", opLong1: "LONG1",
	opBinFloat: "BINFLOAT", opNone: "NONE", opNewTrue: "NEWTRUE", opNewFalse: "NEWFALSE", opBinUnicode: "BINUNICODE",
	opEmptyTuple: "EMPTY_TUPLE", opTuple: "TUPLE", opTuple1: "TUPLE1", opTuple2: "TUPLE2", opTuple3: "TUPLE3",
	opEmptyList: "EMPTY_LIST", opAppend: "APPEND", opAppends: "APPENDS", opEmptyDict: "EMPTY_DICT", opSetItem: "SETITEM",
	opSetItems: "SETITEMS", opBinPut: "BINPUT", opLongBinPut: "LONG_BINPUT", opBinGet: "BINGET", opLongBinGet: "LONG_BINGET",
	opGlobal: "GLOBAL", opReduce: "REDUCE", opBuild: "BUILD", opBinPersID: "BINPERSID", opProto: "PROTO",

	'0': "POP", '1': "POP_MARK", '2': "DUP", 'F': "FLOAT", 'I': "INT", 'L': "LONG", 'P': "PERSID", 'S': "STRING", 'T': "BINSTRING",
	'U': "SHORT_BINSTRING", 'V': "UNICODE", 'd': "DICT", 'g': "GET", 'i': "INST", 'l': "LIST", 'o': "OBJ", 'p': "PUT",
	0x81: "NEWOBJ", 0x82: "EXT1", 0x83: "EXT2", 0x84: "EXT4", 0x8b: "LONG4", 'B': "BINBYTES", 'C': "SHORT_BINBYTES",
	0x8c: "SHORT_BINUNICODE", 0x8d: "BINUNICODE8", 0x8e: "BINBYTES8", 0x8f: "EMPTY_SET", 0x90: "ADDITEMS", 0x91: "FROZENSET",
	0x92: "NEWOBJ_EX", 0x93: "STACK_GLOBAL", 0x94: "MEMOIZE", 0x95: "FRAME", 0x96: "BYTEARRAY8", 0x97: "NEXT_BUFFER",
	0x98: "READONLY_BUFFER",
}

func opName(b byte) string {
	if s, ok := opNames[b]; ok {
		return s
	}
	return fmt.Sprintf("opcode %#02x", b)
}
