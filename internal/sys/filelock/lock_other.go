//go:build !windows

package filelock

import (
	"os"

	"golang.org/x/sys/unix"
)

// tryLock locks a file until it is closed, or until the process ends in any way.
func tryLock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }
