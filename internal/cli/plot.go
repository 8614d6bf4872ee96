package cli

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/cria-llm/cria/internal/plot"
	"github.com/cria-llm/cria/internal/sys/atomicfile"
)

// plotConfig is everything that `cria plot` can be told.
type plotConfig struct {
	Runs       []string
	Out        []string
	Draw       plot.RunsConfig
	YMin, YMax float64
}

func newPlot() *cobra.Command {
	var c plotConfig
	cmd := &cobra.Command{
		Use:   "plot RUN…",
		Short: "Draw the loss curves of training runs in one figure",
		Long: `Draw the training loss of one or several runs over tokens in one figure, with
validation loss where it was measured, and learning rate and gradient norm in
panels below. RUN is a run's directory, whose metrics.jsonl is read.

Any field of metrics.jsonl that is a number can be a panel. --smooth averages
logged values around each, as many before as after; the figure says so. Where a
run was resumed and steps were computed again, the later values are drawn.`,
		Example: `  cria plot runs/15m
  cria plot runs/0.5m runs/2m runs/8m --label 0.5M,2M,8M --smooth 51 -o loss.svg,loss.png
  cria plot runs/* --panels loss,tokens_per_s --over steps --log-x`,
		Args: args(1, 1<<10, "the RUN to draw"),
		RunE: func(cmd *cobra.Command, given []string) error {
			c.Runs = given
			return c.run(cmd)
		},
	}
	fs := cmd.Flags()
	fs.StringSliceVarP(&c.Out, "out", "o", []string{"plot.svg"}, "files to write, .svg or .png")
	fs.StringSliceVar(&c.Draw.Labels, "label", nil, "names in the legend, one for each RUN")
	fs.StringVar(&c.Draw.Title, "title", "", "title of the figure")
	fs.StringVar(&c.Draw.Over, "over", plot.AxisTokens, "what to draw over: tokens or steps")
	fs.StringSliceVar(&c.Draw.Panels, "panels", nil, "fields to draw, from the top (default loss, lr and grad_norm as far as they are there)")
	fs.IntVar(&c.Draw.Smooth, "smooth", 0, "number of logged values averaged around each")
	fs.BoolVar(&c.Draw.LogX, "log-x", false, "logarithmic tokens or steps")
	fs.BoolVar(&c.Draw.LogY, "log-y", false, "logarithmic first panel")
	fs.Float64Var(&c.YMin, "y-min", 0, "lower end of the first panel (default as the data)")
	fs.Float64Var(&c.YMax, "y-max", 0, "upper end of the first panel (default as the data)")
	fs.Float64Var(&c.Draw.Width, "width", 0, "width in points of 1/72 inch (default 560)")
	fs.Float64Var(&c.Draw.Height, "height", 0, "height in points (default as the panels need)")
	return cmd
}

func (c *plotConfig) run(cmd *cobra.Command) error {
	if cmd.Flags().Changed("y-min") {
		c.Draw.YMin = &c.YMin
	}
	if cmd.Flags().Changed("y-max") {
		c.Draw.YMax = &c.YMax
	}
	if err := c.Draw.Validate(len(c.Runs)); err != nil {
		return &UsageError{err}
	}
	for _, out := range c.Out {
		if ext := strings.ToLower(filepath.Ext(out)); ext != ".svg" && ext != ".png" {
			return usagef("-o %s: the name must end in .svg or .png", out)
		}
	}
	runs := make([]*plot.Run, len(c.Runs))
	for i, path := range c.Runs {
		var err error
		if runs[i], err = plot.ReadRun(path); err != nil {
			return err
		}
		for _, n := range runs[i].Notes {
			note(cmd, "%s", n)
		}
	}
	fig, notes, err := plot.Runs(runs, c.Draw)
	if err != nil {
		return err
	}
	for _, n := range notes {
		note(cmd, "%s", n)
	}
	for _, out := range c.Out {
		if err := writeFigure(out, fig); err != nil {
			return err
		}
		fmt.Fprintln(cmd.OutOrStdout(), out)
	}
	return nil
}

// writeFigure writes a figure in the format that the file's name asks for.
func writeFigure(path string, fig *plot.Figure) error {
	encode := fig.SVG
	if strings.EqualFold(filepath.Ext(path), ".png") {
		encode = fig.PNG
	}
	data, err := encode()
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(path, data)
}
