package cli

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria/internal/data"
	"github.com/cria-llm/cria/internal/data/shard"
)

func newData() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "data",
		Short: "Turn documents into token shards for training",
		Example: `  cria data build examples/data-gutenberg.yaml
  cria data show data/gutenberg`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("there is no command %q", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDataBuild(), newDataShow())
	for _, c := range cmd.Commands() {
		c.Flags().SortFlags = false
	}
	return cmd
}

// dataBuildConfig is everything that `cria data build` can be told on the command
// line; the rest is in its file.
type dataBuildConfig struct {
	File    string
	Out     string
	Threads int
	Memory  string
	Keep    bool
	JSON    bool
}

func newDataBuild() *cobra.Command {
	var c dataBuildConfig
	cmd := &cobra.Command{
		Use:   "build CONFIG.yaml",
		Short: "Read, clean, deduplicate, mix and tokenise documents",
		Long: `Read documents (.txt, .jsonl, also .gz and .zst, Parquet, HTML, WARC), repair
and filter them, mask personal data, drop documents that are the same or nearly
the same, lines that stand in many documents and benchmark items, mix the
sources, and write shuffled token shards with a validation split. See
docs/data.md for every setting.

The same input, configuration and seed give the same bytes for any number of
threads and any memory. A build that was interrupted, even by a crash, goes on
where it was when the command is given again; input or settings that have
changed since are refused. Beside the shards stands what was kept and dropped
and why: report.html, report.txt and report.json.`,
		Example: `  cria data build examples/data-gutenberg.yaml
  cria data build web.yaml -o data/web --threads 8 --memory 16GiB`,
		Args: args(1, 1, "one CONFIG.yaml"),
		RunE: func(cmd *cobra.Command, given []string) error {
			c.File = given[0]
			return c.run(cmd)
		},
	}
	fs := cmd.Flags()
	fs.StringVarP(&c.Out, "out", "o", "", "directory of the data set (default: as in the file)")
	fs.IntVarP(&c.Threads, "threads", "t", 0, "cores to use (default: as in the file, or all that this process may)")
	fs.StringVar(&c.Memory, "memory", "", "memory for sorting and tables, such as 8GiB (default: as in the file, or 2GiB)")
	fs.BoolVar(&c.Keep, "keep-work", false, "keep the intermediate files")
	fs.BoolVar(&c.JSON, "json", false, "print the report as one JSON object")
	return cmd
}

func (c *dataBuildConfig) run(cmd *cobra.Command) error {
	cfg, err := data.Load(c.File, func(cfg *data.Config) error {
		if c.Out != "" {
			cfg.Out = c.Out
		}
		if cmd.Flags().Changed("threads") {
			cfg.Workers = c.Threads
		}
		cfg.KeepWork = cfg.KeepWork || c.Keep
		if c.Memory == "" {
			return nil
		}
		size, err := data.ParseSize(c.Memory)
		cfg.Memory = size
		if err != nil {
			return fmt.Errorf("--memory: %w", err)
		}
		return nil
	})
	if err != nil {
		return &UsageError{err}
	}
	b := newBar(cmd, "", "B")
	r, err := data.Build(cmd.Context(), cfg, data.Options{Progress: func(stage string, done, total int64) {
		b.rename(stage)
		b.set(int(done), int(total))
	}})
	b.done()
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(cmd, r)
	}
	if r.Already {
		note(cmd, "cria: %s is complete already; this is its report", cfg.Out)
	}
	return r.Text(cmd.OutOrStdout())
}

// dataShowConfig is everything that `cria data show` can be told.
type dataShowConfig struct {
	Dir      string
	Verify   bool
	Examples bool
	JSON     bool
}

func newDataShow() *cobra.Command {
	var c dataShowConfig
	cmd := &cobra.Command{
		Use:   "show DIR",
		Short: "Show the report of a data set, and check its shards",
		Long: `Show what ` + "`cria data build`" + ` did: documents kept and dropped by rule and
source, the mix, and the shards. --examples adds a few dropped documents of each
rule with what was measured; --verify reads all shards and compares their sha256.`,
		Example: `  cria data show data/gutenberg --examples
  cria data show data/gutenberg --verify`,
		Args: args(1, 1, "one DIR"),
		RunE: func(cmd *cobra.Command, given []string) error {
			c.Dir = given[0]
			return c.run(cmd)
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&c.Examples, "examples", false, "show examples of dropped documents")
	fs.BoolVar(&c.Verify, "verify", false, "compare the sha256 of all shards")
	fs.BoolVar(&c.JSON, "json", false, "print the report as one JSON object")
	return cmd
}

func (c *dataShowConfig) run(cmd *cobra.Command) (err error) {
	set, err := shard.Open(c.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	if c.Verify {
		b := newBar(cmd, "verifying", "B")
		err := set.Verify(cmd.Context(), func(done, total int64) { b.set(int(done), int(total)) })
		b.done()
		if err != nil {
			return err
		}
		note(cmd, "cria: all shards are as they were written")
	}
	r, err := data.ReadReport(c.Dir)
	if errors.Is(err, fs.ErrNotExist) { // shards that another command wrote
		return printJSON(cmd, set.Index().Splits)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(cmd, r)
	}
	if err := r.Text(cmd.OutOrStdout()); err != nil || !c.Examples {
		return err
	}
	fmt.Fprintln(cmd.OutOrStdout(), "\nExamples of dropped documents")
	return r.WriteExamples(cmd.OutOrStdout())
}
