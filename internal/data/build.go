package data

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/cria-llm/cria/internal/data/decontam"
	"github.com/cria-llm/cria/internal/data/dedup"
	"github.com/cria-llm/cria/internal/data/doc"
	"github.com/cria-llm/cria/internal/data/shard"
	"github.com/cria-llm/cria/internal/modelfile"
	"github.com/cria-llm/cria/internal/sys/filelock"
	"github.com/cria-llm/cria/internal/tokenizer"
)

// Options are what a caller may add.
type Options struct {
	// Progress, if not nil, is called from one goroutine at a time: amounts of
	// input bytes in the stages over units, of pieces of work in others.
	Progress func(stage string, done, total int64)
}

// build is a build under way.
type build struct {
	config    *Config
	options   Options
	plan      *plan
	store     *store
	steps     []doc.Step
	tokenizer *tokenizer.Tokenizer
	vocabSum  string // sha256 of the tokenizer's content
	width     int    // bytes of an id

	domainRules []doc.DomainRule
	domainDrops domainDrops
	benchmarks  *decontam.Index
	frequent    dedup.Frequent

	// Results of the stages, by unit where they are slices.
	cleaned    []cleaned
	verdicts   *verdicts
	decided    map[string]decided
	tokenized  []tokenized
	tokenFiles []*tokenUnitFiles
	drawn      drawn
	shards     []shard.File

	progress struct {
		sync.Mutex
		done int64
	}
}

const lockFile = ".lock"

