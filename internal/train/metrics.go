package train

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/cria-llm/cria/internal/sys/atomicfile"
)

// Files of a run's directory that grow by lines of JSON, each with a "step".
const (
	MetricsFile = "metrics.jsonl"
	SamplesFile = "samples.jsonl"
)

// Metrics is one line of metrics.jsonl.
type Metrics struct {
	Step       int
	Tokens     int64   // seen since the run began
	Time       float64 // seconds of training since the run began, pauses not counted
	Loss       float64 // nats per trained token of this step
	LR         float64
	GradNorm   float64            // before clipping
	TokensPerS float64            // since the last line
	More       map[string]float64 // what the stage measures: "val_loss", …
}

// MarshalJSON keeps the order of fields; More follows, sorted by name.
func (m Metrics) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	add := func(name string, value any) error {
		v, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fmt.Fprintf(&b, "%c%q:%s", map[bool]byte{true: '{', false: ','}[b.Len() == 0], name, v)
		return nil
	}
	err := errors.Join(add("step", m.Step), add("tokens", m.Tokens), add("time", m.Time), add("loss", m.Loss),
		add("lr", m.LR), add("grad_norm", m.GradNorm), add("tokens_per_s", m.TokensPerS))
	for _, name := range slices.Sorted(maps.Keys(m.More)) {
		err = errors.Join(err, add(name, m.More[name]))
	}
	b.WriteByte('}')
	return b.Bytes(), err
}

// Sample is one line of samples.jsonl.
type Sample struct {
	Step   int    `json:"step"`
	Prompt string `json:"prompt"`
	Text   string `json:"text"`
}

// lines is a file of JSON lines that is appended to.
type lines struct {
	f *os.File
}

// openLines opens such a file for a run that stands at a step: what later steps
// wrote before the run was interrupted is dropped, and so is a torn last line.
func openLines(path string, step int) (*lines, error) {
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var kept []byte
	for text := range bytes.Lines(old) { // of any length: samples are long
		var line struct {
			Step *int `json:"step"`
		}
		if json.Unmarshal(text, &line) == nil && line.Step != nil && *line.Step <= step {
			kept = append(append(kept, bytes.TrimSuffix(text, []byte{'\n'})...), '\n')
		}
	}
	if !bytes.Equal(kept, old) {
		if err := atomicfile.WriteFile(path, kept); err != nil {
			return nil, err
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	return &lines{f}, nil
}

func (l *lines) add(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: %w", l.f.Name(), err)
	}
	_, err = l.f.Write(append(b, '\n'))
	return err
}

func (l *lines) close() error { return l.f.Close() }

// readJSON reads a small file of our own; unknown fields are an error.
func readJSON(path string, v any) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	return atomicfile.WriteFile(path, append(b, '\n'))
}
