package modelfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"math"
	"strings"
	"unicode"

	"github.com/cria-llm/cria/internal/format/ferr"
)

// maxJSON is far above any real configuration; a chat template that is too long
// must still be found in one, to be refused as that.
const maxJSON = 64 << 20

// jsonObject is a configuration file of JSON or an object inside of one. Keys are
// compared exactly, which encoding/json does not do for structs.
type jsonObject struct {
	file   string
	prefix string // of keys in errors: "rope_scaling."
	fields map[string]json.RawMessage
}

// readObject reads a file; ok says whether it is there.
func readObject(path string) (o *jsonObject, ok bool, err error) {
	data, err := readFile(path, maxJSON)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	o, err = parseObject(path, data)
	return o, err == nil, err
}

// needObject reads a file that must be there.
func needObject(path string) (*jsonObject, error) {
	o, ok, err := readObject(path)
	if err == nil && !ok {
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return o, err
}

func parseObject(path string, data []byte) (*jsonObject, error) {
	o := &jsonObject{file: path}
	if err := json.Unmarshal(data, &o.fields); err != nil {
		return nil, ferr.New(ferr.Malformed, path, "", nil, "this is no JSON object: %v", err)
	}
	if o.fields == nil {
		return nil, ferr.New(ferr.Malformed, path, "", nil, "null, where a JSON object is expected")
	}
	return o, nil
}

// has says whether a key is there and not null.
func (o *jsonObject) has(key string) bool {
	raw, ok := o.fields[key]
	return ok && !bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

func (o *jsonObject) malformed(key, problem string, args ...any) *ferr.Error {
	return ferr.New(ferr.Malformed, o.file, o.prefix+plain(key), o.show(key), problem, args...)
}

func (o *jsonObject) unsupported(key, problem string, args ...any) *ferr.Error {
	return ferr.New(ferr.Unsupported, o.file, o.prefix+plain(key), o.show(key), problem, args...)
}

// plain returns a name out of a file as it is if it can be printed, else quoted
// and cut.
func plain(name string) string {
	const longest = 200
	if len(name) > longest || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ferr.Quote(name)
	}
	return name
}

// literal prints as it stands in the file; an Error cuts it.
type literal string

// show returns a field's value for an error.
func (o *jsonObject) show(key string) any {
	raw, ok := o.fields[key]
	if !ok {
		return nil
	}
	var s string
	if json.Unmarshal(raw, &s) == nil && raw[0] == '"' {
		return s
	}
	// An error cuts what is longer.
	return literal(bytes.Join(bytes.Fields(raw[:min(len(raw), 200)]), []byte(" ")))
}

// decode unmarshals a field that is there and not null.
func decode[T any](o *jsonObject, key, want string) (v T, ok bool, err error) {
	if !o.has(key) {
		return v, false, nil
	}
	if err := json.Unmarshal(o.fields[key], &v); err != nil {
		return v, true, o.malformed(key, "%s is expected", want)
	}
	return v, true, nil
}

func (o *jsonObject) str(key string) (string, bool, error) {
	return decode[string](o, key, "a string")
}

func (o *jsonObject) boolean(key string) (v, ok bool, err error) {
	return decode[bool](o, key, "true or false")
}

func (o *jsonObject) integer(key string) (int, bool, error) {
	v, ok, err := decode[int64](o, key, "a whole number")
	return int(v), ok, err
}

// integerOr returns def where the key is absent.
func (o *jsonObject) integerOr(key string, def int) (int, error) {
	v, ok, err := o.integer(key)
	if err == nil && !ok {
		v = def
	}
	return v, err
}

// needFloat returns a number whose key must be there.
func (o *jsonObject) needFloat(key string) (float64, error) {
	v, ok, err := o.float(key)
	if err == nil && !ok {
		err = ferr.New(ferr.Malformed, o.file, key, nil, "the key is missing")
	}
	return v, err
}

func (o *jsonObject) float(key string) (float64, bool, error) {
	v, ok, err := decode[float64](o, key, "a number")
	if err == nil && (math.IsNaN(v) || math.IsInf(v, 0)) {
		err = o.malformed(key, "a finite number is expected")
	}
	return v, ok, err
}

// object returns a field that is an object.
func (o *jsonObject) object(key string) (*jsonObject, bool, error) {
	v, ok, err := decode[map[string]json.RawMessage](o, key, "an object")
	return &jsonObject{file: o.file, prefix: o.prefix + key + ".", fields: v}, ok, err
}

// need returns a whole number that must be there.
func (o *jsonObject) need(key string) (int, error) {
	v, ok, err := o.integer(key)
	if err == nil && !ok {
		err = ferr.New(ferr.Malformed, o.file, o.prefix+key, nil, "the key is missing")
	}
	return v, err
}

// ids returns one id or a list of them.
func (o *jsonObject) ids(key string) ([]int, error) {
	if !o.has(key) {
		return nil, nil
	}
	if v, _, err := o.integer(key); err == nil {
		return []int{v}, nil
	}
	v, _, err := decode[[]int](o, key, "a token id or a list of them")
	return v, err
}
