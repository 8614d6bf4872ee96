// Package pretrain is the first stage of the recipe: a model learns to predict
// the next token of documents (arXiv 2307.09288, section 2). Config says
// everything about a run, Run does it.
package pretrain

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/train"
)

// Config is everything that a run can be told: one dial, the shape (or the model
// that Init names), fills what a file leaves open.
type Config struct {
	Out string `yaml:"out"` // the run's directory

	// Shape is a named one, or Init is a model to train further.
	Shape string `yaml:"shape,omitempty"`
	Init  string `yaml:"init,omitempty"`
	Model Model  `yaml:"model"`

	Data     Data `yaml:"data"`
	Sequence int  `yaml:"sequence"` // tokens of one training sequence
	Batch    int  `yaml:"batch"`    // sequences of one optimiser step
	// MicroBatch is how many sequences are computed at once; gradients add up over
	// the batch, so it changes memory and speed, and the result by roundings only.
	MicroBatch int   `yaml:"micro_batch"`
	Tokens     int64 `yaml:"tokens,omitempty"` // of the whole run, in place of steps
	Isolate    bool  `yaml:"isolate_documents"`

	// InitStd is the standard deviation of fresh matrices; those that add to the
	// residual stream have it divided by the root of twice the layers. The preset
	// is 1/sqrt(dim), and 0.02 from a width of 2,500 on.
	InitStd       float64 `yaml:"init_std"`
	DType         string  `yaml:"dtype"` // of matrix products: f32 or bf16; weights are f32 in both
	Checkpointing bool    `yaml:"activation_checkpointing"`
	ZLoss         float64 `yaml:"z_loss"`
	Seed          uint64  `yaml:"seed"` // of fresh weights, of the order of data, and of samples

	Train train.Config `yaml:",inline"`

	ValidateTokens int64   `yaml:"validate_tokens"` // most tokens of a validation
	Samples        Samples `yaml:"samples"`
	SaveType       string  `yaml:"save_type"` // of the finished model's matrices: f32, f16 or bf16
	// AcceptChanges goes on from a checkpoint of another configuration: a lower
	// learning rate after a spike, say. It is a flag's, never a file's.
	AcceptChanges bool `yaml:"-"`

	Device  string `yaml:"device"`  // cpu, or reference: one thread, plain loops
	Threads int    `yaml:"threads"` // 0: all that this process may use
}

// Model is the shape in detail. The vocabulary is the tokenizer's.
type Model struct {
	Dim       int     `yaml:"dim"`
	NLayers   int     `yaml:"n_layers"`
	NHeads    int     `yaml:"n_heads"`
	NKVHeads  int     `yaml:"n_kv_heads"`
	HeadDim   int     `yaml:"head_dim"`
	HiddenDim int     `yaml:"hidden_dim"`
	Context   int     `yaml:"context"` // positions that the finished model allows
	NormEps   float32 `yaml:"norm_eps"`
	RopeTheta float64 `yaml:"rope_theta"`
	Tied      bool    `yaml:"tied_embeddings"`
}

// Data says what to learn from: shards, or texts and dialogs that are tokenised
// first.
type Data struct {
	Shards    string   `yaml:"shards,omitempty"`    // a directory that `cria data build` made
	Text      []string `yaml:"text,omitempty"`      // .txt files
	Separator string   `yaml:"separator,omitempty"` // between the documents of a text file; "" makes each file one
	// Records are .jsonl files: an object a line, a document with text or a dialog
	// with messages (role, content).
	Records []string `yaml:"records,omitempty"`
	// Learn says what of dialogs is learned: all, as where nothing is said, or
	// answers only; then the users' side is only what they are answers to.
	Learn string `yaml:"learn,omitempty"`
	// ChatTemplate writes the dialogs; the finished model carries it. "" keeps
	// what the model has.
	ChatTemplate string `yaml:"chat_template,omitempty"`
	Tokenizer    string `yaml:"tokenizer"` // a file, or a model that has one
}

// What of dialogs is learned.
const (
	learnAll     = "all"
	learnAnswers = "answers"
)

// direct says whether shards are made of the files that the configuration names.
func (d *Data) direct() bool { return len(d.Text) > 0 || len(d.Records) > 0 }

// madeOf is what shards of the run's own are made of, and how. Files may have
// moved to another directory since; the shards name the tokenizer by its sum.
func (d *Data) madeOf() Data {
	names := func(paths []string) []string {
		names := make([]string, len(paths))
		for i, p := range paths {
			names[i] = filepath.Base(p)
		}
		return names
	}
	m := Data{Text: names(d.Text), Records: names(d.Records), Separator: d.Separator, ChatTemplate: d.ChatTemplate, Learn: d.Learn}
	if m.Learn == learnAll {
		m.Learn = ""
	}
	return m
}

