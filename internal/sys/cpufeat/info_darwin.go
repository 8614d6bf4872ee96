package cpufeat

import "golang.org/x/sys/unix"

func model() string {
	s, _ := unix.Sysctl("machdep.cpu.brand_string")
	return s
}

// caches asks for the fastest cores' caches (perflevel0) and falls back on the
// names that Intel Macs have. Apple's chips have no L3 that sysctl knows.
func caches() Caches {
	c := Caches{
		L1d: size("hw.perflevel0.l1dcachesize", "hw.l1dcachesize"),
		L2:  size("hw.perflevel0.l2cachesize", "hw.l2cachesize"),
		LLC: size("hw.l3cachesize"),
	}
	if c.LLC == 0 {
		c.LLC = c.L2
	}
	return c
}

func size(names ...string) int {
	for _, name := range names {
		// The values are 32 or 64 bits wide, depending on name and release.
		if n, err := unix.SysctlUint64(name); err == nil {
			return int(n)
		}
		if n, err := unix.SysctlUint32(name); err == nil {
			return int(n)
		}
	}
	return 0
}
