package shard

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sample is a split as plain documents, written as several shards.
type sample struct {
	dir  string
	docs [][]int32
	ids  []string
}

// write makes a data set of documents of 1 to 40 random tokens.
func write(t *testing.T, vocab, shards, perShard int) sample {
	t.Helper()
	s := sample{dir: t.TempDir()}
	r := rand.New(rand.NewPCG(1, 2))
	x := Index{VocabSize: vocab, BOS: true, Splits: map[string]Files{}}
	var files Files
	for n := range shards {
		w, err := Create(s.dir, Name(Train, n), vocab)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		for i := range perShard {
			doc := make([]int32, 1+r.IntN(40))
			for j := range doc {
				doc[j] = int32(r.IntN(vocab))
			}
			id := fmt.Sprintf("src/file%d#%d", n, i)
			if err := w.Append(id, doc); err != nil {
				t.Fatal(err)
			}
			s.docs, s.ids = append(s.docs, doc), append(s.ids, id)
		}
		f, err := w.Commit()
		if err != nil {
			t.Fatal(err)
		}
		files.Shards = append(files.Shards, f)
		files.Tokens += f.Tokens
		files.Documents += f.Documents
	}
	x.Splits[Train] = files
	if err := WriteIndex(s.dir, &x); err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t *testing.T, dir string) (*Dataset, *Split) {
	t.Helper()
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	s, err := d.Split(Train)
	if err != nil {
		t.Fatal(err)
	}
	return d, s
}

func TestDocuments(t *testing.T) {
	for _, vocab := range []int{7, 65536, 65537, 128256} {
		want := write(t, vocab, 3, 20)
		d, s := open(t, want.dir)
		if err := d.Verify(context.Background(), nil); err != nil {
			t.Error(err)
		}
		if s.Documents() != int64(len(want.docs)) {
			t.Fatalf("%d documents, want %d", s.Documents(), len(want.docs))
		}
		for i, doc := range want.docs {
			got, err := s.Document(int64(i), []int32{-5})
			if err != nil || got[0] != -5 || !slices.Equal(got[1:], doc) {
				t.Fatalf("vocabulary %d, document %d: %v, %v, want %v after -5", vocab, i, got, err, doc)
			}
			if id, err := s.ID(int64(i)); err != nil || id != want.ids[i] {
				t.Fatalf("document %d is %q, %v, want %q", i, id, err, want.ids[i])
			}
		}
		for _, i := range []int64{-1, s.Documents()} {
			if _, err := s.Document(i, nil); err == nil {
				t.Errorf("there is a document %d", i)
			}
		}
		if v, err := d.Split(Valid); err != nil || v.Documents() != 0 {
			t.Errorf("the split that is not there: %v, %v", v, err)
		}
	}
}

// TestFilesArePlainArrays: what numpy.memmap would see.
func TestFilesArePlainArrays(t *testing.T) {
	want := write(t, 300, 1, 5)
	raw, err := os.ReadFile(filepath.Join(want.dir, "train-00000.bin"))
	if err != nil {
		t.Fatal(err)
	}
	var got []int32
	for i := 0; i < len(raw); i += 2 {
		got = append(got, int32(binary.LittleEndian.Uint16(raw[i:])))
	}
	if !slices.Equal(got, slices.Concat(want.docs...)) {
		t.Error("the .bin file is not the documents' ids behind one another")
	}
	ends, err := os.ReadFile(filepath.Join(want.dir, "train-00000.idx"))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for i, doc := range want.docs {
		if sum += len(doc); binary.LittleEndian.Uint64(ends[8*i:]) != uint64(sum) {
			t.Errorf("document %d does not end at %d", i, sum)
		}
	}
}

// checkParts says whether a sequence's parts name the tokens they claim.
func checkParts(t *testing.T, q *Sequence, docs [][]int32) {
	t.Helper()
	if len(q.Parts) == 0 || q.Parts[0].Start != 0 {
		t.Fatalf("parts are %v", q.Parts)
	}
	for i, p := range q.Parts {
		end := len(q.Tokens)
		if i+1 < len(q.Parts) {
			end = q.Parts[i+1].Start
			if int(p.Offset)+end-p.Start != len(docs[p.Document]) {
				t.Fatalf("part %d does not reach to the end of its document", i)
			}
		}
		if i > 0 && p.Offset != 0 {
			t.Fatalf("part %d begins in mid-document", i)
		}
		if !slices.Equal(q.Tokens[p.Start:end], docs[p.Document][p.Offset:][:end-p.Start]) {
			t.Fatalf("part %d has other tokens than document %d", i, p.Document)
		}
	}
}