// Samples are texts that the model writes on the way.
type Samples struct {
	Prompts     []string `yaml:"prompts"`
	Tokens      int      `yaml:"tokens"`
	Temperature float32  `yaml:"temperature"`
}

// Flags are settings from a command line; they go before a file's.
type Flags struct {
	Out, Shape string
	Text       []string
	Tokenizer  string
	Steps      int
	Threads    *int
}

// errYAML keeps the parser's picture of the place.
func errYAML(path string, err error) error {
	return fmt.Errorf("%s: %s", path, yaml.FormatError(err, false, true))
}

// Load makes a configuration of a file's text (path is for messages; text may be
// empty), the flags, and what the shape says of everything else.
func Load(path string, text []byte, f Flags) (*Config, error) {
	// What fills the rest must be known first.
	var dial struct {
		Shape  string `yaml:"shape"`
		Init   string `yaml:"init"`
		Steps  *int   `yaml:"steps"`
		Tokens *int64 `yaml:"tokens"`
	}
	if len(bytes.TrimSpace(text)) > 0 {
		if err := yaml.Unmarshal(text, &dial); err != nil {
			return nil, errYAML(path, err)
		}
	}
	if f.Shape != "" {
		dial.Shape = f.Shape
	}
	if dial.Tokens != nil && *dial.Tokens < 1 {
		return nil, fmt.Errorf("%s: tokens is %d; it must be 1 or more", path, *dial.Tokens)
	}
	if dial.Steps != nil && dial.Tokens != nil {
		return nil, fmt.Errorf("%s: steps and tokens both say how long the run is; give one of them", path)
	}
	base, err := baseShape(dial.Shape, dial.Init)
	if err != nil {
		return nil, err
	}
	c := preset(base)
	if dial.Steps != nil {
		c.Tokens = 0
	}
	if len(bytes.TrimSpace(text)) > 0 {
		if err := yaml.UnmarshalWithOptions(text, c, yaml.Strict()); err != nil {
			return nil, errYAML(path, err)
		}
	}
	c.Shape, c.Init = dial.Shape, dial.Init
	c.apply(f)
	if err := c.finish(); err != nil {
		return nil, err
	}
	return c, c.Validate()
}

func (c *Config) apply(f Flags) {
	if f.Out != "" {
		c.Out = f.Out
	}
	if len(f.Text) > 0 {
		c.Data.Text = f.Text
	}
	if f.Tokenizer != "" {
		c.Data.Tokenizer = f.Tokenizer
	}
	if f.Steps != 0 {
		c.Train.Steps, c.Tokens = f.Steps, 0
	}
	if f.Threads != nil {
		c.Threads = *f.Threads
	}
}

// finish computes what follows from other fields.
func (c *Config) finish() error {
	if c.Sequence < 1 || c.Batch < 1 {
		return c.Validate()
	}
	if c.InitStd == unset && c.Model.Dim > 0 { // 0.02 is what wide models begin with; in a narrow one it is too little to learn from
		c.InitStd = max(modelfile.InitStd, twoDigits(1/math.Sqrt(float64(c.Model.Dim))))
	}
	if c.MicroBatch == 0 {
		c.MicroBatch = min(c.Batch, max(1, microRows/c.Sequence))
	}
	if c.Train.Steps == 0 && c.Tokens > 0 {
		step := int64(c.Batch) * int64(c.Sequence)
		c.Train.Steps = int((c.Tokens + step - 1) / step)
	}
	if c.Train.Optimizer.Warmup == unset { // the preset's: a share of the run
		c.Train.Optimizer.Warmup = min(llama2Warmup, max(1, c.Train.Steps*warmupPercent/100))
	}
	for _, every := range []*int{&c.Train.SaveEvery, &c.Train.ValidateEvery, &c.Train.SampleEvery} {
		if *every == unset {
			*every = max(1, c.Train.Steps/10)
		}
	}
	c.Tokens = 0
	return nil
}

