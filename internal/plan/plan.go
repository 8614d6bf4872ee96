// Package plan answers before anyone spends money: what training and serving a
// model takes in memory, time, energy, carbon and dollars.
//
// Memory is counted buffer by buffer as Cria's own trainer makes it, so that on
// a CPU it is the peak that will be measured. Time is the usual estimate, six
// operations for each parameter and token, at a stated share of the device's
// peak. Prices come from a dated table that the user can replace.
package plan

import (
	"fmt"
	"math"
	"strings"

	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/tensor"
)

// Defaults of Config. Utilization and carbon are what the Llama 2 paper's table 2
// comes to: its GPU hours are 35 to 43% of an A100's peak by the estimate above,
// and its tons of CO2 equivalent are 0.4235 kg for each kWh at the devices.
const (
	DefaultUtilization = 0.385
	DefaultCarbon      = 0.4235
	DefaultRank        = 64 // arXiv 2305.14314, table 9
)

// Config is everything that a plan can be told.
type Config struct {
	Name  string // of the shape, for messages
	Model llama.Config

	Tokens      float64 // to train on; 0: no cost of training
	Device      string  // of the table; "": this computer's CPU, of which only memory is told
	Count       int     // devices
	Utilization float64 // share of the device's peak that training reaches
	DeviceHours float64 // known already, in place of the estimate; 0: the estimate
	Watts       float64 // of one device; 0: the table's
	Carbon      float64 // kg CO2 equivalent for each kWh
	USDPerHour  float64 // for one device; 0: the cheapest of the table

	Training Training

	ServeType string // of the weights, as for convert
	KVType    tensor.DType
	Context   int // tokens of each sequence; 0: the model's
	Parallel  int // sequences served at once
}

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	if err := c.Model.Validate(); err != nil {
		return err
	}
	if err := c.Training.Validate(&c.Model); err != nil {
		return err
	}
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("plan: %s is %v; %s", field, value, want)
	}
	fine := func(x float64) bool { return x >= 0 && !math.IsInf(x, 0) }
	switch {
	case !fine(c.Tokens):
		return bad("tokens", c.Tokens, "it must be 0 (no cost of training) or more")
	case c.Count < 1:
		return bad("count", c.Count, "1 device or more is needed")
	case !(c.Utilization > 0 && c.Utilization <= 1):
		return bad("utilization", c.Utilization, "a share of the peak above 0 and at most 1 is needed")
	case !fine(c.DeviceHours):
		return bad("gpu-hours", c.DeviceHours, "it must be 0 (estimated) or more")
	case !fine(c.Watts):
		return bad("watts", c.Watts, "it must be 0 (as the table says) or more")
	case !fine(c.Carbon):
		return bad("carbon", c.Carbon, "kg for each kWh are 0 or more")
	case !fine(c.USDPerHour):
		return bad("usd-per-hour", c.USDPerHour, "it must be 0 (as the table says) or more")
	case c.Context < 0 || c.Context > c.Model.MaxContext():
		return bad("context", c.Context, fmt.Sprintf("0 (all) to %d tokens are possible with this model", c.Model.MaxContext()))
	case c.Parallel < 1 || c.Parallel > 1<<20:
		return bad("parallel", c.Parallel, "1 sequence or more, and at most 2^20, is possible")
	case c.KVType != tensor.F32 && c.KVType != tensor.F16 && c.KVType != tensor.Q8_0:
		return bad("kv", c.KVType, "f32, f16 and q8_0 are possible")
	}
	return nil
}

// Result is a whole plan.
type Result struct {
	Model      Attributes   `json:"model"`
	Table      string       `json:"table_date"`
	Device     *Device      `json:"device"` // nil: a CPU
	Count      int          `json:"count"`
	Memory     []Memory     `json:"memory"` // of training, by method
	Cost       *Cost        `json:"cost"`   // nil where no tokens or no device were named
	Serve      Serve        `json:"serve"`
	TrainInput TrainingText `json:"training"`
}

// TrainingText is what the figures of memory are for.
type TrainingText struct {
	Sequences     int    `json:"batch"`
	Sequence      int    `json:"seq"`
	DType         string `json:"dtype"`
	Base          string `json:"base"`
	Rank          int    `json:"rank"`
	Checkpointing bool   `json:"checkpointing"`
	EMA           bool   `json:"ema"`
	Paged         bool   `json:"paged_optimizer"`
	Workers       int    `json:"workers"` // of a CPU; 0: another device
}

