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

// storeSerial is the number of elements up to which the caller stores alone. A
// position of keys touches one cache line per element, most often in memory
// (measured: 1.1 µs for a head of 128).
const storeSerial = 1 << 10

// storeTask writes keys and values to a cache. A part is one KV head of some
// rows: the tile that it fills stays in one core's cache.
type storeTask struct {
	d     *Device
	kv    *kvCache
	layer int
	k, v  []float32
	spans []device.Span
	step  int // rows per part
	heads int // heads per part: one, or all
	rows  int
}

func (t *storeTask) Part(_, part int) {
	h, heads := t.kv.cfg.HeadDim, t.kv.cfg.KVHeads
	first := part * t.heads % heads
	lo := part * t.heads / heads * t.step
	hi := min(lo+t.step, t.rows)
	store := t.d.set.StoreKVF16
	switch t.kv.cfg.Type {
	case tensor.F32:
		store = t.d.set.StoreKVF32
	case tensor.Q8_0:
		store = t.d.set.StoreKVQ8
	}
	for head := first; head < first+t.heads; head++ {
		for i := range t.spans {
			s := &t.spans[i]
			for r := max(lo, s.Row); r < min(hi, s.Row+s.N); r++ {
				pos := s.Pos + r - s.Row
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
	t.step, t.heads = k.Rows, kv.cfg.KVHeads
	if k.Rows*k.Cols > storeSerial {
		t.step, t.heads = device.PageTokens, 1
	}
	if k.Rows > 0 {
		d.pool.Run(t, (k.Rows+t.step-1)/t.step*(kv.cfg.KVHeads/t.heads))
	}
}

// attnQueries is how many query vectors (tokens x heads that share a KV head)
// one attention piece has at most, unless one token alone has more.
const attnQueries = 32

// attnParts is the number of parts below which the heads that share a KV head
// are split, although each of their parts then reads and widens the same cache.
const attnParts = 4

// attnSerial is the number of multiply-adds up to which the caller computes all
// pieces alone: a few microseconds.
const attnSerial = 1 << 16

// attnTask is the running attention op. A piece is a number of consecutive rows
// of one span, for some of the query heads of one KV head.
type attnTask struct {
	d      *Device
	kv     *kvCache
	layer  int
	y, q   []float32
	cols   int // elements per row of q and y
	group  int // query heads per KV head
	share  int // query heads per piece: all of a group, or some
	splits int // pieces per group
	tokens int // rows per piece
	spans  []device.Span
	first  []int // first piece of each span in rows, then the total
	pieces int   // in all
	step   int   // pieces per part
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
	switch kv.cfg.Type {
	case tensor.F32:
		t.tile = d.set.AttnF32
	case tensor.F16:
		t.tile = d.set.AttnF16
	case tensor.Q8_0:
		t.tile = d.set.AttnQ8
	}
	t.cut()
	d.growAttn(t.tokens*t.share, h)
	d.pool.Run(t, (t.pieces+t.step-1)/t.step)
}

// cut divides the op into pieces and parts, by shapes alone.
func (t *attnTask) cut() {
	t.tokens = max(1, attnQueries/t.group)
	t.first = t.first[:0]
	rows, seen := 0, 0
	for i := range t.spans {
		s := &t.spans[i]
		t.first = append(t.first, rows)
		rows += (s.N + t.tokens - 1) / t.tokens
		seen += s.N * (s.Pos + s.N - s.Lo)
	}
	t.first = append(t.first, rows)
	t.splits = 1
	if n := rows * t.kv.cfg.KVHeads; n > 0 && n < attnParts {
		t.splits = min(t.group, (attnParts+n-1)/n)
	}
	t.share = (t.group + t.splits - 1) / t.splits
	t.splits = (t.group + t.share - 1) / t.share
	t.pieces = rows * t.kv.cfg.KVHeads * t.splits
	t.step = 1
	if 2*seen*t.cols <= attnSerial {
		t.step = max(1, t.pieces)
	}
}

// growAttn makes room for n queries per worker; it allocates only when a model
// of a larger shape comes.
func (d *Device) growAttn(n, h int) {
	for i := range d.scratch {
		s := &d.scratch[i]
		elems, page := max(n*h, len(s.q)), 2*kernel.PageTokens*h
		if len(s.attn.M) >= n && len(s.q) >= elems && len(s.attn.Wide) >= page {
			continue
		}
		n := max(n, len(s.attn.M))
		s.attn = kernel.AttnState{
			M: make([]float32, n), L: make([]float32, n),
			Acc: make([]float32, elems), P: make([]float32, n*kernel.PageTokens),
			Wide: make([]float32, max(page, len(s.attn.Wide))),
		}
		s.q = make([]float32, elems)
		s.lo, s.hi = make([]int32, n), make([]int32, n)
	}
}

func (t *attnTask) Part(worker, part int) {
	for i := part * t.step; i < min((part+1)*t.step, t.pieces); i++ {
		// The last rows of a prompt see the most and come first, so that the
		// workers end with short pieces.
		t.piece(&t.d.scratch[worker], t.pieces-1-i)
	}
}

// piece computes one piece.
func (t *attnTask) piece(w *workerScratch, piece int) {
	h, heads := t.kv.cfg.HeadDim, t.kv.cfg.KVHeads
	rows, head, split := piece/t.splits/heads, piece/t.splits%heads, piece%t.splits
	// The span whose rows include these.
	lo, hi := 0, len(t.spans)-1
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if t.first[mid] <= rows {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	s := &t.spans[lo]
	from := (rows - t.first[lo]) * t.tokens
	to := min(from+t.tokens, s.N)
	share := min(t.share, t.group-split*t.share)
	n, width := (to-from)*share, share*h
	// The queries of row i of the span begin at column i*t.cols + at.
	at := s.Row*t.cols + (head*t.group+split*t.share)*h
	q := t.q[at+from*t.cols:]
	if to-from > 1 {
		for i := from; i < to; i++ {
			copy(w.q[(i-from)*width:(i-from+1)*width], t.q[at+i*t.cols:])
		}
		q = w.q
	}
	st := &w.attn
	for i := range n {
		st.M[i], st.L[i] = negInf, 0
	}
	clear(st.Acc[:n*h])
	for page := s.Lo / device.PageTokens; page <= (s.Pos+to-1)/device.PageTokens; page++ {
		base := page * device.PageTokens
		for i := range n {
			end := s.Pos + from + i/share + 1
			w.hi[i] = int32(min(max(end-base, 0), device.PageTokens))
			w.lo[i] = min(int32(min(max(s.Lo-base, 0), device.PageTokens)), w.hi[i])
		}
		k, v := t.kv.tiles(t.layer, s.Pages[page], head)
		t.tile(st, q[:n*h], n, h, k, v, w.lo[:n], w.hi[:n])
	}
	for i := range n {
		out := t.y[at+(from+i/share)*t.cols+i%share*h:]
		t.d.set.Scale(out[:h], st.Acc[i*h:(i+1)*h], 1/st.L[i])
	}
}

var negInf = float32(math.Inf(-1))
