package modelfile

import (
	"fmt"
	"strings"

	"github.com/cria-llm/cria/internal/format/gguf"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/quant"
	"github.com/cria-llm/cria/internal/tensor"
)

// noteTypes says which tensors of a quantised file have another type than its mix
// asks for because their rows are no multiple of that type's block.
func (m *Model) noteTypes(f *gguf.File) {
	number, ok, err := f.GetUint(keyFileType)
	if err != nil || !ok {
		return // for information only
	}
	for _, name := range quant.Mixes() {
		if mix, err := quant.ParseMix(name); err == nil && uint64(mix.FileType()) == number {
			m.noteFallbacks(m.plan(mix))
			return
		}
	}
}

// noteFallbacks notes all tensors of one kind and type together.
func (m *Model) noteFallbacks(choices []quant.MixChoice) {
	type group struct {
		kind         *kind
		wanted, have tensor.DType
	}
	var order []group
	layers := map[group][]int{}
	for i, e := range m.entries {
		c := choices[i]
		if c.Wanted == c.Type || c.Type != e.info.Type {
			continue
		}
		g := group{e.kind, c.Wanted, c.Type}
		if layers[g] == nil {
			order = append(order, g)
		}
		layers[g] = append(layers[g], e.layer)
	}
	for _, g := range order {
		name := g.kind.name[dialectGGUF]
		if g.kind.inLayer {
			name = layerPrefix[dialectGGUF] + ranges(layers[g]) + "." + name
		}
		_, cols := g.kind.shape(&m.Config)
		m.note("%s: %s instead of %s, whose blocks of %d do not divide rows of %d", name, g.have, g.wanted, g.wanted.BlockElems(), cols)
	}
}

// ranges writes ascending numbers in short: 0-3,7.
func ranges(n []int) string {
	var parts []string
	for i := 0; i < len(n); {
		j := i
		for j+1 < len(n) && n[j+1] == n[j]+1 {
			j++
		}
		if i == j {
			parts = append(parts, fmt.Sprint(n[i]))
		} else {
			parts = append(parts, fmt.Sprintf("%d-%d", n[i], n[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// plan asks a mix for the types of all tensors.
func (m *Model) plan(mix quant.Mix) []quant.MixChoice {
	c := &m.Config
	tensors := make([]quant.MixTensor, len(m.entries))
	for i, e := range m.entries {
		tensors[i] = quant.MixTensor{Name: e.info.Name, Rows: e.info.Rows, Cols: e.info.Cols}
	}
	return mix.Plan(quant.MixModel{NLayers: c.NLayers, NHeads: c.NHeads, NKVHeads: c.NKVHeads, Tied: c.TiedEmbeddings}, tensors)
}

// noteRope says what scaled positions mean for the user.
func (m *Model) noteRope() {
	c := &m.Config
	if c.RopeScale.Kind != llama.RopeNone {
		m.note("%s RoPE scaling by %g: trained for %d positions, to be used for up to %d", c.RopeScale.Kind, c.RopeScale.Factor, c.MaxSeqLen, c.MaxContext())
	}
}
