// Package chat turns dialogs into token ids and loss masks. It is the only place
// that knows how a chat model's turns are written: training, evaluation and
// serving all use it, so that they cannot disagree.
//
// A chat template found in a model's files is a program in a template language.
// It is never run: [Match] looks its text up in a table of known ones.
package chat

import (
	"fmt"
	"strings"
)

// Role says who speaks.
type Role string

// The roles.
const (
	System    Role = "system"
	User      Role = "user"
	Assistant Role = "assistant"
)

// Message is one message of a dialog.
type Message struct {
	Role    Role   `json:"role"`
	Content string `json:"content"`
	// Loss says whether an answer is trained on; nil means yes. Only answers
	// ever are.
	Loss *bool `json:"loss,omitempty"`
}

// Dialog is an optional system message, then user and assistant in turns.
type Dialog []Message

// TagPolicy says what happens to a message that contains one of the format's own
// tags. They are ordinary text to the tokenizer, so that a model could not tell
// them from ours.
type TagPolicy int

const (
	// RefuseTags refuses the dialog with a TagError.
	RefuseTags TagPolicy = iota
	// BreakTags puts U+200B (zero width space) behind the tag's first character.
	BreakTags
)

// TagError says that a message contains a tag of the chat format.
type TagError struct {
	Index int // of the message in the dialog
	Role  Role
	Tag   string
}

func (e *TagError) Error() string {
	return fmt.Sprintf("chat: message %d (%s) contains %q, which is a tag of the chat format", e.Index, e.Role, e.Tag)
}

// OrderError says that a message does not stand where the format wants one: an
// optional system message, then user and assistant in turns.
type OrderError struct {
	Index int // of the first message that is out of place; the dialog's length if one is missing
	Msg   string
}

func (e *OrderError) Error() string { return fmt.Sprintf("chat: message %d: %s", e.Index, e.Msg) }

// checkOrder checks everything but how the dialog ends.
func (d Dialog) checkOrder() error {
	next := User
	for i, m := range d {
		switch {
		case m.Role == System && i == 0:
			continue
		case m.Role == System:
			return &OrderError{i, "a system message can only be the first"}
		case m.Role != User && m.Role != Assistant:
			return &OrderError{i, fmt.Sprintf("role %q: there are system, user and assistant", m.Role)}
		case m.Role != next:
			return &OrderError{i, fmt.Sprintf("role %s, but it is the turn of %s", m.Role, next)}
		case m.Role != Assistant && m.Loss != nil && *m.Loss:
			return &OrderError{i, fmt.Sprintf(`"loss": true on a message of role %s: only answers are trained on`, m.Role)}
		}
		if next = User; m.Role == User {
			next = Assistant
		}
	}
	return nil
}

// clean returns the dialog with tags treated as the policy says.
func (d Dialog) clean(tags []string, policy TagPolicy) (Dialog, error) {
	out := d
	for i, m := range d {
		for _, tag := range tags {
			if !strings.Contains(m.Content, tag) {
				continue
			}
			if policy == RefuseTags {
				return nil, &TagError{i, m.Role, tag}
			}
			if &out[0] == &d[0] {
				out = append(Dialog(nil), d...)
			}
			out[i].Content = strings.ReplaceAll(out[i].Content, tag, tag[:1]+"\u200B"+tag[1:])
		}
	}
	return out, nil
}

// Strip removes white space at both ends as Python's str.strip does, which
// Meta's reference code uses: Unicode's, and the separators U+001C to U+001F.
func Strip(s string) string { return strings.TrimFunc(s, isPythonSpace) }
