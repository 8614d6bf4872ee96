package chat

import (
	"fmt"
	"strings"
)

// Template is one known chat template.
type Template struct {
	name   string
	text   string   // as it is written into exported files
	others []string // other published texts that write the same
	format *format
	system *string // of dialogs that have none
}

// Name returns the name by which Lookup finds the template.
func (t *Template) Name() string { return t.name }

// Text returns the template in Hugging Face's template language, to be written
// into the files of a model.
func (t *Template) Text() string { return t.text }

// Names returns the names of all known templates.
func Names() []string {
	var names []string
	for _, t := range templates {
		names = append(names, t.name)
	}
	return names
}

// Lookup returns a template by its name.
func Lookup(name string) (*Template, error) {
	for _, t := range templates {
		if t.name == name {
			return t, nil
		}
	}
	return nil, fmt.Errorf("chat: there is no template %q; there are %s", name, strings.Join(Names(), ", "))
}

// maxTemplate is far above any published template.
const maxTemplate = 1 << 20

// UnknownTemplateError says that a model's template is not in the table.
type UnknownTemplateError struct{}

func (*UnknownTemplateError) Error() string {
	return fmt.Sprintf("chat: the model's chat template is not a known one (known: %s); name the one to use with --chat=NAME, or --raw for none", strings.Join(Names(), ", "))
}

// Check refuses a text that no template file should hold.
func Check(text string) error {
	if len(text) > maxTemplate {
		return fmt.Errorf("chat: the chat template has %d bytes: at most %d are allowed", len(text), maxTemplate)
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		return fmt.Errorf("chat: the chat template has a NUL at byte %d", i)
	}
	return nil
}

// Match finds the template whose text, apart from white space that does not
// matter, is the given one.
func Match(text string) (*Template, error) {
	if err := Check(text); err != nil {
		return nil, err
	}
	want := normalize(text)
	for _, t := range templates {
		for _, known := range append([]string{t.text}, t.others...) {
			if normalize(known) == want {
				return t, nil
			}
		}
	}
	return nil, &UnknownTemplateError{}
}
