package pretrain

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cria-llm/cria/internal/chat"
)

// maxDialog is the longest line of a dialog file in bytes.
const maxDialog = 16 << 20

// addDialogs adds dialogs as the chat encoder writes them, one document each:
// every pair of question and answer has its own begin and end token, and a later
// one sees those before it.
func (b *textBuilder) addDialogs(ctx context.Context, d *Data) error {
	if len(d.Dialogs) == 0 {
		return nil
	}
	tmpl, err := chat.Lookup(d.ChatTemplate)
	if err != nil {
		return err
	}
	enc, err := chat.NewEncoder(tmpl, b.tok, chat.RefuseTags)
	if err != nil {
		return err
	}
	for _, path := range d.Dialogs {
		if err := b.addDialogFile(ctx, enc, path); err != nil {
			return err
		}
	}
	return nil
}

func (b *textBuilder) addDialogFile(ctx context.Context, enc *chat.Encoder, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxDialog)
	n := 1
	for ; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		var record struct {
			Messages chat.Dialog `json:"messages"`
		}
		if err := json.Unmarshal(line, &record); err != nil {
			return fmt.Errorf("%s: line %d: %w; each line is an object with messages, each of which has role and content", path, n, err)
		}
		ids, _, err := enc.Train(record.Messages)
		if err != nil {
			return fmt.Errorf("%s: line %d: %w", path, n, err)
		}
		if err := b.files[splitOf(line)].Append(fmt.Sprintf("%s#%d", filepath.Base(path), n), ids); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: line %d: %w", path, n, err)
	}
	return nil
}
