package modelfile

import (
	"iter"
	"strconv"

	"github.com/cria-llm/cria/internal/llama"
)

// dialect is a family of files that share tensor names and the order of RoPE
// pairs.
type dialect int

const (
	dialectGGUF dialect = iota // llama.cpp's; ours inside
	dialectHF                  // transformers' LlamaForCausalLM; q and k in half-split order
	dialectMeta                // Meta's own code, and llama2.c
	numDialects
)

// layerPrefix stands before a layer's number.
var layerPrefix = [numDialects]string{"blk.", "model.layers.", "layers."}

// split says how Meta's model-parallel shards cut a tensor (fairscale's
// ColumnParallelLinear, RowParallelLinear and ParallelEmbedding).
type split uint8

const (
	splitNone split = iota // the same in every shard
	splitRows              // the output features are dealt out
	splitCols              // the input features are
)

// kind is a tensor's place in the model.
type kind struct {
	name    [numDialects]string // of one in a layer: what follows the number and a dot
	inLayer bool
	norm    bool  // a vector
	rotary  bool  // its rows are rotary pairs: HF's order differs
	split   split // of Meta's shards
	shape   func(c *llama.Config) (rows, cols int)
}

func (k *kind) in(d dialect, layer int) string {
	if !k.inLayer {
		return k.name[d]
	}
	return layerPrefix[d] + strconv.Itoa(layer) + "." + k.name[d]
}

// kinds is the table of names, in the order in which tensors are written.
var kinds = []kind{
	{name: [...]string{"token_embd.weight", "model.embed_tokens.weight", "tok_embeddings.weight"}, split: splitCols, shape: vocabByDim},
	{name: [...]string{"attn_norm.weight", "input_layernorm.weight", "attention_norm.weight"}, inLayer: true, norm: true, shape: dimVector},
	{name: [...]string{"attn_q.weight", "self_attn.q_proj.weight", "attention.wq.weight"}, inLayer: true, rotary: true, split: splitRows, shape: queryByDim},
	{name: [...]string{"attn_k.weight", "self_attn.k_proj.weight", "attention.wk.weight"}, inLayer: true, rotary: true, split: splitRows, shape: keyByDim},
	{name: [...]string{"attn_v.weight", "self_attn.v_proj.weight", "attention.wv.weight"}, inLayer: true, split: splitRows, shape: keyByDim},
	{name: [...]string{"attn_output.weight", "self_attn.o_proj.weight", "attention.wo.weight"}, inLayer: true, split: splitCols, shape: dimByQuery},
	{name: [...]string{"ffn_norm.weight", "post_attention_layernorm.weight", "ffn_norm.weight"}, inLayer: true, norm: true, shape: dimVector},
	{name: [...]string{"ffn_gate.weight", "mlp.gate_proj.weight", "feed_forward.w1.weight"}, inLayer: true, split: splitRows, shape: hiddenByDim},
	{name: [...]string{"ffn_up.weight", "mlp.up_proj.weight", "feed_forward.w3.weight"}, inLayer: true, split: splitRows, shape: hiddenByDim},
	{name: [...]string{"ffn_down.weight", "mlp.down_proj.weight", "feed_forward.w2.weight"}, inLayer: true, split: splitCols, shape: dimByHidden},
	{name: [...]string{"output_norm.weight", "model.norm.weight", "norm.weight"}, norm: true, shape: dimVector},
	{name: [...]string{"output.weight", "lm_head.weight", "output.weight"}, split: splitRows, shape: vocabByDim},
}

// Entries of kinds that the code asks for by name.
var (
	kindEmbed = &kinds[0]
	kindQ     = &kinds[2]
	kindK     = &kinds[3]
	kindV     = &kinds[4]
	kindO     = &kinds[5]
	kindGate  = &kinds[7]
	kindUp    = &kinds[8]
	kindDown  = &kinds[9]
	kindHead  = &kinds[11]
)

func dimVector(c *llama.Config) (int, int)   { return 1, c.Dim }
func vocabByDim(c *llama.Config) (int, int)  { return c.VocabSize, c.Dim }
func queryByDim(c *llama.Config) (int, int)  { return c.NHeads * c.HeadDim, c.Dim }
func keyByDim(c *llama.Config) (int, int)    { return c.NKVHeads * c.HeadDim, c.Dim }
func dimByQuery(c *llama.Config) (int, int)  { return c.Dim, c.NHeads * c.HeadDim }
func hiddenByDim(c *llama.Config) (int, int) { return c.HiddenDim, c.Dim }
func dimByHidden(c *llama.Config) (int, int) { return c.Dim, c.HiddenDim }

// place is one tensor of a model of a certain shape.
type place struct {
	*kind
	layer int
}

// places yields all tensors of a model in the order in which they are written.
func places(c *llama.Config) iter.Seq[place] {
	return func(yield func(place) bool) {
		for i := 0; i < len(kinds); i++ {
			k := &kinds[i]
			switch {
			case k == kindHead && c.TiedEmbeddings:
			case !k.inLayer:
				if !yield(place{k, 0}) {
					return
				}
			default:
				end := i
				for kinds[end].inLayer {
					end++
				}
				for layer := range c.NLayers {
					for j := i; j < end; j++ {
						if !yield(place{&kinds[j], layer}) {
							return
						}
					}
				}
				i = end - 1
			}
		}
	}
}
