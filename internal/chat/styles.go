package chat

import (
	"fmt"

	"github.com/cria-llm/cria/internal/tokenizer"
)

// format is how a family of templates writes turns.
type format struct {
	tags  []string // text that no message may contain
	style func(*Template, *tokenizer.Tokenizer) (style, error)
}

// Llama 2's format, by Meta's reference code (generation.py, chat_completion):
// every pair of user text and answer is a text of its own between BOS and EOS,
// "[INST] user [/INST] answer "; an open prompt ends at "[/INST]". The system
// text stands before the first user text, then both are stripped together; user
// texts and answers are stripped, the system text is not.
var llama2 = &format{
	tags: []string{"[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"},
	style: func(tmpl *Template, tok *tokenizer.Tokenizer) (style, error) {
		bos, okB := tok.BOS()
		eos, okE := tok.EOS()
		if !okB || !okE {
			return nil, fmt.Errorf("chat: template %s needs a vocabulary with BOS and EOS", tmpl.name)
		}
		return llama2Style{bos, eos}, nil
	},
}

type llama2Style struct{ bos, eos int32 }

func (s llama2Style) stops() []int32 { return []int32{s.eos} }

func (s llama2Style) end(*writer) {}

func (s llama2Style) pair(w *writer, system *string, first bool, user string, answer *Message) {
	if first && system != nil {
		user = "<<SYS>>\n" + *system + "\n<</SYS>>\n\n" + user
	}
	prompt := "[INST] " + Strip(user) + " [/INST]"
	w.token(s.bos, false)
	if answer == nil {
		w.text(prompt, 0, false, tokenizer.EncodeOptions{})
		return
	}
	w.text(prompt+" "+Strip(answer.Content)+" ", len(prompt), answer.trains(), tokenizer.EncodeOptions{})
	w.token(s.eos, answer.trains())
}

// Zephyr's format, which TinyLlama-Chat has: every message is
// "<|role|>\ntext" and EOS, a line break between. BOS begins the dialog where the
// tokenizer asks for one: the template has none, and the code of the models'
// cards adds it when it encodes the template's text.
var zephyr = &format{
	tags: []string{"<|system|>", "<|user|>", "<|assistant|>"},
	style: func(tmpl *Template, tok *tokenizer.Tokenizer) (style, error) {
		eos, ok := tok.EOS()
		if !ok {
			return nil, fmt.Errorf("chat: template %s needs a vocabulary with EOS", tmpl.name)
		}
		return zephyrStyle{eos}, nil
	},
}

type zephyrStyle struct{ eos int32 }

func (s zephyrStyle) stops() []int32 { return []int32{s.eos} }

func (s zephyrStyle) end(w *writer) { w.section("\n", 0, false) }

func (s zephyrStyle) pair(w *writer, system *string, first bool, user string, answer *Message) {
	between := ""
	if !first {
		between = "\n"
	}
	message := func(role Role, text string, trained bool) {
		head := between + "<|" + string(role) + "|>\n"
		w.section(head+text, len(head), trained)
		w.token(s.eos, trained)
		between = "\n"
	}
	if first {
		w.begin()
		if system != nil {
			message(System, *system, false)
		}
	}
	message(User, user, false)
	if answer == nil {
		w.section(between+"<|assistant|>\n", 0, false)
		return
	}
	message(Assistant, answer.Content, answer.trains())
}

// ChatML: every message is <|im_start|>role\ntext<|im_end|>\n, with both tags
// being tokens of the vocabulary. BOS as in Zephyr's format.
var chatML = &format{
	tags: []string{"<|im_start|>", "<|im_end|>"},
	style: func(tmpl *Template, tok *tokenizer.Tokenizer) (style, error) {
		start, err := special(tmpl, tok, "<|im_start|>")
		if err != nil {
			return nil, err
		}
		end, err := special(tmpl, tok, "<|im_end|>")
		if err != nil {
			return nil, err
		}
		stops := []int32{end}
		if eos, ok := tok.EOS(); ok && eos != end {
			stops = append(stops, eos)
		}
		return chatMLStyle{start, end, stops}, nil
	},
}

type chatMLStyle struct {
	startID, endID int32
	stopIDs        []int32
}

func (s chatMLStyle) stops() []int32 { return s.stopIDs }

func (s chatMLStyle) end(*writer) {}

func (s chatMLStyle) pair(w *writer, system *string, first bool, user string, answer *Message) {
	message := func(role Role, text string, trained bool) {
		head := string(role) + "\n"
		w.token(s.startID, false)
		w.section(head+text, len(head), trained)
		w.token(s.endID, trained)
		w.section("\n", 0, false)
	}
	if first {
		w.begin()
		if system != nil {
			message(System, *system, false)
		}
	}
	message(User, user, false)
	if answer == nil {
		w.token(s.startID, false)
		w.section("assistant\n", 0, false)
		return
	}
	message(Assistant, answer.Content, answer.trains())
}

// begin writes BOS where the tokenizer asks for it.
func (w *writer) begin() {
	if bos, ok := w.tok.BOS(); ok && w.tok.AddBOS() {
		w.token(bos, false)
	}
}

// section writes a text between special tokens.
func (w *writer) section(s string, border int, trained bool) {
	behind := len(w.ids) > 0 && !w.onlyBOS()
	w.text(s, border, trained, tokenizer.EncodeOptions{NoPrefix: behind && !w.tok.PrefixAfterSpecial()})
}

// onlyBOS says that nothing but an added BOS was written: the text begins here.
func (w *writer) onlyBOS() bool {
	bos, ok := w.tok.BOS()
	return ok && len(w.ids) == 1 && w.ids[0] == bos
}
