package cli

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria/internal/bench"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/device/cpu/kernel"
	"github.com/cria-llm/cria/internal/sys/cpufeat"
	"github.com/cria-llm/cria/internal/sys/meminfo"
	"github.com/cria-llm/cria/internal/sys/par"
)

// diagnosis is everything that `cria doctor` finds.
type diagnosis struct {
	Platform  string   `json:"platform"`
	CPU       string   `json:"cpu"`
	Features  []string `json:"features"`
	Missing   []string `json:"features_missing"`
	L1d       int      `json:"l1d_bytes"`
	L2        int      `json:"l2_bytes"`
	LLC       int      `json:"last_level_cache_bytes"`
	Kernels   string   `json:"kernels"`
	Possible  []string `json:"kernels_possible"`
	Cores     int      `json:"cores"`     // online in the machine; 0: unknown
	Affinity  int      `json:"affinity"`  // cores that this process may run on
	Quota     *float64 `json:"cpu_quota"` // cores' worth of time; nil: no limit
	Workers   int      `json:"workers"`
	Total     uint64   `json:"memory_total_bytes"`
	Available uint64   `json:"memory_available_bytes"`
	Limit     uint64   `json:"memory_limit_bytes"` // of the container; 0: none
	HugePages string   `json:"huge_pages"`

	Machine *bench.Machine `json:"machine"` // measured limits; nil with --quick
	Advice  []string       `json:"advice"`
}

func newDoctor() *cobra.Command {
	var asJSON, quick bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at the machine: CPU, kernels, quota, memory, measured limits",
		Long: `Look at the machine: CPU features, caches, kernel sets, quota and affinity,
memory, and the limits that bind a model's speed, measured in about two seconds
on 1 GiB of memory. What costs speed is said in plain words at the end.

Decoding reads all weights for each token, so memory bandwidth divided by the
model's size is its best speed; prefill runs against the int8 limit
(block-quantised models) or the f32 limit (F32, F16, BF16).`,
		Example: `  cria doctor
  cria doctor --json
  CRIA_CPU=avx2 cria doctor`,
		Args: args(0, 0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := diagnose(quick)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, d)
			}
			d.print(cmd.OutOrStdout())
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&quick, "quick", false, "do not measure limits")
	return cmd
}

func diagnose(quick bool) (*diagnosis, error) {
	dev, err := cpu.New(cpu.Options{})
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	caches, mem := cpufeat.CacheSizes(), meminfo.Read()
	d := &diagnosis{
		Platform: runtime.GOOS + "/" + runtime.GOARCH, CPU: cpufeat.Model(),
		Features: []string{}, Missing: []string{}, Advice: []string{},
		L1d: caches.L1d, L2: caches.L2, LLC: caches.LLC,
		Kernels: dev.Kernels().Name, Workers: dev.Workers(),
		Cores: onlineCores(), Affinity: runtime.NumCPU(),
		Total: mem.Total, Available: mem.Available, Limit: mem.Limit, HugePages: meminfo.HugePages(),
	}
	for _, f := range cpufeat.Features() {
		if f.Has {
			d.Features = append(d.Features, f.Name)
		} else {
			d.Missing = append(d.Missing, f.Name)
		}
	}
	for _, s := range kernel.Sets() {
		d.Possible = append(d.Possible, s.Name)
	}
	if q := par.CPUQuota(); !math.IsInf(q, 1) {
		d.Quota = &q
	}
	if !quick {
		m, err := bench.MeasureMachine(dev)
		if err != nil {
			return nil, err
		}
		m.LastLevelCache = caches.LLC
		d.Machine = &m
	}
	d.advise(os.Getenv("CRIA_CPU"))
	return d, nil
}