// TestShuffled: every epoch covers all but fewer than Length tokens, each once as
// a target, in another order; the parts are right; the seed and k decide alone.
func TestShuffled(t *testing.T) {
	want := write(t, 50, 4, 9)
	_, s := open(t, want.dir)
	starts := []int64{}
	pos := int64(0)
	for _, d := range want.docs {
		starts = append(starts, pos)
		pos += int64(len(d))
	}
	for _, length := range []int{1, 7, 64, int(s.Tokens()) - 1} {
		q, err := s.Shuffled(5, length)
		if err != nil {
			t.Fatal(err)
		}
		var orders []string
		for epoch := range int64(3) {
			used := map[int64]bool{}
			var order []int64
			for k := range q.PerEpoch() {
				var seq Sequence
				if err := q.At(epoch*q.PerEpoch()+k, &seq); err != nil {
					t.Fatal(err)
				}
				if len(seq.Tokens) != length+1 {
					t.Fatalf("%d tokens, want %d", len(seq.Tokens), length+1)
				}
				checkParts(t, &seq, want.docs)
				first := starts[seq.Parts[0].Document] + seq.Parts[0].Offset
				order = append(order, first)
				for i := range int64(length) {
					target := (first + 1 + i) % s.Tokens()
					if used[target] {
						t.Fatalf("length %d, epoch %d: token %d is a target twice", length, epoch, target)
					}
					used[target] = true
				}
			}
			if left := s.Tokens() - int64(len(used)); left < 0 || left >= int64(length) {
				t.Errorf("length %d, epoch %d: %d tokens are no targets", length, epoch, left)
			}
			orders = append(orders, fmt.Sprint(order))
		}
		if length < 64 && (orders[0] == orders[1] || orders[1] == orders[2]) {
			t.Errorf("length %d: two epochs have one order", length)
		}
		again, _ := s.Shuffled(5, length)
		other, _ := s.Shuffled(6, length)
		var a, b, c Sequence
		differ := false
		for k := range q.PerEpoch() {
			if q.At(k, &a) != nil || again.At(k, &b) != nil || other.At(k, &c) != nil {
				t.Fatal("a sequence cannot be read")
			}
			if !slices.Equal(a.Tokens, b.Tokens) || !slices.Equal(a.Parts, b.Parts) {
				t.Fatal("two streams of one seed differ")
			}
			differ = differ || !slices.Equal(a.Tokens, c.Tokens)
		}
		if !differ {
			t.Errorf("length %d: two seeds have one order", length)
		}
	}
	if _, err := s.Shuffled(1, int(s.Tokens())); err == nil {
		t.Error("a sequence that is longer than the split was accepted")
	}
}

func TestInOrder(t *testing.T) {
	want := write(t, 50, 3, 5)
	_, s := open(t, want.dir)
	all := slices.Concat(want.docs...)
	for _, length := range []int{1, 10, len(all) - 1, len(all) + 5} {
		q, err := s.InOrder(length)
		if err != nil {
			t.Fatal(err)
		}
		got := all[:1:1]
		for k := range q.PerEpoch() {
			var seq Sequence
			if err := q.At(k, &seq); err != nil {
				t.Fatal(err)
			}
			checkParts(t, &seq, want.docs)
			if len(seq.Tokens) < 2 {
				t.Fatalf("length %d: sequence %d has nothing to predict", length, k)
			}
			got = append(got, seq.Tokens[1:]...)
		}
		if !slices.Equal(got, all) {
			t.Errorf("length %d: the targets are not the tokens in their order", length)
		}
	}
}

func TestPermute(t *testing.T) {
	for n := uint64(1); n < 300; n++ {
		seen := make([]bool, n)
		for i := range n {
			seen[permute(i, n, n*77)] = true
		}
		if slices.Contains(seen, false) {
			t.Fatalf("n = %d: not all numbers are met", n)
		}
	}
	// The order has no visible structure: neighbours stay neighbours as seldom as
	// in a random order (2 of 10,000 pairs expected).
	const n = 10_000
	near := 0
	for i := uint64(1); i < n; i++ {
		if d := int64(permute(i, n, 3)) - int64(permute(i-1, n, 3)); d == 1 || d == -1 {
			near++
		}
	}
	if near > 20 {
		t.Errorf("%d of %d neighbours stay neighbours", near, n)
	}
}

