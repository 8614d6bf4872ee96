package quant

import (
	"fmt"
	"strings"

	"github.com/cria-llm/cria/internal/tensor"
)

// A Mix is a choice of types for a whole model, under the name that
// llama.cpp's users know it by: "q4_k_m" stores most matrices as Q4_K and those
// whose errors cost most with more bits. The zero value is no mix.
type Mix struct {
	name     string
	fileType uint32       // general.file_type (llama_ftype in llama.h)
	base     tensor.DType // the type of what no rule names
}

var mixes = []Mix{
	{"f32", 0, tensor.F32}, {"f16", 1, tensor.F16}, {"bf16", 32, tensor.BF16},
	{"q4_0", 2, tensor.Q4_0}, {"q4_1", 3, tensor.Q4_1}, {"q5_0", 8, tensor.Q5_0}, {"q5_1", 9, tensor.Q5_1}, {"q8_0", 7, tensor.Q8_0},
	{"q2_k", 10, tensor.Q2_K}, {"q2_k_s", 21, tensor.Q2_K},
	{"q3_k_s", 11, tensor.Q3_K}, {"q3_k_m", 12, tensor.Q3_K}, {"q3_k_l", 13, tensor.Q3_K},
	{"q4_k_s", 14, tensor.Q4_K}, {"q4_k_m", 15, tensor.Q4_K},
	{"q5_k_s", 16, tensor.Q5_K}, {"q5_k_m", 17, tensor.Q5_K}, {"q6_k", 18, tensor.Q6_K},
	{"iq4_nl", 25, tensor.IQ4_NL}, {"iq4_xs", 30, tensor.IQ4_XS},
}

var mixAliases = map[string]string{"q3_k": "q3_k_m", "q4_k": "q4_k_m", "q5_k": "q5_k_m"}

// ParseMix returns the mix with the given name, in any case.
func ParseMix(name string) (Mix, error) {
	low := strings.ToLower(name)
	if full, ok := mixAliases[low]; ok {
		low = full
	}
	for _, m := range mixes {
		if m.name == low {
			return m, nil
		}
	}
	return Mix{}, fmt.Errorf("quant: unknown type %q; use one of %s", name, strings.Join(Mixes(), ", "))
}

// Mixes returns the names of all mixes, without aliases.
func Mixes() []string {
	names := make([]string, len(mixes))
	for i, m := range mixes {
		names[i] = m.name
	}
	return names
}

// Name returns the mix's name, in lower case.
func (m Mix) Name() string { return m.name }

// FileType returns the mix's number in GGUF's general.file_type.
func (m Mix) FileType() uint32 { return m.fileType }

// MixModel is what the rules of a mix ask of a model.
type MixModel struct {
	NLayers, NHeads, NKVHeads int
	Tied                      bool // the token embeddings are the output matrix too
}

// MixTensor is one tensor of a model.
type MixTensor struct {
	Name       string // as in a GGUF file
	Rows, Cols int
}

// MixChoice is the type that a tensor gets. Wanted differs from Type where the
// tensor's rows are no multiple of the wanted type's block.
type MixChoice struct {
	Type, Wanted tensor.DType
}

// Plan chooses every tensor's type by llama.cpp's rules for its llama
// architecture (llama_tensor_get_type, without an importance matrix). Vectors,
// norms and what is no weight stay F32. The order of the tensors is of no
// importance: a layer's number comes from its tensors' names.
func (m Mix) Plan(model MixModel, tensors []MixTensor) []MixChoice {
	choices := make([]MixChoice, len(tensors))
	for i, t := range tensors {
		want := tensor.F32
		if t.Rows > 1 && strings.HasSuffix(t.Name, ".weight") && !strings.HasSuffix(t.Name, "_norm.weight") {
			want = m.want(model, t.Name)
		}
		choices[i] = MixChoice{fitting(want, t.Cols), want}
	}
	return choices
}

