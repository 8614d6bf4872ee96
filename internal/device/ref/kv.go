package ref

import (
	"fmt"
	"math"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// kvCache keeps keys and values as plain rows of T, already rounded to the
// cache type.
type kvCache[T Float] struct {
	cfg  device.KVConfig
	k, v []T // (layers, pages*PageTokens, kvHeads*headDim)
}

// NewKV makes a cache. Type F32 keeps T's precision.
func (d *Device[T]) NewKV(cfg device.KVConfig) (device.KV, error) {
	switch cfg.Type {
	case tensor.F32, tensor.F16:
	case tensor.Q8_0:
		if cfg.HeadDim%32 != 0 {
			return nil, fmt.Errorf("ref: cache type q8_0 needs a head dimension that is a multiple of 32, this model's is %d", cfg.HeadDim)
		}
	default:
		return nil, fmt.Errorf("ref: cache type %s; use f16, f32 or q8_0", cfg.Type)
	}
	n := cfg.Layers * cfg.Pages * device.PageTokens * cfg.KVHeads * cfg.HeadDim
	return &kvCache[T]{cfg, make([]T, n), make([]T, n)}, nil
}

func (kv *kvCache[T]) Config() device.KVConfig { return kv.cfg }
func (kv *kvCache[T]) Bytes() int              { return 2 * size[T](len(kv.k)) }
func (kv *kvCache[T]) Close() error            { return nil }

// at returns the offset of one position's row.
func (kv *kvCache[T]) at(layer int, s *device.Span, pos int) int {
	slot := int(s.Pages[pos/device.PageTokens])*device.PageTokens + pos%device.PageTokens
	return (layer*kv.cfg.Pages*device.PageTokens + slot) * kv.cfg.KVHeads * kv.cfg.HeadDim
}

// StoreKV writes rows of k and v at their positions.
func (d *Device[T]) StoreKV(cache device.KV, layer int, k, v device.Tensor, spans []device.Span) {
	kv := cache.(*kvCache[T])
	for i := range spans {
		s := &spans[i]
		for r := range s.N {
			at := kv.at(layer, s, s.Pos+r)
			round(kv.k[at:], row[T](k, s.Row+r), kv.cfg.Type)
			round(kv.v[at:], row[T](v, s.Row+r), kv.cfg.Type)
		}
	}
}

// round writes src as the cache type keeps it.
func round[T Float](dst, src []T, dt tensor.DType) {
	switch dt {
	case tensor.F32:
		copy(dst, src)
		return
	case tensor.F16:
		for i, v := range src {
			dst[i] = T(quant.F16ToF32(quant.F32ToF16(float32(v))))
		}
		return
	}
	in := make([]float32, len(src))
	for i, v := range src {
		in[i] = float32(v)
	}
	enc := make([]byte, dt.RowBytes(len(in)))
	if err := quant.Quantize(dt, enc, in, len(in), nil); err != nil {
		// What is no finite number cannot be rounded; it stays what it is, and
		// the logits show it.
		copy(dst, src)
		return
	}
	quant.Dequantize(dt, in, enc)
	for i, v := range in {
		dst[i] = T(v)
	}
}

// Attention: y = softmax(q k^T) v (arXiv 1706.03762, equation 1; the scale is
// in q already), grouped-query heads as in arXiv 2305.13245.
func (d *Device[T]) Attention(y, q device.Tensor, cache device.KV, layer int, spans []device.Span) {
	kv := cache.(*kvCache[T])
	h := kv.cfg.HeadDim
	heads := q.Cols / h
	group := heads / kv.cfg.KVHeads
	for i := range spans {
		s := &spans[i]
		for r := range s.N {
			for head := range heads {
				qh := row[T](q, s.Row+r)[head*h : (head+1)*h]
				out := row[T](y, s.Row+r)[head*h : (head+1)*h]
				attend(kv, layer, s, s.Pos+r, head/group, qh, out)
			}
		}
	}
}

// attend computes one head of one row.
func attend[T Float](kv *kvCache[T], layer int, s *device.Span, pos, kvHead int, q, out []T) {
	h := len(q)
	score := make([]T, pos+1-s.Lo)
	best := T(math.Inf(-1))
	for j := range score {
		k := kv.k[kv.at(layer, s, s.Lo+j)+kvHead*h:]
		for e := range q {
			score[j] += q[e] * k[e]
		}
		best = max(best, score[j])
	}
	var sum T
	for j := range score {
		score[j] = T(math.Exp(float64(score[j] - best)))
		sum += score[j]
	}
	clear(out)
	for j := range score {
		v := kv.v[kv.at(layer, s, s.Lo+j)+kvHead*h:]
		for e := range out {
			out[e] += score[j] / sum * v[e]
		}
	}
}
