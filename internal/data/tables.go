package data

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/cria-llm/cria/internal/plot"
	"github.com/cria-llm/cria/internal/report"
)

// The tables of the report, heading first.

func (r *Report) documentTable() [][]string {
	rows := [][]string{{"source", "read", "MB", "kept", "MB", "kept of bytes", "tokens", "bytes per token"}}
	add := func(name string, t *Tally) {
		rows = append(rows, []string{name, number(t.In.Documents), megabytes(t.In.Bytes), number(t.Kept.Documents), megabytes(t.Kept.Bytes), percent(t.Kept.Bytes, t.In.Bytes), number(t.Tokens), ratio(t.Kept.Bytes, t.Tokens)})
	}
	for i := range r.Sources {
		add(r.Sources[i].Name, &r.Sources[i].Tally)
	}
	if len(r.Sources) > 1 {
		sum := r.sum()
		add("all", &sum)
	}
	return rows
}

func (r *Report) ruleTable() [][]string {
	head := []string{"rule"}
	for i := range r.Sources {
		head = append(head, r.Sources[i].Name)
	}
	head = append(head, "all", "MB", "of documents")
	sum := r.sum()
	rows := [][]string{head}
	for _, rule := range r.Rules {
		row := []string{rule}
		for i := range r.Sources {
			row = append(row, number(r.Sources[i].Dropped[rule].Documents))
		}
		c := sum.Dropped[rule]
		rows = append(rows, append(row, number(c.Documents), megabytes(c.Bytes), percent(c.Documents, sum.In.Documents)))
	}
	return rows
}

// rulesThatDropped is ruleTable with one row for all rules that dropped nothing.
func (r *Report) rulesThatDropped() [][]string {
	all := r.ruleTable()
	rows := all[:1:1]
	sum := r.sum()
	for i, rule := range r.Rules {
		if sum.Dropped[rule].Documents > 0 {
			rows = append(rows, all[i+1])
		}
	}
	if n := len(all) - len(rows); n > 0 {
		rows = append(rows, append([]string{fmt.Sprintf("%d other rules", n)}, all[0][1:]...))
		for i := range rows[len(rows)-1][1:] {
			rows[len(rows)-1][i+1] = "0"
		}
	}
	return rows
}

func (r *Report) eventTable() [][]string {
	head := []string{"event"}
	names := map[string]bool{}
	for i := range r.Sources {
		head = append(head, r.Sources[i].Name)
		for name := range r.Sources[i].Stats.Counts {
			names[name] = true
		}
	}
	rows := [][]string{head}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		row := []string{name}
		for i := range r.Sources {
			row = append(row, number(r.Sources[i].Stats.Counts[name]))
		}
		rows = append(rows, row)
	}
	return rows
}

func (r *Report) mixTable() [][]string {
	rows := [][]string{{"source", "there are", "wanted share", "planned", "drawn", "share", "epochs", "capped"}}
	var all int64
	for i := range r.Sources {
		all += r.Sources[i].Mix.Achieved
	}
	for i := range r.Sources {
		m := &r.Sources[i].Mix
		capped := ""
		if m.Capped {
			capped = "yes"
		}
		rows = append(rows, []string{r.Sources[i].Name, number(m.Has), fmt.Sprintf("%.2f%%", 100*m.Wanted), number(m.Tokens), number(m.Achieved), percent(m.Achieved, all), ratio(m.Achieved, m.Has), capped})
	}
	return rows
}

func (r *Report) lengthTable() [][]string {
	rows := [][]string{{"tokens", "documents"}}
	sum := r.sum()
	for i, n := range sum.Lengths {
		if n > 0 {
			rows = append(rows, []string{fmt.Sprintf("%d to %d", int64(1)<<max(i-1, 0), int64(1)<<i-1), number(n)})
		}
	}
	return rows
}

func (r *Report) splitTable() [][]string {
	rows := [][]string{{"split", "documents", "tokens", "shards"}}
	for _, s := range r.Splits {
		rows = append(rows, []string{s.Name, number(s.Documents), number(s.Tokens), strconv.Itoa(s.Shards)})
	}
	return rows
}

func (r *Report) speedTable() [][]string {
	rows := [][]string{{"stage", "MB", "seconds", "MB/s"}}
	for _, s := range r.Speed {
		speed := ""
		if s.Seconds > 0 {
			speed = fmt.Sprintf("%.1f", float64(s.Bytes)/1e6/s.Seconds)
		}
		rows = append(rows, []string{s.Stage, megabytes(s.Bytes), fmt.Sprintf("%.2f", s.Seconds), speed})
	}
	return rows
}

func (r *Report) benchmarkTable() [][]string {
	rows := [][]string{{"benchmark", "texts", "too short", "n-grams", "documents with some"}}
	sum := r.sum()
	for _, s := range r.Benchmarks {
		rows = append(rows, []string{s.Name, number(s.Items), number(s.Short), number(s.Grams), number(sum.Stats.Counts["decontaminate."+s.Name])})
	}
	return rows
}

func (r *Report) personalTable() [][]string {
	rows := [][]string{{"kind", "planted", "found", "rightly", "precision", "recall"}}
	for _, s := range append(slices.Clone(r.Personal.Scores), r.Personal.All) {
		rows = append(rows, []string{s.Kind, number(int64(s.Labelled)), number(int64(s.Found)), number(int64(s.Right)), fmt.Sprintf("%.2f%%", 100*s.Precision), fmt.Sprintf("%.2f%%", 100*s.Recall)})
	}
	return rows
}

// number writes thousands apart.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func megabytes(n int64) string { return fmt.Sprintf("%.2f", float64(n)/1e6) }

