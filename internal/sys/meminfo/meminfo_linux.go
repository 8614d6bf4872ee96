package meminfo

import (
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

func read() Memory { return readUnder("/") }

// readUnder reads below the file system root given, which tests replace.
func readUnder(root string) Memory {
	var m Memory
	text, err := os.ReadFile(filepath.Join(root, "proc/meminfo"))
	if err != nil {
		return m
	}
	m.Total = field(string(text), "MemTotal:")
	m.Available = field(string(text), "MemAvailable:")
	limit, used := cgroupMemory(root)
	if limit > 0 && limit < m.Total {
		m.Limit, m.Total = limit, limit
		m.Available = min(m.Available, limit-min(used, limit))
	}
	return m
}

// field returns a "Name:  123 kB" line's value in bytes.
func field(text, name string) uint64 {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) == 3 && f[0] == name && f[2] == "kB" {
			n, err := strconv.ParseUint(f[1], 10, 54)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}

// cgroupMemory returns the smallest limit among the process's cgroup and its
// parents, version 1 or 2, and what that cgroup uses now without the page
// cache that it can drop; limit 0 means none.
func cgroupMemory(root string) (limit, used uint64) {
	self, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(self)) {
		// hierarchy-ID:controller-list:cgroup-path (man 7 cgroups)
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 {
			continue
		}
		mount, max, now, cache := "", "", "", ""
		switch {
		case f[0] == "0" && f[1] == "":
			mount, max, now, cache = "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
		case f[1] == "memory":
			mount, max, now, cache = "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
		default:
			continue
		}
		for p := path.Clean("/" + f[2]); ; p = path.Dir(p) {
			dir := filepath.Join(root, mount, p)
			// "max", or version 1's huge number for none, which is above any total.
			if n, ok := number(filepath.Join(dir, max)); ok && (limit == 0 || n < limit) {
				limit = n
				used, _ = number(filepath.Join(dir, now))
				used -= min(used, stat(filepath.Join(dir, "memory.stat"), cache))
			}
			if p == "/" {
				break
			}
		}
	}
	return limit, used
}

func number(file string) (uint64, bool) {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// stat returns one counter of a memory.stat file.
func stat(file, name string) uint64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) == 2 && f[0] == name {
			n, err := strconv.ParseUint(f[1], 10, 64)
			if err != nil {
				return 0
			}
			return n
		}
	}
	return 0
}

func peakRSS() uint64 {
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	return field(string(b), "VmHWM:")
}

func hugePages() string {
	b, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil {
		return ""
	}
	// The setting in force stands in brackets: "always [madvise] never".
	_, rest, ok := strings.Cut(string(b), "[")
	if !ok {
		return ""
	}
	word, _, _ := strings.Cut(rest, "]")
	return word
}
