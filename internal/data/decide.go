package data

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sort"
	"time"

	"github.com/cria-llm/cria/internal/data/dedup"
	"github.com/cria-llm/cria/internal/data/doc"
	"github.com/cria-llm/cria/internal/data/extsort"
	"github.com/cria-llm/cria/internal/sys/mmap"
)

// The rules of the decide stage.
const (
	ruleExact = "dedup.exact"
	ruleNear  = "dedup.near"
)

// verdicts are the documents that the decide stage drops. Memory: a bit for each
// document.
type verdicts struct {
	dropped [][]uint64 // by unit, a bit for each document
}

func newVerdicts(units []cleaned) *verdicts {
	v := &verdicts{}
	for i := range units {
		v.dropped = append(v.dropped, make([]uint64, (units[i].Documents+63)/64))
	}
	return v
}

func (v *verdicts) isDropped(d uint64) bool {
	return v.dropped[unitOf(d)][placeOf(d)/64]>>(placeOf(d)%64)&1 != 0
}

func (v *verdicts) drop(d uint64) { v.dropped[unitOf(d)][placeOf(d)/64] |= 1 << (placeOf(d) % 64) }

// dropRecord is the size of a pair of uint64 in a sorted file: a dropped
// document, and the one that it is the same as (or the hash of its domain).
const dropRecord = 16

// decided is the result of one part of the stage.
type decided struct {
	Dropped int64   `json:"dropped"`
	Full    int64   `json:"full,omitempty"` // band keys with so many different documents that not all were compared
	Seconds float64 `json:"seconds"`
}

// decide finds what is dropped: by domain, then exact duplicates among what is
// left, then near duplicates among the rest. Each part is a piece of work.
func (b *build) decide(ctx context.Context) error {
	b.verdicts = newVerdicts(b.cleaned)
	for _, part := range []struct {
		name string
		on   bool
		work func(ctx context.Context, p *piece) (decided, error)
	}{
		{"domains", len(b.domainRules) > 0, b.decideDomains},
		{"exact", b.config.Dedup.Exact, b.decideExact},
		{"near", b.config.Dedup.Near.Enabled, b.decideNear},
	} {
		if !part.on {
			continue
		}
		d, err := once(b.store, decideDir, part.name, func(p *piece) (decided, error) {
			start := time.Now()
			d, err := part.work(ctx, p)
			d.Seconds = time.Since(start).Seconds()
			return d, err
		})
		if err != nil {
			return err
		}
		b.decided[part.name] = d
		if err := b.readDrops(part.name); err != nil {
			return err
		}
	}
	if !b.config.Dedup.Lines.Enabled {
		return nil
	}
	d, err := once(b.store, decideDir, "lines", func(p *piece) (decided, error) {
		start := time.Now()
		d, err := b.countLines(ctx, p)
		d.Seconds = time.Since(start).Seconds()
		return d, err
	})
	if err != nil {
		return err
	}
	b.decided["lines"] = d
	return b.readFrequent()
}

// keysOf opens the keys of all units.
func (b *build) keysOf() (files []*keysFile, closeAll func(), err error) {
	closeAll = func() {
		for _, k := range files {
			_ = k.f.Close()
		}
	}
	for i := range b.cleaned {
		k, err := openKeys(b.store.path(cleanDir, unitName(i)+extKeys), &b.config.Dedup.Near)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		files = append(files, k)
		if k.len() != b.cleaned[i].Documents {
			closeAll()
			return nil, nil, fmt.Errorf("%s: %d documents, %d expected", k.f.Name(), k.len(), b.cleaned[i].Documents)
		}
	}
	return files, closeAll, nil
}