func percent(a, b int64) string {
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f%%", 100*float64(a)/float64(b))
}

func ratio(a, b int64) string {
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", float64(a)/float64(b))
}

// page is the report as a page with figures.
func (r *Report) page() (*report.Page, error) {
	table := func(rows [][]string, caption string) report.Table {
		return report.Table{Caption: caption, Head: rows[0], Rows: rows[1:]}
	}
	sum := r.sum()
	p := &report.Page{
		Title: "Data set " + r.Out,
		Lead:  fmt.Sprintf("%s documents were read from %d sources, %s were kept: %s tokens of a vocabulary of %s.", number(sum.In.Documents), len(r.Sources), number(sum.Kept.Documents), number(sum.Tokens), number(int64(r.VocabSize))),
	}
	section := func(title string, parts ...report.Part) {
		p.Sections = append(p.Sections, report.Section{Title: title, Parts: parts})
	}
	section("Documents", table(r.documentTable(), "From reading to tokens"), table(r.splitTable(), "What was written"))
	if err := r.rulePage(section, table); err != nil {
		return nil, err
	}
	if err := r.mixPage(section, table); err != nil {
		return nil, err
	}
	edges, counts := lengthBins(sum.Lengths)
	if len(counts) > 0 {
		f, err := plot.Histogram(plot.Frame{XLabel: "tokens", YLabel: "documents", LogX: true}, edges, plot.Series{Values: counts})
		if err != nil {
			return nil, err
		}
		section("Length of documents", report.Figure{Figure: f, Caption: "Documents that were kept, by their number of tokens; each bar is twice as wide as the one before."}, table(r.lengthTable(), ""))
	}
	if len(r.Benchmarks) > 0 {
		section("Benchmarks", table(r.benchmarkTable(), "Sets that documents were compared with"))
	}
	if e := r.Personal; e != nil {
		section("Personal data", table(r.personalTable(), fmt.Sprintf("How well it is found in %d documents that are made for it, with %d numbers among them that look like personal data and are none", e.Documents, e.Negatives)))
	}
	if rows := r.eventTable(); len(rows) > 1 {
		parts := []report.Part{table(rows, "Counted by readers and steps, also in documents that were dropped later")}
		for _, name := range slices.Sorted(maps.Keys(sum.Stats.Samples)) {
			var quotes []report.Part
			for _, text := range sum.Stats.Samples[name] {
				quotes = append(quotes, report.Quote{Text: text})
			}
			parts = append(parts, report.Folded{Summary: "Samples of " + name, Parts: quotes})
		}
		section("Events", parts...)
	}
	notes := []report.Part{table(r.speedTable(), "Speed of one worker, summed over all runs of the build")}
	for _, n := range r.Notes {
		notes = append(notes, report.Text(n))
	}
	section("Speed and notes", notes...)
	return p, nil
}

func (r *Report) rulePage(section func(string, ...report.Part), table func([][]string, string) report.Table) error {
	var labels []string
	series := make([]plot.Series, len(r.Sources))
	for _, rule := range r.Rules {
		any := false
		for i := range r.Sources {
			any = any || r.Sources[i].Dropped[rule].Documents > 0
		}
		if !any {
			continue
		}
		labels = append(labels, rule)
		for i := range r.Sources {
			series[i].Name = r.Sources[i].Name
			series[i].Values = append(series[i].Values, float64(r.Sources[i].Dropped[rule].Documents))
		}
	}
	var parts []report.Part
	if len(labels) > 0 {
		f, err := plot.Bars(plot.Frame{XLabel: "documents dropped"}, labels, true, series...)
		if err != nil {
			return err
		}
		parts = append(parts, report.Figure{Figure: f, Caption: "Documents that each rule dropped, by source. A document meets the rules in this order and is counted at the first that drops it."})
	}
	parts = append(parts, table(r.ruleTable(), "All rules"))
	for _, rule := range r.Rules {
		var quotes []report.Part
		for i := range r.Sources {
			for _, e := range r.Sources[i].Examples[rule] {
				quotes = append(quotes, report.Quote{Source: e.ID + ": " + e.Detail, Text: e.Text})
			}
		}
		if len(quotes) > 0 {
			parts = append(parts, report.Folded{Summary: "Examples of " + rule, Parts: quotes})
		}
	}
	section("Dropped documents", parts...)
	return nil
}

func (r *Report) mixPage(section func(string, ...report.Part), table func([][]string, string) report.Table) error {
	var labels []string
	has, drawn := plot.Series{Name: "there are"}, plot.Series{Name: "drawn"}
	for i := range r.Sources {
		labels = append(labels, r.Sources[i].Name)
		has.Values = append(has.Values, float64(r.Sources[i].Mix.Has))
		drawn.Values = append(drawn.Values, float64(r.Sources[i].Mix.Achieved))
	}
	f, err := plot.Bars(plot.Frame{XLabel: "tokens"}, labels, false, has, drawn)
	if err != nil {
		return err
	}
	section("Mix", report.Figure{Figure: f, Caption: "Tokens for training that each source has, and that were drawn from it."}, table(r.mixTable(), "Planned and achieved"))
	return nil
}

// lengthBins turns the counts by powers of two into a histogram.
func lengthBins(lengths []int64) (edges, counts []float64) {
	for i, n := range lengths {
		if n == 0 && len(counts) == 0 {
			continue
		}
		if len(edges) == 0 {
			edges = append(edges, float64(int64(1)<<max(i-1, 0)))
		}
		edges = append(edges, float64(int64(1)<<i))
		counts = append(counts, float64(n))
	}
	return edges, counts
}
