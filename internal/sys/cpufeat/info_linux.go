package cpufeat

import (
	"bufio"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// model reads /proc/cpuinfo: "model name" where there is one, else the
// implementer and part numbers that arm64 kernels print.
func model() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	return modelFrom(bufio.NewScanner(f))
}

func modelFrom(sc *bufio.Scanner) string {
	var implementer, part string
	for sc.Scan() {
		key, value, _ := strings.Cut(sc.Text(), ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "model name":
			return value
		case "CPU implementer":
			implementer = value
		case "CPU part":
			part = value
		}
		if implementer != "" && part != "" {
			return "ARM implementer " + implementer + " part " + part
		}
	}
	return ""
}

func caches() Caches { return cachesUnder("/sys/devices/system/cpu/cpu0/cache") }

// cachesUnder reads the index* directories of one processor in sysfs.
func cachesUnder(dir string) Caches {
	var c Caches
	level := 0
	indexes, _ := filepath.Glob(filepath.Join(dir, "index*"))
	for _, index := range indexes {
		if read(index, "type") == "Instruction" {
			continue
		}
		size := parseSize(read(index, "size"))
		l, _ := strconv.Atoi(read(index, "level"))
		switch l {
		case 1:
			c.L1d = size
		case 2:
			c.L2 = size
		}
		if l >= level {
			level, c.LLC = l, size
		}
	}
	return c
}

func read(dir, name string) string {
	b, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.TrimSpace(string(b))
}

// parseSize reads sysfs's "48K" or "32M".
func parseSize(s string) int {
	unit := 1
	switch {
	case strings.HasSuffix(s, "K"):
		unit = 1 << 10
	case strings.HasSuffix(s, "M"):
		unit = 1 << 20
	}
	n, _ := strconv.Atoi(strings.TrimRight(s, "KM"))
	return n * unit
}
