package cli

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/plan"
	"github.com/cria-llm/cria/internal/sys/par"
	"github.com/cria-llm/cria/internal/tensor"
)

// planConfig is everything that `cria plan` can be told.
type planConfig struct {
	Plan                        plan.Config
	File                        string
	Vocab                       int
	Tokens                      string
	DType, Base, KV             string
	Table                       string
	PrintTable, Buffers, Untied bool
	Compare                     []string
	JSON                        bool
}

// bigModel is the number of parameters from which checkpointing is on unless it
// is said otherwise.
const bigModel = 1_000_000_000

func newPlan() *cobra.Command {
	var c planConfig
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "Say what training and serving a model takes: memory, time, energy, price",
		Long: `Say what training and serving a model takes, before anyone spends money.

Memory of training is counted buffer by buffer as Cria's trainer makes it
(--buffers lists them), for full training, LoRA and QLoRA. Without --device it is
that of this computer's CPU, the program included. With --count devices, weights,
gradients and optimiser are cut evenly, and each has activations of its own.

Time is 6 x parameters x tokens at --utilization of the device's peak; carbon is
device hours x watts x --carbon. A server reads all weights and a sequence's keys
and values for each token, so its memory's bandwidth bounds its speed. Devices and
prices come from a dated table: --print-table prints it, --table replaces it.

Shapes: ` + strings.Join(llama.ShapeNames(), " ") + `.`,
		Example: `  cria plan --shape llama2-70b --tokens 2T --device a100-80g --count 2048
  cria plan --shape llama2-7b --seq 512 --rank 64
  cria plan --shape llama2-70b --device a100-80g --count 2 --type q4_0 --parallel 16
  cria plan --compare llama1-7b,llama2-7b,llama2-70b`,
		Args: args(0, 0, "no argument; name the model with --shape"),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	fs := cmd.Flags()
	p, t := &c.Plan, &c.Plan.Training
	fs.StringVar(&p.Name, "shape", "", "name of a shape")
	fs.StringVar(&c.File, "config", "", "Hugging Face config.json with the shape")
	fs.IntVar(&c.Vocab, "vocab-size", 0, "pieces of the tokenizer (default the shape's)")
	fs.BoolVar(&c.Untied, "untied", false, "an output matrix of its own, where the shape ties it to the embedding")
	fs.StringSliceVar(&c.Compare, "compare", nil, "print the attributes of these shapes instead")
	fs.StringVar(&c.Tokens, "tokens", "", "tokens to train on, as 300M, 20B or 2T (default the published number, where there is one)")
	fs.StringVar(&p.Device, "device", "", "device of the table; without one: this computer's CPU")
	fs.IntVar(&p.Count, "count", 1, "number of devices")
	fs.Float64Var(&p.Utilization, "utilization", plan.DefaultUtilization, "share of the devices' peak that training reaches")
	fs.Float64Var(&p.DeviceHours, "gpu-hours", 0, "device hours, where they are known")
	fs.Float64Var(&p.Watts, "watts", 0, "power of a device (default as the table says)")
	fs.Float64Var(&p.Carbon, "carbon", plan.DefaultCarbon, "kg of CO2 equivalent for a kWh")
	fs.Float64Var(&p.USDPerHour, "usd-per-hour", 0, "price of a device for an hour (default the table's lowest)")
	fs.StringVar(&c.DType, "dtype", "", "matrix products of training: f32 or bf16 (default bf16 on a device, f32 on a CPU)")
	fs.IntVar(&t.Sequences, "batch", 1, "sequences computed at once on a device")
	fs.IntVar(&t.Sequence, "seq", 0, "tokens of a training sequence (default the context)")
	fs.BoolVar(&t.Checkpointing, "checkpointing", false, "keep one activation per layer and compute the rest again (default from a billion parameters on)")
	fs.BoolVar(&t.EMA, "ema", false, "a moving average of what learns")
	fs.IntVar(&t.Rank, "rank", plan.DefaultRank, "rank of adapters")
	fs.StringVar(&c.Base, "base", "bf16", "type of LoRA's base: f32, f16 or bf16")
	fs.BoolVar(&t.Paged, "page-optimizer", false, "the optimiser's moments are on disk")
	fs.IntVar(&t.Workers, "threads", par.DefaultWorkers(), "threads of a CPU")
	fs.BoolVar(&c.Buffers, "buffers", false, "list every buffer")
	fs.StringVar(&p.ServeType, "type", "f16", "type of a served model's weights, as for convert")
	fs.StringVar(&c.KV, "kv", "f16", "type of the KV cache: f32, f16 or q8_0")
	fs.IntVar(&p.Context, "context", 0, "tokens of a served sequence (default the model's)")
	fs.IntVar(&p.Parallel, "parallel", 1, "sequences served at once")
	fs.StringVar(&c.Table, "table", "", "YAML file of devices and instances")
	fs.BoolVar(&c.PrintTable, "print-table", false, "print the built-in table")
	fs.BoolVar(&c.JSON, "json", false, "print one JSON object")
	return cmd
}

