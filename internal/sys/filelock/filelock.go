// Package filelock keeps two processes from working on one directory.
package filelock

import (
	"errors"
	"fmt"
	"os"
)

// Lock is held until Unlock, or until the process ends in any way.
type Lock struct{ f *os.File }

// HeldError says that another process holds the lock.
type HeldError struct {
	Path  string
	cause error
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s is held by another process (%v); wait for it or stop it", e.Path, e.cause)
}

func (e *HeldError) Unwrap() error { return e.cause }

// Try takes the lock of a file, which it makes, or returns a *HeldError at once.
// The file stays when the lock is given back: it means nothing by itself.
func Try(path string) (*Lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := tryLock(f); err != nil {
		return nil, errors.Join(&HeldError{path, err}, f.Close())
	}
	return &Lock{f}, nil
}

// Unlock gives the lock back.
func (l *Lock) Unlock() error { return l.f.Close() }
