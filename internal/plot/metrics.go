package plot

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// MetricsFile is where a run keeps its metrics: one JSON object a line, with the
// step, the tokens trained on so far, and any number of measured fields.
const MetricsFile = "metrics.jsonl"

// maxLine is far above what any stage writes of a step.
const maxLine = 1 << 20

// Run is what a run's metrics file says.
type Run struct {
	Name  string   // of the run's directory
	Path  string   // of the metrics file
	Notes []string // what a reader of the figure should know
	// Fields are the names of all fields with numbers, in alphabetical order.
	Fields []string

	curves map[string]*curve
}

// curve is one field over steps.
type curve struct {
	line   []int // of the file, from 1
	step   []int64
	tokens []int64
	has    []bool // whether the line has tokens
	y      []float64
}

// ReadRun reads a run's metrics: path is the run's directory, or its metrics
// file. A field that a line lacks (or that is null) is not on its curve. Where
// steps were computed again, because a run was resumed from a checkpoint, the
// later lines count. A last line that is cut off, as a crash may leave it, is
// left out with a note; any other line that is not as it should be is an error
// that names it.
func ReadRun(path string) (*Run, error) {
	r := &Run{Path: path, curves: map[string]*curve{}}
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if info.IsDir() {
		r.Path = filepath.Join(path, MetricsFile)
	}
	dir, err := filepath.Abs(filepath.Dir(r.Path))
	if err != nil {
		return nil, err
	}
	r.Name = filepath.Base(dir)
	f, err := os.Open(r.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := r.read(bufio.NewReaderSize(f, maxLine)); err != nil {
		return nil, err
	}
	for name := range r.curves {
		r.Fields = append(r.Fields, name)
	}
	slices.Sort(r.Fields)
	return r, nil
}

func (r *Run) read(in *bufio.Reader) error {
	last, again := int64(-1), int64(0)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		end := errors.Is(err, io.EOF)
		if errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("%s: line %d is longer than %d bytes", r.Path, n, maxLine)
		} else if err != nil && !end {
			return fmt.Errorf("%s: line %d: %w", r.Path, n, err)
		}
		if len(bytes.TrimSpace(line)) > 0 {
			var fields map[string]json.RawMessage
			if err := json.Unmarshal(line, &fields); err != nil {
				if _, more := in.Peek(1); !errors.Is(more, io.EOF) { // only the last line may be broken
					return fmt.Errorf("%s: line %d is no JSON object: %w", r.Path, n, err)
				}
				r.Notes = append(r.Notes, fmt.Sprintf("%s: line %d, the last, is cut off and was left out", r.Path, n))
				break
			}
			step, err := r.add(n, fields)
			if err != nil {
				return err
			}
			if step < last {
				again += last - step + 1
			}
			last = step
		}
		if end {
			break
		}
	}
	if last < 0 {
		return fmt.Errorf("%s has no metrics yet", r.Path)
	}
	if again > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%s: after a resume about %d steps were computed again; the later values are drawn", r.Path, again))
	}
	return nil
}

// add puts one line's fields on the curves.
func (r *Run) add(n int, fields map[string]json.RawMessage) (step int64, err error) {
	whole := func(name string) (v int64, ok bool, err error) {
		raw, ok := fields[name]
		if !ok || string(raw) == "null" {
			return 0, false, nil
		}
		if err := json.Unmarshal(raw, &v); err != nil || v < 0 {
			return 0, false, fmt.Errorf("%s: line %d: %s is %.40s; a whole number from 0 is needed", r.Path, n, name, raw)
		}
		return v, true, nil
	}
	step, ok, err := whole("step")
	if err != nil {
		return 0, err
	} else if !ok {
		return 0, fmt.Errorf("%s: line %d has no step", r.Path, n)
	}
	tokens, hasTokens, err := whole("tokens")
	if err != nil {
		return 0, err
	}
	for _, c := range r.curves {
		c.cut(step)
	}
	for name, raw := range fields {
		if name == "step" || name == "tokens" || string(raw) == "null" {
			continue
		}
		var y float64
		if err := json.Unmarshal(raw, &y); err != nil {
			if _, known := fieldLabels[name]; known {
				return 0, fmt.Errorf("%s: line %d: %s is %.40s; a number is needed", r.Path, n, name, raw)
			}
			continue // a text, a list: nothing to draw
		}
		c := r.curves[name]
		if c == nil {
			c = &curve{}
			r.curves[name] = c
		}
		if k := len(c.step); k > 0 && c.step[k-1] == step { // the line replaces that step's
			c.drop(k - 1)
		}
		c.line, c.step, c.y = append(c.line, n), append(c.step, step), append(c.y, y)
		c.tokens, c.has = append(c.tokens, tokens), append(c.has, hasTokens)
	}
	return step, nil
}

// cut takes away what stands after a step: it is computed again.
func (c *curve) cut(step int64) {
	k := len(c.step)
	for k > 0 && c.step[k-1] > step {
		k--
	}
	c.drop(k)
}

// drop leaves the first k points.
func (c *curve) drop(k int) {
	c.line, c.step, c.tokens, c.has, c.y = c.line[:k], c.step[:k], c.tokens[:k], c.has[:k], c.y[:k]
}

// over returns a curve's points over tokens or steps.
func (r *Run) over(field, axis string) (x, y []float64, err error) {
	c := r.curves[field]
	if c == nil {
		return nil, nil, nil
	}
	x = make([]float64, len(c.step))
	for i := range x {
		if axis == AxisSteps {
			x[i] = float64(c.step[i])
			continue
		}
		if !c.has[i] {
			return nil, nil, fmt.Errorf("%s: line %d has %s and no tokens: draw it over steps", r.Path, c.line[i], field)
		}
		if x[i] = float64(c.tokens[i]); i > 0 && x[i] < x[i-1] {
			return nil, nil, fmt.Errorf("%s: line %d: tokens go back from %d to %d while steps go on", r.Path, c.line[i], c.tokens[i-1], c.tokens[i])
		}
	}
	return x, c.y, nil
}
