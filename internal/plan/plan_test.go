package plan

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tensor"
)

// TestPaper: arXiv 2307.09288, table 2. One utilisation for all gives the four
// published GPU hours within 12%, and the published hours give the published
// carbon, whose decimals are cut.
func TestPaper(t *testing.T) {
	for _, c := range []struct {
		shape  string
		hours  float64
		watts  float64
		carbon float64
	}{
		{"llama2-7b", 184320, 400, 31.22}, {"llama2-13b", 368640, 400, 62.44},
		{"llama2-34b", 1038336, 350, 153.90}, {"llama2-70b", 1720320, 400, 291.42},
	} {
		r := make70(t, func(p *Config) { p.named(t, c.shape) })
		if ratio := r.Cost.DeviceHours / c.hours; ratio < 0.88 || ratio > 1.12 {
			t.Errorf("%s: %.0f device hours, %.3f of the published", c.shape, r.Cost.DeviceHours, ratio)
		}
		r = make70(t, func(p *Config) { p.named(t, c.shape); p.DeviceHours, p.Watts = c.hours, c.watts })
		if got := cut(r.Cost.CarbonT); got != c.carbon {
			t.Errorf("%s: %.4f t, cut %.2f; the paper has %.2f", c.shape, r.Cost.CarbonT, got, c.carbon)
		}
		if u := r.Cost.Utilization; u < 0.34 || u > 0.43 {
			t.Errorf("%s: the published hours are a utilisation of %.3f", c.shape, u)
		}
	}
}

func (c *Config) named(t *testing.T, shape string) {
	c.Name = shape
	var err error
	if c.Model, err = llama.Shape(shape); err != nil {
		t.Fatal(err)
	}
}

// make70 plans the paper's largest model.
func make70(t *testing.T, change func(*Config)) *Result {
	t.Helper()
	c := Config{Tokens: 2e12, Device: "a100-80g", Count: 2048, Utilization: DefaultUtilization, Carbon: DefaultCarbon,
		Training:  Training{Method: Full, Rank: 64, Base: tensor.BF16, Products: tensor.BF16, Sequences: 1, Sequence: 4096, Checkpointing: true},
		ServeType: "f16", KVType: tensor.F16, Parallel: 1}
	c.named(t, "llama2-70b")
	if change != nil {
		change(&c)
	}
	table, err := ReadTable("")
	if err != nil {
		t.Fatal(err)
	}
	r, err := Make(&c, table, false)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestPlan70B holds figures that were worked out by hand: 16-bit weights of
// 68,976,648,192 parameters, a cache of 2*80*8*128 16-bit values a token, the
// time that 2,048 devices need, and a device's share.
func TestPlan70B(t *testing.T) {
	r := make70(t, nil)
	if r.Model.Parameters != 68976648192 || r.Cost.FLOPs != 6*68976648192*2e12 {
		t.Errorf("%d parameters, %g operations", r.Model.Parameters, r.Cost.FLOPs)
	}
	// Norms stay in f32: 161 of 8192.
	if want := int64(2*68976648192 + 2*161*8192); r.Serve.Weights != want || r.Serve.PerToken != want-2*31999*8192 {
		t.Errorf("weights of %d bytes, %d read a token; want %d", r.Serve.Weights, r.Serve.PerToken, want)
	}
	if r.Serve.KVPerToken != 327680 || r.Serve.KV != 327680*4096 {
		t.Errorf("cache %d a token, %d in all", r.Serve.KVPerToken, r.Serve.KV)
	}
	if d := r.Cost.Days; d < 38.9 || d > 39 {
		t.Errorf("%.2f days", d)
	}
	if r.Cost.PriceFrom != "azure NC24ads A100 v4" || r.Cost.USD != r.Cost.DeviceHours*3.673 {
		t.Errorf("price %.0f from %s", r.Cost.USD, r.Cost.PriceFrom)
	}
	m := r.Memory[0]
	matrices := int64(68976648192 - 161*8192)
	if got, want := m.Parts[Weights]+m.Parts[Gradients]+m.Parts[Optimizer], 16*int64(68976648192)+2*matrices; got != want {
		t.Errorf("weights, gradients and optimiser take %d bytes; 18 for each parameter of a matrix are %d", got, want)
	}
	if got, want := m.PerDevice, m.Parts[Activations]+(16*68976648192+2*matrices+2047)/2048; got != want {
		t.Errorf("a device has %d bytes, want %d", got, want)
	}
	// Two devices have room for 128 GiB; they read 4,078 GB/s together.
	if s := r.Serve; s.Devices != 2 || !s.Device.Fits || s.Device.Start < 29 || s.Device.Start > 30 || s.Device.End >= s.Device.Start {
		t.Errorf("serving on %d: %+v", s.Devices, s.Device)
	}
	if o := r.Serve.Instances[0]; o.Name != "azure NC48ads A100 v4" || o.USDPerYear != 7.346*8760 {
		t.Errorf("cheapest: %+v", o)
	}
	var b bytes.Buffer
	if err := r.Print(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"68.98B parameters", "2T tokens with 2048 x a100-80g", "38.9 days", "1,914,104", "$64,351"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, b.String())
		}
	}
}

