// Package device is the contract between the model and whatever computes it.
//
// Model code holds handles, never slices; host data crosses by Upload and
// Download only. A step is Begin, any number of ops, End. Ops run in the order
// in which they are called; the first fault of a step is returned by End, and
// the step's outputs are then invalid. No op allocates.
//
// Shapes: every activation tensor is (rows, cols), row-major, f32. Every
// matrix is (out, in), row-major in meaning, whatever the device makes of it.
package device

import (
	"fmt"

	"github.com/cria-llm/cria/internal/tensor"
)

// Memory is a piece of a device's memory. Only the device that made it looks
// inside.
type Memory interface{ Bytes() int }

// Tensor is a handle to a dense (Rows, Cols) f32 matrix in device memory. It
// is a value: slicing rows costs nothing.
type Tensor struct {
	Mem        Memory
	Off        int // elements from the start of Mem
	Rows, Cols int
}

// Slice returns rows [lo, hi) of t.
func (t Tensor) Slice(lo, hi int) Tensor {
	if lo < 0 || hi < lo || hi > t.Rows {
		panic(fmt.Sprintf("device: rows [%d,%d) of a tensor with %d rows", lo, hi, t.Rows))
	}
	return Tensor{t.Mem, t.Off + lo*t.Cols, hi - lo, t.Cols}
}

// RowSource gives a matrix's rows in file encoding: type DType, shape
// (Rows, Cols), our convention (interleaved RoPE pairs).
type RowSource interface {
	Name() string // for errors: file and tensor
	DType() tensor.DType
	Shape() (rows, cols int)
	// Mapped returns all rows as they lie in a mapped file, or nil where rows
	// must be assembled (joined shards, permuted q and k).
	Mapped() []byte
	// ReadRows writes rows [row, row+n) to dst.
	ReadRows(dst []byte, row, n int) error
	// Release says that the mapped pages behind rows [row, row+n) are not
	// needed for now.
	Release(row, n int)
}

// Weight is a read-only matrix or vector on a device, of any dtype.
type Weight interface {
	DType() tensor.DType
	Shape() (rows, cols int)
	// Bytes is the number of bytes that a product with the whole weight reads.
	Bytes() int
}

// KVConfig is the shape of a KV cache.
type KVConfig struct {
	Layers, KVHeads, HeadDim int
	Pages                    int // pages of PageTokens positions each, shared by all sequences
	Type                     tensor.DType
}

// PageTokens is the number of positions in one cache page. Attention walks
// keys in tiles of this size, aligned to absolute position.
const PageTokens = 64

// KV is a paged cache of keys and values.
type KV interface {
	Config() KVConfig
	Bytes() int
	Close() error
}

// MicroBatch is the number of rows that a model computes at once: a longer batch
// is cut into pieces of it, whose activations stay near the cores.
const MicroBatch = 256

// Span is a run of consecutive rows of a batch that belong to one sequence:
// row Row+i stands at position Pos+i. Pages[p] is the cache page that holds
// positions [p*PageTokens, (p+1)*PageTokens) of the sequence. A row at
// position t sees positions [Lo, t].
type Span struct {
	Row, N int
	Pos    int
	Lo     int
	Pages  []int32
}

// Device computes. Devices are not safe for concurrent use: steps of all
// models in a process go through one queue (Begin blocks until it is its
// caller's turn).
type Device interface {
	Name() string

	// Tensor allocates a zeroed (rows, cols) f32 tensor in the device's memory.
	Tensor(rows, cols int) (Tensor, error)
	// Free gives a whole tensor made by Tensor back.
	Free(Tensor)
	Upload(dst Tensor, src []float32)
	Download(dst []float32, src Tensor)

	// Load brings a weight matrix to the device for products; block-quantised
	// ones are packed. A matrix with one row is a vector (norm gains).
	Load(src RowSource) (Weight, error)
	// LoadTable brings an embedding table for Embed; nothing is packed.
	LoadTable(src RowSource) (Weight, error)
	// FreeWeight gives a weight back.
	FreeWeight(Weight)

	NewKV(cfg KVConfig) (KV, error)

	// Begin starts a step; End finishes it and returns its first error.
	Begin()
	End() error

	// Embed: y[i] = table[ids[i]].
	Embed(y Tensor, table Weight, ids []int32)
	// RMSNorm: y = x / sqrt(mean(x^2) + eps) * gain, per row.
	RMSNorm(y, x Tensor, gain Weight, eps float32)
	// MatMul: y[i] = x . w[i]^T for every i, all w sharing their input x.
	MatMul(y []Tensor, x Tensor, w []Weight)
	// Add: y += x.
	Add(y, x Tensor)
	// Gather: y[i] = x[rows[i]].
	Gather(y, x Tensor, rows []int32)
	// SwiGLU: y = silu(gate) * up. y may be gate or up.
	SwiGLU(y, gate, up Tensor)
	// RoPE rotates the interleaved pairs of x's heads by cos and sin of
	// (position, headDim/2), and multiplies by scale; rows' positions come
	// from spans.
	RoPE(x Tensor, headDim int, spans []Span, cos, sin Tensor, scale float32)
	// StoreKV writes rows of k and v to the cache, rounded to its type.
	StoreKV(kv KV, layer int, k, v Tensor, spans []Span)
	// Attention: y = softmax(q k^T) v over each row's visible positions; q is
	// already scaled.
	Attention(y, q Tensor, kv KV, layer int, spans []Span)

	Close() error
}