// Validate names the first field that cannot be.
func (c *Config) Validate() error {
	bad := func(field string, value any, want string) error {
		return fmt.Errorf("pretrain: %s is %v; %s", field, value, want)
	}
	switch {
	case c.Out == "":
		return errors.New("pretrain: out is missing: the directory that the run shall make")
	case (c.Data.Shards == "") == !c.Data.direct():
		return errors.New("pretrain: data needs either shards (a directory), or text or records (files)")
	case c.Data.Tokenizer == "":
		return errors.New("pretrain: data.tokenizer is missing: a tokenizer file, or a model that has one")
	case c.Sequence < 2 || c.Sequence > c.Model.Context:
		return bad("sequence", c.Sequence, fmt.Sprintf("2 to %d (model.context) tokens are possible", c.Model.Context))
	case c.Batch < 1:
		return bad("batch", c.Batch, "it must be 1 sequence or more")
	case c.MicroBatch < 1 || c.MicroBatch > c.Batch:
		return bad("micro_batch", c.MicroBatch, fmt.Sprintf("1 to %d (batch) sequences are possible", c.Batch))
	case c.DType != "f32" && c.DType != "bf16":
		return bad("dtype", c.DType, "f32 and bf16 are possible")
	case c.Model.Dim < 1:
		return bad("model.dim", c.Model.Dim, "it must be 1 or more")
	case !(c.InitStd > 0 && c.InitStd < 1):
		return bad("init_std", c.InitStd, "it must be above 0 and below 1; 1/sqrt(dim) is usual")
	case !(c.ZLoss >= 0 && c.ZLoss < 1):
		return bad("z_loss", c.ZLoss, "it must be 0 (none) to below 1; 1e-4 is usual")
	case c.ValidateTokens < 0:
		return bad("validate_tokens", c.ValidateTokens, "it must be 0 (no validation) or more")
	case c.Samples.Tokens < 1 && len(c.Samples.Prompts) > 0:
		return bad("samples.tokens", c.Samples.Tokens, "it must be 1 or more")
	case !(c.Samples.Temperature >= 0 && c.Samples.Temperature <= 100):
		return bad("samples.temperature", c.Samples.Temperature, "it must be 0 (greedy) or more")
	case c.SaveType != "f32" && c.SaveType != "f16" && c.SaveType != "bf16":
		return bad("save_type", c.SaveType, "f32, f16 and bf16 are possible")
	case c.Data.Learn != "" && c.Data.Learn != learnAll && c.Data.Learn != learnAnswers:
		return bad("data.learn", c.Data.Learn, learnAll+" and "+learnAnswers+" are possible")
	case c.Data.Learn != "" && len(c.Data.Records) == 0:
		return bad("data.learn", c.Data.Learn, "it is about dialogs of data.records, and there are none")
	case c.Device != deviceCPU && c.Device != deviceReference:
		return bad("device", c.Device, deviceCPU+" and "+deviceReference+" are possible")
	}
	if c.Data.ChatTemplate != "" {
		if _, err := chat.Lookup(c.Data.ChatTemplate); err != nil {
			return fmt.Errorf("pretrain: data.chat_template: %w", err)
		}
	}
	return c.Train.Validate()
}

// llama is the model's configuration with a vocabulary.
func (m *Model) llama(vocab int) llama.Config {
	return llama.Config{Dim: m.Dim, NLayers: m.NLayers, NHeads: m.NHeads, NKVHeads: m.NKVHeads, HeadDim: m.HeadDim, HiddenDim: m.HiddenDim,
		VocabSize: vocab, MaxSeqLen: m.Context, NormEps: m.NormEps, RopeTheta: m.RopeTheta, TiedEmbeddings: m.Tied}
}

func modelOf(c *llama.Config) Model {
	return Model{Dim: c.Dim, NLayers: c.NLayers, NHeads: c.NHeads, NKVHeads: c.NKVHeads, HeadDim: c.HeadDim, HiddenDim: c.HiddenDim,
		Context: c.MaxSeqLen, NormEps: c.NormEps, RopeTheta: c.RopeTheta, Tied: c.TiedEmbeddings}
}

// Text is the whole configuration as a file that Load takes.
func (c *Config) Text() ([]byte, error) { return yaml.Marshal(c) }

// numbers is the text of all that decides what the run computes: the rest may
// change when a run goes on. Of data and weights the paths may change: the
// checkpoint knows what they held.
func (c *Config) numbers() (string, error) {
	n := *c
	n.Out, n.Threads, n.SaveType, n.Samples = "", 0, "", Samples{}
	n.ValidateTokens, n.Data, n.Init, n.InitStd = 0, Data{}, "", 0 // data have sums, and a checkpoint has weights
	t := &n.Train
	t.LogEvery, t.ValidateEvery, t.SampleEvery, t.SaveEvery, t.KeepLast, t.KeepEvery, t.SpikeFactor = 0, 0, 0, 0, 0, 0, 0
	b, err := yaml.Marshal(&n)
	return string(b), err
}

// differences lists the lines that two texts of numbers do not share.
func differences(was, is string) string {
	a, b := strings.Split(was, "\n"), strings.Split(is, "\n")
	var list []string
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			list = append(list, fmt.Sprintf("%q is new", b[i]))
		case i >= len(b):
			list = append(list, fmt.Sprintf("%q is gone", a[i]))
		case a[i] != b[i]:
			list = append(list, fmt.Sprintf("%q was %q", strings.TrimSpace(b[i]), strings.TrimSpace(a[i])))
		}
	}
	return strings.Join(list, ", ")
}
