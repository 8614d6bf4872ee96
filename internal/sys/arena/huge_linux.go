package arena

import "golang.org/x/sys/unix"

// adviseHuge asks for transparent huge pages; a kernel without them says no,
// which costs speed only.
func adviseHuge(b []byte) { _ = unix.Madvise(b, unix.MADV_HUGEPAGE) }
