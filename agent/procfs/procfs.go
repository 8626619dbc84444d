//go:build linux

// Package procfs takes a snapshot of the running machine as context records: the host, its users and every process, a
// parent before its children. It fills the process table with what was there before capture began.
//
// Attach capture first and take the snapshot then: a process that starts in between is seen twice, which the table
// sorts out by time, and not missed.
//
// Memory: New allocates the buffers and Run reuses them; a record is the snapshot's until the callback returns. The list
// of processes grows with their number.
//
// Goroutines: one per Snapshot.
//
// When full: processes beyond ProcessesMax and users beyond event.UsersMax are left out and counted. A process that
// ends while it is looked at is left out and counted too.
package procfs

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"syscall"

	"github.com/kestrel-detection/kestrel/event"
)

const (
	// ProcessesMax is the largest number of processes of a kernel with its default pid_max.
	ProcessesMax = 32768
	// ArgsBytesMax bounds the arguments taken: more than the process table keeps, as much as fits a record with paths.
	ArgsBytesMax = 4096
	// CmdlineBytesMax bounds what is read to count the arguments; beyond it their number is left out.
	CmdlineBytesMax = 128 << 10
	// UsersBytesMax bounds how much of the user file is read.
	UsersBytesMax = 256 << 10

	// bufBytes holds PATH_MAX, the largest status file and a good part of the user file.
	bufBytes = 16 << 10
	// processesGuess is how many processes a device has; the list grows beyond.
	processesGuess = 512
	// tickNanos is the unit of start times: USER_HZ is 100 on every Linux ABI (proc(5), stat field 22).
	tickNanos = 10_000_000
)

// Stats says what a run found and what it left out.
type Stats struct {
	Processes int
	Users     int
	Vanished  int // processes that ended while they were looked at, or had ended and were not waited for
	Skipped   int // processes beyond ProcessesMax
	UsersLeft int // users beyond event.UsersMax, or behind UsersBytesMax
}

type process struct {
	pid, ppid uint32
	start     uint64 // ns since boot
	done      bool
}

// Snapshot reads the machine. The paths are for tests; see New.
type Snapshot struct {
	proc, etc string
	dir       int // of proc, while Run runs
	builder   event.Builder
	buf       []byte
	args      []byte
	path      []byte // relative to dir, NUL at the end
	procs     []process
	stack     []int
	stats     Stats
	emit      func(event.Record)
	offset    int64  // wall clock minus monotonic clock as it was told, ns
	usersTime int64  // change of the user file that was told, ns
	passwd    []byte // path of the user file, NUL at the end
	status    syscall.Stat_t
}

// New makes a snapshot of the processes under proc ("/proc") and the users and machine id under etc ("/etc").
func New(proc, etc string) *Snapshot {
	return &Snapshot{
		proc: proc, etc: etc, dir: -1, passwd: []byte(etc + "/passwd\x00"),
		builder: event.Builder{Buf: make([]byte, event.RecordSizeMax)},
		buf:     make([]byte, bufBytes),
		args:    make([]byte, ArgsBytesMax),
		path:    make([]byte, 0, 64),
		procs:   make([]process, 0, processesGuess),
		stack:   make([]int, 0, 64),
	}
}

// Run gives the records to emit: the host first, then the users, then the processes.
func (s *Snapshot) Run(emit func(event.Record)) (Stats, error) {
	s.emit, s.stats = emit, Stats{}
	dir, err := syscall.Open(s.proc, syscall.O_RDONLY|syscall.O_DIRECTORY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return Stats{}, fmt.Errorf("process snapshot: open %s: %w", s.proc, err)
	}
	s.dir = dir
	defer func() {
		syscall.Close(dir)
		s.dir = -1
	}()
	if err := s.host(); err != nil {
		return Stats{}, err
	}
	s.users()
	if err := s.list(); err != nil {
		return Stats{}, fmt.Errorf("process snapshot: list %s: %w", s.proc, err)
	}
	for i := range s.procs {
		s.ancestorsFirst(i)
	}
	return s.stats, nil
}

// Refresh gives the host and the users again when the clock was set, the host renamed or the user file changed since the
// last time. When nothing did it costs a few system calls and no allocation.
func (s *Snapshot) Refresh(emit func(event.Record)) error {
	s.emit = emit
	if d := wallOffset() - s.offset; d > clockStepNanos || d < -clockStepNanos {
		if err := s.host(); err != nil {
			return err
		}
	}
	if m := s.usersChanged(); m != s.usersTime {
		s.users()
	}
	return nil
}

// clockStepNanos is how far the wall clock must move for it to be told again: slewing stays below, a step does not.
const clockStepNanos = 1_000_000_000

// usersChanged is when the user file was changed last, 0 when there is none.
func (s *Snapshot) usersChanged() int64 {
	fd := openAt(atCurrent, s.passwd)
	if fd < 0 {
		return 0
	}
	defer syscall.Close(fd)
	if err := syscall.Fstat(fd, &s.status); err != nil {
		return 0
	}
	return s.status.Mtim.Nano()
}

// atCurrent is AT_FDCWD of include/uapi/linux/fcntl.h.
const atCurrent = -100

