package read

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html"
	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"

	"github.com/cria-llm/cria/internal/data/doc"
)

// htmlFile reads a file that is one HTML page.
type htmlFile struct {
	*base
	r    io.Reader
	done bool
}

func newHTML(b *base, r io.Reader) (doc.Reader, error) { return &htmlFile{base: b, r: r}, nil }

func (h *htmlFile) Next(d *doc.Document) error {
	if h.done {
		return io.EOF
	}
	h.done = true
	body, err := io.ReadAll(io.LimitReader(h.r, h.config.Limits.HTML+1))
	if err != nil {
		return h.failed(int64(len(body)), err)
	}
	page, problem := h.page(body, "")
	if problem != nil {
		if err := h.reject(0, problem.kind, problem.text); err != nil {
			return err
		}
		return io.EOF
	}
	if page.Text == "" {
		h.st.Add("read.empty", 1)
		return io.EOF
	}
	h.fill(d, page.Text, "0", page.URL, h.meta(page.Title))
	return nil
}

// meta gives a page's title where Config.Fields asks for it.
func (b *base) meta(title string) map[string]string {
	for _, f := range b.config.Fields {
		if f == "title" && title != "" {
			return map[string]string{"title": title}
		}
	}
	return nil
}

// badRecord says why a record cannot be used.
type badRecord struct{ kind, text string }

// page extracts the main text of a page.
func (b *base) page(body []byte, contentType string) (Page, *badRecord) {
	if int64(len(body)) > b.config.Limits.HTML {
		return Page{}, &badRecord{"html_too_long", fmt.Sprintf("a page of more than %d bytes (limits.html)", b.config.Limits.HTML)}
	}
	text, err := decode(body, contentType)
	if err != nil {
		return Page{}, &badRecord{"charset", err.Error()}
	}
	page, err := Extract(text)
	if err != nil {
		return Page{}, &badRecord{"html", err.Error()}
	}
	return page, nil
}

// decode returns a page's or text's bytes as UTF-8. The encoding is found as
// browsers do (byte order mark, HTTP header, meta element), with two exceptions
// for what browsers only see the beginning of: bytes that are UTF-8 as a whole
// are UTF-8 where nothing is declared, and where one of the Latin alphabets is
// declared, which is what servers do out of habit.
func decode(body []byte, contentType string) (string, error) {
	e, name, certain := charset.DetermineEncoding(body, contentType)
	if name != "utf-8" && utf8.Valid(body) && (!certain || latin(name) && !bytes.HasPrefix(body, []byte("\xef\xbb\xbf"))) {
		e, name = encoding.Nop, "utf-8"
	}
	if name == "utf-8" {
		return string(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))), nil // repair looks after bad bytes
	}
	out, err := e.NewDecoder().Bytes(body)
	if err != nil {
		return "", fmt.Errorf("no %s: %w", name, err)
	}
	return string(out), nil
}

func latin(name string) bool {
	return strings.HasPrefix(name, "windows-125") || strings.HasPrefix(name, "iso-8859-") || name == "macintosh"
}

// Page is what Extract finds.
type Page struct {
	Text  string // blocks, with an empty line between paragraphs
	Title string
	URL   string // the canonical one that the page gives; may be empty
}

// maxDepth is how deep elements may lie in each other; the parser gives up a
// little above.
const maxDepth = 500

// Extract finds the main text of an HTML page: it cuts the page into blocks,
// leaves out what the markup says is no content (navigation, forms, hidden
// parts, the places where sites put their furniture), and decides on the other
// blocks by their numbers of words and the part of them that are links
// (Kohlschütter, Fankhauser and Nejdl, "Boilerplate Detection using Shallow Text
// Features", WSDM 2010, algorithm 2).
func Extract(page string) (p Page, err error) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return Page{}, fmt.Errorf("no HTML: %w", err)
	}
	x := extractor{}
	x.head(root)
	content := x.mainElement(root)
	x.walk(content, context{inMain: content.Data != "body" && content != root}, 0)
	x.flush(context{})
	if x.tooDeep {
		return Page{}, errors.New("elements lie in each other more than 500 deep")
	}
	return Page{Text: x.choose(), Title: x.title, URL: x.canonical}, nil
}
