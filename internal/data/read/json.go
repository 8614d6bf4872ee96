package read

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/data/doc"
)

// jsonLines reads files with one JSON object a line.
type jsonLines struct {
	*base
	pieces *ranged
}

func newJSON(b *base, r io.Reader) (doc.Reader, error) {
	p, err := newRanged(b, r, "\n")
	if err != nil {
		b.Close()
		return nil, err
	}
	return &jsonLines{b, p}, nil
}

func (j *jsonLines) Next(d *doc.Document) error {
	for {
		p, err := j.pieces.next()
		if err == io.EOF {
			return err
		}
		if err != nil {
			return j.failed(j.pieces.at, err)
		}
		if p.long {
			if err := j.reject(p.start, "too_long", fmt.Sprintf("a line of more than %d bytes (limits.record)", j.config.Limits.Record)); err != nil {
				return err
			}
			continue
		}
		line := bytes.TrimSpace(p.data)
		if p.start == 0 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf"))
		}
		if len(line) == 0 {
			continue
		}
		ok, err := j.record(d, line, p.start)
		if err != nil || ok {
			return err
		}
	}
}

// record makes a document of one line; false if it was rejected.
func (j *jsonLines) record(d *doc.Document, line []byte, at int64) (bool, error) {
	object, err := parseObject(line)
	if err != nil {
		problem := "no JSON object: " + err.Error()
		if line[0] == '[' {
			problem += "; a JSON list is no JSON lines: write each element into a line of its own"
		}
		return false, j.reject(at, "json", problem)
	}
	if !utf8.Valid(line) {
		j.st.Add("read.invalid_utf8", 1) // its bad bytes have become U+FFFD
	}
	c := j.config
	text, state := field(object, c.Text)
	switch state {
	case missing:
		return false, j.reject(at, "no_text", fmt.Sprintf("no field %q", c.Text))
	case notText:
		return false, j.reject(at, "text_type", fmt.Sprintf("field %q is no string", c.Text))
	}
	if strings.TrimSpace(text) == "" {
		j.st.Add("read.empty", 1)
		return false, nil
	}
	id := fmt.Sprint(at)
	if c.ID != "" {
		if id, state = field(object, c.ID); state == missing || id == "" {
			return false, j.reject(at, "no_id", fmt.Sprintf("no field %q", c.ID))
		}
	}
	link := ""
	if c.URL != "" {
		if link, state = field(object, c.URL); state == notText {
			link = ""
		}
	}
	var meta map[string]string
	for _, name := range c.Fields {
		if v, state := field(object, name); state != missing {
			if meta == nil {
				meta = map[string]string{}
			}
			meta[name] = v
		}
	}
	j.fill(d, text, id, link, meta)
	return true, nil
}

// What field found.
type fieldState uint8

const (
	isText fieldState = iota
	missing
	notText // the value is returned as JSON
)

// field finds a value by its name, or by a path with dots.
func field(object map[string]json.RawMessage, name string) (string, fieldState) {
	raw, ok := object[name]
	for !ok {
		head, rest, found := strings.Cut(name, ".")
		inner, have := object[head]
		if !found || !have {
			return "", missing
		}
		object = nil
		if json.Unmarshal(inner, &object) != nil {
			return "", missing
		}
		name = rest
		raw, ok = object[name]
	}
	if string(raw) == "null" {
		return "", missing
	}
	s, ok := parseString(raw)
	if !ok {
		return string(raw), notText
	}
	return s, isText
}
