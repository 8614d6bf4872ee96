package tokenizer

import "unsafe"

// Bulk encodes many texts, one after the other: for pipelines that tokenise whole
// collections. It gives exactly the ids of [Tokenizer.Append], remembers more words
// (it holds some 4 MiB), and allocates nothing once its buffers have grown. It is
// for one goroutine; a pipeline takes one per worker.
type Bulk struct {
	t *Tokenizer
	s scratch
}

// NewBulk returns an encoder for one goroutine.
func (t *Tokenizer) NewBulk() *Bulk {
	return &Bulk{t: t, s: scratch{window: defaultWindow, memo: make([]memo, 1<<bulkBits)}}
}

// AppendEncode appends the ids of a text to ids and returns the longer slice. It
// keeps nothing of text.
func (b *Bulk) AppendEncode(ids []int32, text []byte, opt EncodeOptions) []int32 {
	return b.t.append(&b.s, ids, unsafe.String(unsafe.SliceData(text), len(text)), opt)
}
