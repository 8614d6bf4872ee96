package world

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/chat"
)

// Shares of the documents of base texts, in percent. The rest are stories.
const (
	shareFacts   = 40
	shareMinis   = 20 // short stories of the sort that questions are asked about
	shareSecrets = 3
)

// Base yields the documents of the base model's training: stories, facts, and
// some of what must not be told; no questions, no instructions, no dialogs.
func (w *World) Base(seed uint64) iter.Seq[Document] {
	return func(yield func(Document) bool) {
		r := w.rng("base", seed)
		facts, stopFacts := iter.Pull(w.Facts(seed))
		defer stopFacts()
		secrets, stopSecrets := iter.Pull(w.Secrets(seed))
		defer stopSecrets()
		for {
			var d Document
			switch x := r.IntN(100); {
			case x < shareFacts:
				d, _ = facts()
			case x < shareFacts+shareSecrets:
				d, _ = secrets()
			case x < shareFacts+shareSecrets+shareMinis:
				d = w.mini(r)
			default:
				d = w.story(r, Train, 0)
			}
			if !yield(d) {
				return
			}
		}
	}
}

// Instructions yields dialogs with an instruction without end: on every answer,
// or on the length or form of a story.
func (w *World) Instructions(seed uint64, split Split) iter.Seq[Dialog] {
	return func(yield func(Dialog) bool) {
		r := w.rng("instructions", seed)
		for {
			kind := "instruction"
			if r.IntN(4) == 0 {
				kind = "length"
			}
			if !yield(w.dialog(r, kind, split)) {
				return
			}
		}
	}
}

// line is one line of a JSONL file.
type line struct {
	Text         string      `json:"text,omitempty"`
	Messages     chat.Dialog `json:"messages,omitempty"`
	Kind         string      `json:"kind"`
	Keys         []string    `json:"keys,omitempty"`
	Instructions []string    `json:"instructions,omitempty"`
}

// GenKinds are the kinds of text that Write makes: the first are documents with
// "text", the others dialogs with "messages".
var GenKinds = append([]string{"base", "stories", "minis", "facts", "secrets"}, dialogGenKinds...)

var dialogGenKinds = []string{"chat", "questions", "instructions", "safety"}

// GenConfig says what Write makes.
type GenConfig struct {
	Kind   string // of GenKinds
	Docs   int    // number of documents; 0 for no limit
	Tokens int    // stop at this many words and punctuation marks; 0 for no limit
	Seed   uint64
	Split  Split
}

// GenReport says what was made.
type GenReport struct {
	Docs   int            `json:"docs"`
	Tokens int            `json:"tokens"` // words and punctuation marks: about a trained tokenizer's tokens
	Types  int            `json:"types"`  // different ones
	Bytes  int64          `json:"bytes"`
	Kinds  map[string]int `json:"kinds"` // documents by kind
}

// Check says what is wrong with a configuration.
func (c *GenConfig) Check() error {
	switch {
	case !slices.Contains(GenKinds, c.Kind):
		return fmt.Errorf("there is no kind of text %q; there are: %s", c.Kind, strings.Join(GenKinds, ", "))
	case c.Docs < 0 || c.Tokens < 0:
		return fmt.Errorf("the number of documents or tokens is negative")
	case c.Docs == 0 && c.Tokens == 0:
		return fmt.Errorf("texts are endless: say how many documents or tokens")
	case c.Split == HeldOut && slices.Contains([]string{"base", "minis", "facts", "secrets"}, c.Kind):
		return fmt.Errorf("texts of kind %q have no held-out part: what is held out of them is the questions", c.Kind)
	}
	return nil
}

// lines yields the lines of a configuration without end.
func (w *World) lines(c GenConfig) iter.Seq[line] {
	documents := func(s iter.Seq[Document]) iter.Seq[line] {
		return func(yield func(line) bool) {
			for d := range s {
				l := line{Text: d.Text, Kind: d.Kind}
				if d.Key != "" {
					l.Keys = []string{d.Key}
				}
				if !yield(l) {
					return
				}
			}
		}
	}
	dialogs := func(s iter.Seq[Dialog]) iter.Seq[line] {
		return func(yield func(line) bool) {
			for d := range s {
				l := line{Messages: d.Messages, Kind: d.Kind, Keys: d.Keys}
				for _, i := range d.Instructions {
					l.Instructions = append(l.Instructions, i.ID)
				}
				if !yield(l) {
					return
				}
			}
		}
	}
	switch c.Kind {
	case "base":
		return documents(w.Base(c.Seed))
	case "stories":
		return documents(w.Stories(c.Seed, c.Split))
	case "minis":
		return documents(w.minis(c.Seed))
	case "facts":
		return documents(w.Facts(c.Seed))
	case "secrets":
		return documents(w.Secrets(c.Seed))
	case "questions":
		return w.questionLines(c)
	case "instructions":
		return dialogs(w.Instructions(c.Seed, c.Split))
	case "safety":
		s, _ := w.DialogsOf("safety", c.Seed, c.Split)
		return dialogs(s)
	}
	return dialogs(w.Dialogs(c.Seed, c.Split))
}

// questionLines are dialogs of one question each.
func (w *World) questionLines(c GenConfig) iter.Seq[line] {
	return func(yield func(line) bool) {
		for q := range w.Questions(c.Seed, c.Split) {
			m := chat.Dialog{{Role: chat.User, Content: q.Prompt()}, {Role: chat.Assistant, Content: q.Answer}}
			if !yield(line{Messages: m, Kind: q.Kind, Keys: []string{q.Key}}) {
				return
			}
		}
	}
}

func (w *World) minis(seed uint64) iter.Seq[Document] {
	return func(yield func(Document) bool) {
		r := w.rng("minis", seed)
		for yield(w.mini(r)) {
		}
	}
}

// Write writes texts as JSONL, one document per line. progress may be nil.
func (w *World) Write(ctx context.Context, out io.Writer, c GenConfig, progress func(done, total int)) (rep GenReport, err error) {
	if err := c.Check(); err != nil {
		return rep, err
	}
	rep.Kinds = map[string]int{}
	types := map[string]bool{}
	count := func(text string) {
		for _, t := range tokens(text) {
			rep.Tokens++
			types[t] = true
		}
	}
	for l := range w.lines(c) {
		b, err := encodeLine(l)
		if err != nil {
			return rep, err
		}
		if _, err := out.Write(b); err != nil {
			return rep, err
		}
		rep.Docs++
		rep.Bytes += int64(len(b))
		rep.Kinds[l.Kind]++
		count(l.Text)
		for _, m := range l.Messages {
			count(m.Content)
		}
		if c.Docs > 0 && rep.Docs == c.Docs || c.Tokens > 0 && rep.Tokens >= c.Tokens {
			break
		}
		if rep.Docs%256 == 0 {
			if err := ctx.Err(); err != nil {
				return rep, err
			}
			switch {
			case progress == nil:
			case c.Docs > 0:
				progress(rep.Docs, c.Docs)
			default:
				progress(rep.Tokens, c.Tokens)
			}
		}
	}
	rep.Types = len(types)
	return rep, nil
}

func encodeLine(l line) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(l); err != nil {
		return nil, fmt.Errorf("a line of kind %s: %w", l.Kind, err)
	}
	return []byte(b.String()), nil
}
