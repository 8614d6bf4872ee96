package cpu

import (
	"fmt"
	"math"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/sys/arena"
	"github.com/cria-llm/cria/internal/tensor"
)

// kvCache is a paged cache: for every layer, page and KV head one K tile and
// one V tile beside it, laid out as package kernel says.
type kvCache struct {
	d    *Device
	cfg  device.KVConfig
	tile int // bytes of one K or V tile
	mem  *arena.Arena
}

// NewKV allocates a cache. Its memory is touched, and so taken, only as
// positions are written.
func (d *Device) NewKV(cfg device.KVConfig) (device.KV, error) {
	kv := &kvCache{d: d, cfg: cfg}
	n := cfg.HeadDim * device.PageTokens
	switch cfg.Type {
	case tensor.F32:
		kv.tile = 4 * n
	case tensor.F16:
		kv.tile = 2 * n
	case tensor.Q8_0:
		if cfg.HeadDim%32 != 0 {
			return nil, fmt.Errorf("cpu: cache type q8_0 needs a head dimension that is a multiple of 32, this model's is %d; use cache type f16 or f32", cfg.HeadDim)
		}
		kv.tile = n + n/32*2
	default:
		return nil, fmt.Errorf("cpu: cache type %s; use f16, f32 or q8_0", cfg.Type)
	}
	mem, err := d.newArena(cfg.Layers * cfg.Pages * cfg.KVHeads * 2 * kv.tile)
	if err != nil {
		return nil, fmt.Errorf("cpu: KV cache of %d pages: %w", cfg.Pages, err)
	}
	kv.mem = mem
	return kv, nil
}

func (kv *kvCache) Config() device.KVConfig { return kv.cfg }
func (kv *kvCache) Bytes() int              { return len(kv.mem.Bytes()) }
func (kv *kvCache) Close() error {
	kv.d.freeArena(kv.mem)
	return nil
}

// tiles returns the K and V tile of one page and head.
func (kv *kvCache) tiles(layer int, page int32, head int) (k, v []byte) {
	if page < 0 || int(page) >= kv.cfg.Pages {
		panic(fmt.Sprintf("cpu: page %d of a KV cache with %d pages", page, kv.cfg.Pages))
	}
	off := ((layer*kv.cfg.Pages+int(page))*kv.cfg.KVHeads + head) * 2 * kv.tile
	b := kv.mem.Bytes()[off : off+2*kv.tile]
	return b[:kv.tile], b[kv.tile:]
}

// storeTask writes keys and values to a cache; a part is one batch row.
type storeTask struct {
	d     *Device
	kv    *kvCache
	layer int
	k, v  []float32
	spans []device.Span
	step  int
	rows  int
}

func (t *storeTask) Part(_, part int) {
	lo := part * t.step
	hi := min(lo+t.step, t.rows)
	h, heads := t.kv.cfg.HeadDim, t.kv.cfg.KVHeads
	store := t.d.set.StoreKVF16
	switch t.kv.cfg.Type {
	case tensor.F32:
		store = t.d.set.StoreKVF32
	case tensor.Q8_0:
		store = t.d.set.StoreKVQ8
	}
	for _, s := range t.spans {
		for r := max(lo, s.Row); r < min(hi, s.Row+s.N); r++ {
			pos := s.Pos + r - s.Row
			for head := 0; head < heads; head++ {
				kt, vt := t.kv.tiles(t.layer, s.Pages[pos/device.PageTokens], head)
				at := (r*heads + head) * h
				store(kt, vt, t.k[at:at+h], t.v[at:at+h], h, pos%device.PageTokens)
			}
		}
	}
}

// StoreKV writes rows of k and v at their positions.
func (d *Device) StoreKV(cache device.KV, layer int, k, v device.Tensor, spans []device.Span) {
	kv := cache.(*kvCache)
	mustShape("StoreKV", k, v)
	if k.Cols != kv.cfg.KVHeads*kv.cfg.HeadDim {
		panic(fmt.Sprintf("cpu: StoreKV of rows of %d in a cache of %d heads of %d", k.Cols, kv.cfg.KVHeads, kv.cfg.HeadDim))
	}
	t := &d.storeKV
	t.kv, t.layer, t.k, t.v, t.spans, t.rows = kv, layer, data(k), data(v), spans, k.Rows
	t.step = k.Rows
	if k.Rows*k.Cols > serialElems {
		t.step = max(1, serialElems/2/k.Cols)
	}
	if k.Rows > 0 {
		d.pool.Run(t, (k.Rows+t.step-1)/t.step)
	}
}

// attnQueries is how many query vectors (tokens x heads that share a KV head)
// one attention piece has at most, unless one token alone has more.
const attnQueries = 32