func (s *Snapshot) host() error {
	boot := s.readFile(s.proc + "/sys/kernel/random/boot_id")
	if len(boot) == 0 {
		return fmt.Errorf("process snapshot: %s/sys/kernel/random/boot_id: cannot be read, and entity ids depend on it", s.proc)
	}
	b := &s.builder
	b.Begin(event.TypeHostInfo, bootNanos())
	b.Int(event.SlotContextSeed, int64(fnv1a(boot)))
	s.offset = wallOffset()
	b.Int(event.SlotContextID, s.offset)
	if name := s.readFile(s.proc + "/sys/kernel/hostname"); len(name) > 0 {
		b.Bytes(event.SlotContextText, name, 0, false)
	}
	if id := s.readFile(s.etc + "/machine-id"); len(id) > 0 {
		b.Bytes(event.SlotContextText2, id, 0, false)
	}
	s.emit(b.End())
	return nil
}

// readFile gives the start of a small text file without the blanks around it; empty when there is none.
func (s *Snapshot) readFile(path string) []byte {
	fd, err := syscall.Open(path, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	n, err := read(fd, s.buf)
	if err != nil {
		return nil
	}
	return bytes.TrimSpace(s.buf[:n])
}

// fnv1a is the 64-bit FNV-1a hash (RFC 9923).
func fnv1a(b []byte) uint64 {
	h := uint64(0xcbf29ce484222325)
	for _, c := range b {
		h = (h ^ uint64(c)) * 0x100000001b3
	}
	return h
}

// wallOffset is the wall clock minus the monotonic clock, which is read on both sides of it.
func wallOffset() int64 {
	before := bootNanos()
	wall := wallNanos()
	after := bootNanos()
	return int64(wall) - int64(before+(after-before)/2)
}

// users reads the user file line by line through the buffer.
func (s *Snapshot) users() {
	s.usersTime = s.usersChanged()
	fd, err := syscall.Open(s.etc+"/passwd", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return // a device may have none: its users have ids and no names
	}
	defer syscall.Close(fd)
	held, tooLong := 0, false
	for total := 0; ; {
		n, err := read(fd, s.buf[held:])
		if err != nil {
			return
		}
		if total += n; total > UsersBytesMax {
			s.stats.UsersLeft++
			return
		}
		text := s.buf[:held+n]
		for {
			line, rest, ok := bytes.Cut(text, []byte{'\n'})
			if !ok && n > 0 {
				break
			}
			if !tooLong {
				s.user(line)
			}
			tooLong = false
			text = rest
			if !ok {
				return
			}
		}
		if held = copy(s.buf, text); held == len(s.buf) {
			held, tooLong = 0, true // no account is that long
		}
	}
}

// user takes one line, name:password:uid:..., as passwd(5) says.
func (s *Snapshot) user(line []byte) {
	name, rest, _ := bytes.Cut(line, []byte{':'})
	_, rest, _ = bytes.Cut(rest, []byte{':'})
	text, _, ok := bytes.Cut(rest, []byte{':'})
	id, digits := parseUint(text)
	if !ok || len(name) == 0 || name[0] == '#' || digits == 0 || digits != len(text) || id > 1<<32-1 {
		return
	}
	if s.stats.Users == event.UsersMax {
		s.stats.UsersLeft++
		return
	}
	s.stats.Users++
	b := &s.builder
	b.Begin(event.TypeUserInfo, bootNanos())
	b.Int(event.SlotContextID, int64(id))
	b.Bytes(event.SlotContextText, name, event.UserNameMax, false)
	s.emit(b.End())
}

// list finds the processes with their parents and start times, ordered by pid.
func (s *Snapshot) list() error {
	s.procs = s.procs[:0]
	dirents := s.args // not in use yet
	for {
		n, err := syscall.ReadDirent(s.dir, dirents)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			slices.SortFunc(s.procs, func(a, b process) int { return cmp.Compare(a.pid, b.pid) })
			return err
		}
		for at := 0; at < n; {
			// linux_dirent64 of getdents64(2): u64 inode, u64 offset, u16 length, u8 type, name, NUL.
			size := int(dirents[at+16]) | int(dirents[at+17])<<8
			name := dirents[at+19 : at+size]
			at += size
			pid, digits := parseUint(name)
			if digits == 0 || name[digits] != 0 || pid == 0 || pid > 1<<31 {
				continue
			}
			st, ok := s.stat(uint32(pid))
			switch {
			case !ok || st.ended():
				s.stats.Vanished++
			case len(s.procs) == ProcessesMax:
				s.stats.Skipped++
			default:
				s.procs = append(s.procs, process{pid: uint32(pid), ppid: st.ppid, start: st.start})
			}
		}
	}
}

func (s *Snapshot) find(pid uint32) int {
	i, ok := slices.BinarySearchFunc(s.procs, pid, func(p process, pid uint32) int { return cmp.Compare(p.pid, pid) })
	if !ok {
		return -1
	}
	return i
}

