package read

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/cria-llm/cria/internal/data/doc"
)

// warc reads archives of crawls (ISO 28500): responses, resources and
// conversions (the .wet files of Common Crawl), of them HTML and plain text.
type warc struct {
	*base
	r    *bufio.Reader
	at   int64 // of the next byte
	body []byte
}

const (
	maxHeaderLine = 16 << 10
	maxHeader     = 256 << 10 // a record's header lines together
)

func newWARC(b *base, r io.Reader) (doc.Reader, error) {
	return &warc{base: b, r: bufio.NewReaderSize(r, 1<<16)}, nil
}

// warcRecord is what a record's header says.
type warcRecord struct {
	start                        int64
	kind, uri, mediaType, length string
	payloadType                  string // what the crawler found the payload to be
	truncated                    string
}

func (w *warc) Next(d *doc.Document) error {
	for {
		rec, err := w.header()
		if err != nil {
			return err
		}
		size, err := strconv.ParseInt(rec.length, 10, 64)
		if err != nil || size < 0 {
			// Where this record ends is not known: header looks for the next one.
			if err := w.reject(rec.start, "warc_length", fmt.Sprintf("Content-Length is %q", doc.Clip(rec.length, 40))); err != nil {
				return err
			}
			continue
		}
		if size > w.config.Limits.Record {
			if err := w.skip(size); err != nil {
				return err
			}
			if err := w.reject(rec.start, "too_long", fmt.Sprintf("a record of %d bytes, more than %d (limits.record)", size, w.config.Limits.Record)); err != nil {
				return err
			}
			continue
		}
		if rec.kind != "response" && rec.kind != "resource" && rec.kind != "conversion" {
			w.st.Add("read.skipped."+known(rec.kind), 1)
			if err := w.skip(size); err != nil {
				return err
			}
			continue
		}
		if err := w.readBody(size); err != nil {
			return err
		}
		ok, err := w.record(d, rec)
		if err != nil || ok {
			return err
		}
	}
}

// known is a record type of the standard, so that a file cannot fill the
// statistics with names.
func known(kind string) string {
	switch kind {
	case "warcinfo", "request", "metadata", "revisit", "continuation":
		return kind
	}
	return "unknown_type"
}

// header reads up to the end of a record's header. Where something else stands,
// it goes on to the next line that begins a record.
func (w *warc) header() (warcRecord, error) {
	lost := int64(-1) // where what is no record begins
	for {
		start := w.at
		line, err := w.line()
		if err == io.EOF && len(line) == 0 {
			if lost >= 0 {
				if err := w.lostBytes(lost, start); err != nil {
					return warcRecord{}, err
				}
			}
			return warcRecord{}, io.EOF
		}
		if err != nil && err != io.EOF && err != errLongLine {
			return warcRecord{}, w.failed(w.at, err)
		}
		if version, ok := strings.CutPrefix(string(line), "WARC/"); !ok || !strings.HasPrefix(version, "0.") && !strings.HasPrefix(version, "1.") {
			if len(line) > 0 && lost < 0 {
				lost = start
			}
			continue
		}
		if lost >= 0 {
			if err := w.lostBytes(lost, start); err != nil {
				return warcRecord{}, err
			}
			lost = -1
		}
		rec, problem, err := w.fields(start)
		if err != nil {
			return warcRecord{}, err
		}
		if problem == "" {
			return rec, nil
		}
		if err := w.reject(start, "warc_header", problem); err != nil {
			return warcRecord{}, err
		}
	}
}

func (w *warc) lostBytes(from, to int64) error {
	return w.reject(from, "warc_damaged", fmt.Sprintf("%d bytes that are no WARC record", to-from))
}

// fields reads the lines of a record's header.
func (w *warc) fields(start int64) (rec warcRecord, problem string, err error) {
	rec.start = start
	for {
		line, err := w.line()
		switch {
		case err == io.EOF:
			return rec, "the file ends in a record's header", nil
		case err == errLongLine:
			return rec, fmt.Sprintf("a header line of more than %d bytes", maxHeaderLine), nil
		case err != nil:
			return rec, "", w.failed(w.at, err)
		case w.at-start > maxHeader:
			return rec, fmt.Sprintf("a header of more than %d bytes", maxHeader), nil
		case len(line) == 0:
			return rec, "", nil
		}
		key, value, ok := strings.Cut(string(line), ":")
		if !ok {
			if line[0] == ' ' || line[0] == '\t' {
				continue // a folded line; none of the fields below is long enough to be folded
			}
			return rec, "a header line without a colon: " + strconv.QuoteToASCII(doc.Clip(string(line), 60)), nil
		}
		value = strings.TrimSpace(value)
		switch strings.ToLower(key) {
		case "warc-type":
			rec.kind = strings.ToLower(value)
		case "warc-target-uri":
			rec.uri = strings.Trim(value, "<>")
		case "content-type":
			rec.mediaType = value
		case "content-length":
			rec.length = value
		case "warc-identified-payload-type":
			rec.payloadType = value
		case "warc-truncated":
			rec.truncated = value
		}
	}
}

var errLongLine = errors.New("line too long")

