// Package cria runs Llama 2 models: any GGUF file, Hugging Face or Meta
// directory or llama2.c file, on the CPU, with nothing else installed.
//
//	m, err := cria.Load("llama-2-7b-chat.Q4_K_M.gguf", nil)
//	…
//	defer m.Close()
//	text, err := m.Generate(ctx, "Once upon a time", cria.DefaultParams()).Text()
//
// Load opens a model. Model.Generate and Model.Chat answer one request each; a
// Session keeps its cache between requests, so that a prompt which begins as
// the last one did costs only its new tokens; a Conversation is a dialog that
// grows. Answers stream through Generation.Tokens, an iterator, and end early
// when its context is cancelled.
//
// A Model may be used by any number of goroutines; a Session and what is made
// of it by one at a time.
package cria

import (
	"context"
	"errors"
	"fmt"

	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/device/cpu"
	"github.com/cria-llm/cria/internal/generate"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/tensor"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// Options say how a model is loaded. The zero value suits most.
type Options struct {
	// Context is the number of tokens that a prompt and its answer may have
	// together; 0 means as many as the model was trained for.
	Context int
	// ExtendContext allows a Context beyond what the model was trained for,
	// where answers get worse without a warning from the model.
	ExtendContext bool
	// CacheType is the element type of the cache of keys and values: "f16" (the
	// default), "f32", or "q8_0" at half of f16's memory.
	CacheType string
	// Threads is the number of cores to use; 0 means all that this process may
	// (affinity and the container's quota).
	Threads int
	// Tokenizer is a tokenizer file, or a model that has one, for models
	// without one of their own.
	Tokenizer string
	// ChatTemplate is the name of a known template that replaces the one in the
	// model's files; see ChatTemplates.
	ChatTemplate string
	// BreakTags makes chat put a zero-width space (U+200B) into the format's own
	// tags, such as "[INST]", where a message contains them. Without it such
	// messages are refused: the model could not tell them from real ones.
	BreakTags bool
	// Progress, if not nil, is called while weights are loaded.
	Progress func(done, total int)
}

// Model is a loaded model.
type Model struct {
	file     *modelfile.Model
	dev      *cpu.Device
	net      *llama.Model
	cache    tensor.DType
	streamed bool
	tok      *tokenizer.Tokenizer
	enc      *chat.Encoder // nil where there is no template
	encErr   error         // why not
	template string        // its name
}

// Load opens the model at path: a GGUF file (any part of a split one), a
// directory as Hugging Face or Meta publish them, or a llama2.c file. opt may
// be nil.
func Load(path string, opt *Options) (*Model, error) {
	return LoadContext(context.Background(), path, opt)
}

// LoadContext is Load that gives up when ctx is cancelled: a large model may
// take minutes to come from a disk.
func LoadContext(ctx context.Context, path string, opt *Options) (*Model, error) {
	var o Options
	if opt != nil {
		o = *opt
	}
	cache, err := generate.ParseCacheType(o.CacheType)
	if err != nil {
		return nil, err
	}
	m := &Model{cache: cache}
	if err := m.load(ctx, path, &o); err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

func (m *Model) load(ctx context.Context, path string, o *Options) (err error) {
	if m.file, err = modelfile.Open(path, modelfile.OpenOptions{Tokenizer: o.Tokenizer, Context: o.Context}); err != nil {
		return err
	}
	m.tok = m.file.Tokenizer
	if err := m.chooseTemplate(o); err != nil {
		return err
	}
	cfg := &m.file.Config
	if o.Context < 0 {
		return fmt.Errorf("cria: a context of %d tokens; it must be 0 (the model's own) or more", o.Context)
	}
	if most := cfg.MaxContext(); o.Context > most && !o.ExtendContext {
		return &ContextTooLongError{Asked: o.Context, Trained: most}
	}
	if m.cache == tensor.Q8_0 && cfg.HeadDim%32 != 0 {
		return fmt.Errorf("cria: %s: cache type q8_0 needs a head dimension that is a multiple of 32, this model's is %d; use f16 or f32", path, cfg.HeadDim)
	}
	m.streamed = cpu.MustStream(m.file.QuantBytes())
	if m.dev, err = cpu.New(cpu.Options{Workers: o.Threads, Stream: m.streamed}); err != nil {
		return err
	}
	m.net, err = llama.NewModel(m.dev, *cfg, m.file.Until(ctx), llama.Options{Context: o.Context}, o.Progress)
	return err
}

// chooseTemplate finds the chat template. One of the model's files that is not
// known, or needs tokens that the vocabulary lacks, is no error until somebody
// chats.
func (m *Model) chooseTemplate(o *Options) error {
	var t *chat.Template
	switch {
	case o.ChatTemplate != "":
		var err error
		if t, err = chat.Lookup(o.ChatTemplate); err != nil {
			return err
		}
	case m.file.Template == "":
		m.encErr = ErrNoTemplate
		return nil
	default:
		var err error
		if t, err = chat.Match(m.file.Template); err != nil {
			m.encErr = fmt.Errorf("%s: %w", m.file.TemplateFrom, err)
			return nil
		}
	}
	if m.tok == nil {
		m.encErr = ErrNoTokenizer
		return nil
	}
	policy := chat.RefuseTags
	if o.BreakTags {
		policy = chat.BreakTags
	}
	enc, err := chat.NewEncoder(t, m.tok, policy)
	switch {
	case err != nil && o.ChatTemplate != "":
		return err
	case err != nil:
		m.encErr = fmt.Errorf("%s: %w; name another template (Options.ChatTemplate, --chat=NAME), or --raw for none", m.file.TemplateFrom, err)
		return nil
	}
	m.enc, m.template = enc, t.Name()
	return nil
}

// Errors of models that lack something.
var (
	ErrNoTokenizer = errors.New("cria: the model has no tokenizer beside it; name one (Options.Tokenizer, --tokenizer)")
	ErrNoTemplate  = errors.New("cria: the model carries no chat template: it may be a base model, which continues text; name a template (Options.ChatTemplate, --chat=NAME) if you know which one it was trained with")
)

// ContextTooLongError says that a longer context was asked for than the model
// was trained for.
type ContextTooLongError struct{ Asked, Trained int }

func (e *ContextTooLongError) Error() string {
	return fmt.Sprintf("cria: a context of %d tokens, but the model was trained for %d; beyond that its answers get worse (Options.ExtendContext or --extend-context allow it)", e.Asked, e.Trained)
}

// Close frees the model's memory. Sessions must be closed before.
func (m *Model) Close() error {
	var errs []error
	if m.net != nil {
		errs = append(errs, m.net.Close())
	}
	if m.dev != nil {
		errs = append(errs, m.dev.Close())
	}
	if m.file != nil {
		errs = append(errs, m.file.Close())
	}
	m.net, m.dev, m.file = nil, nil, nil
	return errors.Join(errs...)
}

// Info is what a model is.
type Info struct {
	Name         string // as its files say; may be empty
	Format       string // "gguf", "hf", "meta", "llama2c"
	Parameters   int
	Layers       int
	VocabSize    int    // tokens that can be generated
	Context      int    // tokens of a prompt and its answer, as loaded
	ChatTemplate string // name of the template; empty where chat is not possible
	WeightBytes  int    // read for every generated token
	Device       string
	Streamed     bool // larger than memory: weights are read from the file for every token
}

// Info describes the model.
func (m *Model) Info() Info {
	return Info{Name: m.file.Name, Format: string(m.file.Format), Parameters: m.file.Config.Parameters(),
		Layers: m.file.Config.NLayers, VocabSize: m.vocab(), Context: m.net.Context, ChatTemplate: m.template,
		WeightBytes: m.net.WeightBytes(), Device: m.dev.Name(), Streamed: m.streamed}
}

// vocab is the number of ids that may be generated: rows of the embedding table
// beyond the tokenizer's ids may not, nor may the fillers that stand for such
// rows in a GGUF file.
func (m *Model) vocab() int {
	n := m.file.Config.VocabSize
	if m.tok == nil {
		return n
	}
	n = min(m.tok.VocabSize(), n)
	for n > 1 && m.tok.Piece(int32(n-1)).Kind == tokenizer.Unused {
		n--
	}
	return n
}

// ChatTemplates returns the names of the chat templates that Cria knows.
func ChatTemplates() []string { return chat.Names() }

// ChatError is nil where the model can chat, else why it cannot.
func (m *Model) ChatError() error { return m.encErr }

// Tokenize returns the ids of a text as a prompt of it would have them, with
// the begin token where the model's tokenizer asks for one. Text never becomes
// a control token.
func (m *Model) Tokenize(text string) ([]int32, error) {
	if m.tok == nil {
		return nil, ErrNoTokenizer
	}
	return m.tok.Encode(text, tokenizer.EncodeOptions{BOS: m.tok.AddBOS()}), nil
}

// CountTokens is the number of tokens of a text as a prompt.
func (m *Model) CountTokens(text string) (int, error) {
	ids, err := m.Tokenize(text)
	return len(ids), err
}

// Detokenize returns the text of ids.
func (m *Model) Detokenize(ids []int32) (string, error) {
	if m.tok == nil {
		return "", ErrNoTokenizer
	}
	return m.tok.Decode(ids)
}
