package modelfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/gguf"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// maxTokenizer is the size of file that package tokenizer reads at most.
const maxTokenizer = 64 << 20

// tokenizerNames are the files of a directory that hold a tokenizer, the most
// faithful first: a tokenizer.json is made of a tokenizer.model.
var tokenizerNames = []string{"tokenizer.model", "tokenizer.json", "tokenizer.bin"}

// OpenTokenizer reads the tokenizer of a tokenizer file, of a model of any format
// or of a GGUF file that has nothing but a vocabulary. from is the file that
// held it.
func OpenTokenizer(path string) (tok *tokenizer.Tokenizer, from string, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, "", err
	}
	if st.IsDir() {
		return needTokenizer(path)
	}
	base := filepath.Base(path)
	for _, name := range tokenizerNames {
		if base == name {
			return parseTokenizer(path)
		}
	}
	start, err := firstBytes(path, 4)
	if err != nil {
		return nil, "", err
	}
	switch {
	case string(start) == "GGUF":
		f, err := gguf.Open(path)
		if err != nil {
			return nil, "", err
		}
		defer f.Close()
		if tok, err = ggufTokenizer(f); err == nil && tok == nil {
			err = ferr.New(ferr.Malformed, path, "tokenizer.ggml.model", nil, "the file has no tokenizer")
		}
		return tok, path, err
	case base == "config.json", base == "params.json", strings.HasSuffix(base, ".safetensors"), strings.HasSuffix(base, ".index.json"), strings.HasSuffix(base, ".pth"):
		return needTokenizer(filepath.Dir(path))
	}
	if tok, from, err = parseTokenizer(path); err == nil || !strings.HasSuffix(base, ".bin") {
		return tok, from, err
	}
	// A .bin that is no tokenizer may be a checkpoint with one beside it.
	if found, from, other := dirTokenizer(filepath.Dir(path)); found != nil || other != nil {
		return found, from, other
	}
	return nil, "", err
}

func needTokenizer(dir string) (*tokenizer.Tokenizer, string, error) {
	tok, from, err := dirTokenizer(dir)
	if err == nil && tok == nil {
		err = ferr.New(ferr.Malformed, dir, "", nil, "there is no tokenizer: none of %s", strings.Join(tokenizerNames, ", "))
	}
	return tok, from, err
}

// dirTokenizer reads the tokenizer of a directory with what its
// tokenizer_config.json and added_tokens.json say; nil if there is none. Meta's
// directories may have it one above: there it is shared by all sizes.
func dirTokenizer(dir string) (tok *tokenizer.Tokenizer, from string, err error) {
	for _, name := range tokenizerNames {
		path := filepath.Join(dir, name)
		if !exists(path) {
			continue
		}
		if tok, from, err = parseTokenizer(path); err != nil {
			return nil, "", err
		}
		var extra [2][]byte
		for i, name := range []string{"tokenizer_config.json", "added_tokens.json"} {
			extra[i], err = readFile(filepath.Join(dir, name), maxTokenizer)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, "", err
			}
		}
		if tok, err = tok.WithHFConfig(extra[0], extra[1]); err != nil {
			return nil, "", tokenizerError(dir, err)
		}
		return tok, from, nil
	}
	if found := filepath.Join(dir, "..", "tokenizer.model"); isMeta(dir) && exists(found) {
		return parseTokenizer(found)
	}
	return nil, "", nil
}

func isMeta(dir string) bool {
	return exists(filepath.Join(dir, "params.json")) && !exists(filepath.Join(dir, "config.json"))
}

func parseTokenizer(path string) (*tokenizer.Tokenizer, string, error) {
	data, err := readFile(path, maxTokenizer)
	if err != nil {
		return nil, "", err
	}
	tok, err := tokenizer.ParseFile(data)
	if err != nil {
		return nil, "", tokenizerError(path, err)
	}
	return tok, path, nil
}

// tokenizerError names the file.
func tokenizerError(file string, err error) error {
	kind := ferr.Malformed
	var u *tokenizer.UnsupportedError
	if errors.As(err, &u) {
		kind = ferr.Unsupported
	}
	message := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "tokenizer: "), "unsupported: ")
	return ferr.New(kind, file, "", nil, "%s", message)
}

// setTokenizer finds the tokenizer of a model that is no GGUF file, and compares
// its size with the embedding table's.
func (m *Model) setTokenizer(opt OpenOptions, dir, configFile, vocabKey string) error {
	var err error
	if opt.Tokenizer != "" {
		m.Tokenizer, m.TokenizerFrom, err = OpenTokenizer(opt.Tokenizer)
	} else {
		m.Tokenizer, m.TokenizerFrom, err = dirTokenizer(dir)
	}
	if err != nil || m.Tokenizer == nil {
		return err
	}
	return m.checkVocab(configFile, vocabKey)
}

// checkVocab refuses a tokenizer with ids that the model has no row for, and says
// where it is the other way round.
func (m *Model) checkVocab(file, key string) error {
	tokens, rows := m.Tokenizer.VocabSize(), m.Config.VocabSize
	if tokens > rows {
		table := m.byName[kindEmbed.name[dialectGGUF]].info
		return ferr.New(ferr.Malformed, file, key, rows, "%s has as many rows, but the tokenizer of %s has %d tokens", table.SourceName, m.TokenizerFrom, tokens).
			WithHint("name the model's own tokenizer")
	}
	if tokens < rows {
		m.note("the embedding table has %d rows and the tokenizer %d tokens: ids from %d on are never sampled", rows, tokens, tokens)
	}
	if id, ok := m.Tokenizer.EOS(); ok {
		m.addStop(id)
	}
	return nil
}