func TestTableOfTheUser(t *testing.T) {
	read := func(text string) (*Table, error) {
		path := filepath.Join(t.TempDir(), "table.yaml")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return ReadTable(path)
	}
	good := "date: 2026-11\ndevices:\n  - {name: mine, memory_gb: 64, bandwidth_gbps: 100, tflops: 2, watts: 90}\ninstances:\n  - {name: desk, device: mine, count: 1, usd_per_hour: 0.1}\n"
	table, err := read(good)
	if err != nil || len(table.Instances) != 1 || table.Devices[0].Memory != 64 {
		t.Fatalf("%+v %v", table, err)
	}
	for change, want := range map[[2]string]string{
		{"2026-11", "soon"}:           `date is "soon"`,
		{"watts: 90", "watts: -1"}:    "device mine: watts is -1",
		{"watts: 90", "power: 90"}:    "power",
		{"device: mine", "device: x"}: `instance desk: there is no device "x"`,
		{"count: 1", "count: 0"}:      "instance desk: count is 0",
		{"0.1", ".nan"}:               "instance desk: usd_per_hour is NaN",
		{"name: desk", "name: ''"}:    "instances: number 1 has the name",
	} {
		_, err := read(strings.Replace(good, change[0], change[1], 1))
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "table.yaml") {
			t.Errorf("%q: got %v, want the file and %q", change[1], err, want)
		}
	}
}

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"utilization is 1.5":  func(c *Config) { c.Utilization = 1.5 },
		"count is 0":          func(c *Config) { c.Count = 0 },
		"seq is 5000":         func(c *Config) { c.Training.Sequence = 5000 },
		"rank is 0":           func(c *Config) { c.Training.Rank = 0 },
		"context is 5000":     func(c *Config) { c.Context = 5000 },
		"parallel is 0":       func(c *Config) { c.Parallel = 0 },
		`no device "a1"`:      func(c *Config) { c.Device = "a1" },
		`unknown type "q9_9"`: func(c *Config) { c.ServeType = "q9_9" },
	} {
		c := Config{Device: "a100-80g", Count: 1, Utilization: 0.4, Training: full(64), ServeType: "f16", KVType: tensor.F16, Parallel: 1}
		c.named(t, "llama2-7b")
		change(&c)
		table, err := ReadTable("")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Make(&c, table, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestComparison: arXiv 2307.09288, table 1.
func TestComparison(t *testing.T) {
	list, err := Compare([]string{"llama1-65b", "llama2-70b", "15m"})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := PrintComparison(&b, list); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	for i, want := range []string{
		"model training data params context GQA tokens LR width",
		"llama1-65b Llama 1 paper's mix 65.29B 2048 no 1.4T 1.5e-4 8192 80 64 64 22016 32000 2.50 MiB",
		"llama2-70b new mix of public data 68.98B 4096 yes 2.0T 1.5e-4 8192 80 64 8 28672 32000 320.00 KiB",
		"15m – 15.19M 1024 no – – 288 6 6 6 768 32000 6.75 KiB",
	} {
		if got := strings.Join(strings.Fields(lines[i]), " "); !strings.HasPrefix(got, want) {
			t.Errorf("line %d is %q, want %q", i, got, want)
		}
	}
	if _, err := Compare([]string{"llama9"}); err == nil || !strings.Contains(err.Error(), "llama9") {
		t.Errorf("%v", err)
	}
}
