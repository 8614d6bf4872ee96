// Package shard is the form in which a built data set lies on disk: shards of
// token ids that are mapped, never loaded, with the borders of their documents.
//
// A data set is a directory:
//
//	index.json         what follows, with sizes and sha256; written last
//	train-00000.bin    token ids, uint16 or uint32, little endian, nothing else
//	train-00000.idx    the end of each document in tokens, uint64, little endian
//	train-00000.ids    the ID of each document, one a line
//	train-00000.msk    where answers only are learned: a byte per token, 1 for
//	                   those that are and 0 for the others
//	valid-00000.bin …  the same for the validation split
//
// The .bin and .idx files are plain arrays, so numpy.memmap reads them as they
// are. Ids are uint16 where the vocabulary has at most 65,536 tokens.
package shard

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"

	"github.com/cria-llm/cria/internal/sys/atomicfile"
)

// The splits that a built data set has. Either may be empty.
const (
	Train = "train"
	Valid = "valid"
)

// IndexFile is the file that says that a directory is a whole data set.
const IndexFile = "index.json"

const (
	format  = "cria-shards"
	version = 1

	maxIndex     = 256 << 20 // bytes of index.json
	maxUint16    = 1 << 16   // largest vocabulary with ids of two bytes
	maxVocab     = math.MaxInt32
	bytesPerEnd  = 8
	maxIDLength  = 1 << 16
	extTokens    = ".bin"
	extDocuments = ".idx"
	extIDs       = ".ids"
	extMask      = ".msk"
)

// Index is index.json.
type Index struct {
	Format    string           `json:"format"`
	Version   int              `json:"version"`
	DType     string           `json:"dtype"` // "uint16" or "uint32"
	VocabSize int              `json:"vocab_size"`
	Tokenizer string           `json:"tokenizer_sha256"` // of the tokenizer's file; "" where ids are no tokenizer's
	BOS       bool             `json:"bos"`              // each document begins with BOS
	EOS       bool             `json:"eos"`              // each document ends with EOS
	Splits    map[string]Files `json:"splits"`
}

// Files are the shards of one split, in their order.
type Files struct {
	Tokens    int64  `json:"tokens"`
	Documents int64  `json:"documents"`
	Shards    []File `json:"shards"`
}

// File is one shard.
type File struct {
	Name      string `json:"name"` // without extension: "train-00000"
	Tokens    int64  `json:"tokens"`
	Documents int64  `json:"documents"`
	IDBytes   int64  `json:"id_bytes"` // size of the .ids file
	TokensSum string `json:"bin_sha256"`
	EndsSum   string `json:"idx_sha256"`
	IDsSum    string `json:"ids_sha256"`
	MaskSum   string `json:"msk_sha256,omitempty"` // "" where every token is learned
}

// Width returns the bytes of a token id for a vocabulary.
func Width(vocabSize int) int {
	if vocabSize <= maxUint16 {
		return 2
	}
	return 4
}

func dtype(width int) string { return map[int]string{2: "uint16", 4: "uint32"}[width] }

// Name is the name of a split's n-th shard.
func Name(split string, n int) string { return fmt.Sprintf("%s-%05d", split, n) }

// WriteIndex completes a data set: every shard that x lists must have been
// committed before.
func WriteIndex(dir string, x *Index) error {
	x.Format, x.Version = format, version
	x.DType = dtype(Width(x.VocabSize))
	if err := x.check(); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, IndexFile), err)
	}
	data, err := json.MarshalIndent(x, "", " ")
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(dir, IndexFile), append(data, '\n'))
}

// ReadIndex reads and checks index.json of a data set.
func ReadIndex(dir string) (*Index, error) {
	path := filepath.Join(dir, IndexFile)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; it is written last: where a build was interrupted, run `cria data build` again", err)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(data) > maxIndex {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, maxIndex)
	}
	var x Index
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&x); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if d.More() {
		return nil, fmt.Errorf("%s: something follows the JSON object", path)
	}
	if err := x.check(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &x, nil
}