// TestDamage: a cut file is refused at opening, a flipped bit by Verify, each
// naming the file; reading damaged borders or ids is an error, never a panic.
func TestDamage(t *testing.T) {
	for _, name := range []string{"train-00001.bin", "train-00001.idx", "train-00001.ids"} {
		want := write(t, 300, 2, 10)
		path := filepath.Join(want.dir, name)
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range raw {
			for _, bit := range []byte{1, 0x80} {
				damaged := slices.Clone(raw)
				damaged[i] ^= bit
				if err := os.WriteFile(path, damaged, 0o666); err != nil {
					t.Fatal(err)
				}
				d, s := open(t, want.dir)
				if i%17 == 0 {
					if err := d.Verify(context.Background(), nil); err == nil || !strings.Contains(err.Error(), name) {
						t.Fatalf("bit %#x of byte %d of %s: Verify says %v", bit, i, name, err)
					}
				}
				readAll(t, s, name)
				d.Close()
			}
		}
		for _, size := range []int{0, 1, len(raw) - 1, len(raw) + 1} {
			if err := os.WriteFile(path, append(slices.Clone(raw), 0)[:size], 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(want.dir); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s with %d of %d bytes: %v", name, size, len(raw), err)
			}
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(want.dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s missing: %v", name, err)
		}
	}
}

// readAll reads everything; whatever fails must name the file that was damaged.
func readAll(t *testing.T, s *Split, name string) {
	t.Helper()
	check := func(err error) {
		if err != nil && !strings.Contains(err.Error(), name) {
			t.Fatalf("%s is damaged, the error is %v", name, err)
		}
	}
	for i := range s.Documents() {
		_, err := s.Document(i, nil)
		check(err)
	}
	_, err := s.ID(s.Documents() - 1)
	check(err)
	q, err := s.Shuffled(1, 16)
	if err != nil {
		t.Fatal(err)
	}
	var seq Sequence
	for k := range q.PerEpoch() {
		check(q.At(k, &seq))
	}
}

// TestCutWhileMapped: a shard that is cut while in use is an error that names it.
func TestCutWhileMapped(t *testing.T) {
	want := write(t, 300, 1, 2000)
	_, s := open(t, want.dir)
	if err := os.Truncate(filepath.Join(want.dir, "train-00000.bin"), 10); err != nil {
		t.Skipf("this system does not cut mapped files: %v", err)
	}
	_, err := s.Document(s.Documents()-1, nil)
	if err == nil || !strings.Contains(err.Error(), "train-00000.bin") {
		t.Errorf("the error is %v", err)
	}
}

func TestWriterRefuses(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(dir, "train-00000", 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range [][]int32{{}, {10}, {-1}} {
		if err := w.Append("x", ids); err == nil {
			t.Errorf("%v was written", ids)
		}
	}
	if _, err := w.Commit(); err == nil {
		t.Error("an empty shard was committed")
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("%v is left", entries)
	}
}

// TestIDStaysOnItsLine: an ID with line ends does not shift the others.
func TestIDStaysOnItsLine(t *testing.T) {
	dir := t.TempDir()
	w, err := Create(dir, "train-00000", 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a\nb\r", "c"} {
		if err := w.Append(id, []int32{1}); err != nil {
			t.Fatal(err)
		}
	}
	f, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteIndex(dir, &Index{VocabSize: 10, Splits: map[string]Files{Train: {Tokens: 2, Documents: 2, Shards: []File{f}}}}); err != nil {
		t.Fatal(err)
	}
	_, s := open(t, dir)
	for i, want := range []string{"a%0Ab%0D", "c"} {
		if id, err := s.ID(int64(i)); err != nil || id != want {
			t.Errorf("document %d is %q, %v, want %q", i, id, err, want)
		}
	}
}

func TestIndexRefusals(t *testing.T) {
	want := write(t, 300, 1, 3)
	path := filepath.Join(want.dir, IndexFile)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := string(raw)
	for _, c := range []struct{ old, new, want string }{
		{`"cria-shards"`, `"other"`, "format"},
		{`"version": 1`, `"version": 2`, "version 2"},
		{`"uint16"`, `"uint32"`, "dtype"},
		{`"vocab_size": 300`, `"vocab_size": 0`, "vocab_size 0"},
		{`"name": "train-00000"`, `"name": "../train-00000"`, "shard name"},
		{`"documents": 3`, `"documents": 4`, "4 documents"},
		{`"bin_sha256": "`, `"bin_sha256": "zz`, "sha256"},
		{`"bos"`, `"boss"`, "boss"},
		{`{`, `[`, IndexFile},
	} {
		if err := os.WriteFile(path, []byte(strings.Replace(good, c.old, c.new, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(want.dir); err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), IndexFile) {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
	if err := os.WriteFile(path, raw[:len(raw)/2], 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(want.dir); err == nil {
		t.Error("half of an index was accepted")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(want.dir); err == nil || !strings.Contains(err.Error(), "cria data build") {
		t.Errorf("no index: %v", err)
	}
}

// BenchmarkSequences: sequences of 2,048 tokens.
func BenchmarkSequences(b *testing.B) {
	dir := b.TempDir()
	w, err := Create(dir, "train-00000", 32000)
	if err != nil {
		b.Fatal(err)
	}
	doc := make([]int32, 700)
	for range 10_000 {
		if err := w.Append("x", doc); err != nil {
			b.Fatal(err)
		}
	}
	f, err := w.Commit()
	if err != nil {
		b.Fatal(err)
	}
	if err := WriteIndex(dir, &Index{VocabSize: 32000, Splits: map[string]Files{Train: {Tokens: f.Tokens, Documents: f.Documents, Shards: []File{f}}}}); err != nil {
		b.Fatal(err)
	}
	d, err := Open(dir)
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	s, _ := d.Split(Train)
	q, err := s.Shuffled(1, 2048)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(2 * 2048)
	var seq Sequence
	for k := int64(0); b.Loop(); k++ {
		if err := q.At(k, &seq); err != nil {
			b.Fatal(err)
		}
	}
}

// TestMask: what is learned is read as it was written, across documents and
// shards with and without a mask, and a mask that was cut or changed is found.
func TestMask(t *testing.T) {
	dir := t.TempDir()
	masked, err := CreateMasked(dir, Name(Train, 0), 10)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := Create(dir, Name(Train, 1), 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		masked.AppendMasked("a", []int32{1, 2, 3}, []bool{false, true, false}),
		masked.Append("b", []int32{4, 5}),
		plain.Append("c", []int32{6, 7, 8}),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{masked.AppendMasked("d", []int32{1, 2}, []bool{true}), plain.AppendMasked("d", []int32{1}, []bool{true})} {
		if err == nil || !strings.Contains(err.Error(), `"d"`) {
			t.Errorf("a mask that does not fit: %v", err)
		}
	}
	x := &Index{VocabSize: 10, Splits: map[string]Files{}}
	sum := Files{}
	for _, w := range []*Writer{masked, plain} {
		f, err := w.Commit()
		if err != nil {
			t.Fatal(err)
		}
		sum.Tokens, sum.Documents, sum.Shards = sum.Tokens+f.Tokens, sum.Documents+f.Documents, append(sum.Shards, f)
	}
	x.Splits[Train] = sum
	if err := WriteIndex(dir, x); err != nil {
		t.Fatal(err)
	}
	d, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.Split(Train)
	if err != nil {
		t.Fatal(err)
	}
	order, err := s.InOrder(7)
	if err != nil {
		t.Fatal(err)
	}
	var q Sequence
	if err := order.At(0, &q); err != nil {
		t.Fatal(err)
	}
	if want := []bool{false, true, false, true, true, true, true, true}; !slices.Equal(q.Learn, want) {
		t.Errorf("learned: %v, want %v", q.Learn, want)
	}
	if err := d.Verify(t.Context(), nil); err != nil {
		t.Error(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, Name(Train, 0)+extMask)
	for _, bad := range [][]byte{{0, 1, 0, 1}, {1, 1, 0, 1, 1}} {
		if err := os.WriteFile(path, bad, 0o666); err != nil {
			t.Fatal(err)
		}
		d, err := Open(dir)
		if err == nil {
			err = errors.Join(d.Verify(t.Context(), nil), d.Close())
		}
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("mask %v: %v", bad, err)
		}
	}
}
