package plan

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// Print writes the plan for a person.
func (r *Result) Print(w io.Writer) error {
	var b strings.Builder
	r.printModel(&b)
	r.printMemory(&b)
	r.printCost(&b)
	r.printServe(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// rows writes lines of cells, the first column left, the others right.
func rows(b *strings.Builder, indent string, lines [][]string) {
	var width []int
	for _, l := range lines {
		for i, cell := range l {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for _, l := range lines {
		line := indent
		for i, cell := range l {
			pad := strings.Repeat(" ", width[i]-len([]rune(cell)))
			if i == 0 {
				line += cell + pad
			} else {
				line += "  " + pad + cell
			}
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
}

func (r *Result) printModel(b *strings.Builder) {
	m := &r.Model
	tied := ""
	if m.Tied {
		tied = ", head tied to the embedding"
	}
	fmt.Fprintf(b, "%s: %s parameters\n", m.Name, count(float64(m.Parameters)))
	fmt.Fprintf(b, "  %d layers of width %d, feed-forward %d, %d heads, %d KV heads, vocabulary %d%s, context %d\n", m.NLayers, m.Dim, m.HiddenDim, m.NHeads, m.NKVHeads, m.VocabSize, tied, m.Context)
}

func (r *Result) printMemory(b *strings.Builder) {
	t := &r.TrainInput
	on := map[bool]string{true: "on", false: "off"}
	where := "on a device"
	if t.Workers > 0 {
		where = fmt.Sprintf("on this CPU with %d threads", t.Workers)
	}
	fmt.Fprintf(b, "\nMemory of training %s: %d x %d tokens at once, %s products, activation checkpointing %s\n", where, t.Sequences, t.Sequence, t.DType, on[t.Checkpointing])
	head := []string{""}
	for _, m := range r.Memory {
		name := m.Method
		if m.Method != Full {
			name += fmt.Sprintf(" r%d", t.Rank)
		}
		head = append(head, name)
	}
	lines := [][]string{head}
	row := func(name string, value func(m *Memory) string) {
		l := []string{name}
		for i := range r.Memory {
			l = append(l, value(&r.Memory[i]))
		}
		lines = append(lines, l)
	}
	row("parameters that learn", func(m *Memory) string { return count(float64(m.Trainable)) })
	for _, p := range Parts() {
		used := false
		for i := range r.Memory {
			used = used || r.Memory[i].Parts[p] > 0
		}
		if used || p == Optimizer {
			row(string(p), func(m *Memory) string { return size(m.Parts[p]) })
		}
	}
	row("total", func(m *Memory) string { return size(m.Total) })
	row("with checkpointing "+on[!t.Checkpointing], func(m *Memory) string { return size(m.Otherwise) })
	if r.Count > 1 {
		row(fmt.Sprintf("each of %d devices, sharded", r.Count), func(m *Memory) string { return size(m.PerDevice) })
	}
	rows(b, "  ", lines)
	fmt.Fprintf(b, "  lora: base in %s; qlora: NF4 with double quantisation; adapters on all seven projections; embeddings and head in 16 bits\n", t.Base)
	if t.Paged {
		b.WriteString("  The adapters' or weights' moments are on disk.\n")
	}
	for i := range r.Memory {
		for _, f := range r.Memory[i].Buffers {
			fmt.Fprintf(b, "    %-5s %-11s %-52s %8d x %-8d %4d x %-7s %12d bytes\n", r.Memory[i].Method, f.Part, f.Name, f.Rows, f.Cols, f.Copies, f.Type, f.Bytes)
		}
	}
}

func (r *Result) printCost(b *strings.Builder) {
	k := r.Cost
	if k == nil {
		return
	}
	d := r.Device
	fmt.Fprintf(b, "\nTraining on %s tokens with %d x %s at %.1f%% of %.4g TFLOP/s\n", count(k.Tokens), r.Count, d.Name, k.Utilization*100, d.TFLOPS)
	price := "not known: no instance of the table has this device; give --usd-per-hour"
	if k.USDPerHour > 0 {
		from := "as given"
		if k.PriceFrom != "" {
			from = fmt.Sprintf("%s, %s", k.PriceFrom, r.Table)
		}
		price = fmt.Sprintf("%s (at $%.2f for a device and hour: %s)", dollars(k.USD), k.USDPerHour, from)
	}
	rows(b, "  ", [][]string{
		{"operations     " + fmt.Sprintf("%.3g (6 x parameters x tokens)", k.FLOPs)},
		{"device hours   " + group(int64(math.Round(k.DeviceHours)))},
		{"duration       " + duration(k.Days)},
		{"energy         " + fmt.Sprintf("%s kWh at %.0f W", group(int64(math.Round(k.EnergyKWh))), d.Watts)},
		{"carbon         " + fmt.Sprintf("%.2f t CO2 equivalent", cut(k.CarbonT))},
		{"price          " + price},
	})
}

// cut drops what is beyond two decimals, as the paper's table 2 does.
func cut(x float64) float64 { return math.Floor(x*100+1e-9) / 100 }

func (r *Result) printServe(b *strings.Builder) {
	s := &r.Serve
	fmt.Fprintf(b, "\nServing in %s with a cache in %s, %s of %d tokens\n", s.Type, s.KVType, plural(s.Parallel, "sequence"), s.Context)
	rows(b, "  ", [][]string{
		{"weights", size(s.Weights)},
		{"KV cache", size(s.KV), fmt.Sprintf("%s a token", size(s.KVPerToken))},
		{"activations", size(s.Working)},
		{"total", size(s.Total)},
	})
	if v := s.Device; v != nil {
		fits := "It fits"
		if !v.Fits {
			fits = "It does not fit"
		}
		fmt.Fprintf(b, "  %s on %d x %s; bandwidth allows %s\n", fits, s.Devices, r.Device.Name, v.text(s.Parallel))
	}
	if len(s.Instances) == 0 {
		fmt.Fprintf(b, "  No instance of the table (%s) has room for it.\n", r.Table)
		return
	}
	fmt.Fprintf(b, "  On demand, prices of %s (replace them with --table):\n", r.Table)
	lines := [][]string{{"instance", "devices", "a year", "tokens/s at most: start", "end", "all"}}
	for _, o := range s.Instances[:min(5, len(s.Instances))] {
		lines = append(lines, []string{o.Name, fmt.Sprintf("%d x %s", o.Count, o.Device), dollars(o.USDPerYear), rate(o.Speed.Start), rate(o.Speed.End), rate(o.Speed.All)})
	}
	rows(b, "    ", lines)
}

func (v *Speed) text(parallel int) string {
	t := fmt.Sprintf("%s tokens/s for a sequence at its start, %s at its end", rate(v.Start), rate(v.End))
	if parallel > 1 {
		t += fmt.Sprintf(", %s for all together", rate(v.All))
	}
	return t
}

func rate(x float64) string {
	if x >= 100 {
		return group(int64(math.Round(x)))
	}
	return fmt.Sprintf("%.1f", x)
}

func plural(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

// size writes bytes in binary units: memory is sold and limited in these.
func size(n int64) string {
	for _, u := range []struct {
		unit int64
		name string
	}{{1 << 40, "TiB"}, {1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.unit {
			return fmt.Sprintf("%.2f %s", float64(n)/float64(u.unit), u.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

// count writes a number of tokens or parameters.
func count(x float64) string {
	for _, u := range []struct {
		unit float64
		name string
	}{{1e12, "T"}, {1e9, "B"}, {1e6, "M"}, {1e3, "K"}} {
		if x >= u.unit {
			return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", x/u.unit), "0"), ".") + u.name
		}
	}
	return fmt.Sprintf("%.0f", x)
}

func dollars(x float64) string { return "$" + group(int64(math.Round(x))) }

// group puts a comma before each three digits.
func group(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func duration(days float64) string {
	switch {
	case days >= 2:
		return fmt.Sprintf("%.1f days", days)
	case days*24 >= 2:
		return fmt.Sprintf("%.1f hours", days*24)
	}
	return fmt.Sprintf("%.1f minutes", days*24*60)
}

// PrintComparison writes the attribute table (arXiv 2307.09288, table 1) with
// the shapes beside.
func PrintComparison(w io.Writer, list []Attributes) error {
	lines := [][]string{{"model", "training data", "params", "context", "GQA", "tokens", "LR", "width", "layers", "heads", "KV", "FFN", "vocab", "cache/token"}}
	yes := map[bool]string{true: "yes", false: "no"}
	for _, a := range list {
		data, tokens, lr := "–", "–", "–"
		if a.Tokens > 0 {
			data, lr = a.Data, fmt.Sprintf("%.1fe-4", a.LR*1e4)
			tokens = fmt.Sprintf("%.1fT", a.Tokens/1e12)
		}
		lines = append(lines, []string{a.Name, data, count(float64(a.Parameters)), fmt.Sprint(a.Context), yes[a.GQA], tokens, lr,
			fmt.Sprint(a.Dim), fmt.Sprint(a.NLayers), fmt.Sprint(a.NHeads), fmt.Sprint(a.NKVHeads), fmt.Sprint(a.HiddenDim), fmt.Sprint(a.VocabSize), size(a.KVPerToken)})
	}
	var b strings.Builder
	rows(&b, "", lines)
	b.WriteString("Training data, tokens and LR are those of the papers; the cache is in 16 bits.\n")
	_, err := io.WriteString(w, b.String())
	return err
}
