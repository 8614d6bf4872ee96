package modelfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cria-llm/cria/internal/device"
	"github.com/cria-llm/cria/internal/format/ferr"
	"github.com/cria-llm/cria/internal/format/view"
	"github.com/cria-llm/cria/internal/llama"
	"github.com/cria-llm/cria/internal/tensor"
)

// keyTable says how a format spells the fields of a Config.
type keyTable map[string]string

// configError names a field of Config by the file's own key and, where tensors
// are shaped by it, by the first such tensor.
func configError(err error, file string, d dialect, keys keyTable) error {
	var fe *llama.FieldError
	if !errors.As(err, &fe) {
		return err
	}
	shapes := map[string]*kind{
		"Dim": kindEmbed, "VocabSize": kindEmbed, "NHeads": kindQ, "HeadDim": kindQ, "NKVHeads": kindK, "HiddenDim": kindGate, "NLayers": kindQ,
	}
	problem := fe.Problem
	if k := shapes[fe.Field]; k != nil {
		problem += "; it shapes " + k.in(d, 0)
	}
	key := keys[fe.Field]
	if key == "" {
		key = fe.Field
	}
	return ferr.New(ferr.Malformed, file, key, fe.Value, "%s", problem)
}

// collector gives a file's tensors their places in the model.
type collector struct {
	m       *Model
	dialect dialect
	keys    keyTable
	file    string           // for errors: the file or directory
	lists   [][]*view.Tensor // one shard, but for Meta's
	shards  []map[string]*view.Tensor
	used    map[string]bool
}

// collect fills m.entries. m.Config has been validated.
func (c *collector) collect(shards ...[]*view.Tensor) error {
	for _, list := range shards {
		byName := make(map[string]*view.Tensor, len(list))
		for _, t := range list {
			byName[t.Key] = t
		}
		c.shards = append(c.shards, byName)
	}
	c.lists = shards
	c.used = map[string]bool{}
	var missing []string
	for p := range places(&c.m.Config) {
		name := p.in(c.dialect, p.layer)
		if c.shards[0][name] == nil {
			if missing = append(missing, name); len(missing) > maxListed {
				break
			}
			continue
		}
		c.used[name] = true
		src, err := c.source(p, name)
		if err != nil {
			return err
		}
		c.m.add(p, name, c.shards[0][name].File, src)
	}
	if missing != nil {
		e := ferr.New(ferr.Malformed, c.file, "tensors", nil, "%s", "missing: "+list(missing))
		if missing[0] == kindHead.name[c.dialect] && c.dialect == dialectHF {
			e = e.WithHint("if the output matrix is the embedding table, config.json must say tie_word_embeddings: true")
		}
		return e
	}
	return c.rest()
}

// maxListed is how many names an error lists.
const maxListed = 5

func list(names []string) string {
	var b strings.Builder
	for i, name := range names {
		switch {
		case i == maxListed:
			b.WriteString(" and more")
			return b.String()
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(plain(name))
	}
	return b.String()
}

// source checks one tensor in all shards and brings it to our convention.
func (c *collector) source(p place, name string) (device.RowSource, error) {
	rows, cols := p.shape(&c.m.Config)
	n := len(c.shards)
	want := []int{rows, cols}
	switch {
	case p.norm:
		want = []int{cols}
	case n > 1 && p.split == splitRows:
		want[0] /= n
	case n > 1 && p.split == splitCols:
		want[1] /= n
	}
	var parts []device.RowSource
	for _, shard := range c.shards {
		t := shard[name]
		if t == nil {
			return nil, ferr.New(ferr.Malformed, c.file, "tensors", nil, "%s is in the first shard and not in all", name)
		}
		if err := c.check(t, p, want); err != nil {
			return nil, err
		}
		if first := c.shards[0][name]; t.Type != first.Type {
			return nil, ferr.New(ferr.Malformed, t.File, name, t.TypeName, "it is %s in %s", first.TypeName, first.File)
		}
		parts = append(parts, t)
	}
	src := parts[0]
	switch {
	case n > 1 && p.norm:
		if err := equalRows(parts); err != nil {
			return nil, err
		}
	case n > 1:
		if p.split == splitRows && rows%n != 0 || p.split == splitCols && cols%n != 0 {
			return nil, ferr.New(ferr.Malformed, c.file, name, nil, "shape (%d, %d) cannot be cut into %d shards", rows, cols, n)
		}
		src = &joined{name: fmt.Sprintf("%s: %s", c.file, name), parts: parts, split: p.split}
	}
	if p.rotary && c.dialect == dialectHF {
		src = &permuted{src, c.m.Config.HeadDim, true}
	}
	return src, nil
}

// check compares a tensor's shape and type with what the model needs.
func (c *collector) check(t *view.Tensor, p place, want []int) error {
	if !slices.Equal(t.Dims, want) {
		return ferr.New(ferr.Malformed, t.File, t.Key, nil, "shape %s, but %s ask for %s", shapeString(t.Dims), c.shapeKeys(p), shapeString(want))
	}
	if t.Type.IsQuant() || t.Type.IsFloat() {
		if p.norm && t.Type.IsQuant() {
			return ferr.New(ferr.Unsupported, t.File, t.Key, t.TypeName, "norms must be F32, F16 or BF16")
		}
		return nil
	}
	return ferr.New(ferr.Unsupported, t.File, t.Key, t.TypeName, "weights of this type cannot be used").WithHint("types are " + typeNames())
}

// shapeKeys lists the keys that give a tensor its shape.
func (c *collector) shapeKeys(p place) string {
	fields := []string{"Dim"}
	switch p.kind {
	case kindEmbed, kindHead:
		fields = append(fields, "VocabSize")
	case kindQ, kindO:
		fields = append(fields, "NHeads", "HeadDim")
	case kindK, kindV:
		fields = append(fields, "NKVHeads", "HeadDim")
	case kindGate, kindUp, kindDown:
		fields = append(fields, "HiddenDim")
	}
	var keys []string
	for _, f := range fields {
		if !slices.Contains(keys, c.keys[f]) { // one key may give two fields
			keys = append(keys, c.keys[f])
		}
	}
	return strings.Join(keys, ", ")
}

// rest looks at the tensors that have no place.
func (c *collector) rest() error {
	var unused []string
	for _, shard := range c.lists {
		for _, t := range shard {
			var err error
			switch {
			case c.used[t.Key]:
			case isRotary(c.dialect, t.Key):
				err = c.checkRotary(t)
			case c.dialect == dialectHF && t.Key == kindHead.name[dialectHF] && c.m.Config.TiedEmbeddings:
				err = c.checkTied(t)
			case !slices.Contains(unused, t.Key) && len(unused) <= maxListed:
				unused = append(unused, t.Key)
			}
			if err != nil {
				return err
			}
		}
	}
	if unused != nil {
		return ferr.New(ferr.Unsupported, c.file, "tensors", nil, "%s", "a Llama model of this configuration does not use "+list(unused))
	}
	return nil
}

func typeNames() string {
	var names []string
	for _, d := range tensor.WeightTypes() {
		names = append(names, d.String())
	}
	return strings.Join(names, " ")
}