// want applies the rules to one matrix.
func (m Mix) want(model MixModel, name string) tensor.DType {
	if !m.base.IsQuant() {
		return m.base
	}
	if name == "output.weight" || model.Tied && name == "token_embd.weight" {
		if m.base == tensor.Q8_0 {
			return tensor.Q8_0
		}
		return tensor.Q6_K
	}
	var layer int
	var part string
	if n, err := fmt.Sscanf(name, "blk.%d.%s", &layer, &part); err != nil || n != 2 {
		return m.base
	}
	switch strings.TrimSuffix(part, ".weight") {
	case "attn_v":
		return m.attnV(model, layer)
	case "ffn_down":
		return m.ffnDown(model, layer)
	case "attn_output":
		switch m.name {
		case "q2_k":
			return tensor.Q3_K
		case "q3_k_m":
			return tensor.Q4_K
		case "q3_k_l":
			return tensor.Q5_K
		}
	}
	return m.base
}

// moreBits names the layers of the _m mixes that get more bits: the first and
// the last eighth and every third between.
func moreBits(layer, n int) bool {
	return layer < n/8 || layer >= 7*n/8 || (layer-n/8)%3 == 2
}

// attnV: the values' projection is small where heads share it, and its errors
// pass undamped by a softmax.
func (m Mix) attnV(model MixModel, layer int) tensor.DType {
	grouped := model.NKVHeads > 0 && model.NHeads/model.NKVHeads >= 4
	t := m.base
	switch m.name {
	case "q2_k":
		t = tensor.Q3_K
		if grouped {
			t = tensor.Q4_K
		}
	case "q2_k_s":
		if grouped {
			t = tensor.Q4_K
		}
	case "q3_k_m":
		t = tensor.Q4_K
		if layer < 2 {
			t = tensor.Q5_K
		}
	case "q3_k_l":
		t = tensor.Q5_K
	case "iq4_nl", "iq4_xs":
		if grouped {
			t = tensor.Q5_K
		}
	case "q4_k_s":
		if layer < 4 {
			t = tensor.Q5_K
		}
	case "q4_k_m", "q5_k_m":
		if moreBits(layer, model.NLayers) {
			t = tensor.Q6_K
		}
	}
	// What llama.cpp takes for a 70B: 80 layers with grouped heads.
	if model.NLayers == 80 && model.NHeads != model.NKVHeads && (t == tensor.Q3_K || t == tensor.Q4_K) {
		t = tensor.Q5_K
	}
	return t
}

// ffnDown: its inputs have the largest outliers.
func (m Mix) ffnDown(model MixModel, layer int) tensor.DType {
	n := model.NLayers
	early := layer < n/8
	switch m.name {
	case "q2_k":
		return tensor.Q3_K
	case "q2_k_s":
		if early {
			return tensor.Q4_K
		}
	case "q3_k_m":
		if layer < n/16 {
			return tensor.Q5_K
		}
		return tensor.Q4_K
	case "q3_k_l":
		return tensor.Q5_K
	case "q4_k_s", "iq4_nl", "iq4_xs":
		if early {
			return tensor.Q5_K
		}
	case "q4_k_m", "q5_k_m":
		if moreBits(layer, n) {
			return tensor.Q6_K
		}
	}
	return m.base
}

// fallback is the type with blocks of 32 that stands in for one with blocks of
// 256.
var fallback = map[tensor.DType]tensor.DType{
	tensor.Q2_K: tensor.IQ4_NL, tensor.Q3_K: tensor.IQ4_NL, tensor.IQ4_XS: tensor.IQ4_NL,
	tensor.Q4_K: tensor.Q5_0, tensor.Q5_K: tensor.Q5_1, tensor.Q6_K: tensor.Q8_0,
}

// fitting goes down llama.cpp's ladder until a row of cols elements is a whole
// number of blocks: the K-quant, its legacy type, F16.
func fitting(want tensor.DType, cols int) tensor.DType {
	if cols%want.BlockElems() == 0 {
		return want
	}
	if t, ok := fallback[want]; ok && cols%t.BlockElems() == 0 {
		return t
	}
	return tensor.F16
}