// Memory is one method's.
type Memory struct {
	Method    string         `json:"method"`
	Trainable int64          `json:"trainable_parameters"`
	Parts     map[Part]int64 `json:"parts"`
	Total     int64          `json:"total_bytes"`
	// PerDevice is the share of one of Count devices, where weights, gradients and
	// optimiser are cut evenly and each has its own activations.
	PerDevice int64 `json:"per_device_bytes"`
	// Otherwise is the total with checkpointing switched.
	Otherwise int64    `json:"total_with_checkpointing_switched"`
	Buffers   []Buffer `json:"buffers,omitempty"`
}

// Make makes the plan. buffers keeps the list of all buffers in it.
func Make(c *Config, t *Table, buffers bool) (*Result, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	r := &Result{Model: attributes(c.Name, &c.Model), Table: t.Date, Count: c.Count}
	tr := &c.Training
	r.TrainInput = TrainingText{tr.Sequences, tr.Sequence, lower(tr.Products), lower(tr.Base), tr.Rank, tr.Checkpointing, tr.EMA, tr.Paged, tr.Workers}
	for _, method := range Methods() {
		r.Memory = append(r.Memory, c.memory(method, buffers))
	}
	if c.Device != "" {
		d, err := t.Device(c.Device)
		if err != nil {
			return nil, err
		}
		if c.Watts > 0 {
			d.Watts = c.Watts
		}
		r.Device = &d
		if c.Tokens > 0 || c.DeviceHours > 0 {
			r.Cost = c.cost(t, &d)
		}
	}
	var err error
	r.Serve, err = c.serve(t, r.Device)
	return r, err
}

func lower(d tensor.DType) string { return strings.ToLower(d.String()) }

func (c *Config) memory(method string, keep bool) Memory {
	t := c.Training
	t.Method = method
	list := Buffers(&c.Model, &t)
	m := Memory{Method: method, Parts: map[Part]int64{}, Total: Sum(list, "")}
	for _, b := range list {
		m.Parts[b.Part] += b.Bytes
		if b.Part == Gradients {
			m.Trainable += int64(b.Rows) * int64(b.Cols) * int64(b.Copies)
		}
	}
	shared := m.Parts[Weights] + m.Parts[Gradients] + m.Parts[Optimizer]
	m.PerDevice = m.Total - shared + (shared+int64(c.Count)-1)/int64(c.Count)
	t.Checkpointing = !t.Checkpointing
	m.Otherwise = Sum(Buffers(&c.Model, &t), "")
	if keep {
		m.Buffers = list
	}
	return m
}

// Cost is what training takes.
type Cost struct {
	Tokens      float64 `json:"tokens"`
	FLOPs       float64 `json:"flops"` // 6 x parameters x tokens
	Utilization float64 `json:"utilization"`
	DeviceHours float64 `json:"device_hours"`
	Days        float64 `json:"days"`
	EnergyKWh   float64 `json:"energy_kwh"`
	CarbonT     float64 `json:"carbon_t"` // tons of CO2 equivalent
	USDPerHour  float64 `json:"usd_per_device_hour"`
	PriceFrom   string  `json:"price_from"` // the instance; "" where the user gave it, or no instance has the device
	USD         float64 `json:"usd"`
}

// FLOPs is the usual estimate of training's operations (arXiv 2001.08361,
// section 2.1): six for each parameter and token, attention's scores not counted.
func FLOPs(parameters int, tokens float64) float64 { return 6 * float64(parameters) * tokens }

// DeviceHours are the hours that one device would need.
func DeviceHours(flops, tflops, utilization float64) float64 {
	return flops / (tflops * 1e12 * utilization) / 3600
}

// Carbon is the CO2 equivalent in tons of device hours at some watts.
func Carbon(hours, watts, kgPerKWh float64) float64 { return hours * watts / 1000 * kgPerKWh / 1000 }

func (c *Config) cost(t *Table, d *Device) *Cost {
	k := &Cost{Tokens: c.Tokens, FLOPs: FLOPs(c.Model.Parameters(), c.Tokens), Utilization: c.Utilization, USDPerHour: c.USDPerHour}
	if k.DeviceHours = c.DeviceHours; k.DeviceHours == 0 {
		k.DeviceHours = DeviceHours(k.FLOPs, d.TFLOPS, c.Utilization)
	} else {
		k.Utilization = k.FLOPs / (k.DeviceHours * 3600 * d.TFLOPS * 1e12)
	}
	k.Days = k.DeviceHours / float64(c.Count) / 24
	k.EnergyKWh = k.DeviceHours * d.Watts / 1000
	k.CarbonT = Carbon(k.DeviceHours, d.Watts, c.Carbon)
	if k.USDPerHour == 0 {
		k.USDPerHour, k.PriceFrom, _ = t.cheapest(d.Name)
	}
	k.USD = k.DeviceHours * k.USDPerHour
	return k
}

