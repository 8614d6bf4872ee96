package plan

import "github.com/cria-llm/cria/internal/llama"

// What a run of Cria holds beside the device's memory, measured with `cria
// pretrain` of the small shapes on Linux (docs/plan.md). The peak comes when the
// model is written at the end, while everything of the training is still there.
const (
	programBytes   = 33 << 20    // code, runtime, the tokens of a step
	tokenizerBytes = 2300 * 1024 // for each thousand of a vocabulary that is written as JSON
	pieceBytes     = 4 << 20     // of a tensor on its way to a file
	samplePages    = 2           // of the KV cache, for the texts that a run writes
	pagePositions  = 64
	hugePage       = 2 << 20
)

// process adds what the program takes beside the device's memory.
func (l *list) process(c *llama.Config, t *Training) {
	l.sized(Process, "the program", 1, 1, 1, "bytes", programBytes)
	if t.Method == Full { // adapters are written without it
		l.sized(Process, "tokenizer, when it is written", c.VocabSize, 1, 1, "pieces", int64(c.VocabSize)*tokenizerBytes/1000)
	}
	largest := 4 * int64(max(c.VocabSize*c.Dim, c.HiddenDim*c.Dim))
	l.sized(Process, "pieces of tensors, when they are written", 2, 1, 1, "pieces", 2*min(pieceBytes, largest))
	// Of the cache only the pages in use become resident, by huge pages.
	position := 2 * 4 * int64(c.NKVHeads) * int64(c.HeadDim)
	layer := min(position*int64(c.MaxSeqLen), max(hugePage, position*samplePages*pagePositions))
	l.sized(Process, "KV cache of samples", min(c.MaxSeqLen, samplePages*pagePositions), 2*c.NKVHeads*c.HeadDim, c.NLayers, "f32", layer*int64(c.NLayers))
}