func (c *planConfig) run(cmd *cobra.Command) error {
	switch {
	case c.PrintTable:
		_, err := cmd.OutOrStdout().Write(plan.BuiltinTable())
		return err
	case len(c.Compare) > 0:
		list, err := plan.Compare(c.Compare)
		if err != nil {
			return &UsageError{err}
		}
		if c.JSON {
			return printJSON(cmd, list)
		}
		return plan.PrintComparison(cmd.OutOrStdout(), list)
	}
	if err := c.fill(cmd); err != nil {
		return err
	}
	if err := c.Plan.Validate(); err != nil {
		return &UsageError{err}
	}
	table, err := plan.ReadTable(c.Table)
	if err != nil {
		return err
	}
	r, err := plan.Make(&c.Plan, table, c.Buffers)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(cmd, r)
	}
	return r.Print(cmd.OutOrStdout())
}

// fill turns flags into the plan's configuration.
func (c *planConfig) fill(cmd *cobra.Command) (err error) {
	p, t := &c.Plan, &c.Plan.Training
	switch {
	case (p.Name == "") == (c.File == ""):
		return usagef("give either --shape NAME or --config FILE; names: %s", strings.Join(llama.ShapeNames(), ", "))
	case c.File != "":
		if p.Model, err = modelfile.ReadHFConfig(c.File); err != nil {
			return err
		}
		p.Name = c.File
	default:
		if p.Model, err = llama.Shape(p.Name); err != nil {
			return &UsageError{err}
		}
	}
	if c.Vocab != 0 {
		p.Model.VocabSize = c.Vocab
	}
	if c.Untied {
		p.Model.TiedEmbeddings = false
	}
	t.Method = plan.Full
	if t.Sequence == 0 {
		t.Sequence = p.Model.MaxSeqLen
	}
	if !cmd.Flags().Changed("checkpointing") {
		t.Checkpointing = p.Model.Parameters() >= bigModel
	}
	if c.DType == "" {
		c.DType = map[bool]string{true: "f32", false: "bf16"}[p.Device == ""]
	}
	if p.Device != "" {
		t.Workers = 0
	}
	for _, f := range []struct {
		flag, text string
		to         *tensor.DType
	}{{"dtype", c.DType, &t.Products}, {"base", c.Base, &t.Base}, {"kv", c.KV, &p.KVType}} {
		if *f.to, err = tensor.ParseDType(strings.ToLower(f.text)); err != nil {
			return usagef("--%s: %v", f.flag, err)
		}
	}
	if err := checkType(p.ServeType); err != nil {
		return err
	}
	if c.Tokens == "" {
		p.Tokens = plan.PublishedTokens(p.Name)
		return nil
	}
	if p.Tokens, err = parseCount(c.Tokens); err != nil {
		return usagef("--tokens: %v", err)
	}
	return nil
}

// parseCount reads a number with K, M, B or T for thousands, millions, billions
// (10^9) and trillions.
func parseCount(s string) (float64, error) {
	factor := 1.0
	number := s
	if i := strings.IndexByte("KMBT", strings.ToUpper(s + " ")[max(0, len(s)-1)]); i >= 0 && s != "" {
		factor, number = math.Pow(1000, float64(i+1)), s[:len(s)-1]
	}
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || !(x >= 0) || math.IsInf(x*factor, 0) {
		return 0, fmt.Errorf("%q is no number of tokens; write 300M, 20B or 2T", s)
	}
	return x * factor, nil
}
