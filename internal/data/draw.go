package data

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/cria-llm/cria/internal/data/extsort"
	"github.com/cria-llm/cria/internal/data/mix"
	"github.com/cria-llm/cria/internal/data/shard"
	"github.com/cria-llm/cria/internal/data/words"
	"github.com/cria-llm/cria/internal/sys/mmap"
)

// drawn is the result of the draw stage.
type drawn struct {
	Sources []drawnSource `json:"sources"`
	Shards  []planned     `json:"shards"`
	Notes   []string      `json:"notes,omitempty"`
	Seconds float64       `json:"seconds"`
}

// drawnSource says what was drawn of a source for training.
type drawnSource struct {
	mix.Share
	Has       int64 `json:"has"` // tokens that there are for training
	Documents int64 `json:"documents"`
	Achieved  int64 `json:"achieved"` // tokens that were drawn; documents are not cut
}

// planned is a shard to be written: documents From to To of its split's order.
type planned struct {
	Split  string `json:"split"`
	Name   string `json:"name"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	Tokens int64  `json:"tokens"`
}

// extOrder is the extension of a split's order: the numbers of its documents.
const extOrder = ".order"

// draw plans the mix, chooses the documents, shuffles them, and cuts the order
// into shards.
func (b *build) draw(ctx context.Context, p *piece) (d drawn, err error) {
	start := time.Now()
	tokens := make([]int64, len(b.config.Sources))
	for unit := range b.tokenized {
		t := &b.tokenized[unit]
		tokens[b.sourceIndex(b.plan.Units[unit].Source)] += t.Tokens - t.ValidTokens
	}
	shares, notes, err := b.config.mixSources(tokens)
	if err != nil {
		return d, err
	}
	d.Notes = notes
	quarter := int64(b.config.Memory) / 4
	orders := map[string]*extsort.Sorter[[3]uint64]{}
	for _, split := range []string{shard.Train, shard.Valid} {
		orders[split] = extsort.New[[3]uint64](b.store.scratch(), quarter)
		defer orders[split].Close()
	}
	for i, share := range shares {
		s := drawnSource{Share: share, Has: tokens[i]}
		if err := b.drawSource(ctx, i, &s, orders); err != nil {
			return d, err
		}
		d.Sources = append(d.Sources, s)
	}
	for _, split := range []string{shard.Train, shard.Valid} {
		if err := b.cutOrder(split, orders[split], p, &d); err != nil {
			return d, err
		}
	}
	d.Seconds = time.Since(start).Seconds()
	return d, nil
}

// drawSource puts a source's documents into the orders: all of them as often as
// its epochs are whole, and for the rest of an epoch those that a seeded order
// has first, until the wanted tokens are there to within half a document.
// A record of an order is a shuffled key, the document, and its tokens.
func (b *build) drawSource(ctx context.Context, source int, s *drawnSource, orders map[string]*extsort.Sorter[[3]uint64]) error {
	whole := int64(0)
	if s.Has > 0 {
		whole = s.Tokens / s.Has
	}
	rest := s.Tokens - whole*s.Has
	partial := extsort.New[[3]uint64](b.store.scratch(), int64(b.config.Memory)/4)
	defer partial.Close()
	drawKey := words.Mix(b.config.Seed, seedDraw)
	orderKey := words.Mix(b.config.Seed, seedOrder)
	put := func(split string, hash, n uint64, turn int64, tokens uint64) error {
		key := words.Mix(words.Mix(orderKey, hash), uint64(turn))
		if split == shard.Train {
			s.Documents++
			s.Achieved += int64(tokens)
		}
		return orders[split].Add([3]uint64{key, n, tokens})
	}
	for unit := range b.tokenized {
		if err := ctx.Err(); err != nil {
			return err
		}
		if b.sourceIndex(b.plan.Units[unit].Source) != source {
			continue
		}
		err := b.eachDocument(unit, func(n uint64, hash, tokens uint64) error {
			if b.isValid(hash) {
				return put(shard.Valid, hash, n, 0, tokens)
			}
			for c := range whole {
				if err := put(shard.Train, hash, n, c, tokens); err != nil {
					return err
				}
			}
			if rest == 0 {
				return nil
			}
			return partial.Add([3]uint64{words.Mix(drawKey, hash), n, tokens})
		})
		if err != nil {
			return err
		}
	}
	var taken int64
	for r, err := range partial.Sorted() {
		if err != nil {
			return err
		}
		if n := int64(r[2]); taken+n-rest > rest-taken {
			break
		}
		taken += int64(r[2])
		if err := put(shard.Train, r[0], r[1], whole, r[2]); err != nil {
			return err
		}
	}
	return nil
}

// eachDocument visits the documents of a unit of the tokens stage.
func (b *build) eachDocument(unit int, visit func(n, hash, tokens uint64) error) error {
	f, err := b.openTokens(unit)
	if err != nil {
		return err
	}
	defer f.close()
	return mmap.Guard(func() error {
		var last uint64
		for place := range b.tokenized[unit].Documents {
			r := f.at(place)
			if err := visit(docNumber(unit, place), r.hash, r.end-last); err != nil {
				return err
			}
			last = r.end
		}
		return nil
	})
}

// cutOrder writes the order of a split and cuts it into shards.
func (b *build) cutOrder(split string, order *extsort.Sorter[[3]uint64], p *piece, d *drawn) error {
	o, err := p.create("." + split + extOrder)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(o, 1<<18)
	var buf [8]byte
	var at int64
	var sh planned
	begin := func() {
		n := 0
		for _, s := range d.Shards {
			if s.Split == split {
				n++
			}
		}
		sh = planned{Split: split, Name: shard.Name(split, n), From: at, To: at}
	}
	begin()
	for r, err := range order.Sorted() {
		if err != nil {
			return err
		}
		if sh.Tokens >= b.config.ShardTokens {
			d.Shards = append(d.Shards, sh)
			begin()
		}
		binary.LittleEndian.PutUint64(buf[:], r[1])
		if _, err := w.Write(buf[:]); err != nil {
			return err
		}
		at++
		sh.To, sh.Tokens = at, sh.Tokens+int64(r[2])
	}
	if sh.To > sh.From {
		d.Shards = append(d.Shards, sh)
	}
	return w.Flush()
}

// writeShard writes one shard into the data set.
func (b *build) writeShard(ctx context.Context, plan planned) (f shard.File, err error) {
	orderPath := b.store.path(drawDir, "draw."+plan.Split+extOrder)
	order, err := os.Open(orderPath)
	if err != nil {
		return f, err
	}
	defer order.Close()
	r := bufio.NewReaderSize(io.NewSectionReader(order, 8*plan.From, 8*(plan.To-plan.From)), 1<<16)
	w, err := shard.Create(b.config.Out, plan.Name, b.tokenizer.VocabSize())
	if err != nil {
		return f, err
	}
	defer w.Abort()
	var buf [8]byte
	var ids []int32
	for i := range plan.To - plan.From {
		if i%1024 == 0 && ctx.Err() != nil {
			return f, ctx.Err()
		}
		if _, err := io.ReadFull(r, buf[:]); err != nil {
			return f, fmt.Errorf("%s: %w", orderPath, unexpected(err))
		}
		n := binary.LittleEndian.Uint64(buf[:])
		var id string
		err := mmap.Guard(func() error {
			id, ids = b.tokenFiles[unitOf(n)].document(placeOf(n), ids[:0])
			return nil
		})
		if err != nil {
			return f, err
		}
		if err := w.Append(id, ids); err != nil {
			return f, err
		}
	}
	if w.Tokens() != plan.Tokens {
		return f, fmt.Errorf("shard %s: %d tokens, %d were planned", plan.Name, w.Tokens(), plan.Tokens)
	}
	return w.Commit()
}
