package read

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/cria-llm/cria/internal/data/doc"
)

// text reads .txt files.
type text struct {
	*base
	pieces *ranged // lines, or what stands between separators
	regexp *regexp.Regexp
	first  []byte // the line that begins the next document (KeepMatch)
	start  int64  // where it begins
	ended  bool
}

func newText(b *base, r io.Reader) (doc.Reader, error) {
	t := &text{base: b}
	sep := "\n"
	switch b.config.Split {
	case "separator":
		sep = b.config.Separator
	case "regexp":
		t.regexp = regexp.MustCompile(b.config.Regexp)
	}
	var err error
	if t.pieces, err = newRanged(b, r, sep); err != nil {
		b.Close()
		return nil, err
	}
	if head, _ := t.pieces.r.Peek(2); b.unit.Start == 0 && (bytes.Equal(head, []byte("\xff\xfe")) || bytes.Equal(head, []byte("\xfe\xff"))) {
		b.Close()
		return nil, fmt.Errorf("%s: the text is UTF-16: convert it to UTF-8", b.unit.Path)
	}
	return t, nil
}

func (t *text) Next(d *doc.Document) error {
	for {
		body, start, err := t.document()
		if err != nil {
			return err
		}
		if body == nil {
			continue
		}
		if len(bytes.TrimSpace(body)) == 0 {
			if t.config.Split == "file" {
				t.st.Add("read.empty", 1)
			}
			continue
		}
		t.fill(d, string(body), fmt.Sprint(start), "", nil)
		return nil
	}
}

// document returns the next document and its place; nil for one that was
// rejected.
func (t *text) document() ([]byte, int64, error) {
	switch t.config.Split {
	case "file":
		return t.whole()
	case "line", "separator":
		p, err := t.pieces.next()
		if err != nil {
			return nil, 0, t.wrap(err)
		}
		if p.long {
			return nil, 0, t.tooLong(p.start)
		}
		return p.data, p.start, nil
	}
	return t.gather()
}

// whole reads the file as one document.
func (t *text) whole() ([]byte, int64, error) {
	if t.ended {
		return nil, 0, io.EOF
	}
	t.ended = true
	limit := t.config.Limits.Record
	body, err := io.ReadAll(io.LimitReader(t.pieces.r, limit+1))
	if err != nil {
		return nil, 0, t.failed(int64(len(body)), err)
	}
	if int64(len(body)) > limit {
		return nil, 0, t.tooLong(0)
	}
	return bytes.TrimSuffix(body, []byte("\n")), 0, nil
}

// wrap gives an error its place.
func (t *text) wrap(err error) error {
	if err == io.EOF {
		return err
	}
	return t.failed(t.pieces.at, err)
}

func (t *text) tooLong(start int64) error {
	return t.reject(start, "too_long", fmt.Sprintf("a document of more than %d bytes (limits.record)", t.config.Limits.Record))
}

// gather collects the lines up to one that divides documents.
func (t *text) gather() ([]byte, int64, error) {
	if t.ended {
		return nil, 0, io.EOF
	}
	limit := t.config.Limits.Record
	var body bytes.Buffer
	start, long, blank, any := t.start, false, 0, false
	if t.first != nil {
		body.Write(t.first)
		body.WriteByte('\n')
		t.first, any = nil, true
	}
	for {
		p, err := t.pieces.next()
		if err == io.EOF {
			t.ended = true
			break
		}
		if err != nil {
			return nil, 0, t.wrap(err)
		}
		if !any {
			start, any = p.start, true
		}
		line := p.data
		if t.regexp != nil && !p.long && t.regexp.Match(bytes.TrimSuffix(line, []byte("\r"))) {
			if t.config.KeepMatch {
				t.first, t.start = bytes.Clone(line), p.start
			}
			break
		}
		if t.config.Split == "blank" {
			if !p.long && len(bytes.TrimSpace(line)) == 0 {
				if blank++; blank >= t.config.BlankLines {
					break
				}
			} else {
				blank = 0
			}
		}
		if long = long || p.long || int64(body.Len()+len(line)) > limit; long {
			body.Reset() // the rest is read to find the end
			continue
		}
		body.Write(line)
		if p.closed {
			body.WriteByte('\n')
		}
	}
	switch {
	case long:
		return nil, 0, t.tooLong(start)
	case t.ended && !any:
		return nil, 0, io.EOF
	}
	return []byte(strings.TrimSuffix(body.String(), "\n")), start, nil
}
