package sink

import (
	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/event/alert"
)

// Period is how often a file sink starts a new file.
type Period uint8

// The periods. In each of them a file that has reached its maximal size is followed by a new one.
const (
	PeriodSize Period = iota // by size only
	PeriodDaily
	PeriodHourly
	periods
)

var periodNames = [periods]string{"size", "daily", "hourly"}

// ParsePeriod finds a period by the name that the configuration has for it.
func ParsePeriod(name string) (Period, bool) {
	for p := range periods {
		if periodNames[p] == name {
			return p, true
		}
	}
	return PeriodSize, false
}

const (
	hourNanos = 3600 * 1_000_000_000
	dayNanos  = 24 * hourNanos
	// retryNanos is how long a rotation that failed is not tried again, by the time of the alerts.
	retryNanos = 60 * 1_000_000_000
)

// FileOptions say where a file sink writes and when it starts a new file.
type FileOptions struct {
	Path          string // of the file that is written; full ones stand beside it as Path.20260102T150405Z-000
	Every         Period
	BytesMax      int64 // of one file; 0: no limit
	RetentionDays int   // full files whose last alert is older are deleted; 0: kept
}

// File writes JSON lines to a file. All times are the wall times of the alerts.
//
// A rotation is: fsync the file, rename it, create the next, fsync the directory. Power may go between any two of them:
// either the old file still has its name and is continued, or the next is created at start. A line that was cut off in
// the middle is ended at start, so that it spoils no other.
type File struct {
	counters
	p      pending
	o      FileOptions
	base   string // file name of o.Path
	dir    int    // descriptor of the directory; -1 after Close
	fd     int
	size   int64 // of the file
	torn   bool  // the file ends inside an alert
	orphan bool  // fd was renamed, its successor could not be created yet

	last      int64 // wall time of the last alert
	period    int64 // that the file belongs to
	blank     bool  // no alert is in the file yet, so it belongs to no period
	swept     int64 // day of the last look for old files
	retryFrom int64 // no rotation before this time
	stat      unix.Stat_t
	names     [4096]byte // of the directory, see sweep
}

// OpenFile makes the sink and its file: mode 0600, missing directories 0700. An existing file is continued.
func OpenFile(o FileOptions, buf []byte) (*File, error) {
	if len(buf) < BufferBytesMin {
		return nil, ErrBuffer
	}
	dir, base := splitPath(o.Path)
	if base == "" || base == "." || base == ".." || len(base) > nameBytesMax {
		return nil, &setupError{"open alert file", o.Path, textError("not the path of a file")}
	}
	if err := makeDirs(dir); err != nil {
		return nil, &setupError{"create directory", dir, err}
	}
	dirFD, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &setupError{"open directory", dir, err}
	}
	f := &File{o: o, base: base, dir: dirFD, fd: -1, swept: -1, p: pending{buf: buf}}
	if err := f.open(); err != nil {
		unix.Close(dirFD)
		return nil, &setupError{"open alert file", o.Path, err}
	}
	return f, nil
}

// open opens the file at its path and takes it over; on an error the old descriptor stays.
func (f *File) open() error {
	const flags = unix.O_RDWR | unix.O_APPEND | unix.O_CREAT | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NOCTTY | unix.O_NONBLOCK
	fd, err := unix.Openat(f.dir, f.base, flags, 0o600)
	if err != nil {
		return err
	}
	if err = unix.Fstat(fd, &f.stat); err == nil && f.stat.Mode&unix.S_IFMT != unix.S_IFREG {
		err = textError("not a regular file")
	}
	if err != nil {
		unix.Close(fd)
		return err
	}
	if f.fd >= 0 {
		unix.Close(f.fd)
	}
	f.fd, f.size, f.torn, f.orphan = fd, f.stat.Size, false, false
	f.blank = f.size == 0
	if !f.blank {
		f.last = f.stat.Mtim.Nano()
		f.period = f.periodOf(f.last)
		f.endLine()
	}
	return nil
}

// endLine ends the last line of a file that power or a full disk cut off.
func (f *File) endLine() {
	var last [1]byte
	if n, err := unix.Pread(f.fd, last[:], f.size-1); n == 1 && err == nil && last[0] != '\n' && f.p.empty() {
		f.p.buf[0], f.p.end, f.torn = '\n', 1, true
	}
}

