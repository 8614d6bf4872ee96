// Package chat turns dialogs into token ids and loss masks. It is the only place
// that knows how a chat model's turns are written: training, evaluation and
// serving all use it, so that they cannot disagree.
//
// A chat template found in a model's files is a program in a template language.
// It is never run: [Match] looks its text up in a table of known ones.
package chat

import "fmt"

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
	// can be.
	Loss *bool `json:"loss,omitempty"`
}

// Dialog is an optional system message, then user and assistant in turns.
type Dialog []Message

// TagPolicy says what happens to a message that contains one of the template's
// own tags, which would read as a change of speaker.
type TagPolicy int

const (
	// RefuseTags refuses the dialog with a TagError.
	RefuseTags TagPolicy = iota
	// BreakTags puts U+200B (zero width space) behind the tag's first character.
	BreakTags
)

// TagError says that a message contains a tag of the template.
type TagError struct {
	Index int // of the message in the dialog
	Role  Role
	Tag   string
}

func (e *TagError) Error() string {
	return fmt.Sprintf("chat: message %d (%s) contains %q, which is a tag of the chat format", e.Index, e.Role, e.Tag)
}

// OrderError says that a dialog's messages are not in an order the template knows.
type OrderError struct {
	Index int // of the first message that is out of place
	Msg   string
}

func (e *OrderError) Error() string { return fmt.Sprintf("chat: message %d: %s", e.Index, e.Msg) }