// Build makes the data set that a configuration describes, or goes on with it.
// If it is complete already, Build returns its report.
func Build(ctx context.Context, c *Config, o Options) (report *Report, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Out, 0o777); err != nil {
		return nil, err
	}
	lock, err := filelock.Try(filepath.Join(c.Out, lockFile))
	if err != nil {
		return nil, fmt.Errorf("out: another build of %s runs: %w", c.Out, err)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	b := &build{config: c, options: o, decided: map[string]decided{}}
	if err := b.prepare(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(c.Out, shard.IndexFile)); err == nil {
		return b.complete()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := b.store.prepare(); err != nil {
		return nil, err
	}
	if err := b.run(ctx); err != nil {
		return nil, err
	}
	return b.finish()
}

// prepare makes the plan and compares it with that of a build under way.
func (b *build) prepare() (err error) {
	c := b.config
	if b.steps, b.domainRules, err = c.Steps.build(); err != nil {
		return err
	}
	if b.tokenizer, _, err = modelfile.OpenTokenizer(c.Tokenizer); err != nil {
		return fmt.Errorf("tokenizer: %w", err)
	}
	if err := checkBorders(b.tokenizer, c); err != nil {
		return err
	}
	b.width = shard.Width(b.tokenizer.VocabSize())
	b.vocabSum = tokenizerSum(b.tokenizer)
	if b.plan, err = newPlan(c); err != nil {
		return err
	}
	b.plan.Config["tokenizer"] = b.vocabSum
	if err := removeTemporary(c.Out); err != nil {
		return err
	}
	if _, err := b.plan.keep(c.Out); err != nil {
		return err
	}
	b.store = &store{dir: filepath.Join(c.Out, workDir), workers: c.workers()}
	return nil
}

// checkBorders: a setting that the tokenizer cannot follow is an error.
func checkBorders(t *tokenizer.Tokenizer, c *Config) error {
	if _, ok := t.BOS(); c.BOS && !ok {
		return errors.New("bos: true, but the tokenizer has no BOS; set bos: false")
	}
	if _, ok := t.EOS(); c.EOS && !ok {
		return errors.New("eos: true, but the tokenizer has no EOS; set eos: false")
	}
	return nil
}

func (b *build) source(name string) *Source { return &b.config.Sources[b.sourceIndex(name)] }

func (b *build) sourceIndex(name string) int {
	for i := range b.config.Sources {
		if b.config.Sources[i].Name == name {
			return i
		}
	}
	panic("data: a unit of no source")
}

// run runs the stages.
func (b *build) run(ctx context.Context) (err error) {
	b.cleaned = make([]cleaned, len(b.plan.Units))
	err = b.eachUnit(ctx, "cleaning", func(ctx context.Context, unit int) error {
		var err error
		b.cleaned[unit], err = once(b.store, cleanDir, unitName(unit), func(p *piece) (cleaned, error) { return b.cleanUnit(ctx, unit, p) })
		return err
	})
	if err != nil {
		return err
	}
	b.step("comparing", 0, 1)
	if err := b.decide(ctx); err != nil {
		return err
	}
	if err := b.loadBenchmarks(); err != nil {
		return err
	}
	b.tokenized = make([]tokenized, len(b.plan.Units))
	err = b.eachUnit(ctx, "tokenising", func(ctx context.Context, unit int) error {
		var err error
		b.tokenized[unit], err = once(b.store, tokensDir, unitName(unit), func(p *piece) (tokenized, error) { return b.tokenUnit(ctx, unit, p) })
		return err
	})
	if err != nil {
		return err
	}
	b.step("mixing", 0, 1)
	if b.drawn, err = once(b.store, drawDir, "draw", func(p *piece) (drawn, error) { return b.draw(ctx, p) }); err != nil {
		return err
	}
	return b.writeShards(ctx)
}

// loadBenchmarks reads the benchmark sets.
func (b *build) loadBenchmarks() (err error) {
	if b.benchmarks, err = decontam.Load(b.config.Decontaminate, "."); err != nil {
		return err
	}
	if need := b.benchmarks.Bytes(); need > int64(b.config.Memory) && len(b.config.Decontaminate.Sets) > 0 {
		return fmt.Errorf("memory: %d bytes; the n-grams of the benchmark sets take about %d", b.config.Memory, need)
	}
	return nil
}

// writeShards is the last stage.
func (b *build) writeShards(ctx context.Context) error {
	for unit := range b.tokenized {
		f, err := b.openTokens(unit)
		if err != nil {
			return err
		}
		defer f.close()
		b.tokenFiles = append(b.tokenFiles, f)
	}
	b.shards = make([]shard.File, len(b.drawn.Shards))
	var total int64
	for _, s := range b.drawn.Shards {
		total += s.Tokens
	}
	b.step("writing", 0, total)
	return b.store.each(ctx, len(b.drawn.Shards), func(ctx context.Context, i int) error {
		plan := b.drawn.Shards[i]
		f, err := b.shardOnce(ctx, plan)
		b.shards[i] = f
		b.step("writing", plan.Tokens, total)
		return err
	})
}

// shardOnce writes a shard unless it is there. Its files are in the data set
// itself, so its record has their sums in its result.
func (b *build) shardOnce(ctx context.Context, plan planned) (shard.File, error) {
	r, err := b.store.finished(shardsDir, plan.Name)
	if err != nil {
		return shard.File{}, err
	}
	if r != nil {
		f, err := shard.ParseFile(r.Result)
		if err != nil {
			return f, fmt.Errorf("%s: %w", b.store.path(shardsDir, plan.Name+".json"), err)
		}
		err = f.Verify(ctx, b.config.Out)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	f, err := b.writeShard(ctx, plan)
	if err != nil {
		return f, err
	}
	p := &piece{store: b.store, stage: shardsDir, name: plan.Name}
	return f, p.commit(f)
}

// eachUnit runs work for all units and reports progress by their bytes.
func (b *build) eachUnit(ctx context.Context, stage string, work func(ctx context.Context, unit int) error) error {
	var total int64
	for _, u := range b.plan.Units {
		total += u.End - u.Start
	}
	b.step(stage, 0, total)
	return b.store.each(ctx, len(b.plan.Units), func(ctx context.Context, unit int) error {
		err := work(ctx, unit)
		b.step(stage, b.plan.Units[unit].End-b.plan.Units[unit].Start, total)
		return err
	})
}

// step reports progress: n more; 0 begins a stage.
func (b *build) step(stage string, n, total int64) {
	if b.options.Progress == nil {
		return
	}
	b.progress.Lock()
	defer b.progress.Unlock()
	if n == 0 {
		b.progress.done = 0
	}
	b.progress.done += n
	b.options.Progress(stage, b.progress.done, total)
}

// finish writes the report and the index, and removes the work directory.
func (b *build) finish() (*Report, error) {
	r, err := b.report()
	if err != nil {
		return nil, err
	}
	if err := r.write(b.config.Out); err != nil {
		return nil, err
	}
	x := &shard.Index{
		VocabSize: b.tokenizer.VocabSize(), Tokenizer: b.vocabSum,
		BOS: b.config.BOS, EOS: b.config.EOS, Splits: map[string]shard.Files{},
	}
	for i, f := range b.shards {
		split := b.drawn.Shards[i].Split
		s := x.Splits[split]
		s.Shards = append(s.Shards, f)
		s.Tokens += f.Tokens
		s.Documents += f.Documents
		x.Splits[split] = s
	}
	if err := shard.WriteIndex(b.config.Out, x); err != nil {
		return nil, err
	}
	return r, b.cleanUp()
}

// complete returns the report of a build that is done.
func (b *build) complete() (*Report, error) {
	r, err := ReadReport(b.config.Out)
	if err != nil {
		return nil, err
	}
	r.Already = true
	return r, b.cleanUp() // a run may have been killed between index and here
}

func (b *build) cleanUp() error {
	if b.config.KeepWork {
		return nil
	}
	return os.RemoveAll(b.store.dir)
}

// tokenizerSum names a tokenizer by its content, whatever file it came from.
func tokenizerSum(t *tokenizer.Tokenizer) string {
	return fmt.Sprintf("%x", sha256.Sum256(t.Model()))
}
