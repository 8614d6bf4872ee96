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
	"github.com/cria-llm/cria/internal/embedded"
	"github.com/cria-llm/cria/internal/engine"
	"github.com/cria-llm/cria/internal/generate"
	"github.com/cria-llm/cria/internal/modelfile"
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
	on       *engine.Model // file, device, network; nil after Close
	tok      *tokenizer.Tokenizer
	enc      *chat.Encoder // nil where there is no template
	encErr   error         // why not
	template string        // its name
}

// Load opens the model at path: a GGUF file (any part of a split one), a
// directory as Hugging Face or Meta publish them, or a llama2.c file. An empty
// path is the small model that is inside of the program. opt may be nil.
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
	file, err := embedded.Open(path, modelfile.OpenOptions{Tokenizer: o.Tokenizer, Context: o.Context})
	if err != nil {
		return nil, err
	}
	m := &Model{tok: file.Tokenizer}
	if err := m.chooseTemplate(file, &o); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	m.on, err = engine.Load(ctx, file, engine.Options{Context: o.Context, ExtendContext: o.ExtendContext, Cache: cache, Threads: o.Threads, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	return m, nil
}

// chooseTemplate finds the chat template. One of the model's files that is not
// known, or needs tokens that the vocabulary lacks, is no error until somebody
// chats.
func (m *Model) chooseTemplate(file *modelfile.Model, o *Options) error {
	var t *chat.Template
	switch {
	case o.ChatTemplate != "":
		var err error
		if t, err = chat.Lookup(o.ChatTemplate); err != nil {
			return err
		}
	case file.Template == "":
		m.encErr = ErrNoTemplate
		return nil
	default:
		var err error
		if t, err = chat.Match(file.Template); err != nil {
			m.encErr = fmt.Errorf("%s: %w", file.TemplateFrom, err)
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
		m.encErr = fmt.Errorf("%s: %w; name another template (Options.ChatTemplate, --chat=NAME), or --raw for none", file.TemplateFrom, err)
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
type ContextTooLongError = engine.ContextTooLongError

// Close frees the model's memory. Sessions must be closed before.
func (m *Model) Close() error {
	if m.on == nil {
		return nil
	}
	on := m.on
	m.on = nil
	return on.Close()
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
	return Info{Name: m.on.File.Name, Format: string(m.on.File.Format), Parameters: m.on.File.Config.Parameters(),
		Layers: m.on.File.Config.NLayers, VocabSize: m.vocab(), Context: m.on.Net.Context, ChatTemplate: m.template,
		WeightBytes: m.on.Net.WeightBytes(), Device: m.on.Dev.Name(), Streamed: m.on.Streamed}
}

// vocab is the number of ids that may be generated: rows of the embedding table
// beyond the tokenizer's ids may not, nor may the fillers that stand for such
// rows in a GGUF file.
func (m *Model) vocab() int {
	n := m.on.File.Config.VocabSize
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
