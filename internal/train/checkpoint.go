package train

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cria-llm/cria/internal/sys/atomicfile"
)

// Names in a run's directory. A checkpoint is checkpoints/step-N with
//
//	model/                 the weights, a complete Hugging Face directory
//	optimizer.safetensors  moments and moving averages
//	state.json             State
//	config.yaml            the run's configuration
//	complete.json          sha256 of all of these; written last
//
// Everything is written to a hidden directory beside it and synced, file by file
// and directory by directory, before that takes its name; complete.json follows.
// A directory without it is what an interruption left behind, of writing or of
// deleting, and counts as nothing.
const (
	checkpointsDir = "checkpoints"
	stepPrefix     = "step-"
	ModelDir       = "model"
	optimizerFile  = "optimizer.safetensors"
	stateFile      = "state.json"
	ConfigFile     = "config.yaml"
	markerFile     = "complete.json"
	tmpSuffix      = ".tmp"
)

// State is where a run stands. What a step trains on follows from Seed and the
// step's number, so nothing else of the data's order is kept.
type State struct {
	Step     int     `json:"step"`
	Position int64   `json:"data_position"` // sequences that were trained on
	Seed     uint64  `json:"seed"`
	Tokens   int64   `json:"tokens"`
	Seconds  float64 `json:"seconds"`   // of training
	LossMean float64 `json:"loss_mean"` // running, for spikes
	Config   string  `json:"config_sha256"`
	Data     string  `json:"data_sha256"` // of what describes the data with its own sums
	Device   string  `json:"device"`      // whose arithmetic made the weights
}

// marker is complete.json.
type marker struct {
	Files []fileSum `json:"files"`
}

