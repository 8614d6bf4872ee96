// Package atomicfile writes a file so that its name shows the old contents or
// the whole new ones, never a part: everything goes to a temporary file beside
// the target, which is synced and renamed at the end.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// File is a file under way. Commit or Abort ends it.
type File struct {
	f    *os.File
	path string
}

// Create starts a file that will be called path.
func Create(path string) (*File, error) {
	for {
		// os.CreateTemp would keep the file from other users; here the umask rules.
		tmp := filepath.Join(filepath.Dir(path), fmt.Sprintf(".%s.tmp-%08x", filepath.Base(path), rand.Uint32()))
		f, err := os.OpenFile(tmp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &File{f, path}, nil
	}
}

// Path returns the name that the file will have.
func (f *File) Path() string { return f.path }

// Write appends to the file.
func (f *File) Write(p []byte) (int, error) { return f.f.Write(p) }

// WriteAt writes p at an offset.
func (f *File) WriteAt(p []byte, off int64) (int, error) { return f.f.WriteAt(p, off) }

// Truncate sets the file's size.
func (f *File) Truncate(size int64) error { return f.f.Truncate(size) }

// Commit makes the contents durable and gives the file its name. After an
// error the target is as it was and the temporary file is gone. After Abort or
// Commit it returns os.ErrClosed.
func (f *File) Commit() error {
	if f.f == nil {
		return os.ErrClosed
	}
	tmp := f.f.Name()
	err := f.f.Sync()
	if cerr := f.f.Close(); err == nil {
		err = cerr
	}
	f.f = nil
	if err == nil {
		err = os.Rename(tmp, f.path)
	}
	if err != nil {
		_ = os.Remove(tmp)
		return err
	}
	return SyncDir(filepath.Dir(f.path))
}

// SyncDir makes what was created, renamed or deleted in a directory durable.
func SyncDir(dir string) error { return syncDir(dir) }

// Abort deletes the temporary file. After Commit or Abort it does nothing, so it
// can be deferred.
func (f *File) Abort() {
	if f.f == nil {
		return
	}
	tmp := f.f.Name()
	_ = f.f.Close()
	_ = os.Remove(tmp)
	f.f = nil
}

// WriteFile gives a file whole contents.
func WriteFile(path string, data []byte) error {
	f, err := Create(path)
	if err != nil {
		return err
	}
	defer f.Abort()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.Commit()
}