// hoursPerYear is that of a server that never stops.
const hoursPerYear = 365 * 24

// Serve is what serving takes. Bandwidth bounds speed: for each token all weights
// and all keys and values of its sequence are read.
type Serve struct {
	Type       string  `json:"type"`
	KVType     string  `json:"kv_type"`
	Context    int     `json:"context"`
	Parallel   int     `json:"parallel"`
	Weights    int64   `json:"weights_bytes"`
	PerToken   int64   `json:"weights_read_per_token_bytes"`
	KVPerToken int64   `json:"kv_bytes_per_token"`
	KV         int64   `json:"kv_bytes"` // of all sequences at full length
	Working    int64   `json:"activations_bytes"`
	Total      int64   `json:"total_bytes"`
	Devices    int     `json:"devices"`   // the fewest of the named ones that have room, or all that there are
	Device     *Speed  `json:"device"`    // on these; nil where no device is named
	Instances  []Offer `json:"instances"` // that have room, cheapest first
}

// Speed is the most that memory bandwidth allows.
type Speed struct {
	Fits  bool    `json:"fits"`
	Start float64 `json:"tokens_per_s_at_start"` // of one sequence, its cache empty
	End   float64 `json:"tokens_per_s_at_end"`   // of one sequence at full length
	All   float64 `json:"tokens_per_s_parallel"` // of all sequences together, at half of their length
}

// Offer is an instance that a model fits on.
type Offer struct {
	Instance
	USDPerYear float64 `json:"usd_per_year"`
	Speed      Speed   `json:"speed"`
}

// room is the share of a device's memory that weights and caches may take: the
// rest is the driver's and the runtime's.
const room = 0.95

func (c *Config) serve(t *Table, d *Device) (Serve, error) {
	s := Serve{Type: c.ServeType, KVType: lower(c.KVType), Context: c.Context, Parallel: c.Parallel}
	if s.Context == 0 {
		s.Context = c.Model.MaxContext()
	}
	m, err := modelfile.Random(c.Model, modelfile.InitOptions{Type: c.ServeType, Seed: 1})
	if err != nil {
		return s, err
	}
	defer m.Close()
	for _, w := range m.Tensors() {
		s.Weights += w.Bytes
		if w.Name == "token_embd.weight" && !c.Model.TiedEmbeddings {
			s.PerToken += w.Bytes / int64(w.Rows)
		} else {
			s.PerToken += w.Bytes
		}
	}
	kv := int64(c.Model.NKVHeads) * int64(c.KVType.RowBytes(c.Model.HeadDim))
	s.KVPerToken = 2 * int64(c.Model.NLayers) * kv
	s.KV = s.KVPerToken * int64(s.Context) * int64(s.Parallel)
	s.Working = serveActivations(&c.Model)
	s.Total = s.Weights + s.KV + s.Working
	if d != nil {
		s.Devices = min(c.Count, max(1, int(math.Ceil(float64(s.Total)/(room*d.Memory*1e9)))))
		v := s.speed(d, s.Devices)
		s.Device = &v
	}
	s.Instances = []Offer{}
	for _, in := range t.Instances {
		dev, err := t.Device(in.Device)
		if err != nil {
			return s, err
		}
		if v := s.speed(&dev, in.Count); v.Fits {
			s.Instances = append(s.Instances, Offer{in, in.USDPerHour * hoursPerYear, v})
		}
	}
	sortOffers(s.Instances)
	return s, nil
}

func (s *Serve) speed(d *Device, count int) Speed {
	bytes := d.Bandwidth * 1e9 * float64(count)
	at := func(sequences, tokens float64) float64 {
		return sequences * bytes / (float64(s.PerToken) + sequences*tokens*float64(s.KVPerToken))
	}
	return Speed{
		Fits:  float64(s.Total) <= room*d.Memory*1e9*float64(count),
		Start: at(1, 0), End: at(1, float64(s.Context)), All: at(float64(s.Parallel), float64(s.Context)/2),
	}
}

// serveActivations is the working memory of llama.Model with its default sizes.
func serveActivations(c *llama.Config) int64 {
	const rows, logits = microBatch, 64
	q, kv := int64(c.NHeads*c.HeadDim), int64(c.NKVHeads*c.HeadDim)
	dim, hidden := int64(c.Dim), int64(c.HiddenDim)
	return 4 * (rows*(3*dim+2*q+2*kv+2*hidden) + logits*(2*dim+int64(c.VocabSize)))
}
