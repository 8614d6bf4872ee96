package pth

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/cria-llm/cria/internal/format/ferr"
)

// The parts of a zip file, named as in PKWARE's APPNOTE.TXT 6.3. Only what
// torch.save writes is read: stored entries, one disk, no encryption and no
// comment. archive/zip is not used: it reads the whole directory into memory
// without a limit, and it lets the directory contradict the local headers.
const (
	sigLocal     = "PK\x03\x04"
	sigCentral   = "PK\x01\x02"
	sigEnd64     = "PK\x06\x06"
	sigLocator64 = "PK\x06\x07"
	sigEnd       = "PK\x05\x06"

	localBytes     = 30
	centralBytes   = 46
	end64Bytes     = 56
	locator64Bytes = 20
	endBytes       = 22

	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3 // sizes and CRC stand behind the data, zeros in the local header
	flagUTF8       = 1 << 11
	methodStored   = 0
	extraZip64     = 1
	modeType       = 0o170000 // the file type in a Unix mode, and that of a link
	modeSymlink    = 0o120000
)

// Limits on what a file may claim. A 70B model has 723 tensors.
const (
	maxEntries   = 1 << 16
	maxNameBytes = 512
)

const hintDamaged = "the file is cut or damaged: get it again"

// entry is one file of the archive.
type entry struct {
	name   string // below the archive's one directory
	header uint64 // offset of the local header
	start  uint64 // and of the contents
	data   []byte
	crc    uint32
}

// sum checks the entry's contents. A writer that was told not to compute sums
// (torch.serialization.set_crc32_options) leaves 0.
func (e *entry) sum(file string) error {
	if got := crc32.ChecksumIEEE(e.data); e.crc != 0 && got != e.crc {
		return ferr.New(ferr.Malformed, file, "entry "+e.name, nil, "its CRC-32 is %08x, the directory says %08x", got, e.crc).WithHint(hintDamaged)
	}
	return nil
}

// zipReader reads the directory of a mapped archive.
type zipReader struct {
	file    string
	data    []byte
	prefix  string // the one directory that all entries are in, with its slash
	entries map[string]*entry
}

func (z *zipReader) malformed(field string, value any, problem string, args ...any) *ferr.Error {
	return ferr.New(ferr.Malformed, z.file, field, value, problem, args...)
}

// readZip checks the whole directory and every local header. No entry's contents
// are touched.
func readZip(file string, data []byte) (map[string]*entry, error) {
	z := &zipReader{file: file, data: data, entries: map[string]*entry{}}
	n, start, end, err := z.findDirectory()
	if err != nil {
		return nil, err
	}
	var all []*entry
	at := start
	for i := range n {
		e, size, err := z.readEntry(i, at, end)
		if err != nil {
			return nil, err
		}
		if at, err = at+size, z.checkLocal(e, at, start); err != nil {
			return nil, err
		}
		if z.entries[e.name] != nil {
			return nil, z.malformed("entry "+e.name, nil, "two entries have this name")
		}
		z.entries[e.name] = e
		all = append(all, e)
	}
	if at != end {
		return nil, z.malformed("central directory", nil, "its %d entries end at offset %d, it ends at %d", n, at, end)
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.header, b.header) })
	for i := 1; i < len(all); i++ {
		a, b := all[i-1], all[i]
		if ends := a.start + uint64(len(a.data)); ends > b.header {
			return nil, z.malformed("entry "+b.name, nil, "begins at offset %d, inside of entry %s, which ends at %d", b.header, a.name, ends)
		}
	}
	return z.entries, nil
}

