package meminfo

import "golang.org/x/sys/unix"

func read() Memory {
	var m Memory
	if n, err := unix.SysctlUint64("hw.memsize"); err == nil {
		m.Total = n
	}
	// Darwin keeps few pages free and gives up those that hold files, which are
	// "external" to it, when somebody needs memory. Without their number the sum
	// would be far too small: unknown is better.
	var pages uint64
	for _, name := range []string{"vm.page_free_count", "vm.page_purgeable_count", "vm.page_pageable_external_count"} {
		n, err := unix.SysctlUint32(name)
		if err != nil {
			return m
		}
		pages += uint64(n)
	}
	m.Available = min(pages*uint64(unix.Getpagesize()), m.Total)
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
