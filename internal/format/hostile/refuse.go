package hostile

import (
	"bufio"
	"bytes"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What a refusal may cost at most (SECURITY.md, "Refuse").
const (
	MaxTime = time.Second
	MaxRSS  = 64 << 20
)

// Refuse writes a case and opens it, and fails the test unless the error names
// file, field and value, in time and without memory growing. open must release
// what it opened where there is no error.
func Refuse(t *testing.T, c *Case, open func(path string) error) {
	t.Helper()
	dir := t.TempDir()
	path, err := c.Write(dir)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Duration(math.MaxInt64)
	timed := func() {
		begin := time.Now()
		cpu, known := processorTime()
		err = open(path)
		took = min(took, time.Since(begin))
		// On a busy machine the clock counts what others do.
		if after, _ := processorTime(); known {
			took = min(took, after-cpu)
		}
	}
	growth := rssGrowth(timed)
	for range 4 { // a busy machine is given more chances
		if err == nil || took <= MaxTime {
			break
		}
		timed()
	}
	if err == nil {
		t.Fatalf("%s was accepted", c.Name)
	}
	text := err.Error()
	for _, want := range []string{dir, c.Field, c.Value} {
		if !strings.Contains(text, want) {
			t.Errorf("the refusal does not name %q: %s", want, text)
		}
	}
	if len(text) > 1000 {
		t.Errorf("the refusal has %d bytes: %.200s…", len(text), text)
	}
	t.Logf("%v, %d KiB: %s", took, growth>>10, text)
	if took > MaxTime {
		t.Errorf("the refusal took %v", took)
	}
	if growth > MaxRSS {
		t.Errorf("resident memory grew by %d MiB", growth>>20)
	}
}

// processorTime is what this process has computed so far, on all cores, to a
// hundredth of a second (man 5 proc, stat).
func processorTime() (d time.Duration, known bool) {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return 0, false
	}
	// The second field is the program's name, which may hold anything.
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(f) < 13 {
		return 0, false
	}
	for _, ticks := range f[11:13] { // in user and in kernel mode
		n, err := strconv.ParseInt(ticks, 10, 64)
		if err != nil {
			return 0, false
		}
		d += time.Duration(n) * 10 * time.Millisecond
	}
	return d, true
}

// rssGrowth runs fn and returns by how much the process's resident memory was
// higher during it than before. Where the system does not tell, it is the number
// of bytes that were allocated.
func rssGrowth(fn func()) int64 {
	debug.FreeOSMemory() // or fn would fill memory that is resident already
	// 5 resets the peak (man 5 proc, clear_refs).
	before, ok := int64(0), os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) == nil
	if ok {
		before, ok = status("VmHWM:")
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	allocated := m.TotalAlloc
	fn()
	if ok {
		if after, ok := status("VmHWM:"); ok {
			return after - before
		}
	}
	runtime.ReadMemStats(&m)
	return int64(m.TotalAlloc - allocated)
}

// status returns a number of the kernel's status of this process, in bytes.
func status(name string) (int64, bool) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) == 3 && f[0] == name && f[2] == "kB" {
			n, err := strconv.ParseInt(f[1], 10, 53)
			return n << 10, err == nil
		}
	}
	return 0, false
}

// Cut calls check with a file that holds all of data, and then with each shorter
// beginning of it, down to nothing.
func Cut(t *testing.T, name string, data []byte, check func(path string, n int)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	for n := len(data); n >= 0; n-- {
		// Cutting one file is much faster than writing as many.
		if err := os.Truncate(path, int64(n)); err != nil {
			t.Fatal(err)
		}
		check(path, n)
	}
}
