package chat

import (
	"fmt"
	"slices"
	"unicode"

	"github.com/cria-llm/cria/internal/tokenizer"
)

// Encoder writes dialogs in one template with one tokenizer. It may be used by
// any number of goroutines.
type Encoder struct {
	tmpl   *Template
	tok    *tokenizer.Tokenizer
	policy TagPolicy
	style  style
}

// style writes dialogs pair by pair: a later pair never changes what was written
// for those before.
type style interface {
	// pair writes a user message and its answer; without one the prompt for it.
	// The first pair of a dialog carries the system text, if there is one.
	pair(w *writer, system *string, first bool, user string, answer *Message)
	// end writes what follows the last answer of a complete dialog.
	end(w *writer)
	// stops are the ids that end an answer.
	stops() []int32
}

// NewEncoder joins a template with the tokenizer of a model. It fails where the
// vocabulary lacks a token that the template needs.
func NewEncoder(tmpl *Template, tok *tokenizer.Tokenizer, policy TagPolicy) (*Encoder, error) {
	s, err := tmpl.format.style(tmpl, tok)
	if err != nil {
		return nil, err
	}
	return &Encoder{tmpl, tok, policy, s}, nil
}

// Template returns the encoder's template.
func (e *Encoder) Template() *Template { return e.tmpl }

// Prompt returns the ids of a dialog whose last message is the user's, up to
// where the answer begins.
func (e *Encoder) Prompt(d Dialog) ([]int32, error) {
	if err := d.checkOrder(); err != nil {
		return nil, err
	}
	if n := len(d); n == 0 || d[n-1].Role != User {
		return nil, &OrderError{n, "a message of role user is missing: a prompt ends with one"}
	}
	w, err := e.encode(d)
	return w.ids, err
}

// Train returns the ids of a complete dialog, whose last message is an answer,
// and for each id whether it is trained on: the answers' tokens and the token
// that ends each, but for messages with "loss": false.
func (e *Encoder) Train(d Dialog) (ids []int32, mask []bool, err error) {
	if err := d.checkOrder(); err != nil {
		return nil, nil, err
	}
	if n := len(d); n == 0 || d[n-1].Role != Assistant {
		return nil, nil, &OrderError{n, "a message of role assistant is missing: a dialog to train on ends with an answer"}
	}
	w, err := e.encode(d)
	if err != nil {
		return nil, nil, err
	}
	e.style.end(&w)
	return w.ids, w.mask, nil
}

// StopIDs are the ids that end an answer.
func (e *Encoder) StopIDs() []int32 { return slices.Clone(e.style.stops()) }

func (e *Encoder) encode(d Dialog) (writer, error) {
	w := writer{tok: e.tok}
	d, err := d.clean(e.tmpl.format.tags, e.policy)
	if err != nil {
		return w, err
	}
	system := e.tmpl.system
	if d[0].Role == System {
		system = &d[0].Content
		d = d[1:]
	}
	for i := 0; i < len(d); i += 2 {
		var answer *Message
		if i+1 < len(d) {
			answer = &d[i+1]
		}
		e.style.pair(&w, system, i == 0, d[i].Content, answer)
	}
	return w, nil
}

// Conversation encodes a dialog that grows, without encoding it anew each time.
// Its prompts are those of Encoder.Prompt, so that a cache of the last one's
// beginning can be used again.
type Conversation struct {
	e      *Encoder
	dialog Dialog
	done   writer // the complete pairs
}

// NewConversation begins a dialog; a nil system message is none.
func (e *Encoder) NewConversation(system *string) (*Conversation, error) {
	c := &Conversation{e: e, done: writer{tok: e.tok}}
	if system != nil {
		c.dialog = Dialog{{Role: System, Content: *system}}
		if _, err := c.dialog.clean(e.tmpl.format.tags, e.policy); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Dialog returns the messages so far.
func (c *Conversation) Dialog() Dialog { return slices.Clone(c.dialog) }

// Prompt returns the ids of the dialog so far followed by a user message, which
// it does not keep.
func (c *Conversation) Prompt(user string) ([]int32, error) {
	w, err := c.next(user, nil)
	return w.ids, err
}

// Add keeps a user message and its answer.
func (c *Conversation) Add(user, answer string) error {
	w, err := c.next(user, &Message{Role: Assistant, Content: answer})
	if err != nil {
		return err
	}
	c.done = w
	c.dialog = append(c.dialog, Message{Role: User, Content: user}, Message{Role: Assistant, Content: answer})
	return nil
}

// next writes one more pair behind the complete ones.
func (c *Conversation) next(user string, answer *Message) (writer, error) {
	d := append(slices.Clip(c.dialog), Message{Role: User, Content: user})
	if answer != nil {
		d = append(d, *answer)
	}
	w := writer{tok: c.done.tok, ids: slices.Clip(c.done.ids), mask: slices.Clip(c.done.mask)}
	d, err := d.clean(c.e.tmpl.format.tags, c.e.policy)
	if err != nil {
		return w, err
	}
	system := c.e.tmpl.system
	first := len(c.done.ids) == 0
	if d[0].Role == System {
		system = &d[0].Content
	}
	last := d[len(d)-1]
	if answer == nil {
		c.e.style.pair(&w, system, first, last.Content, nil)
	} else {
		c.e.style.pair(&w, system, first, d[len(d)-2].Content, &last)
	}
	return w, nil
}

// writer collects ids and which of them are trained on.
type writer struct {
	tok  *tokenizer.Tokenizer
	ids  []int32
	mask []bool
}

// token writes one id.
func (w *writer) token(id int32, trained bool) {
	w.ids = append(w.ids, id)
	w.mask = append(w.mask, trained)
}

// text writes a text, encoded as a whole: parts encoded one by one would give
// other ids. What begins at byte border is trained on. Where that is, is found
// on the ids: those that the text before it has by itself come first. (Should a
// token reach across the border, which no piece of Llama's does, training
// begins with the first id that differs.)
func (w *writer) text(s string, border int, trained bool, opt tokenizer.EncodeOptions) {
	n := len(w.ids)
	w.ids = w.tok.Append(w.ids, s, opt)
	ids := w.ids[n:]
	prompt := len(ids)
	if trained {
		before := w.tok.Encode(s[:border], opt)
		prompt = 0
		for prompt < len(before) && prompt < len(ids) && before[prompt] == ids[prompt] {
			prompt++
		}
	}
	for i := range ids {
		w.mask = append(w.mask, i >= prompt)
	}
}

// trains says whether an answer is trained on.
func (m *Message) trains() bool { return m.Loss == nil || *m.Loss }

// special returns the id of a token that a template needs.
func special(tmpl *Template, tok *tokenizer.Tokenizer, text string) (int32, error) {
	if id, ok := tok.ID(text); ok && tok.Piece(id).Kind != tokenizer.Normal {
		return id, nil
	}
	return 0, fmt.Errorf("chat: template %s needs the token %s, which the vocabulary does not have", tmpl.name, text)
}

func isPythonSpace(r rune) bool { return unicode.IsSpace(r) || 0x1C <= r && r <= 0x1F }
