package modelfile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/cria-llm/cria/internal/chat"
	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/safetensors"
)

// shardName is how transformers names the files of a set.
var shardName = regexp.MustCompile(`-[0-9]{5}-of-[0-9]{5}\.safetensors$`)

// openHF opens a Hugging Face directory.
func openHF(m *Model, opt OpenOptions) error {
	dir, weights, err := hfDir(m.Path)
	if err != nil {
		return err
	}
	configPath := filepath.Join(dir, "config.json")
	config, err := needObject(configPath)
	if err != nil {
		return err
	}
	if m.Config, err = parseHFConfig(config); err != nil {
		return err
	}
	f, err := safetensors.Open(weights)
	if err != nil {
		return err
	}
	m.closers = append(m.closers, f.Close)
	m.Files = f.Files()
	m.Detail = fmt.Sprintf("Hugging Face, %s", counted(len(m.Files), "safetensors file"))
	c := collector{m: m, dialect: dialectHF, keys: hfKeys, file: weights}
	if err := c.collect(f.Tensors()); err != nil {
		return err
	}
	if config.has("auto_map") {
		m.note("config.json names code of its own (auto_map), which is not run: the model is read as transformers' LlamaForCausalLM")
	}
	if err := m.setTokenizer(opt, dir, configPath, hfKeys["VocabSize"]); err != nil {
		return err
	}
	if err := m.readTemplate(dir); err != nil {
		return err
	}
	if err := m.readEndIDs(dir, config); err != nil {
		return err
	}
	m.Name = hubName(dir)
	m.License = readLicense(dir)
	m.noteRope()
	return nil
}

// readTemplate reads the chat template of a Hugging Face directory: a file of its
// own goes before tokenizer_config.json, as in transformers.
func (m *Model) readTemplate(dir string) error {
	path := filepath.Join(dir, "chat_template.jinja")
	text, err := readFile(path, maxJSON)
	if err == nil {
		return m.setTemplate(string(text), path, "chat template", path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	path = filepath.Join(dir, "tokenizer_config.json")
	o, ok, err := readObject(path)
	if err != nil || !ok || !o.has("chat_template") {
		return err
	}
	if s, _, err := o.str("chat_template"); err == nil {
		return m.setTemplate(s, path, "chat_template", path+": chat_template")
	}
	type named struct{ Name, Template string }
	many, _, err := decode[[]named](o, "chat_template", "a template or a list of named ones")
	if err != nil {
		return err
	}
	var others []string
	for _, t := range many {
		if t.Name != "default" {
			others = append(others, t.Name)
			continue
		}
		if err := m.setTemplate(t.Template, path, "chat_template", path+": chat_template (default)"); err != nil {
			return err
		}
	}
	if others != nil {
		m.note("%s has further chat templates, which are not used: %s", path, list(others))
	}
	return nil
}

// setTemplate keeps a template's text, whatever it says, unless no template can
// look like that.
func (m *Model) setTemplate(text, file, field, from string) error {
	if err := chat.Check(text); err != nil {
		return ferr.New(ferr.Malformed, file, field, nil, "%s", strings.TrimPrefix(err.Error(), "chat: "))
	}
	if strings.TrimSpace(text) != "" {
		m.Template, m.TemplateFrom = text, from
	}
	return nil
}

// readEndIDs takes up the ids that end a text by generation_config.json or, where
// that says nothing, config.json.
func (m *Model) readEndIDs(dir string, config *jsonObject) error {
	o, ok, err := readObject(filepath.Join(dir, "generation_config.json"))
	if err != nil {
		return err
	}
	if !ok || !o.has("eos_token_id") {
		o = config
	}
	ids, err := o.ids("eos_token_id")
	if err != nil {
		return err
	}
	for _, id := range ids {
		if id < 0 || id >= m.Config.VocabSize {
			return o.malformed("eos_token_id", "ids are 0 to %d", m.Config.VocabSize-1)
		}
		m.addStop(int32(id))
	}
	return nil
}

// addStop adds an id that ends a text.
func (m *Model) addStop(id int32) {
	if !slices.Contains(m.StopIDs, id) {
		m.StopIDs = append(m.StopIDs, id)
	}
}

// readLicense finds what a directory says of its licence: the field of the model
// card's header, else the first line of a licence file.
func readLicense(dir string) string {
	if card, err := readFile(filepath.Join(dir, "README.md"), maxJSON); err == nil {
		if license := cardLicense(card); license != "" {
			return license
		}
	}
	for _, name := range []string{"LICENSE.txt", "LICENSE", "LICENSE.md"} {
		if text, err := readFile(filepath.Join(dir, name), maxJSON); err == nil {
			return firstLine(string(text))
		}
	}
	return ""
}

// firstLine returns a text's first line, cut and without what a terminal would
// obey: names and licences are printed.
func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	line = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, line[:min(len(line), 200)])
	return strings.TrimSpace(line)
}

// cardLicense reads "license:" out of the YAML between the first two lines of
// dashes; "other" stands for the text of license_name.
func cardLicense(card []byte) string {
	s := strings.ReplaceAll(string(card[:min(len(card), 1<<16)]), "\r\n", "\n")
	s, ok := strings.CutPrefix(s, "---\n")
	if !ok {
		return ""
	}
	header, _, ok := strings.Cut(s, "\n---")
	if !ok {
		return ""
	}
	fields := map[string]string{}
	for line := range strings.Lines(header) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			fields[key] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	if name := firstLine(fields["license_name"]); name != "" && (fields["license"] == "other" || fields["license"] == "") {
		return name
	}
	return firstLine(fields["license"])
}

// snapshotName is a commit, which names the directory of a model in the cache of
// Hugging Face's hub: models--ORG--NAME/snapshots/COMMIT.
var snapshotName = regexp.MustCompile(`^[0-9a-f]{40}$`)

// hubName is the name that a directory gives a model.
func hubName(dir string) string {
	name := baseName(dir)
	if !snapshotName.MatchString(name) {
		return name
	}
	repo := baseName(filepath.Join(dir, "..", ".."))
	if _, name, ok := strings.Cut(strings.TrimPrefix(repo, "models--"), "--"); ok {
		return name
	}
	return name
}

// baseName is the name that a path gives a model.
func baseName(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	base := filepath.Base(path)
	for _, ext := range []string{".gguf", ".bin"} {
		base = strings.TrimSuffix(base, ext)
	}
	return base
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
