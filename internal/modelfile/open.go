package modelfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/gguf"
)

// hintFormats says what a model is made of.
const hintFormats = "a model is a .gguf file, a Hugging Face directory (config.json and .safetensors), Meta's directory (params.json and consolidated.NN.pth), or llama2.c's .bin"

// Open opens a model: a GGUF file (any part of a set), a Hugging Face directory
// or a file in it, Meta's directory or a file in it, or a checkpoint of llama2.c.
func Open(path string, opt OpenOptions) (*Model, error) {
	format, err := detect(path)
	if err != nil {
		return nil, err
	}
	m, err := newModel(path, format, opt)
	if err != nil {
		return nil, err
	}
	open := map[Format]func(*Model, OpenOptions) error{
		FormatGGUF: openGGUF, FormatHF: openHF, FormatMeta: openMeta, FormatLlama2C: openLlama2C,
	}[format]
	if err := open(m, opt); err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

// OpenBytes opens a GGUF file that is in memory, such as a model inside of the
// program; name stands for its path.
func OpenBytes(name string, data []byte, opt OpenOptions) (*Model, error) {
	m, err := newModel(name, FormatGGUF, opt)
	if err != nil {
		return nil, err
	}
	f, err := gguf.OpenBytes(name, data)
	if err != nil {
		return nil, err
	}
	if err := m.fromGGUF(f, opt); err != nil {
		_ = m.Close()
		return nil, err
	}
	return m, nil
}

func newModel(path string, format Format, opt OpenOptions) (*Model, error) {
	if opt.Context < 0 {
		return nil, fmt.Errorf("modelfile: a context of %d positions; it must be 0 (the model's own) or more", opt.Context)
	}
	return &Model{Path: path, Format: format, StopIDs: []int32{}, Notes: []string{}, context: opt.Context}, nil
}

// detect says what a path is, by the files of a directory and by the first bytes
// and the name of a file.
func detect(path string) (Format, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if st.IsDir() {
		return detectDir(path)
	}
	base := filepath.Base(path)
	switch {
	case base == "config.json", strings.HasSuffix(base, ".safetensors"), strings.HasSuffix(base, ".safetensors.index.json"):
		return FormatHF, nil
	case base == "params.json", strings.HasSuffix(base, ".pth"):
		return FormatMeta, nil
	}
	start, err := firstBytes(path, 4)
	switch {
	case err != nil:
		return "", err
	case string(start) == "GGUF", strings.HasSuffix(base, ".gguf"):
		return FormatGGUF, nil
	case string(start) == "PK\x03\x04" && strings.HasSuffix(base, ".bin"):
		return "", errTorchBin(path)
	case strings.HasSuffix(base, ".bin"):
		return FormatLlama2C, nil
	}
	return "", ferr.New(ferr.Malformed, path, "", nil, "this is no model file").WithHint(hintFormats)
}

func detectDir(dir string) (Format, error) {
	has := func(pattern string) bool {
		found, _ := filepath.Glob(filepath.Join(globQuote(dir), pattern))
		return len(found) > 0
	}
	switch {
	case has("config.json"):
		return FormatHF, nil
	case has("params.json"), has("consolidated.*.pth"):
		return FormatMeta, nil
	case has("adapter_config.json"):
		return "", ferr.New(ferr.Unsupported, dir, "adapter_config.json", nil, "this is an adapter, not a model").WithHint("merge it into its base model")
	case has("*.gguf"):
		return "", ferr.New(ferr.Malformed, dir, "", nil, "the directory has no config.json or params.json").WithHint("name the .gguf file inside of it")
	}
	return "", ferr.New(ferr.Malformed, dir, "", nil, "the directory holds no model").WithHint(hintFormats)
}

// globQuote keeps a directory's name from being read as a pattern.
func globQuote(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(s)
}

func errTorchBin(path string) error {
	return ferr.New(ferr.Unsupported, path, "", nil, "weights in PyTorch's own format are read from Meta's directories only").
		WithHint("get the model as .safetensors, or save it so with transformers (save_pretrained)")
}

func firstBytes(path string, n int) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b := make([]byte, n)
	n, err = io.ReadFull(f, b)
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return b[:n], err
}

// readFile reads a small file that comes from anywhere.
func readFile(path string, most int64) ([]byte, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, ferr.New(ferr.Malformed, path, "", nil, "it is no regular file")
	}
	if st.Size() > most {
		return nil, ferr.New(ferr.Malformed, path, "size", st.Size(), "at most %d bytes are allowed", most)
	}
	return os.ReadFile(path)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// files lists all files of a directory that match a pattern, sorted.
func files(dir, pattern string) []string {
	found, _ := filepath.Glob(filepath.Join(globQuote(dir), pattern))
	slices.Sort(found)
	return found
}