// findDirectory reads the records at the file's end: the number of entries and
// where the central directory begins and ends.
func (z *zipReader) findDirectory() (n, start, end uint64, err error) {
	le := binary.LittleEndian
	at := len(z.data) - endBytes
	if at < 0 || string(z.data[at:at+4]) != sigEnd || le.Uint16(z.data[at+20:]) != 0 {
		return 0, 0, 0, z.malformed("end of central directory", nil, "it is not in the file's last %d bytes", endBytes).WithHint(hintDamaged)
	}
	e := z.data[at:]
	disks := []uint64{uint64(le.Uint16(e[4:])), uint64(le.Uint16(e[6:]))}
	here, n := uint64(le.Uint16(e[8:])), uint64(le.Uint16(e[10:]))
	size, start := uint64(le.Uint32(e[12:])), uint64(le.Uint32(e[16:]))
	end = uint64(at)

	if at -= locator64Bytes; at >= 0 && string(z.data[at:at+4]) == sigLocator64 {
		off := le.Uint64(z.data[at+8:])
		if off > uint64(at) || uint64(at)-off < end64Bytes || string(z.data[off:off+4]) != sigEnd64 {
			return 0, 0, 0, z.malformed("zip64 locator", off, "no zip64 end of central directory is there")
		}
		e = z.data[off:at]
		if le.Uint64(e[4:]) != uint64(len(e)-12) {
			return 0, 0, 0, z.malformed("zip64 end of central directory", le.Uint64(e[4:]), "its size: the record has %d bytes behind this field", len(e)-12)
		}
		// The short record repeats the long one's numbers where they fit.
		for _, f := range []struct {
			name              string
			short, long, most uint64
		}{
			{"entries", n, le.Uint64(e[32:]), math.MaxUint16},
			{"entries on this disk", here, le.Uint64(e[24:]), math.MaxUint16},
			{"size of the central directory", size, le.Uint64(e[40:]), math.MaxUint32},
			{"offset of the central directory", start, le.Uint64(e[48:]), math.MaxUint32},
		} {
			if f.short != f.most && f.short != f.long {
				return 0, 0, 0, z.malformed(f.name, f.short, "the zip64 record says %d", f.long)
			}
		}
		disks = []uint64{uint64(le.Uint32(e[16:])), uint64(le.Uint32(e[20:])), uint64(le.Uint32(z.data[at+4:]))}
		here, n, size, start, end = le.Uint64(e[24:]), le.Uint64(e[32:]), le.Uint64(e[40:]), le.Uint64(e[48:]), off
	}
	switch {
	case here != n || slices.ContainsFunc(disks, func(d uint64) bool { return d != 0 }):
		return 0, 0, 0, ferr.New(ferr.Unsupported, z.file, "end of central directory", nil, "the archive is in several pieces")
	case start > end || size != end-start:
		return 0, 0, 0, z.malformed("central directory", nil, "it has %d bytes from offset %d on, which do not end at offset %d", size, start, end).WithHint(hintDamaged)
	case n > size/centralBytes:
		return 0, 0, 0, z.malformed("entries", n, "the central directory's %d bytes hold %d at most", size, size/centralBytes)
	case n > maxEntries:
		return 0, 0, 0, z.malformed("entries", n, "at most %d are allowed", maxEntries)
	}
	return n, start, end, nil
}

