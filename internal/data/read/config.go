// Package read turns files into documents: plain text, JSON lines (also .gz and
// .zst), Parquet, HTML and WARC.
//
// Every reader streams: its memory is bounded by Limits, whatever a file says of
// itself. A record that cannot be used is counted by kind ("read.bad.KIND") and
// its place goes into the samples; more of them in one unit than Config.MaxBad
// are an error.
package read

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Config says how one source's files are read. Default gives the values that
// stand beside the fields.
type Config struct {
	// Format is txt, jsonl, parquet, html or warc; "" takes it from a file's name.
	Format string `yaml:"format"`

	// Split cuts a .txt file into documents:
	//   file       the whole file is one (the default)
	//   line       each line that is not empty is one
	//   blank      BlankLines or more empty lines stand between two
	//   separator  Separator stands between two, such as <|endoftext|>
	//   regexp     a line that matches Regexp stands between two; with KeepMatch it
	//              is the first line of the second
	Split      string `yaml:"split"`
	BlankLines int    `yaml:"blank_lines"` // 1
	Separator  string `yaml:"separator"`
	Regexp     string `yaml:"regexp"`
	KeepMatch  bool   `yaml:"keep_match"`

	// Fields of .jsonl and columns of Parquet; "a.b" is field b of object a.
	Text   string   `yaml:"text"`   // "text"
	ID     string   `yaml:"id"`     // "": the place in the file
	URL    string   `yaml:"url"`    // "url"; may be missing in a record
	Fields []string `yaml:"fields"` // kept as Document.Meta

	// MaxBad is how many unusable records a unit may hold; -1 is any number.
	MaxBad int `yaml:"max_bad"` // 100

	Limits Limits `yaml:"limits"`
}

// Limits bound what a file can make a reader do.
type Limits struct {
	Record   int64 `yaml:"record"`   // bytes of a document, line or WARC record as read: 64 MiB
	Expanded int64 `yaml:"expanded"` // bytes that one compressed file may become: 1 TiB
	Ratio    int64 `yaml:"ratio"`    // and how many times its size: 1,000; the first 64 MiB are free
	Window   int64 `yaml:"window"`   // memory that a .zst file may ask for: 128 MiB
	HTML     int64 `yaml:"html"`     // bytes of a page: 8 MiB; parsing takes many times that
	Unit     int64 `yaml:"unit"`     // line files larger than this are cut into several units: 64 MiB
}

// Default returns the defaults.
func Default() Config {
	return Config{
		Split: "file", BlankLines: 1, Text: "text", URL: "url", MaxBad: 100,
		Limits: Limits{Record: 64 << 20, Expanded: 1 << 40, Ratio: 1000, Window: 128 << 20, HTML: 8 << 20, Unit: 64 << 20},
	}
}

// Formats that files can have.
var formats = []string{"txt", "jsonl", "parquet", "html", "warc"}

// Validate says what is wrong with the settings, by their names in the file.
func (c *Config) Validate() error {
	var problems []string
	bad := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	if c.Format != "" && !slices.Contains(formats, c.Format) {
		bad("format is %q: %s is needed, or nothing to go by a file's name", c.Format, strings.Join(formats, ", "))
	}
	if c.Separator != "" && c.Split != "separator" {
		bad("separator is set and split is %q: it is for split: separator", c.Split)
	}
	if c.Regexp != "" && c.Split != "regexp" {
		bad("regexp is set and split is %q: it is for split: regexp", c.Split)
	}
	if c.KeepMatch && c.Split != "regexp" {
		bad("keep_match is set and split is %q: it is for split: regexp", c.Split)
	}
	switch c.Split {
	case "file", "line":
	case "blank":
		if c.BlankLines < 1 {
			bad("blank_lines is %d: at least 1 is needed", c.BlankLines)
		}
	case "separator":
		if c.Separator == "" {
			bad("separator is empty: the text between two documents is needed")
		}
		if len(c.Separator) > maxSeparator {
			bad("separator has %d bytes: at most %d are possible", len(c.Separator), maxSeparator)
		}
	case "regexp":
		if _, err := regexp.Compile(c.Regexp); err != nil || c.Regexp == "" {
			bad("regexp is %q: a regular expression for the line between two documents is needed (%v)", c.Regexp, err)
		}
	default:
		bad("split is %q: file, line, blank, separator or regexp is needed", c.Split)
	}
	if c.Text == "" {
		bad("text is empty: the name of the field with the text is needed")
	}
	if c.MaxBad < -1 {
		bad("max_bad is %d: a number of records is needed, or -1 for any", c.MaxBad)
	}
	for _, l := range []struct {
		name       string
		value, min int64
	}{
		{"record", c.Limits.Record, 1}, {"expanded", c.Limits.Expanded, 1}, {"ratio", c.Limits.Ratio, 1},
		{"window", c.Limits.Window, 1 << 20}, {"html", c.Limits.HTML, 1}, {"unit", c.Limits.Unit, 1 << 10},
	} {
		if l.value < l.min {
			bad("limits.%s is %d: at least %d is needed", l.name, l.value, l.min)
		}
	}
	if c.Limits.Record > 1<<31 {
		bad("limits.record is %d: at most %d (2 GiB) is possible", c.Limits.Record, int64(1<<31))
	}
	if len(problems) > 0 {
		return errors.New(strings.Join(problems, "; "))
	}
	return nil
}

// maxSeparator is the longest separator: it must fit into the read buffer.
const maxSeparator = 1 << 10

// format returns a file's format and compression ("", gz, zst) by its name.
func (c *Config) format(path string) (format, compression string, err error) {
	name := strings.ToLower(path[strings.LastIndexAny(path, `/\`)+1:])
	for _, z := range []string{"gz", "zst"} {
		if base, ok := strings.CutSuffix(name, "."+z); ok {
			name, compression = base, z
		}
	}
	format = c.Format
	if format == "" {
		switch ext := name[strings.LastIndexByte(name, '.')+1:]; ext {
		case "txt", "text", "md":
			format = "txt"
		case "jsonl", "ndjson", "json":
			format = "jsonl" // a .json that is no JSON lines is found out at its first line
		case "html", "htm", "xhtml":
			format = "html"
		case "parquet", "warc":
			format = ext
		default:
			return "", "", fmt.Errorf("%s: its name does not say what it is (%s, also with .gz or .zst); set format", path, strings.Join(formats, ", "))
		}
	}
	if format == "parquet" && compression != "" {
		return "", "", fmt.Errorf("%s: a compressed Parquet file; Parquet compresses its own pages: unpack it first", path)
	}
	return format, compression, nil
}

// selfOverlaps reports whether a separator can overlap with itself: then where
// documents begin depends on where reading began, and a file is not cut.
func selfOverlaps(sep string) bool {
	for n := 1; n < len(sep); n++ {
		if strings.HasPrefix(sep, sep[len(sep)-n:]) {
			return true
		}
	}
	return false
}