// line reads a line of a header, without its end. A longer one than
// maxHeaderLine is errLongLine; its rest is read as the next line.
func (w *warc) line() ([]byte, error) {
	line, err := w.r.ReadSlice('\n')
	w.at += int64(len(line))
	if err == bufio.ErrBufferFull || len(line) > maxHeaderLine {
		return line[:min(len(line), maxHeaderLine)], errLongLine
	}
	return bytes.TrimRight(line, "\r\n"), err
}

func (w *warc) skip(size int64) error {
	n, err := io.CopyN(io.Discard, w.r, size)
	w.at += n
	return w.cut(size, n, err)
}

// readBody reads a record's block, in memory that grows as the bytes come.
func (w *warc) readBody(size int64) error {
	buf := bytes.NewBuffer(w.body[:0])
	n, err := io.CopyN(buf, w.r, size)
	w.at += n
	w.body = buf.Bytes()
	return w.cut(size, n, err)
}

// cut makes an error of a file that ends within a record.
func (w *warc) cut(size, n int64, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = fmt.Errorf("the file ends %d bytes before the end of a record", size-n)
	}
	if err != nil {
		return w.failed(w.at, err)
	}
	return nil
}

// record makes a document of a record with the block w.body.
func (w *warc) record(d *doc.Document, rec warcRecord) (bool, error) {
	if rec.truncated != "" {
		w.st.Add("read.truncated", 1)
	}
	body, contentType := w.body, rec.mediaType
	if media, _, _ := mime.ParseMediaType(rec.mediaType); rec.kind == "response" || media == "application/http" {
		var problem *badRecord
		var skip string
		body, contentType, skip, problem = w.response(body)
		if problem != nil {
			return false, w.reject(rec.start, problem.kind, problem.text)
		}
		if skip != "" {
			w.st.Add("read.skipped."+skip, 1)
			return false, nil
		}
	}
	media, _, _ := mime.ParseMediaType(contentType)
	if media == "" {
		media = rec.payloadType
	}
	var page Page
	switch media {
	case "text/html", "application/xhtml+xml":
		var problem *badRecord
		if page, problem = w.page(body, contentType); problem != nil {
			return false, w.reject(rec.start, problem.kind, problem.text)
		}
	case "text/plain":
		text, err := decode(body, contentType)
		if err != nil {
			return false, w.reject(rec.start, "charset", err.Error())
		}
		page.Text = strings.TrimSpace(text)
	default:
		w.st.Add("read.skipped.content_type", 1)
		return false, nil
	}
	if page.Text == "" {
		w.st.Add("read.empty", 1)
		return false, nil
	}
	w.fill(d, page.Text, strconv.FormatInt(rec.start, 10), rec.uri, w.meta(page.Title))
	return true, nil
}

// response takes an HTTP response apart. skip names why one that is in order is
// not used.
func (w *warc) response(block []byte) (body []byte, contentType, skip string, problem *badRecord) {
	r, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(block)), nil)
	if err != nil {
		return nil, "", "", &badRecord{"http", "no HTTP response: " + doc.Clip(err.Error(), 100)}
	}
	contentType = r.Header.Get("Content-Type")
	if r.StatusCode < 200 || r.StatusCode > 299 {
		return nil, "", "http_status", nil
	}
	switch media, _, _ := mime.ParseMediaType(contentType); media {
	case "text/html", "application/xhtml+xml", "text/plain", "":
	default:
		return nil, "", "content_type", nil
	}
	raw := block[headerEnd(block):]
	if len(r.TransferEncoding) > 0 { // chunked; some crawlers keep the header and not the chunks
		if plain, err := io.ReadAll(r.Body); err == nil {
			raw = plain
		}
	}
	switch coding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding"))); coding {
	case "", "identity", "utf-8", "none":
	case "gzip", "x-gzip", "deflate":
		plain, err := inflate(raw, coding, w.config.Limits.Record)
		if errors.Is(err, ErrExpands) {
			return nil, "", "", &badRecord{"too_long", "Content-Encoding " + coding + ": " + err.Error()}
		}
		if err != nil && len(raw) > 2 && raw[0] == 0x1f && raw[1] == 0x8b {
			return nil, "", "", &badRecord{"content_encoding", "Content-Encoding " + coding + ": " + err.Error()}
		}
		if err == nil {
			raw = plain // else: some crawlers unpack and keep the header
		}
	default:
		return nil, "", "", &badRecord{"content_encoding", fmt.Sprintf("Content-Encoding is %q: gzip and deflate are read", doc.Clip(coding, 40))}
	}
	return raw, contentType, "", nil
}

// headerEnd is where the body of an HTTP response begins.
func headerEnd(block []byte) int {
	crlf, lf := bytes.Index(block, []byte("\r\n\r\n")), bytes.Index(block, []byte("\n\n"))
	switch {
	case crlf >= 0 && (lf < 0 || crlf < lf):
		return crlf + 4
	case lf >= 0:
		return lf + 2
	}
	return len(block)
}

// inflate unpacks a body of at most max bytes.
func inflate(raw []byte, coding string, max int64) ([]byte, error) {
	var r io.Reader
	if coding == "deflate" {
		z, err := zlib.NewReader(bytes.NewReader(raw))
		if r = z; err != nil {
			r = flate.NewReader(bytes.NewReader(raw)) // what many servers call deflate
		}
	} else {
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		r = z
	}
	return io.ReadAll(&limited{r: r, left: max, most: max, field: "limits.record"})
}