// ancestorsFirst emits a process after those of its ancestors that were not emitted yet.
func (s *Snapshot) ancestorsFirst(i int) {
	s.stack = s.stack[:0]
	for i >= 0 && !s.procs[i].done {
		s.procs[i].done = true // also ends a circle, which pids used again can seem to make
		s.stack = append(s.stack, i)
		i = s.find(s.procs[i].ppid)
	}
	for n := len(s.stack) - 1; n >= 0; n-- {
		s.process(&s.procs[s.stack[n]])
	}
}

// process emits what is known of a process. The time of the record is that before the first look: whatever happened
// since then is newer.
func (s *Snapshot) process(p *process) {
	b := &s.builder
	b.Begin(event.TypeProcessInfo, bootNanos())
	b.Process(p.pid, p.pid, p.start, 0)
	exe := s.link(p.pid, "exe")
	if exe != nil {
		b.Bytes(event.SlotExecutable, bytes.TrimSuffix(exe, []byte(" (deleted)")), 0, len(exe) == len(s.buf))
	}
	if cwd := s.link(p.pid, "cwd"); cwd != nil {
		b.Bytes(event.SlotCwd, cwd, 0, len(cwd) == len(s.buf))
	}
	if ns := bytes.TrimPrefix(s.link(p.pid, "ns/mnt"), []byte("mnt:[")); ns != nil {
		if v, digits := parseUint(ns); digits > 0 {
			b.Int(event.SlotMountNS, int64(v))
		}
	}
	s.arguments(p.pid)
	s.credentials(p.pid)
	// Last: that the process is still the same says that the above was of it.
	st, ok := s.stat(p.pid)
	if !ok || st.start != p.start || st.ended() {
		s.stats.Vanished++
		return
	}
	if exe == nil {
		b.Bytes(event.SlotName, st.comm, 0, false) // a thread of the kernel, or one we may not look at
	}
	b.Int(event.SlotParentPID, int64(st.ppid))
	if i := s.find(st.ppid); i >= 0 && s.procs[i].start <= p.start {
		b.Int(event.SlotParentStart, int64(s.procs[i].start))
	}
	b.Int(event.SlotSessionID, int64(st.session))
	b.Int(event.SlotTTY, int64(st.tty))
	s.stats.Processes++
	s.emit(b.End())
}

// arguments reads the command line. NULs at the end, of which a program that writes its title leaves many, are none.
func (s *Snapshot) arguments(pid uint32) {
	fd := s.open(pid, "cmdline")
	if fd < 0 {
		return
	}
	defer syscall.Close(fd)
	// kept: bytes in s.args; total: bytes up to the last that is no NUL; separators: NULs before that.
	kept, total, separators, pending := 0, 0, 0, 0
	for total+pending < CmdlineBytesMax {
		n, err := read(fd, s.buf)
		if err != nil || n == 0 {
			break
		}
		kept += copy(s.args[kept:], s.buf[:n])
		for _, c := range s.buf[:n] {
			if pending++; c != 0 {
				total += pending
				separators += pending - 1
				pending = 0
			}
		}
	}
	if total == 0 {
		return
	}
	b := &s.builder
	b.Bytes(event.SlotArgs, s.args[:min(kept, total)], 0, total > kept)
	if total+pending < CmdlineBytesMax {
		b.Int(event.SlotArgsCount, int64(separators+1))
	}
}

// credentials reads the user and group ids from the status file: real, effective, saved, file system.
func (s *Snapshot) credentials(pid uint32) {
	text := s.read(pid, "status")
	for _, id := range [...]struct {
		name            string
		real, effective int
	}{{"\nUid:\t", event.SlotRealUID, event.SlotUID}, {"\nGid:\t", event.SlotRealGID, event.SlotGID}} {
		i := bytes.Index(text, []byte(id.name))
		if i < 0 {
			continue
		}
		rest := text[i+len(id.name):]
		v, digits := parseUint(rest)
		if digits == 0 || digits == len(rest) {
			continue
		}
		s.builder.Int(id.real, int64(v))
		if v, digits = parseUint(rest[digits+1:]); digits > 0 {
			s.builder.Int(id.effective, int64(v))
		}
	}
}

// entry makes the path of a process's file.
func (s *Snapshot) entry(pid uint32, file string) []byte {
	s.path = strconv.AppendUint(s.path[:0], uint64(pid), 10)
	s.path = append(s.path, '/')
	s.path = append(s.path, file...)
	s.path = append(s.path, 0)
	return s.path
}

// open opens a process's file; -1 when it cannot be.
func (s *Snapshot) open(pid uint32, file string) int { return openAt(s.dir, s.entry(pid, file)) }

// link reads a process's link into the buffer; nil when it cannot be read.
func (s *Snapshot) link(pid uint32, file string) []byte {
	n := readlinkAt(s.dir, s.entry(pid, file), s.buf)
	if n <= 0 {
		return nil
	}
	return s.buf[:n]
}

// read reads the start of a process's file into the buffer; empty when it cannot be read.
func (s *Snapshot) read(pid uint32, file string) []byte {
	fd := s.open(pid, file)
	if fd < 0 {
		return nil
	}
	n, err := read(fd, s.buf)
	syscall.Close(fd)
	if err != nil {
		return nil
	}
	return s.buf[:n]
}
