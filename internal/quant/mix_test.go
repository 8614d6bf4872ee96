package quant

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/tensor"
)

// mixShapes are the models of the golden file.
var mixShapes = map[string]struct {
	model       MixModel
	dim, hidden int
}{
	"7b":        {MixModel{32, 32, 32, false}, 4096, 11008},
	"tinyllama": {MixModel{22, 32, 4, false}, 2048, 5632},
	"70b":       {MixModel{80, 64, 8, false}, 8192, 28672},
	"65b":       {MixModel{80, 64, 64, false}, 8192, 22016},
	"15m":       {MixModel{6, 6, 6, true}, 288, 768},
	"one":       {MixModel{1, 4, 1, false}, 256, 288},
}

// TestPlanGolden compares every mix with what llama.cpp's own function chose.
func TestPlanGolden(t *testing.T) {
	sc := bufio.NewScanner(bytes.NewReader(read(t, "mixes.txt")))
	seen := map[string]bool{}
	for sc.Scan() {
		f := strings.Fields(sc.Text())
		mix, err := ParseMix(f[0])
		if err != nil {
			t.Fatal(err)
		}
		seen[f[0]] = true
		s := mixShapes[f[1]]
		cols := s.dim
		if f[2] == "ffn_down" {
			cols = s.hidden
		}
		var tensors []MixTensor
		if f[2] == "token_embd" || f[2] == "output" {
			tensors = append(tensors, MixTensor{f[2] + ".weight", 999, cols})
		} else {
			for i := range s.model.NLayers {
				tensors = append(tensors, MixTensor{fmt.Sprintf("blk.%d.%s.weight", i, f[2]), 999, cols})
			}
		}
		var runs []string
		for plan := mix.Plan(s.model, tensors); len(plan) > 0; {
			n := 1
			for n < len(plan) && plan[n].Type == plan[0].Type {
				n++
			}
			runs = append(runs, fmt.Sprintf("%dx%s", n, plan[0].Type))
			plan = plan[n:]
		}
		if want := f[3:]; !strings.EqualFold(strings.Join(runs, " "), strings.Join(want, " ")) {
			t.Errorf("%s: got %v, want %v", strings.Join(f[:3], " "), runs, want)
		}
	}
	for _, m := range mixes {
		if m.base.IsQuant() != seen[m.name] {
			t.Errorf("%s: in the golden file: %v", m.name, seen[m.name])
		}
	}
}

func TestPlanFallback(t *testing.T) {
	tensors := []MixTensor{
		{"token_embd.weight", 512, 64}, {"output_norm.weight", 1, 64}, {"blk.0.attn_q.weight", 64, 64},
		{"blk.0.ffn_down.weight", 64, 172}, {"blk.0.attn_norm.weight", 1, 64}, {"rope_freqs.weight", 1, 4},
	}
	model := MixModel{NLayers: 5, NHeads: 8, NKVHeads: 4, Tied: true}
	const f32, f16 = tensor.F32, tensor.F16
	for name, want := range map[string][]MixChoice{
		"f16":    {{f16, f16}, {f32, f32}, {f16, f16}, {f16, f16}, {f32, f32}, {f32, f32}},
		"f32":    {{f32, f32}, {f32, f32}, {f32, f32}, {f32, f32}, {f32, f32}, {f32, f32}},
		"q8_0":   {{tensor.Q8_0, tensor.Q8_0}, {f32, f32}, {tensor.Q8_0, tensor.Q8_0}, {f16, tensor.Q8_0}, {f32, f32}, {f32, f32}},
		"q4_k_s": {{tensor.Q8_0, tensor.Q6_K}, {f32, f32}, {tensor.Q5_0, tensor.Q4_K}, {f16, tensor.Q4_K}, {f32, f32}, {f32, f32}},
	} {
		mix, err := ParseMix(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := mix.Plan(model, tensors); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
}

func TestParseMix(t *testing.T) {
	for name, want := range map[string]string{"Q4_K_M": "q4_k_m", "Q4_K": "q4_k_m", "q5_k": "q5_k_m", "Q3_K": "q3_k_m", "bf16": "bf16"} {
		if m, err := ParseMix(name); err != nil || m.Name() != want {
			t.Errorf("%s is %q, %v; want %q", name, m.Name(), err, want)
		}
	}
	_, err := ParseMix("q9_z")
	if err == nil || !strings.Contains(err.Error(), `"q9_z"`) || !strings.Contains(err.Error(), "q4_k_m, q5_k_s") {
		t.Errorf("error %v", err)
	}
	// general.file_type as GGUF's specification numbers it.
	for name, want := range map[string]uint32{"f32": 0, "f16": 1, "q4_0": 2, "q8_0": 7, "q2_k": 10, "q4_k_m": 15, "q6_k": 18, "iq4_nl": 25, "iq4_xs": 30, "bf16": 32} {
		if m, _ := ParseMix(name); m.FileType() != want {
			t.Errorf("%s has file type %d, want %d", name, m.FileType(), want)
		}
	}
}
