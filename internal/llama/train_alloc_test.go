package llama_test

import (
	"testing"

	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tensor"
)

// One step of training allocates nothing, with or without checkpointing.
func TestTrainStepAllocatesNothing(t *testing.T) {
	for _, checkpointing := range []bool{false, true} {
		c := trainCases[1].config()
		d, err := cpu.New(cpu.Options{Workers: 2})
		if err != nil {
			t.Fatal(err)
		}
		m := trainModel(t, d, c, randomModel(t, c, tensor.F32, 3), llama.TrainOptions{Rows: 16, Checkpointing: checkpointing})
		b := twoDocuments(c.VocabSize, 7)
		n := testing.AllocsPerRun(20, func() {
			if _, err := m.Learn(b); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("checkpointing %v: %v allocations per step", checkpointing, n)
		}
		t.Cleanup(func() {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