// readEntry reads entry i of the central directory, which ends at end. The
// entry's data is not found yet, only its size is known: data is any piece of
// the file of that length.
func (z *zipReader) readEntry(i, at, end uint64) (e *entry, size uint64, err error) {
	le := binary.LittleEndian
	c := z.data[at:end]
	if len(c) < centralBytes || string(c[:4]) != sigCentral {
		return nil, 0, z.malformed("central directory", nil, "entry %d, at offset %d, is none", i, at).WithHint(hintDamaged)
	}
	nName, nExtra, nComment := int(le.Uint16(c[28:])), int(le.Uint16(c[30:])), int(le.Uint16(c[32:]))
	if size = uint64(centralBytes + nName + nExtra + nComment); size > uint64(len(c)) {
		return nil, 0, z.malformed("central directory", nil, "entry %d, at offset %d, is longer than the directory", i, at).WithHint(hintDamaged)
	}
	name, err := z.checkName(i, string(c[centralBytes:centralBytes+nName]))
	if err != nil {
		return nil, 0, err
	}
	if err := checkRecord(z.file, name); err != nil {
		return nil, 0, err
	}
	field := "entry " + name
	switch flags, method, mode := le.Uint16(c[8:]), le.Uint16(c[10:]), le.Uint32(c[38:])>>16; {
	case flags&flagEncrypted != 0:
		return nil, 0, ferr.New(ferr.Unsupported, z.file, field, nil, "it is encrypted")
	case flags&^(flagDescriptor|flagUTF8) != 0:
		return nil, 0, ferr.New(ferr.Unsupported, z.file, field+": flags", flags, "only those that torch.save writes are read")
	case method != methodStored:
		return nil, 0, ferr.New(ferr.Unsupported, z.file, field+": compression method", method, "torch.save stores entries without compression").WithHint("get the original file: this one was packed anew")
	case mode&modeType == modeSymlink:
		return nil, 0, z.malformed(field, nil, "it is a symbolic link")
	}
	var sizes [3]uint64 // uncompressed, compressed, offset of the local header: in the order of the zip64 field
	for j, at := range [3]int{24, 20, 42} {
		sizes[j] = uint64(le.Uint32(c[at:]))
	}
	if err := z.widen(field, sizes[:], c[centralBytes+nName:centralBytes+nName+nExtra]); err != nil {
		return nil, 0, err
	}
	if sizes[0] != sizes[1] {
		return nil, 0, z.malformed(field, nil, "it is stored without compression, and %d bytes in the archive are said to become %d", sizes[1], sizes[0])
	}
	if sizes[0] > uint64(len(z.data)) {
		return nil, 0, z.malformed(field, nil, "it is said to have %d bytes, the file has %d", sizes[0], len(z.data)).WithHint(hintDamaged)
	}
	return &entry{name: name, header: sizes[2], data: z.data[:sizes[0]], crc: le.Uint32(c[16:])}, size, nil
}

// widen replaces each size that did not fit into 32 bits by its value in the
// zip64 field.
func (z *zipReader) widen(field string, sizes []uint64, extra []byte) error {
	if !slices.Contains(sizes, math.MaxUint32) {
		return nil
	}
	le := binary.LittleEndian
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if n > len(extra)-4 {
			break
		}
		if id == extraZip64 {
			values := extra[4 : 4+n]
			for i := range sizes {
				if sizes[i] != math.MaxUint32 {
					continue
				}
				if len(values) < 8 {
					return z.malformed(field, nil, "its zip64 field is too short")
				}
				sizes[i], values = le.Uint64(values), values[8:]
			}
			return nil
		}
		extra = extra[4+n:]
	}
	return z.malformed(field, nil, "its sizes are in a zip64 field, and there is none")
}

