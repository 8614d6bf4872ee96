package tokenizer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cria-llm/cria/internal/sys/atomicfile"
)

// Further fields of TrainerSpec and NormalizerSpec: how a model was trained. No
// reader needs them, people do, and so do trainers that go on from a model.
const (
	fieldModelPrefix   = 2 // TrainerSpec
	fieldSelfTestSize  = 6
	fieldInputFormat   = 7
	fieldCoverage      = 10
	fieldMaxLength     = 20
	fieldSplitScript   = 21
	fieldSplitSpace    = 22
	fieldSplitNumber   = 23
	fieldSplitDigits   = 25
	fieldSpaceOnly     = 26
	fieldControl       = 30
	fieldUserDefined   = 31
	fieldHardLimit     = 33
	fieldRequiredChars = 36

	fieldRuleTSV = 6 // NormalizerSpec
)

// trainedModel writes a ModelProto as SentencePiece's trainer does. What differs
// between machines (paths, threads) is left out, so that equal texts give equal
// bytes.
func trainedModel(c *TrainConfig, pieces []Piece) []byte {
	var b, m []byte
	for _, p := range pieces {
		b = appendBytes(b, fieldPieces, appendPiece(m[:0], p))
	}
	m = appendBytes(m[:0], fieldModelPrefix, "tokenizer")
	m = appendVarint(m, fieldModelType, modelTypeBPE)
	m = appendVarint(m, fieldVocabSize, int64(len(pieces)))
	m = appendVarint(m, fieldSelfTestSize, 0)
	m = appendBytes(m, fieldInputFormat, "text")
	m = appendFloat(m, fieldCoverage, float32(c.CharacterCoverage))
	m = appendVarint(m, fieldMaxLength, int64(c.MaxPieceLength))
	m = appendBool(m, fieldSplitScript, true)
	m = appendBool(m, fieldSplitSpace, true)
	m = appendBool(m, fieldSplitNumber, true)
	m = appendBool(m, fieldSpaceSuffix, false)
	m = appendBool(m, fieldSplitDigits, c.SplitDigits)
	m = appendBool(m, fieldSpaceOnly, c.AllowWhitespaceOnlyPieces)
	for _, s := range c.ControlSymbols {
		m = appendBytes(m, fieldControl, s)
	}
	for _, s := range c.UserDefinedSymbols {
		m = appendBytes(m, fieldUserDefined, s)
	}
	m = appendBool(m, fieldHardLimit, c.HardVocabLimit)
	m = appendBool(m, fieldByteFallback, c.ByteFallback)
	m = appendBytes(m, fieldRequiredChars, c.RequiredChars)
	for i, id := range []int64{0, 1, 2, -1} {
		m = appendVarint(m, fieldUnkID+uint64(i), id)
	}
	m = appendBytes(m, fieldUnkSurface, defaultUnkSurface)
	for i, text := range []string{"<unk>", "<s>", "</s>", "<pad>"} {
		m = appendBytes(m, fieldUnkPiece+uint64(i), text)
	}
	b = appendBytes(b, fieldTrainerSpec, m)
	m = appendBytes(m[:0], fieldNormalizer, "identity")
	m = appendBytes(m, fieldCharsMap, "")
	m = appendBool(m, fieldDummyPrefix, c.AddDummyPrefix)
	m = appendBool(m, fieldRemoveExtra, false)
	m = appendBool(m, fieldEscapeSpaces, true)
	m = appendBytes(m, fieldRuleTSV, "")
	return appendBytes(b, fieldNormalizerSpec, m)
}

// modelName is the file that SaveDir writes last: where it stands, the others do.
const modelName = "tokenizer.model"

// SaveDir writes the tokenizer as a Hugging Face directory has it, which is made if
// it is not there: tokenizer.model, tokenizer_config.json, special_tokens_map.json,
// and tokenizer.json where that can express it (else note says why not). Each file
// is written whole or not at all. A tokenizer that is there already is replaced only
// with overwrite.
func (t *Tokenizer) SaveDir(dir string, overwrite bool) (files []string, note string, err error) {
	if err := CheckDir(dir, overwrite); err != nil {
		return nil, "", err
	}
	config, special, err := t.HFConfig("")
	if err != nil {
		return nil, "", err
	}
	type file struct {
		name string
		data []byte
	}
	list := []file{{"tokenizer_config.json", config}, {"special_tokens_map.json", special}}
	fast, err := t.JSON()
	var unsupported *UnsupportedError
	switch {
	case errors.As(err, &unsupported):
		note = fmt.Sprintf("no tokenizer.json is written, tokenizer.model alone holds the vocabulary: %v", err)
		if err := os.Remove(filepath.Join(dir, jsonName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, "", err // an older one would be another tokenizer's
		}
	case err != nil:
		return nil, "", err
	default:
		list = append(list, file{jsonName, fast})
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, "", err
	}
	for _, f := range append(list, file{modelName, t.Model()}) {
		path := filepath.Join(dir, f.name)
		if err := atomicfile.WriteFile(path, f.data); err != nil {
			return files, "", err
		}
		files = append(files, path)
	}
	return files, note, nil
}

const jsonName = "tokenizer.json"

// CheckDir refuses a directory that SaveDir would refuse, before the work is done.
func CheckDir(dir string, overwrite bool) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return fmt.Errorf("%s is a file; a tokenizer is written as a directory", dir)
	}
	if overwrite {
		return nil
	}
	for _, name := range []string{modelName, jsonName} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return fmt.Errorf("%s has a %s already; choose another directory or allow overwriting", dir, name)
		}
	}
	return nil
}
