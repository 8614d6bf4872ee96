// Package mmap maps whole files for reading, so that a model's weights are read
// where they lie and the system's page cache is the only copy.
//
// A mapped file that is cut, or whose disk fails, faults when it is read: the
// mapping's pages exist, the bytes behind them do not. Go turns such a fault
// into a panic only where debug.SetPanicOnFault is on. Whoever reads mapped
// bytes therefore does it inside Guard, or on workers that call SetPanicOnFault
// themselves and turn the fault's address into an error with FaultAt.
package mmap

import (
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"unsafe"
)

// File is a file mapped for reading.
type File struct {
	name  string
	data  []byte
	given bool // FromBytes'
}

// open lists all mapped files, so that a fault's address finds its file.
var open struct {
	sync.Mutex
	files []*File
}

// Open maps a regular file. An empty file gives a mapping of no bytes.
func Open(path string) (*File, error) {
	// A pipe would block in os.Open.
	if st, err := os.Stat(path); err != nil {
		return nil, err
	} else if !st.Mode().IsRegular() {
		return nil, &os.PathError{Op: "map", Path: path, Err: fmt.Errorf("%s is no regular file and cannot be mapped", st.Mode().Type())}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping outlives the descriptor
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m := &File{name: path}
	if st.Size() == 0 {
		return m, nil
	}
	if m.data, err = mapFile(f, int(st.Size())); err != nil {
		return nil, &os.PathError{Op: "map", Path: path, Err: err}
	}
	open.Lock()
	open.files = append(open.files, m)
	open.Unlock()
	return m, nil
}

// FromBytes gives bytes that are in memory anyway, such as those of the program
// itself, the form of a mapped file. They are not freed, and nothing of them is
// released.
func FromBytes(name string, data []byte) *File { return &File{name: name, data: data, given: true} }

// Name returns the path that the file was opened with.
func (f *File) Name() string { return f.name }

// Bytes returns the file's contents. They must not be written to, nor used
// after Close.
func (f *File) Bytes() []byte { return f.data }

// Close unmaps the file. A second call does nothing.
func (f *File) Close() error {
	data := f.data
	f.data = nil
	if data == nil || f.given {
		return nil
	}
	open.Lock()
	open.files = slices.DeleteFunc(open.files, func(o *File) bool { return o == f })
	open.Unlock()
	return unmapFile(data)
}

// Sequential says that the whole file will be read once from start to end.
func (f *File) Sequential() {
	if len(f.data) > 0 && !f.given {
		adviseSequential(f.data)
	}
}

// Release says that a piece of the file, a subslice of Bytes, is not needed for
// now: the whole pages inside it leave the process's resident memory and are
// read again from the page cache when touched. Where the system has no such
// call, nothing happens.
func (f *File) Release(piece []byte) {
	if len(piece) == 0 || len(f.data) == 0 || f.given {
		return
	}
	base := uintptr(unsafe.Pointer(&f.data[0]))
	lo := uintptr(unsafe.Pointer(&piece[0])) - base
	hi := lo + uintptr(len(piece))
	if lo > uintptr(len(f.data)) || hi > uintptr(len(f.data)) {
		panic(fmt.Sprintf("mmap: a piece that is not of %s", f.name))
	}
	page := uintptr(os.Getpagesize())
	lo = (lo + page - 1) / page * page
	if hi != uintptr(len(f.data)) { // the last page belongs to the file alone
		hi = hi / page * page
	}
	if lo < hi {
		releasePages(f.data[lo:hi])
	}
}

// FaultError says that bytes of a mapped file could not be read.
type FaultError struct {
	File   string
	Offset int64
}

func (e *FaultError) Error() string {
	return fmt.Sprintf("%s: cannot read at offset %d: the file was cut while in use, or its disk fails; check the file and load it again", e.File, e.Offset)
}

// FaultAt returns the error for a fault at an address, or nil if the address is
// in no mapped file.
func FaultAt(addr uintptr) error {
	open.Lock()
	defer open.Unlock()
	for _, f := range open.files {
		if base := uintptr(unsafe.Pointer(&f.data[0])); addr >= base && addr-base < uintptr(len(f.data)) {
			return &FaultError{f.name, int64(addr - base)}
		}
	}
	return nil
}

// FaultOf returns the error for a recovered panic value if it is a fault in a
// mapped file, else nil.
func FaultOf(recovered any) error {
	if f, ok := recovered.(interface{ Addr() uintptr }); ok {
		return FaultAt(f.Addr())
	}
	return nil
}

// Guard runs fn and turns a fault in a mapped file into an error that names the
// file. Any other panic goes on. Goroutines that fn starts are not guarded.
func Guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			if err = FaultOf(r); err == nil {
				panic(r)
			}
		}
	}()
	return fn()
}
