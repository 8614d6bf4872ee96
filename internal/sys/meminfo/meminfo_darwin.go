package meminfo

import "golang.org/x/sys/unix"

func read() Memory {
	var m Memory
	if n, err := unix.SysctlUint64("hw.memsize"); err == nil {
		m.Total = n
	}
	for _, name := range []string{"vm.page_free_count", "vm.page_speculative_count", "vm.page_purgeable_count"} {
		if n, err := unix.SysctlUint32(name); err == nil {
			m.Available += uint64(n) * uint64(unix.Getpagesize())
		}
	}
	return m
}

func peakRSS() uint64 {
	var r unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return uint64(r.Maxrss) // bytes on Darwin (man 2 getrusage)
}

func hugePages() string { return "" }
