package cria

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/generate"
)

// Params say how tokens are chosen. Its steps run in this order: logit bias,
// penalties, temperature, top-k, typical, top-p, min-p.
type Params struct {
	MaxTokens   int     // most tokens to generate; 0: until the context is full
	Temperature float32 // 0: always the most probable token
	TopK        int     // keep the K most probable; 0: all
	TopP        float32 // keep the smallest set with this much probability; 1: all
	MinP        float32 // keep what has at least this share of the most probable one's probability; 0: all
	Typical     float32 // locally typical sampling (arXiv 2202.00666); 1: off

	RepeatPenalty    float32 // divides positive and multiplies negative logits of recent tokens (arXiv 1909.05858); 1: off
	PresencePenalty  float32 // subtracted once from recent tokens' logits; 0: off
	FrequencyPenalty float32 // subtracted per recent occurrence; 0: off
	RepeatLastN      int     // how many recent tokens the penalties see; -1: all

	LogitBias map[int32]float32 // added to logits; -Inf forbids a token
	Seed      uint64            // same seed, same text
	LogProbs  int               // how many alternatives to report with each token; -1: no log-probabilities

	Stop    []string // texts that end generation, not part of the output
	StopIDs []int32  // tokens that end generation beside the model's own
}

// DefaultParams are a moderate temperature and cuts; set Temperature to 0 for
// the most probable text.
func DefaultParams() Params { return Params(generate.DefaultParams()) }

// Token is one generated token. Text is what it adds to the answer: whole UTF-8
// characters only, so it may be empty while one is unfinished.
type Token struct {
	ID      int32
	Text    string
	End     bool     // an end token: not part of the text
	LogProb float64  // only with Params.LogProbs >= 0
	Top     []Choice // the most probable alternatives
}

// Choice is a token and the logarithm of its probability under the model.
type Choice struct {
	ID      int32
	LogProb float64
}

// FinishReason says why a generation ended: Stop (an end token or a stop text),
// Length (Params.MaxTokens or the context), or Cancelled (the context or the
// reader of the stream). It is empty where an error ended it.
type FinishReason string

// The reasons.
const (
	Stop      FinishReason = "stop"
	Length    FinishReason = "length"
	Cancelled FinishReason = "cancelled"
)

// Result sums a generation up.
type Result struct {
	Finish           FinishReason
	PromptTokens     int
	CachedTokens     int // of the prompt, found in the session's cache
	CompletionTokens int // the end token included
	PromptTime       time.Duration
	DecodeTime       time.Duration
}

// Generation is an answer on its way. Read it once, by Tokens or Text; until
// then nothing is computed.
type Generation struct {
	ctx     context.Context
	session *Session
	prompt  []int32
	params  Params
	start   bool // the answer begins a text of its own
	onText  func(string)
	onEnd   func(Result) error // of a conversation
	err     error              // known before it began, or what ended it
	result  Result
	read    bool

	// Progress, if set before reading, is called while the prompt is computed.
	Progress func(done, total int)
}

// Tokens computes the answer and yields its tokens as they come. An error ends
// the stream; after a cancelled context it is the context's. Stop reading and
// the generation stops.
func (g *Generation) Tokens() iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		if g.read {
			yield(Token{}, errors.New("cria: a generation can be read once"))
			return
		}
		g.read = true
		if g.err != nil {
			yield(Token{}, g.err)
			return
		}
		stopped := false
		g.err = g.run(func(t Token) bool {
			stopped = !yield(t, nil)
			return !stopped
		})
		if g.err != nil && !stopped {
			yield(Token{}, g.err)
		}
	}
}

// Text computes the answer and returns all of it; with an error, what there was
// before it.
func (g *Generation) Text() (string, error) {
	var b strings.Builder
	for t, err := range g.Tokens() {
		if err != nil {
			return b.String(), err
		}
		b.WriteString(t.Text)
	}
	return b.String(), nil
}

// Err returns what went wrong, for readers who stopped before the end: an error
// after that no longer comes with a token.
func (g *Generation) Err() error { return g.err }

// Result is valid after the generation was read.
func (g *Generation) Result() Result { return g.result }