// checkLocal finds the entry's data by its local header, which must say the same
// as the central directory. limit is where the directory begins; the entry there
// is at offset at.
func (z *zipReader) checkLocal(e *entry, at, limit uint64) error {
	le := binary.LittleEndian
	field := "entry " + e.name
	if e.header > limit || limit-e.header < localBytes || string(z.data[e.header:e.header+4]) != sigLocal {
		return z.malformed(field, nil, "no local header is at offset %d", e.header).WithHint(hintDamaged)
	}
	c, l := z.data[at:], z.data[e.header:limit]
	nName, nExtra := int(le.Uint16(l[26:])), int(le.Uint16(l[28:]))
	if len(l) < localBytes+nName+nExtra {
		return z.malformed(field, nil, "its local header runs into the central directory")
	}
	name := l[localBytes : localBytes+nName]
	if want := c[centralBytes : centralBytes+int(le.Uint16(c[28:]))]; !bytes.Equal(name, want) {
		return z.malformed(field, nil, "its local header has another name: %s", ferr.Quote(string(name)))
	}
	flags := le.Uint16(l[6:])
	if flags != le.Uint16(c[8:]) || le.Uint16(l[8:]) != methodStored {
		return z.malformed(field, nil, "its local header has flags %#x and method %d, the central directory %#x and %d", flags, le.Uint16(l[8:]), le.Uint16(c[8:]), methodStored)
	}
	sizes := []uint64{uint64(le.Uint32(l[22:])), uint64(le.Uint32(l[18:]))}
	if err := z.widen(field, sizes, l[localBytes+nName:localBytes+nName+nExtra]); err != nil {
		return err
	}
	crc, size := le.Uint32(l[14:]), uint64(len(e.data))
	later := flags&flagDescriptor != 0 && crc == 0 && sizes[0] == 0 && sizes[1] == 0
	if !later && (crc != e.crc || sizes[0] != size || sizes[1] != size) {
		return z.malformed(field, nil, "its local header says %d bytes, stored as %d, with CRC-32 %08x, the central directory %d with %08x", sizes[0], sizes[1], crc, size, e.crc)
	}
	l = l[localBytes+nName+nExtra:]
	if size > uint64(len(l)) {
		return z.malformed(field, nil, "its %d bytes run into the central directory", size).WithHint(hintDamaged)
	}
	e.start = e.header + uint64(localBytes+nName+nExtra)
	e.data = l[:size:size]
	return nil
}

// checkName checks a path, although nothing is ever unpacked: one that leaves
// the archive shows what the file is for. It returns the path below the one
// directory that torch.save puts everything in.
func (z *zipReader) checkName(i uint64, path string) (string, error) {
	var problem string
	switch dir, _, _ := strings.Cut(path, "/"); {
	case len(path) > maxNameBytes:
		problem = "the name is too long"
	case !utf8.ValidString(path) || strings.ContainsFunc(path, unicode.IsControl):
		problem = "a name must be UTF-8 without control characters"
	case strings.ContainsAny(path, `\:`):
		problem = "a name with a backslash or a colon"
	case strings.HasPrefix(path, "/"):
		problem = "an absolute path"
	case slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == "." || s == ".." }):
		problem = "a path that leaves the archive"
	case strings.HasSuffix(path, "/"):
		problem = "a directory"
	case dir == path || strings.Contains(path, "//"):
		problem = "torch.save puts all entries into one directory"
	case z.prefix == "":
		z.prefix = dir + "/"
	case z.prefix != dir+"/":
		problem = "torch.save puts all entries into one directory, the others are in " + z.prefix
	}
	if problem != "" {
		return "", z.malformed("entry "+ferr.Quote(path), nil, "%s", problem)
	}
	return path[len(z.prefix):], nil
}

// errNoZip says what a file that does not begin as a zip does is instead.
func errNoZip(file string, data []byte) error {
	resave := `load it with a current PyTorch and save it again: torch.save(torch.load("old.pth", weights_only=True), "new.pth")`
	has := func(s string) bool { return bytes.HasPrefix(data, []byte(s)) }
	switch {
	case len(data) == 0:
		return ferr.New(ferr.Malformed, file, "", nil, "the file is empty").WithHint(hintDamaged)
	case has("\x80\x02"):
		return ferr.New(ferr.Unsupported, file, "format", nil, "it is a bare pickle, as torch.save wrote before PyTorch 1.6").WithHint(resave)
	case len(data) >= 512 && string(data[257:262]) == "ustar":
		return ferr.New(ferr.Unsupported, file, "format", nil, "it is a tar archive, as torch.save wrote before PyTorch 0.2").WithHint(resave)
	case has("version https://git-lfs."):
		return ferr.New(ferr.Malformed, file, "", nil, "it is a pointer of Git LFS, not the file itself").WithHint("get the file with: git lfs pull")
	}
	return ferr.New(ferr.Malformed, file, "magic", data[:min(4, len(data))], "a PyTorch checkpoint begins with %q", sigLocal).WithHint("name the file by its format, or get it again")
}
