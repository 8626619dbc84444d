package sink

import (
	"bytes"
	"encoding/binary"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The name of a full file is base.20260102T150405Z-000: the wall time of its last alert and a number that makes it
// unique. Names of one base sort by time.
const (
	stampLayout = "20060102T150405Z"
	stampBytes  = len(stampLayout)
	suffixBytes = 1 + stampBytes + 1 + 3
	numberMax   = 999
	// nameBytesMax leaves room for the suffix in NAME_MAX.
	nameBytesMax = 255 - suffixBytes
	// fullFilesMax bounds the full files of one base whatever the retention says: a month of hourly ones and a third as
	// many by size. The oldest goes first.
	fullFilesMax = 1000
	// clockUnsetStamp: a device without a battery starts in 1970, and files stamped before the clock was set have an
	// unknown age, so that they are not deleted for it.
	clockUnsetStamp = "20200101T000000Z"
)

// rotate gives the file its final name and starts the next. When it fails the old file goes on being written, whatever
// it is called by then, and a retry follows later.
func (f *File) rotate(wall int64) bool {
	if !f.orphan {
		if err := f.retire(); err != nil {
			f.errors.Add(1)
			f.retryFrom = wall + retryNanos
			return false
		}
		f.files.Add(1)
	}
	if !f.reopen(wall) {
		return false
	}
	f.sweep(wall)
	return true
}

// mayRotate is false for a while after a rotation that failed; a clock that was set back ends the while.
func (f *File) mayRotate(wall int64) bool {
	return wall >= f.retryFrom || wall < f.retryFrom-retryNanos
}

// retire makes the file safe and renames it.
func (f *File) retire() error {
	if err := unix.Fsync(f.fd); err != nil {
		return err
	}
	name := append(make([]byte, 0, 256), f.base...)
	name = append(name, '.')
	name = time.Unix(0, f.last).UTC().AppendFormat(name, stampLayout)
	for n := 0; n <= numberMax; n++ {
		full := string(append(name, '-', byte('0'+n/100), byte('0'+n/10%10), byte('0'+n%10)))
		err := f.rename(full)
		if err != unix.EEXIST {
			return err
		}
	}
	return unix.EEXIST
}

// rename never replaces a file. Not every file system can promise that (EINVAL): there nobody else makes such names.
func (f *File) rename(full string) error {
	err := unix.Renameat2(f.dir, f.base, f.dir, full, unix.RENAME_NOREPLACE)
	if err == unix.EINVAL || err == unix.ENOSYS {
		if unix.Faccessat(f.dir, full, unix.F_OK, 0) == nil {
			return unix.EEXIST
		}
		err = unix.Renameat(f.dir, f.base, f.dir, full)
	}
	return err
}

// reopen creates the file anew after it lost its name.
func (f *File) reopen(wall int64) bool {
	f.orphan = true
	if err := f.open(); err != nil {
		f.errors.Add(1)
		f.retryFrom = wall + retryNanos
		return false
	}
	if err := unix.Fsync(f.dir); err != nil {
		f.errors.Add(1)
	}
	return true
}

// sweep deletes full files that are too old, then the oldest while there are too many.
func (f *File) sweep(wall int64) {
	var cutoff [32]byte
	limit := cutoff[:0]
	if f.o.RetentionDays > 0 {
		limit = time.Unix(0, wall-int64(f.o.RetentionDays)*dayNanos).UTC().AppendFormat(limit, stampLayout)
	}
	for range 2 * fullFilesMax {
		oldest, count := f.scan(limit)
		if count <= fullFilesMax {
			return
		}
		if err := unix.Unlinkat(f.dir, oldest, 0); err != nil {
			f.errors.Add(1)
			return
		}
	}
}

// scan reads the directory, deletes the full files stamped before limit, and gives the oldest of the others and their
// number.
func (f *File) scan(limit []byte) (oldest string, count int) {
	if _, err := unix.Seek(f.dir, 0, 0); err != nil {
		f.errors.Add(1)
		return "", 0
	}
	for {
		n, err := unix.Getdents(f.dir, f.names[:])
		if err != nil {
			f.errors.Add(1)
		}
		if n <= 0 {
			return oldest, count
		}
		for b := f.names[:n]; len(b) > direntName; {
			size := int(binary.NativeEndian.Uint16(b[direntSize:]))
			name := b[direntName:size]
			if i := bytes.IndexByte(name, 0); i >= 0 {
				name = name[:i]
			}
			b = b[size:]
			stamp := f.stampOf(name)
			switch {
			case stamp == nil:
			case bytes.Compare(stamp, limit) < 0 && string(stamp) >= clockUnsetStamp:
				if err := unix.Unlinkat(f.dir, string(name), 0); err != nil {
					f.errors.Add(1)
				}
			default:
				if count++; oldest == "" || string(name) < oldest {
					oldest = string(name)
				}
			}
		}
	}
}

// Of struct linux_dirent64 (getdents64(2)).
const (
	direntSize = 16 // u16 d_reclen
	direntName = 19 // d_name, ends with NUL
)

// stampOf is the time in the name of a full file; nil when it is another file.
func (f *File) stampOf(name []byte) []byte {
	if len(name) != len(f.base)+suffixBytes || string(name[:len(f.base)]) != f.base {
		return nil
	}
	s := name[len(f.base):]
	for i, c := range s {
		if want := ".00000000T000000Z-000"[i]; want == '0' && (c < '0' || c > '9') || want != '0' && c != want {
			return nil
		}
	}
	return s[1 : 1+stampBytes]
}

func splitPath(path string) (dir, base string) {
	i := strings.LastIndexByte(path, '/')
	switch {
	case i < 0:
		return ".", path
	case i == 0:
		return "/", path[1:]
	}
	return path[:i], path[i+1:]
}

// makeDirs creates what is missing of a directory's path; what exists keeps its mode.
func makeDirs(dir string) error {
	for i := 1; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		err := unix.Mkdir(dir[:i], 0o700)
		if err != nil && err != unix.EEXIST && unix.Access(dir[:i], unix.F_OK) != nil {
			return err
		}
	}
	return nil
}