type fileSum struct {
	Name   string `json:"name"` // with slashes
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Checkpoint is a complete one. Its files were not read yet.
type Checkpoint struct {
	Dir  string
	Step int
}

// Model is the directory of its weights.
func (c *Checkpoint) Model() string { return filepath.Join(c.Dir, ModelDir) }

// Checkpoints lists the complete checkpoints of a run's directory, the first step
// first.
func Checkpoints(run string) ([]Checkpoint, error) {
	entries, err := os.ReadDir(filepath.Join(run, checkpointsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []Checkpoint
	for _, e := range entries {
		step, ok := stepOf(e.Name())
		dir := filepath.Join(run, checkpointsDir, e.Name())
		if _, err := os.Stat(filepath.Join(dir, markerFile)); ok && err == nil {
			list = append(list, Checkpoint{dir, step})
		}
	}
	slices.SortFunc(list, func(a, b Checkpoint) int { return a.Step - b.Step })
	return list, nil
}

// stepOf reads the number of a checkpoint's directory.
func stepOf(name string) (step int, ok bool) {
	digits, ok := strings.CutPrefix(name, stepPrefix)
	step, err := strconv.Atoi(digits)
	return step, ok && err == nil && step >= 0 && name == stepPrefix+strconv.Itoa(step)
}

// writeCheckpoint makes checkpoints/step-N of what fill writes into a directory.
// Where there is a complete one of that step already it does nothing.
func writeCheckpoint(run string, step int, fill func(dir string) error) (string, error) {
	root := filepath.Join(run, checkpointsDir)
	dir := filepath.Join(root, stepPrefix+strconv.Itoa(step))
	if _, err := os.Stat(filepath.Join(dir, markerFile)); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(root, 0o777); err != nil {
		return "", err
	}
	if err := atomicfile.SyncDir(run); err != nil { // it has root's name
		return "", err
	}
	tmp := filepath.Join(root, "."+stepPrefix+strconv.Itoa(step)+tmpSuffix)
	for _, left := range []string{tmp, dir} { // by an interruption
		if err := os.RemoveAll(left); err != nil {
			return "", err
		}
	}
	if err := os.Mkdir(tmp, 0o777); err != nil {
		return "", err
	}
	err := func() error {
		if err := fill(tmp); err != nil {
			return err
		}
		sums, err := sumTree(tmp)
		if err != nil {
			return err
		}
		if err := syncTree(tmp); err != nil {
			return err
		}
		if err := os.Rename(tmp, dir); err != nil {
			return err
		}
		if err := atomicfile.SyncDir(root); err != nil {
			return err
		}
		return writeJSON(filepath.Join(dir, markerFile), marker{sums})
	}()
	if err != nil {
		return "", errors.Join(fmt.Errorf("train: the checkpoint of step %d was not written, earlier ones are as they were: %w", step, err), os.RemoveAll(tmp), os.RemoveAll(dir))
	}
	return dir, nil
}

// sumTree lists all files below a directory with their sums, sorted by name.
func sumTree(dir string) (sums []fileSum, err error) {
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		n, sum, err := atomicfile.Sum(path)
		sums = append(sums, fileSum{filepath.ToSlash(rel), n, sum})
		return err
	})
	return sums, err
}

// syncTree makes a tree durable: the files' contents first, then each directory
// after what is in it.
func syncTree(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if e.IsDir() {
			dirs = append(dirs, path)
			return nil
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
	for _, d := range slices.Backward(dirs) {
		if err == nil {
			err = atomicfile.SyncDir(d)
		}
	}
	return err
}

// Verify compares all files of a checkpoint with their sums.
func (c *Checkpoint) Verify(ctx context.Context) error {
	var m marker
	path := filepath.Join(c.Dir, markerFile)
	if err := readJSON(path, &m); err != nil {
		return c.damaged(err)
	}
	if len(m.Files) == 0 {
		return c.damaged(fmt.Errorf("%s: it lists no files", path))
	}
	for _, f := range m.Files {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !filepath.IsLocal(filepath.FromSlash(f.Name)) {
			return c.damaged(fmt.Errorf("%s: the file %q is outside of the checkpoint", path, f.Name))
		}
		file := filepath.Join(c.Dir, filepath.FromSlash(f.Name))
		n, sum, err := atomicfile.Sum(file)
		switch {
		case err != nil:
			return c.damaged(err)
		case n != f.Bytes:
			return c.damaged(fmt.Errorf("%s: %d bytes; %s says %d", file, n, markerFile, f.Bytes))
		case sum != f.SHA256:
			return c.damaged(fmt.Errorf("%s: sha256 is %s; %s says %s", file, sum, markerFile, f.SHA256))
		}
	}
	return nil
}

func (c *Checkpoint) damaged(err error) error {
	return fmt.Errorf("train: the checkpoint is damaged: %w; delete %s to go on from the one before it", err, c.Dir)
}

// State reads where the run stood.
func (c *Checkpoint) State() (s State, err error) {
	if err := readJSON(filepath.Join(c.Dir, stateFile), &s); err != nil {
		return s, c.damaged(err)
	}
	if s.Step != c.Step {
		return s, c.damaged(fmt.Errorf("%s: step %d in a directory of step %d", filepath.Join(c.Dir, stateFile), s.Step, c.Step))
	}
	return s, nil
}

// prune deletes all checkpoints but the last ones and those kept for good, and
// what interruptions left behind, which is as large as a checkpoint. The marker
// goes first, so that what an interruption leaves is no checkpoint.
func prune(run string, last, every int) error {
	list, err := Checkpoints(run)
	if err != nil {
		return err
	}
	if err := removeUnfinished(filepath.Join(run, checkpointsDir)); err != nil {
		return err
	}
	for _, c := range list[:max(0, len(list)-last)] {
		if every > 0 && c.Step%every == 0 {
			continue
		}
		if err := os.Remove(filepath.Join(c.Dir, markerFile)); err != nil {
			return err
		}
		if err := atomicfile.SyncDir(c.Dir); err != nil {
			return err
		}
		if err := os.RemoveAll(c.Dir); err != nil {
			return err
		}
	}
	return nil
}

// removeUnfinished deletes directories that were begun as a checkpoint, or begun
// to be deleted.
func removeUnfinished(root string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, hidden := strings.CutPrefix(e.Name(), ".")
		if hidden {
			name = strings.TrimSuffix(name, tmpSuffix)
		}
		if _, ok := stepOf(name); !ok || hidden && name == e.Name()[1:] {
			continue
		}
		dir := filepath.Join(root, e.Name())
		if _, err := os.Stat(filepath.Join(dir, markerFile)); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return err
			}
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}
