package shard

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"path/filepath"
	"strings"

	"github.com/cria-llm/cria/internal/sys/atomicfile"
)

// Writer writes one shard. Commit or Abort ends it; until Commit nothing has the
// shard's name.
type Writer struct {
	file                File
	vocab, width        int
	tokens, ends, ids   *sumFile
	mask                *sumFile // nil where every token is learned
	tokenBuf, numberBuf []byte
}

// Create starts the shard dir/name for ids below vocabSize, of which all are
// learned.
func Create(dir, name string, vocabSize int) (*Writer, error) {
	if !shardName.MatchString(name) || vocabSize < 1 || vocabSize > maxVocab {
		return nil, fmt.Errorf("shard: %q with %d tokens cannot be written", name, vocabSize)
	}
	w := &Writer{file: File{Name: name}, vocab: vocabSize, width: Width(vocabSize)}
	for _, f := range []struct {
		to  **sumFile
		ext string
	}{{&w.tokens, extTokens}, {&w.ends, extDocuments}, {&w.ids, extIDs}} {
		var err error
		if *f.to, err = createSum(filepath.Join(dir, name+f.ext)); err != nil {
			w.Abort()
			return nil, err
		}
	}
	return w, nil
}

// CreateMasked is Create for a shard that says of each token if it is learned.
func CreateMasked(dir, name string, vocabSize int) (*Writer, error) {
	w, err := Create(dir, name, vocabSize)
	if err != nil {
		return nil, err
	}
	if w.mask, err = createSum(filepath.Join(dir, name+extMask)); err != nil {
		w.Abort()
		return nil, err
	}
	return w, nil
}

// Append adds a document of at least one token, of which all are learned.
func (w *Writer) Append(id string, tokens []int32) error { return w.AppendMasked(id, tokens, nil) }

// AppendMasked adds a document of which those tokens are learned that learn says;
// nil is all.
func (w *Writer) AppendMasked(id string, tokens []int32, learn []bool) error {
	if learn != nil && (w.mask == nil || len(learn) != len(tokens)) {
		return fmt.Errorf("shard %s: document %q has %d tokens and a mask of %d; the shard has masks: %v", w.file.Name, id, len(tokens), len(learn), w.mask != nil)
	}
	if len(tokens) == 0 {
		return fmt.Errorf("shard %s: document %q has no tokens", w.file.Name, id)
	}
	if len(id) > maxIDLength {
		return fmt.Errorf("shard %s: document %q… has an ID of %d bytes; %d are allowed", w.file.Name, id[:64], len(id), maxIDLength)
	}
	b := w.tokenBuf[:0]
	for i, t := range tokens {
		if t < 0 || int(t) >= w.vocab {
			return fmt.Errorf("shard %s: document %q, token %d: id %d is not in the vocabulary of %d", w.file.Name, id, i, t, w.vocab)
		}
		if w.width == 2 {
			b = binary.LittleEndian.AppendUint16(b, uint16(t))
		} else {
			b = binary.LittleEndian.AppendUint32(b, uint32(t))
		}
	}
	w.tokenBuf = b
	if _, err := w.tokens.Write(b); err != nil {
		return err
	}
	if w.mask != nil {
		b = b[:0]
		for i := range tokens {
			if learn == nil || learn[i] {
				b = append(b, 1)
			} else {
				b = append(b, 0)
			}
		}
		w.tokenBuf = b
		if _, err := w.mask.Write(b); err != nil {
			return err
		}
	}
	w.file.Tokens += int64(len(tokens))
	w.file.Documents++
	w.numberBuf = binary.LittleEndian.AppendUint64(w.numberBuf[:0], uint64(w.file.Tokens))
	if _, err := w.ends.Write(w.numberBuf); err != nil {
		return err
	}
	line := lineOf(id)
	w.file.IDBytes += int64(len(line))
	_, err := w.ids.Write([]byte(line))
	return err
}

// escapeLine keeps an ID on one line.
var escapeLine = strings.NewReplacer("\n", "%0A", "\r", "%0D")

func lineOf(id string) string { return escapeLine.Replace(id) + "\n" }

// Tokens returns how many tokens were appended.
func (w *Writer) Tokens() int64 { return w.file.Tokens }

// Commit makes the shard durable and gives it its name. An empty shard is an
// error.
func (w *Writer) Commit() (File, error) {
	defer w.Abort()
	if w.file.Tokens == 0 {
		return File{}, fmt.Errorf("shard %s: no document was appended", w.file.Name)
	}
	var err error
	for _, f := range []struct {
		f   *sumFile
		sum *string
	}{{w.tokens, &w.file.TokensSum}, {w.ends, &w.file.EndsSum}, {w.ids, &w.file.IDsSum}, {w.mask, &w.file.MaskSum}} {
		if f.f == nil { // no mask
			continue
		}
		if *f.sum, err = f.f.commit(); err != nil {
			return File{}, err
		}
	}
	return w.file, nil
}

// Abort deletes what was written. After Commit it does nothing.
func (w *Writer) Abort() {
	for _, f := range []*sumFile{w.tokens, w.ends, w.ids, w.mask} {
		if f != nil {
			f.f.Abort()
		}
	}
}

// sumFile is a buffered file under way whose sha256 is taken as it is written.
type sumFile struct {
	f   *atomicfile.File
	buf *bufio.Writer
	sum hash.Hash
}

func createSum(path string) (*sumFile, error) {
	f, err := atomicfile.Create(path)
	if err != nil {
		return nil, err
	}
	return &sumFile{f: f, buf: bufio.NewWriterSize(f, 1<<20), sum: sha256.New()}, nil
}

func (s *sumFile) Write(p []byte) (int, error) {
	s.sum.Write(p) // never fails
	return s.buf.Write(p)
}

func (s *sumFile) commit() (string, error) {
	if err := s.buf.Flush(); err != nil {
		return "", err
	}
	if err := s.f.Commit(); err != nil {
		return "", err
	}
	return hex.EncodeToString(s.sum.Sum(nil)), nil
}