// advise says what costs speed. forced is the value of CRIA_CPU.
func (d *diagnosis) advise(forced string) {
	say := func(format string, args ...any) { d.Advice = append(d.Advice, fmt.Sprintf(format, args...)) }
	best := d.Possible[len(d.Possible)-1]
	switch {
	case d.Kernels != best:
		say("CRIA_CPU=%s forces the %s kernels; this machine can run %s. Unset CRIA_CPU.", forced, d.Kernels, best)
	case best == "generic":
		say("Only the plain Go kernels run here, at a small part of the machine's speed: the program was built with the tag purego, or the CPU lacks AVX2, FMA and F16C (amd64) or DotProd (arm64).")
	case best == "avx2":
		say("The CPU has no AVX-512 with VNNI (or a hypervisor hides it): prefill of quantised models runs at about half of the speed of a CPU that has it.")
	}
	if d.Quota != nil {
		switch q := *d.Quota; {
		case q < 1:
			say("The container may use %.2g of one core: one worker runs, and is stopped for part of the time. Raise the CPU quota to 1 or more.", q)
		case q < float64(d.Affinity):
			say("The container's CPU quota of %.2g cores allows %d of %d cores. A quota that is no whole number wastes the rest.", q, d.Workers, d.Affinity)
		}
	}
	if d.Cores > d.Affinity {
		say("The process may run on %d of %d cores only (affinity).", d.Affinity, d.Cores)
	}
	if d.HugePages == "never" {
		say("Huge pages are off: loading takes about twice as long and reading is slower. As root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
	}
	if d.Available != 0 && d.Available < 5<<30 {
		say("%s of memory are available: a 7B model at Q4_0 needs about 4 GB and its cache. Larger models are read from disk for every token, slowly.", gb(d.Available))
	}
}

func (d *diagnosis) print(w io.Writer) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(w, "%-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	row("cpu", "%s (%s)", orUnknown(d.CPU), d.Platform)
	row("features", "%s", strings.Join(d.Features, " "))
	if len(d.Missing) > 0 {
		row("", "not here: %s", strings.Join(d.Missing, " "))
	}
	row("caches", "L1d %s, L2 %s, last level %s", kib(d.L1d), kib(d.L2), kib(d.LLC))
	row("kernels", "%s (possible: %s)", d.Kernels, strings.Join(d.Possible, ", "))
	quota := "none"
	if d.Quota != nil {
		quota = fmt.Sprintf("%.2f cores", *d.Quota)
	}
	cores := "unknown"
	if d.Cores > 0 {
		cores = fmt.Sprint(d.Cores)
	}
	row("cores", "%s, usable %d, quota %s", cores, d.Affinity, quota)
	row("workers", "%d", d.Workers)
	limit := ""
	if d.Limit > 0 {
		limit = " (the container's limit)"
	}
	row("memory", "%s%s, available %s", gb(d.Total), limit, gb(d.Available))
	if d.HugePages != "" {
		row("huge pages", "%s", d.HugePages)
	}
	if m := d.Machine; m != nil {
		row("read", "%s, one worker %s", gauge(m.ReadGBps, "GB/s"), gauge(m.ReadOneGBps, "GB/s"))
		row("f32", "%s", gauge(m.F32GFLOPS, "GFLOP/s"))
		row("bf16", "%s", gauge(m.BF16GFLOPS, "GFLOP/s"))
		row("int8", "%s", gauge(m.Int8GOPS, "GOP/s"))
		if m.ReadGBps != nil {
			row("so at best", "%.1f tokens/s from 7B at Q4_0 (3.8 GB read per token)", *m.ReadGBps/3.8)
		}
	}
	if len(d.Advice) == 0 {
		row("advice", "nothing found that costs speed")
	}
	for _, a := range d.Advice {
		row("advice", "%s", a)
	}
}

func gauge(v *float64, unit string) string {
	if v == nil {
		return "not measurable with these kernels"
	}
	return fmt.Sprintf("%.1f %s", *v, unit)
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

func kib(n int) string {
	switch {
	case n == 0:
		return "unknown"
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%.4g MiB", float64(n)/(1<<20))
}

func gb(n uint64) string {
	if n == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.1f GB", float64(n)/1e9)
}

// onlineCores is the number of cores that the machine has running, 0 where
// only the affinity mask is known.
func onlineCores() int {
	b, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return 0
	}
	return countRanges(strings.TrimSpace(string(b)))
}

// countRanges counts a list such as "0-3,8,10-11" (man 7 cpuset); 0 where it
// is none.
func countRanges(list string) (n int) {
	for r := range strings.SplitSeq(list, ",") {
		var lo, hi int
		if _, err := fmt.Sscanf(r, "%d-%d", &lo, &hi); err != nil {
			if _, err := fmt.Sscanf(r, "%d", &lo); err != nil {
				return 0
			}
			hi = lo
		}
		n += hi - lo + 1
	}
	return n
}