func (g *Generation) run(yield func(Token) bool) (err error) {
	m, s := g.session.m, g.session.s
	if s == nil { // a session of its own
		if s, err = generate.NewSession(m.on.Net, m.on.Cache); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, s.Close()) }()
	}
	p := generate.Params(g.params)
	for _, id := range m.on.File.StopIDs {
		if !slices.Contains(p.StopIDs, id) {
			p.StopIDs = append(slices.Clip(p.StopIDs), id)
		}
	}
	r := generate.Request{Prompt: g.prompt, Params: p, Vocab: m.vocab(), Progress: g.Progress}
	if m.tok != nil {
		r.Decoder = m.tok.NewDecoder(g.start)
	}
	res, err := s.Generate(g.ctx, r, func(t generate.Token) bool {
		if g.onText != nil {
			g.onText(t.Text)
		}
		out := Token{ID: t.ID, Text: t.Text, End: t.End, LogProb: t.LogProb}
		for _, c := range t.Top {
			out.Top = append(out.Top, Choice(c))
		}
		return yield(out)
	})
	g.result = Result{Finish: FinishReason(res.Finish), PromptTokens: res.PromptTokens, CachedTokens: res.CachedTokens,
		CompletionTokens: res.CompletionTokens, PromptTime: res.PromptTime, DecodeTime: res.DecodeTime}
	if g.result.Finish == "" && (err == nil || g.ctx.Err() != nil) {
		g.result.Finish = Cancelled
	}
	if g.onEnd != nil {
		err = errors.Join(err, g.onEnd(g.result))
	}
	return err
}

// Session is one sequence with its cache.
type Session struct {
	m *Model
	s *generate.Session // nil: every generation makes one and closes it
}

// NewSession makes a session with room for the model's context. Its cache takes
// memory as it fills.
func (m *Model) NewSession() (*Session, error) {
	s, err := generate.NewSession(m.on.Net, m.on.Cache)
	if err != nil {
		return nil, err
	}
	return &Session{m, s}, nil
}

// Close frees the session's cache.
func (s *Session) Close() error { return s.s.Close() }

// Generate continues a text.
func (s *Session) Generate(ctx context.Context, prompt string, p Params) *Generation {
	g := &Generation{ctx: ctx, session: s, params: p, start: prompt == ""}
	g.prompt, g.err = s.m.Tokenize(prompt)
	return g
}

// GenerateIDs continues a sequence of ids, which needs no tokenizer. Nothing is
// put in front of them.
func (s *Session) GenerateIDs(ctx context.Context, ids []int32, p Params) *Generation {
	return &Generation{ctx: ctx, session: s, params: p, prompt: ids}
}

// Message is one message of a dialog. Role is "system", "user" or "assistant".
type Message struct{ Role, Content string }

// Chat answers the last message of a dialog: an optional system message, then
// user and assistant in turns, a user's message last.
func (s *Session) Chat(ctx context.Context, dialog []Message, p Params) *Generation {
	g := s.answer(ctx, p)
	if g.err != nil {
		return g
	}
	d := make(chat.Dialog, len(dialog))
	for i, msg := range dialog {
		d[i] = chat.Message{Role: chat.Role(msg.Role), Content: msg.Content}
	}
	g.prompt, g.err = s.m.enc.Prompt(d)
	return g
}

// answer prepares a generation by the model's chat template.
func (s *Session) answer(ctx context.Context, p Params) *Generation {
	g := &Generation{ctx: ctx, session: s, params: p, start: true, err: s.m.encErr}
	if g.err == nil {
		g.params.StopIDs = append(slices.Clip(p.StopIDs), s.m.enc.StopIDs()...)
	}
	return g
}

// Generate continues a text in a session of its own.
func (m *Model) Generate(ctx context.Context, prompt string, p Params) *Generation {
	return (&Session{m: m}).Generate(ctx, prompt, p)
}

// Chat answers the last message of a dialog in a session of its own.
func (m *Model) Chat(ctx context.Context, dialog []Message, p Params) *Generation {
	return (&Session{m: m}).Chat(ctx, dialog, p)
}

// Conversation is a dialog that grows in a session.
type Conversation struct {
	s *Session
	c *chat.Conversation
}

// NewConversation begins a dialog; an empty system message is none.
func (s *Session) NewConversation(system string) (*Conversation, error) {
	if s.m.encErr != nil {
		return nil, s.m.encErr
	}
	var sys *string
	if system != "" {
		sys = &system
	}
	c, err := s.m.enc.NewConversation(sys)
	if err != nil {
		return nil, err
	}
	return &Conversation{s, c}, nil
}

// Ask answers a message and, when the answer has ended in whatever way, keeps
// both. A generation that is never read leaves the dialog as it was.
func (c *Conversation) Ask(ctx context.Context, message string, p Params) *Generation {
	g := c.s.answer(ctx, p)
	if g.err != nil {
		return g
	}
	if g.prompt, g.err = c.c.Prompt(message); g.err != nil {
		return g
	}
	var said strings.Builder
	g.onText = func(t string) { said.WriteString(t) }
	g.onEnd = func(r Result) error {
		if r.CompletionTokens == 0 {
			return nil
		}
		return c.c.Add(message, said.String())
	}
	return g
}

// Messages returns the dialog so far.
func (c *Conversation) Messages() []Message {
	var out []Message
	for _, m := range c.c.Dialog() {
		out = append(out, Message{string(m.Role), m.Content})
	}
	return out
}
