package extsort

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func drain[R Record](t *testing.T, s *Sorter[R]) (all []R) {
	t.Helper()
	for r, err := range s.Sorted() {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

// TestSorted: in memory, with few runs and with more runs than are merged at
// once, the result is that of sorting a slice.
func TestSorted(t *testing.T) {
	for _, n := range []int{0, 1, 100, 5000, 40_000} {
		dir := t.TempDir()
		r := rand.New(rand.NewPCG(1, uint64(n)))
		s := New[[3]uint64](dir, 0) // 1,024 records in memory, 4 files at once
		var want [][3]uint64
		for range n {
			x := [3]uint64{uint64(r.IntN(50)), r.Uint64() >> r.IntN(64), uint64(r.IntN(3))}
			want = append(want, x)
			if err := s.Add(x); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortFunc(want, func(a, b [3]uint64) int { return slices.Compare(a[:], b[:]) })
		if got := drain(t, s); !slices.Equal(got, want) {
			t.Errorf("%d records come out wrong (%d of them)", n, len(got))
		}
		if n > 30_000 && len(s.runs) > s.fanIn {
			t.Errorf("%d runs were merged at once", len(s.runs))
		}
		if err := s.Add([3]uint64{}); err == nil {
			t.Error("a record was added after the end")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if files, _ := filepath.Glob(dir + "/*"); len(files) != 0 {
			t.Errorf("%q are left", files)
		}
	}
}

// TestCombine: counts add up over all runs, and each key keeps its lowest value.
func TestCombine(t *testing.T) {
	s := New[[3]uint64](t.TempDir(), 0)
	s.Combine = func(a, b [3]uint64) ([3]uint64, bool) {
		a[2] += b[2]
		return a, a[0] == b[0]
	}
	type sum struct{ first, n uint64 }
	want := map[uint64]sum{}
	r := rand.New(rand.NewPCG(7, 7))
	for range 20_000 {
		k, v := uint64(r.IntN(3000)), uint64(r.IntN(1000))
		if w, ok := want[k]; ok {
			want[k] = sum{min(w.first, v), w.n + 1}
		} else {
			want[k] = sum{v, 1}
		}
		if err := s.Add([3]uint64{k, v, 1}); err != nil {
			t.Fatal(err)
		}
	}
	got := drain(t, s)
	if len(got) != len(want) {
		t.Errorf("%d keys, want %d", len(got), len(want))
	}
	for _, r := range got {
		if want[r[0]] != (sum{r[1], r[2]}) {
			t.Fatalf("key %d has %v, want %v", r[0], r[1:], want[r[0]])
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestBadDisk: a run that cannot be written, or was cut, is an error.
func TestBadDisk(t *testing.T) {
	s := New[[2]uint64](filepath.Join(t.TempDir(), "none"), 0)
	var err error
	for i := range uint64(minBuffer + 1) {
		err = s.Add([2]uint64{i})
	}
	if err == nil {
		t.Error("runs in a directory that is not there")
	}

	s = New[[2]uint64](t.TempDir(), 0)
	for i := range uint64(3 * minBuffer) {
		if err := s.Add([2]uint64{i}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Truncate(s.runs[0], 16*100+5); err != nil {
		t.Fatal(err)
	}
	err = nil
	for _, e := range s.Sorted() {
		err = e
	}
	if err == nil || !strings.Contains(err.Error(), filepath.Base(s.runs[0])) {
		t.Errorf("a run was cut: %v", err)
	}
}

func BenchmarkSort(b *testing.B) {
	b.SetBytes(16 * 1_000_000)
	for b.Loop() {
		s := New[[2]uint64](b.TempDir(), 4<<20)
		r := rand.New(rand.NewPCG(1, 1))
		for range 1_000_000 {
			if err := s.Add([2]uint64{r.Uint64(), 1}); err != nil {
				b.Fatal(err)
			}
		}
		for _, err := range s.Sorted() {
			if err != nil {
				b.Fatal(err)
			}
		}
		s.Close()
	}
}