func (f *File) periodOf(wall int64) int64 {
	switch f.o.Every {
	case PeriodDaily:
		return floorDiv(wall, dayNanos)
	case PeriodHourly:
		return floorDiv(wall, hourNanos)
	}
	return 0
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// Write renders an alert into the buffer, after a rotation when its time has come. The error is why it was lost.
func (f *File) Write(a alert.Alert) error {
	wall := a.Wall()
	f.turn(wall)
	need := jsonBytesOverhead + jsonBytesFactor*len(a)
	room := f.p.room(need)
	if room == nil {
		err := f.Flush()
		if room = f.p.room(need); room == nil {
			f.lost.Add(1)
			return err
		}
	}
	f.p.add(len(append(AppendJSON(room, a), '\n')))
	f.pending.Add(1)
	f.last = wall
	return nil
}

// turn starts a new file when the alert belongs to another period. Alerts of several processors may be a little out of
// order: one of the period before stays in this file; earlier ones mean that the clock was set back.
func (f *File) turn(wall int64) {
	if p := f.periodOf(wall); f.blank {
		f.period, f.blank = p, false
	} else if (p > f.period || p < f.period-1) && f.mayRotate(wall) && f.Flush() == nil && f.rotate(wall) {
		f.period, f.blank = p, false
	}
	if day := floorDiv(wall, dayNanos); day != f.swept {
		f.swept = day
		f.sweep(wall)
	}
}

// Flush writes what is in the buffer. After an error the rest waits for the next Flush.
func (f *File) Flush() error {
	if f.p.empty() {
		return nil
	}
	if f.orphan && f.mayRotate(f.last) {
		f.reopen(f.last)
	}
	for !f.p.empty() {
		n := f.chunk()
		if n == 0 {
			f.rotate(f.last)
			f.blank = false // what is in the buffer goes there
			if n = f.chunk(); n == 0 {
				n = f.p.end - f.p.start // no next file could be made: rather one too long than alerts lost
			}
		}
		n, err := unix.Write(f.fd, f.p.buf[f.p.start:f.p.start+n])
		if n > 0 {
			f.size += int64(n)
			f.bytes.Add(uint64(n))
			whole := f.p.take(n)
			f.alerts.Add(uint64(whole))
			f.pending.Add(-uint64(whole))
			f.torn = !f.p.empty() && (f.p.first == 0 || f.p.ends[f.p.first-1] != f.p.start)
		}
		if err != nil && err != unix.EINTR {
			f.errors.Add(1)
			return err
		}
	}
	if unix.Fstat(f.fd, &f.stat) == nil && f.stat.Nlink == 0 {
		f.reopen(f.last) // somebody deleted the file
	}
	return nil
}

// chunk is how many bytes of the buffer, in whole alerts, the file takes before it reaches its maximal size; 0 asks for
// a rotation. The rest of an alert that is in the file in part goes there whatever the size, and so does an alert that
// is larger than a file may be.
func (f *File) chunk() int {
	all := f.p.end - f.p.start
	if f.p.alerts() == 0 {
		return all // the end of a torn line
	}
	if f.o.BytesMax <= 0 || f.size+int64(all) <= f.o.BytesMax || !f.mayRotate(f.last) {
		return all
	}
	n := 0
	for i := f.p.first; i < f.p.last; i++ {
		m := f.p.ends[i] - f.p.start
		if f.size+int64(m) > f.o.BytesMax && (n > 0 || f.size > 0 && !f.torn) {
			break
		}
		n = m
	}
	return n
}

// Close writes what can be written, loses the rest and closes the file.
func (f *File) Close() error {
	if f.dir < 0 {
		return nil
	}
	err := f.Flush()
	n := uint64(f.p.drop())
	f.lost.Add(n)
	f.pending.Add(-n)
	if e := unix.Fsync(f.fd); err == nil {
		err = e
	}
	unix.Close(f.fd)
	unix.Close(f.dir)
	f.dir, f.fd = -1, -1
	return err
}
