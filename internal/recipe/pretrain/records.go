package pretrain

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/chat"
)

// maxRecord is the longest line of a file of records in bytes.
const maxRecord = 64 << 20

// addRecords adds the documents and dialogs of JSON lines.
func (b *textBuilder) addRecords(ctx context.Context, d *Data) error {
	paths, err := expand("data.records", d.Records)
	if err != nil {
		return err
	}
	var enc *chat.Encoder // nil where no template is named
	if d.ChatTemplate != "" {
		tmpl, err := chat.Lookup(d.ChatTemplate)
		if err != nil {
			return err
		}
		if enc, err = chat.NewEncoder(tmpl, b.tok, chat.RefuseTags); err != nil {
			return err
		}
	}
	for _, path := range paths {
		if err := b.addRecordFile(ctx, enc, path); err != nil {
			return err
		}
	}
	return nil
}

func (b *textBuilder) addRecordFile(ctx context.Context, enc *chat.Encoder, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxRecord)
	n := 1
	for ; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := b.addRecord(enc, fmt.Sprintf("%s#%d", filepath.Base(path), n), line); err != nil {
			return fmt.Errorf("%s: line %d: %w", path, n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: line %d: %w", path, n, err)
	}
	return nil
}

// addRecord adds a document as it is, or a dialog as the chat encoder writes it:
// one document, in which every pair of question and answer has its own begin and
// end token, and a later one sees those before it.
func (b *textBuilder) addRecord(enc *chat.Encoder, id string, line []byte) error {
	var record struct {
		Text     *string      `json:"text"`
		Messages *chat.Dialog `json:"messages"`
	}
	if err := json.Unmarshal(line, &record); err != nil {
		return err
	}
	switch {
	case (record.Text == nil) == (record.Messages == nil):
		return errors.New("the object needs either text or messages")
	case record.Text != nil && strings.TrimSpace(*record.Text) == "":
		return errors.New("text is empty")
	case record.Text != nil:
		return b.add(splitOf(line), id, []byte(*record.Text))
	case enc == nil:
		return fmt.Errorf("it is a dialog, and data.chat_template does not say how dialogs are written; there are %s", strings.Join(chat.Names(), ", "))
	}
	ids, learn, err := enc.Train(*record.Messages)
	if err != nil {
		return err
	}
	split := splitOf(line)
	if !b.answersOnly {
		if i := slices.IndexFunc(*record.Messages, func(m chat.Message) bool { return m.Role == chat.Assistant && m.Loss != nil && !*m.Loss }); i >= 0 {
			return fmt.Errorf(`message %d has "loss": false, but all of dialogs is learned; set data.learn to %s`, i+1, learnAnswers)
		}
		return b.files[split].Append(id, ids)
	}
	if err := b.countUnlearned(split, learn); err != nil {
		return err
	}
	return b.files[split].AppendMasked(id, ids, learn)
}

// countUnlearned refuses what would make a training sequence of which nothing is
// learned. What the next dialog begins with is no target either.
func (b *textBuilder) countUnlearned(split string, learn []bool) error {
	run := b.unlearned[split]
	for _, l := range learn {
		if run++; l {
			run = 0
		}
		if run >= b.sequence-1 {
			return fmt.Errorf("%d tokens in a row are not learned, of this dialog and those before it, and a training sequence has %d; shorten its questions, or make sequence longer", run, b.sequence)
		}
	}
	b.unlearned[split] = run
	return nil
}
