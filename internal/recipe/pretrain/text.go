package pretrain

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cria-llm/cria/internal/data/shard"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// dataDir is where texts that were given directly become shards, in the run's
// directory.
const dataDir = "data"

// validOneIn is the share of documents, or of each file without documents, that
// is kept for validation.
const validOneIn = 20

// openData opens the shards that the configuration names, or makes them of its
// texts. A run that goes on from a checkpoint finds them made; where there is none
// yet they are made again, because the configuration may have changed.
func (c *Config) openData(ctx context.Context, tok *tokenizer.Tokenizer, resume bool, message func(string, ...any)) (*shard.Dataset, error) {
	dir := c.Data.Shards
	if dir == "" {
		dir = filepath.Join(c.Out, dataDir)
		_, err := os.Stat(filepath.Join(dir, shard.IndexFile))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err != nil || !resume {
			if err := c.buildText(ctx, dir, tok); err != nil {
				return nil, err
			}
		}
	}
	set, err := shard.Open(dir)
	if err != nil {
		return nil, err
	}
	x := set.Index()
	if sum := tokenizerSum(tok); x.Tokenizer != "" && x.Tokenizer != sum {
		err = fmt.Errorf("pretrain: the shards of %s were made with another tokenizer than %s (sha256 %s, not %s)", dir, c.Data.Tokenizer, x.Tokenizer, sum)
	} else if x.VocabSize != tok.VocabSize() {
		err = fmt.Errorf("pretrain: the shards of %s have a vocabulary of %d, the tokenizer %s one of %d", dir, x.VocabSize, c.Data.Tokenizer, tok.VocabSize())
	}
	if err == nil && resume { // what went bad since must not go into a run that is half done
		err = set.Verify(ctx, nil)
	}
	if err != nil {
		return nil, errors.Join(err, set.Close())
	}
	train, valid := x.Splits[shard.Train], x.Splits[shard.Valid]
	message("Data: %s has %d tokens in %d documents for training, %d tokens in %d documents for validation.", dir, train.Tokens, train.Documents, valid.Tokens, valid.Documents)
	return set, nil
}

func tokenizerSum(tok *tokenizer.Tokenizer) string {
	return fmt.Sprintf("%x", sha256.Sum256(tok.Model()))
}

// textBuilder tokenises documents into one shard per split.
type textBuilder struct {
	tok   *tokenizer.Tokenizer
	bulk  *tokenizer.Bulk
	ids   []int32
	files map[string]*shard.Writer
	// answersOnly leaves the users' side of dialogs out of what is learned.
	answersOnly bool
	sequence    int            // tokens of a training sequence
	unlearned   map[string]int // tokens at the end of each split, so far, that are not learned
}

// buildText makes shards of text files and dialogs.
func (c *Config) buildText(ctx context.Context, dir string, tok *tokenizer.Tokenizer) error {
	if err := clearData(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	_, bos := tok.BOS()
	_, eos := tok.EOS()
	x := &shard.Index{VocabSize: tok.VocabSize(), Tokenizer: tokenizerSum(tok), BOS: bos, EOS: eos, Splits: map[string]shard.Files{}}
	b := &textBuilder{tok: tok, bulk: tok.NewBulk(), files: map[string]*shard.Writer{}, answersOnly: c.Data.Learn == learnAnswers,
		sequence: c.Sequence, unlearned: map[string]int{}}
	create := shard.Create
	if b.answersOnly {
		create = shard.CreateMasked
	}
	for _, split := range []string{shard.Train, shard.Valid} {
		w, err := create(dir, shard.Name(split, 0), tok.VocabSize())
		if err != nil {
			return err
		}
		defer w.Abort()
		b.files[split] = w
	}
	paths, err := expand("data.text", c.Data.Text)
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := b.addFile(ctx, path, text, c.Data.Separator); err != nil {
			return err
		}
	}
	if err := b.addRecords(ctx, &c.Data); err != nil {
		return err
	}
	for split, w := range b.files {
		if w.Tokens() == 0 {
			if split == shard.Train {
				return fmt.Errorf("pretrain: %q have no text", append(c.Data.Text, c.Data.Records...))
			}
			continue
		}
		f, err := w.Commit()
		if err != nil {
			return err
		}
		x.Splits[split] = shard.Files{Tokens: f.Tokens, Documents: f.Documents, Shards: []shard.File{f}}
	}
	return shard.WriteIndex(dir, x)
}

// madeHere are the names of files that buildText makes.
var madeHere = regexp.MustCompile(`^\.?((train|valid)-\d+\.(bin|idx|ids|msk)|index\.json)(\.tmp-[0-9a-f]+)?$`)

// clearData deletes the shards of an earlier run that came to no checkpoint. It
// refuses a directory with anything else: that is not the run's.
func clearData(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !madeHere.MatchString(e.Name()) {
			return fmt.Errorf("pretrain: the shards of the texts would be made in %s, but that holds %s, which no run has made; give another directory as out", dir, e.Name())
		}
	}
	return os.RemoveAll(dir)
}

// expand replaces patterns by the files that match, each in the order of names.
func expand(field string, patterns []string) (paths []string, err error) {
	for _, p := range patterns {
		if !strings.ContainsAny(p, "*?[") {
			paths = append(paths, p)
			continue
		}
		found, err := filepath.Glob(p)
		if err != nil {
			return nil, fmt.Errorf("pretrain: %s: %s: %w", field, p, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("pretrain: %s: no file matches %s", field, p)
		}
		paths = append(paths, found...)
	}
	return paths, nil
}

// addFile adds a file's documents. The hash of a document's text says whether it
// is for validation; of a file that is one document, its end is.
func (b *textBuilder) addFile(ctx context.Context, path string, text []byte, separator string) error {
	name := filepath.Base(path)
	if separator == "" {
		cut := len(text) - len(text)/validOneIn
		if i := bytes.LastIndexByte(text[:cut], '\n'); i > 0 {
			cut = i + 1
		} else { // one line
			cut = len(text)
		}
		return errors.Join(b.add(shard.Train, name, text[:cut]), b.add(shard.Valid, name, text[cut:]))
	}
	for i := 0; len(text) > 0; i++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		document, rest, _ := bytes.Cut(text, []byte(separator))
		document, text = bytes.TrimSpace(document), rest
		if err := b.add(splitOf(document), fmt.Sprintf("%s#%d", name, i), document); err != nil {
			return err
		}
	}
	return nil
}

// splitOf says by a document's hash what it is for.
func splitOf(document []byte) string {
	h := fnv.New64a()
	h.Write(document)
	if h.Sum64()>>7%validOneIn == 0 { // the lowest bits are the least mixed
		return shard.Valid
	}
	return shard.Train
}

func (b *textBuilder) add(split, id string, text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	b.ids = b.bulk.AppendEncode(b.ids[:0], text, tokenizer.EncodeOptions{BOS: true, EOS: true})
	b.unlearned[split] = 0
	return b.files[split].Append(id, b.ids)
}