// eachKept visits the documents that are not dropped yet, in order.
func (b *build) eachKept(ctx context.Context, keys []*keysFile, visit func(d uint64, k docKey) error) error {
	for unit, f := range keys {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := mmap.Guard(func() error {
			for place := range f.len() {
				d := docNumber(unit, place)
				if b.verdicts.isDropped(d) {
					continue
				}
				if err := visit(d, f.at(place)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// domainDrops says by a domain's hash why it is dropped.
type domainDrops map[uint64]doc.Drop

// decideDomains adds up domains and asks the rules.
func (b *build) decideDomains(ctx context.Context, p *piece) (d decided, err error) {
	keys, closeKeys, err := b.keysOf()
	if err != nil {
		return d, err
	}
	defer closeKeys()
	// A record is a domain's hash, bytes, and documents and personal data in 32 bits each.
	s := extsort.New[[3]uint64](b.store.scratch(), int64(b.config.Memory))
	defer s.Close()
	s.Combine = func(x, y [3]uint64) ([3]uint64, bool) { return [3]uint64{x[0], x[1] + y[1], x[2] + y[2]}, x[0] == y[0] }
	err = b.eachKept(ctx, keys, func(_ uint64, k docKey) error {
		if k.domain == 0 {
			return nil
		}
		return s.Add([3]uint64{k.domain, k.bytes, 1<<32 | k.personal})
	})
	if err != nil {
		return d, err
	}
	bad := domainDrops{}
	for r, err := range s.Sorted() {
		if err != nil {
			return d, err
		}
		stats := doc.DomainStats{Documents: int64(r[2] >> 32), Bytes: int64(r[1]), Personal: int64(uint32(r[2]))}
		for _, rule := range b.domainRules {
			if drop := rule.Judge(stats); drop != nil {
				bad[r[0]] = *drop
				break
			}
		}
	}
	o, err := p.create(".reasons")
	if err != nil {
		return d, err
	}
	if err := json.NewEncoder(o).Encode(bad); err != nil {
		return d, err
	}
	w, err := newDropWriter(p)
	if err != nil {
		return d, err
	}
	err = b.eachKept(ctx, keys, func(n uint64, k docKey) error {
		if _, ok := bad[k.domain]; !ok || k.domain == 0 {
			return nil
		}
		d.Dropped++
		return w.write(n, k.domain)
	})
	if err != nil {
		return d, err
	}
	return d, w.Flush()
}

// decideExact sorts by content: all but the first of each group are dropped.
func (b *build) decideExact(ctx context.Context, p *piece) (d decided, err error) {
	keys, closeKeys, err := b.keysOf()
	if err != nil {
		return d, err
	}
	defer closeKeys()
	half := int64(b.config.Memory) / 2
	s := extsort.New[[3]uint64](b.store.scratch(), half)
	defer s.Close()
	err = b.eachKept(ctx, keys, func(n uint64, k docKey) error { return s.Add([3]uint64{k.content[0], k.content[1], n}) })
	if err != nil {
		return d, err
	}
	drops := extsort.New[[2]uint64](b.store.scratch(), half)
	defer drops.Close()
	var first [3]uint64
	started := false
	for r, err := range s.Sorted() {
		if err != nil {
			return d, err
		}
		if started && r[0] == first[0] && r[1] == first[1] {
			if err := drops.Add([2]uint64{r[2], first[2]}); err != nil {
				return d, err
			}
			continue
		}
		first, started = r, true
	}
	return writeDrops(p, drops)
}

// writeDrops writes sorted drops.
func writeDrops(p *piece, drops *extsort.Sorter[[2]uint64]) (d decided, err error) {
	w, err := newDropWriter(p)
	if err != nil {
		return d, err
	}
	for r, err := range drops.Sorted() {
		if err != nil {
			return d, err
		}
		d.Dropped++
		if err := w.write(r[0], r[1]); err != nil {
			return d, err
		}
	}
	return d, w.Flush()
}

// decideNear compares documents that share a band key, and keeps the first of
// each cluster. Bands are pieces of work for the workers.
func (b *build) decideNear(ctx context.Context, p *piece) (d decided, err error) {
	keys, closeKeys, err := b.keysOf()
	if err != nil {
		return d, err
	}
	defer closeKeys()
	near := &b.config.Dedup.Near
	memory := int64(b.config.Memory) / 2
	bands := make([]*bandPairs, near.Bands)
	err = b.store.each(ctx, near.Bands, func(ctx context.Context, band int) error {
		found, err := b.comparePairs(ctx, keys, band, memory/int64(b.store.workers))
		bands[band] = found
		return err
	})
	defer func() {
		for _, p := range bands {
			if p != nil {
				_ = p.pairs.Close()
			}
		}
	}()
	if err != nil {
		return d, err
	}
	var clusters dedup.Clusters
	for _, p := range bands {
		d.Full += p.full
		for r, err := range p.pairs.Sorted() {
			if err != nil {
				return d, err
			}
			clusters.Join(r[0], r[1])
			if need := int64(clusters.Len()) * dedup.ClusterBytes; need > memory {
				return d, fmt.Errorf("memory: %d bytes are too few for the near duplicates of this input; half of it must hold %d bytes for each document that has one: set memory to several times as much", b.config.Memory, dedup.ClusterBytes)
			}
		}
	}
	w, err := newDropWriter(p)
	if err != nil {
		return d, err
	}
	clusters.Dropped(func(n, first uint64) {
		d.Dropped++
		if werr := w.write(n, first); err == nil {
			err = werr
		}
	})
	return d, cmp.Or(err, w.Flush())
}

// bandPairs are the pairs of near duplicates that one band found.
type bandPairs struct {
	pairs *extsort.Sorter[[2]uint64]
	full  int64
}

func (b *build) comparePairs(ctx context.Context, keys []*keysFile, band int, memory int64) (*bandPairs, error) {
	near := &b.config.Dedup.Near
	s := extsort.New[[2]uint64](b.store.scratch(), memory/2)
	defer s.Close()
	sig := make([]uint16, near.Size())
	err := b.eachKept(ctx, keys, func(n uint64, k docKey) error {
		if !k.signed {
			return nil
		}
		sig = keys[unitOf(n)].sig(placeOf(n), sig)
		return s.Add([2]uint64{near.BandKey(sig, band), n})
	})
	if err != nil {
		return nil, err
	}
	found := &bandPairs{pairs: extsort.New[[2]uint64](b.store.scratch(), memory/2/int64(near.Bands))}
	signature := func(n uint64) []uint16 { return keys[unitOf(n)].sig(placeOf(n), nil) }
	compare := func(group []uint64) error {
		if len(group) < 2 {
			return nil
		}
		return mmap.Guard(func() error {
			full, err := near.Bucket(group, signature, func(first, later uint64) error { return found.pairs.Add([2]uint64{first, later}) })
			if full {
				found.full++
			}
			return err
		})
	}
	var group []uint64
	var key uint64
	n := 0
	for r, err := range s.Sorted() {
		if err == nil {
			if n++; n%4096 == 0 {
				err = ctx.Err()
			}
		}
		if err == nil && r[0] != key {
			err = compare(group)
			group = group[:0]
		}
		if err != nil {
			_ = found.pairs.Close()
			return nil, err
		}
		key, group = r[0], append(group, r[1])
	}
	if err := compare(group); err != nil {
		_ = found.pairs.Close()
		return nil, err
	}
	return found, nil
}

// countLines finds the lines that stand in too many of the documents that are
// left, and writes them: the line's hash and the document that keeps it.
func (b *build) countLines(ctx context.Context, p *piece) (d decided, err error) {
	s := extsort.New[[3]uint64](b.store.scratch(), int64(b.config.Memory)/2)
	defer s.Close()
	s.Combine = func(x, y [3]uint64) ([3]uint64, bool) { x[2] += y[2]; return x, x[0] == y[0] }
	for unit := range b.cleaned {
		if err := ctx.Err(); err != nil {
			return d, err
		}
		if err := b.addLines(unit, s); err != nil {
			return d, err
		}
	}
	w, err := newDropWriter(p)
	if err != nil {
		return d, err
	}
	for r, err := range s.Sorted() {
		if err != nil {
			return d, err
		}
		if r[2] <= uint64(b.config.Dedup.Lines.MaxDocuments) {
			continue
		}
		if d.Dropped++; d.Dropped*dedup.FrequentBytes > int64(b.config.Memory) {
			return d, fmt.Errorf("memory: %d bytes are too few for the lines that stand in more than %d documents, %d bytes each; raise memory or dedup.lines.max_documents", b.config.Memory, b.config.Dedup.Lines.MaxDocuments, dedup.FrequentBytes)
		}
		if err := w.write(r[0], r[1]); err != nil {
			return d, err
		}
	}
	return d, w.Flush()
}

// addLines adds the lines of a unit's documents that are kept.
func (b *build) addLines(unit int, s *extsort.Sorter[[3]uint64]) error {
	path := b.store.path(cleanDir, unitName(unit)+extLines)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<18)
	var number [8]byte
	for place := range b.cleaned[unit].Documents {
		if _, err := io.ReadFull(r, number[:]); err != nil {
			return fmt.Errorf("%s: %w", path, unexpected(err))
		}
		n := docNumber(unit, place)
		for range binary.LittleEndian.Uint64(number[:]) {
			if _, err := io.ReadFull(r, number[:]); err != nil {
				return fmt.Errorf("%s: %w", path, unexpected(err))
			}
			if b.verdicts.isDropped(n) {
				continue
			}
			if err := s.Add([3]uint64{binary.LittleEndian.Uint64(number[:]), n, 1}); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropWriter writes pairs of numbers: NAME.pairs.
type dropWriter struct{ *bufio.Writer }

const extPairs = ".pairs"

func newDropWriter(p *piece) (dropWriter, error) {
	o, err := p.create(extPairs)
	return dropWriter{bufio.NewWriterSize(o, 1<<18)}, err
}

func (w dropWriter) write(a, b uint64) error {
	var buf [dropRecord]byte
	binary.LittleEndian.PutUint64(buf[:], a)
	binary.LittleEndian.PutUint64(buf[8:], b)
	_, err := w.Write(buf[:])
	return err
}

// readPairs visits the pairs of a part's file.
func (b *build) readPairs(part string, visit func(x, y uint64)) error {
	path := b.store.path(decideDir, part+extPairs)
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<18)
	var buf [dropRecord]byte
	for {
		if _, err := io.ReadFull(r, buf[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		visit(binary.LittleEndian.Uint64(buf[:]), binary.LittleEndian.Uint64(buf[8:]))
	}
}

func (b *build) readDrops(part string) error {
	if part == "domains" {
		raw, err := os.ReadFile(b.store.path(decideDir, part+".reasons"))
		if err != nil {
			return err
		}
		if err := json.Unmarshal(raw, &b.domainDrops); err != nil {
			return err
		}
	}
	return b.readPairs(part, func(d, _ uint64) { b.verdicts.drop(d) })
}

func (b *build) readFrequent() error {
	b.frequent = dedup.Frequent{}
	return b.readPairs("lines", func(hash, first uint64) { b.frequent[hash] = first })
}

// unitDrop is why a document is dropped.
type unitDrop struct {
	rule  string
	other uint64
}

// dropsOf reads the drops of one unit out of all parts' files.
func (b *build) dropsOf(unit int) (map[int]unitDrop, error) {
	drops := map[int]unitDrop{}
	for _, part := range []string{"domains", "exact", "near"} {
		if _, ok := b.decided[part]; !ok {
			continue
		}
		f, err := mmap.Open(b.store.path(decideDir, part+extPairs))
		if err != nil {
			return nil, err
		}
		err = mmap.Guard(func() error {
			raw := f.Bytes()
			at := func(i int) uint64 { return binary.LittleEndian.Uint64(raw[i*dropRecord:]) }
			n := len(raw) / dropRecord
			i := sort.Search(n, func(i int) bool { return at(i) >= docNumber(unit, 0) })
			for ; i < n && unitOf(at(i)) == unit; i++ {
				drops[placeOf(at(i))] = unitDrop{part, binary.LittleEndian.Uint64(raw[i*dropRecord+8:])}
			}
			return nil
		})
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return nil, err
		}
	}
	return drops, nil
}