// shardName is what a shard may be called; a name is no way out of the directory.
var shardName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$`)

func (x *Index) check() error {
	switch {
	case x.Format != format:
		return fmt.Errorf("format is %q, not %q: not a data set of `cria data build`", x.Format, format)
	case x.Version != version:
		return fmt.Errorf("version %d; this program reads version %d", x.Version, version)
	case x.VocabSize < 1 || x.VocabSize > maxVocab:
		return fmt.Errorf("vocab_size %d; it must be from 1 to %d", x.VocabSize, maxVocab)
	case x.DType != dtype(Width(x.VocabSize)):
		return fmt.Errorf("dtype %q; %d tokens are %s", x.DType, x.VocabSize, dtype(Width(x.VocabSize)))
	}
	seen := map[string]bool{}
	for split, fs := range x.Splits {
		if !shardName.MatchString(split) {
			return fmt.Errorf("split %q: not a name", split)
		}
		var sum Files
		for _, f := range fs.Shards {
			if err := f.check(); err != nil {
				return fmt.Errorf("split %s: %w", split, err)
			}
			if seen[f.Name] {
				return fmt.Errorf("split %s: shard %s is listed twice", split, f.Name)
			}
			seen[f.Name] = true
			if sum.Tokens > math.MaxInt64/8-f.Tokens {
				return fmt.Errorf("split %s: the shards' tokens are more than 2^60", split)
			}
			sum.Tokens += f.Tokens
			sum.Documents += f.Documents
		}
		if sum.Tokens != fs.Tokens || sum.Documents != fs.Documents {
			return fmt.Errorf("split %s: %d tokens in %d documents are stated, its shards have %d in %d", split, fs.Tokens, fs.Documents, sum.Tokens, sum.Documents)
		}
	}
	return nil
}

func (f *File) check() error {
	if !shardName.MatchString(f.Name) {
		return fmt.Errorf("shard name %q: letters, digits, - and _ are allowed", f.Name)
	}
	// Documents have at least one token, so sizes cannot overflow either.
	if f.Tokens < 1 || f.Tokens > math.MaxInt64/8 || f.Documents < 1 || f.Documents > f.Tokens || f.IDBytes < f.Documents {
		return fmt.Errorf("shard %s: %d tokens, %d documents, %d bytes of IDs cannot be", f.Name, f.Tokens, f.Documents, f.IDBytes)
	}
	for _, p := range f.parts(0) {
		if b, err := hex.DecodeString(p.sum); err != nil || len(b) != 32 {
			return fmt.Errorf("shard %s: %q is no sha256", f.Name, p.sum)
		}
	}
	return nil
}

// part is one of a shard's files.
type part struct {
	ext, sum string
	size     int64 // in bytes
}

// parts are the files that a shard has, with token ids of width bytes.
func (f *File) parts(width int) []part {
	parts := []part{
		{extTokens, f.TokensSum, f.Tokens * int64(width)},
		{extDocuments, f.EndsSum, f.Documents * bytesPerEnd},
		{extIDs, f.IDsSum, f.IDBytes},
	}
	if f.MaskSum != "" {
		parts = append(parts, part{extMask, f.MaskSum, f.Tokens})
	}
	return parts
}

// ParseFile reads a File from JSON and checks it.
func ParseFile(data []byte) (f File, err error) {
	if err := json.Unmarshal(data, &f); err != nil {
		return f, err
	}
	return f, f.check()
}

// Verify reads a shard's files in dir and compares their sums.
func (f *File) Verify(ctx context.Context, dir string) error { return f.verify(ctx, dir, func(int) {}) }

func (f *File) verify(ctx context.Context, dir string, progress func(n int)) error {
	for _, p := range f.parts(0) {
		path := filepath.Join(dir, f.Name+p.ext)
		got, err := sumOf(ctx, path, progress)
		if err != nil {
			return err
		}
		if got != p.sum {
			return fmt.Errorf("%s: sha256 is %s, %s was written: the shard is damaged, build or copy it again", path, got, p.sum)
		}
	}
	return nil
}