// attnTask is the running attention op. A part is one piece of consecutive
// rows of one span, for one KV head.
type attnTask struct {
	d      *Device
	kv     *kvCache
	layer  int
	y, q   []float32
	cols   int // elements per row of q and y
	group  int // query heads per KV head
	tokens int // rows per piece
	spans  []device.Span
	first  []int // first piece of each span, then the total
	tile   kernel.AttnTile
}

// Attention: y = softmax(q k^T) v over each row's visible positions.
func (d *Device) Attention(y, q device.Tensor, cache device.KV, layer int, spans []device.Span) {
	kv := cache.(*kvCache)
	mustShape("Attention", y, q)
	h := kv.cfg.HeadDim
	if q.Cols%(h*kv.cfg.KVHeads) != 0 {
		panic(fmt.Sprintf("cpu: Attention with rows of %d and a cache of %d heads of %d", q.Cols, kv.cfg.KVHeads, h))
	}
	t := &d.attn
	t.kv, t.layer, t.y, t.q, t.cols, t.spans = kv, layer, data(y), data(q), q.Cols, spans
	t.group = q.Cols / (h * kv.cfg.KVHeads)
	t.tokens = max(1, attnQueries/t.group)
	switch kv.cfg.Type {
	case tensor.F32:
		t.tile = d.set.AttnF32
	case tensor.F16:
		t.tile = d.set.AttnF16
	case tensor.Q8_0:
		t.tile = d.set.AttnQ8
	}
	t.first = t.first[:0]
	pieces := 0
	for _, s := range spans {
		t.first = append(t.first, pieces)
		pieces += (s.N + t.tokens - 1) / t.tokens
	}
	t.first = append(t.first, pieces)
	d.growAttn(t.tokens*t.group, h)
	d.pool.Run(t, pieces*kv.cfg.KVHeads)
}

// growAttn makes room for n queries per worker; it allocates only when a model
// of a larger shape comes.
func (d *Device) growAttn(n, h int) {
	for i := range d.scratch {
		s := &d.scratch[i]
		if len(s.attn.M) >= n && len(s.q) >= n*h {
			continue
		}
		s.attn = kernel.AttnState{
			M: make([]float32, n), L: make([]float32, n),
			Acc: make([]float32, n*h), P: make([]float32, n*kernel.PageTokens),
		}
		s.q = make([]float32, n*h)
		s.lo, s.hi = make([]int32, n), make([]int32, n)
	}
}

func (t *attnTask) Part(worker, part int) {
	heads := t.kv.cfg.KVHeads
	piece, head := part/heads, part%heads
	// The span whose pieces include this one.
	lo, hi := 0, len(t.spans)-1
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if t.first[mid] <= piece {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	s := &t.spans[lo]
	from := (piece - t.first[lo]) * t.tokens
	t.piece(&t.d.scratch[worker], s, from, min(from+t.tokens, s.N), head)
}

// piece computes rows [from, to) of a span for one KV head.
func (t *attnTask) piece(w *workerScratch, s *device.Span, from, to, head int) {
	h := t.kv.cfg.HeadDim
	gh := t.group * h
	n := (to - from) * t.group
	st := &w.attn
	for i := 0; i < n; i++ {
		st.M[i] = negInf
		st.L[i] = 0
	}
	clear(st.Acc[:n*h])
	for i := from; i < to; i++ {
		at := (s.Row+i)*t.cols + head*gh
		copy(w.q[(i-from)*gh:(i-from+1)*gh], t.q[at:at+gh])
	}
	for page := s.Lo / device.PageTokens; page <= (s.Pos+to-1)/device.PageTokens; page++ {
		base := page * device.PageTokens
		for i := 0; i < n; i++ {
			end := s.Pos + from + i/t.group + 1
			w.lo[i] = int32(min(max(s.Lo-base, 0), device.PageTokens))
			w.hi[i] = int32(min(max(end-base, 0), device.PageTokens))
			w.lo[i] = min(w.lo[i], w.hi[i])
		}
		k, v := t.kv.tiles(t.layer, s.Pages[page], head)
		t.tile(st, w.q[:n*h], n, h, k, v, w.lo[:n], w.hi[:n])
	}
	for i := from; i < to; i++ {
		out := t.y[(s.Row+i)*t.cols+head*gh:]
		for g := 0; g < t.group; g++ {
			j := (i-from)*t.group + g
			inv := 1 / st.L[j]
			for e, a := range st.Acc[j*h : (j+1)*h] {
				out[g*h+e] = a * inv
			}
		}
	}
}

var negInf = float32(math.Inf(-1))
