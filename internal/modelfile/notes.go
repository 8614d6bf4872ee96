package modelfile

import (
	"github.com/cria-llm/cria/internal/format/gguf"
	"github.com/cria-llm/cria/internal/quant"
)

// noteTypes says which tensors of a quantised file have another type than its mix
// asks for because their rows are no multiple of that type's block.
func (m *Model) noteTypes(f *gguf.File) {
	number, ok, err := f.GetUint(keyFileType)
	if err != nil || !ok {
		return // for information only
	}
	for _, name := range quant.Mixes() {
		mix, err := quant.ParseMix(name)
		if err != nil || uint64(mix.FileType()) != number {
			continue
		}
		choices := m.plan(mix)
		for i, e := range m.entries {
			c := choices[i]
			if c.Wanted != c.Type && c.Type == e.info.Type {
				m.note("%s is %s: its rows of %d are no multiple of the blocks of %s", e.info.Name, c.Type, e.info.Cols, c.Wanted)
			}
		}
		return
	}
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
