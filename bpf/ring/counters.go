package ring

import (
	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/event"
)

// Cause is why an event was not sent.
type Cause uint8

// The causes; the order is that of enum ke_counter in bpf/c/record.h.
const (
	CauseFull       Cause = iota // no room in the ring
	CauseBusy                    // the scratch memory of the CPU was in use
	CauseUnresolved              // what it was about was gone when it was looked at
	CauseTable                   // no room to remember a system call until its end
	Causes
)

var causeNames = [Causes]string{"ring full", "scratch busy", "unresolved", "call table full"}

func (c Cause) String() string {
	if c < Causes {
		return causeNames[c]
	}
	return "invalid"
}

// Point is a place of capture whose events are counted apart.
type Point uint8

// The points; the order is that of enum ke_point in bpf/c/record.h.
const (
	PointExec Point = iota
	PointFork
	PointExit
	PointFile
	PointNetwork
	Points
)

var pointNames = [Points]string{"exec", "fork", "exit", "file", "network"}

func (p Point) String() string {
	if p < Points {
		return pointNames[p]
	}
	return "invalid"
}

// Class is the class of the point's events.
func (p Point) Class() event.Class {
	switch p {
	case PointFile:
		return event.ClassFile
	case PointNetwork:
		return event.ClassNetwork
	}
	return event.ClassProcess
}

// Stats are the counts of the kernel programs since they were loaded. Every event is counted once: what happened is
// Submitted + Dropped + Missed.
type Stats struct {
	Submitted [Points]uint64
	Dropped   [Points]uint64         // sum of the causes
	Causes    [Causes][Points]uint64 // why
	Truncated [Points]uint64         // strings cut
	Missed    [Points]uint64         // runs the kernel skipped since a program would have interrupted itself (5.12 and later)
}

// Lost is the number of events of a class that did not reach the ring.
func (s *Stats) Lost(c event.Class) (n uint64) {
	for p := range Points {
		if p.Class() == c {
			n += s.Dropped[p] + s.Missed[p]
		}
	}
	return n
}

// Sent is the number of events of a class that reached the ring.
func (s *Stats) Sent(c event.Class) (n uint64) {
	for p := range Points {
		if p.Class() == c {
			n += s.Submitted[p]
		}
	}
	return n
}

// counters is the number of counters per point in struct ke_counters: submitted, the causes, truncated.
const counters = 2 + int(Causes)

// cpusMax bounds the buffer for per-CPU values: the largest CONFIG_NR_CPUS.
const cpusMax = 8192

// Counters reads the kernel programs' counts. It belongs to one goroutine; Read does not allocate.
type Counters struct {
	fd       int
	programs []Program
	values   []uint64
	info     [progInfoSize / 8]uint64
	key      uint32
}

// OpenCounters prepares reading the counter map fd; programs may be nil. The descriptors stay the caller's.
func OpenCounters(fd int, programs []Program) (*Counters, error) {
	cpus, err := possibleCPUs()
	if err != nil {
		return nil, err
	}
	c := &Counters{fd: fd, programs: programs, values: make([]uint64, cpus*counters*int(Points))}
	kind, entries, err := mapInfo(fd)
	if err != nil {
		return nil, fail("descriptor is no map", err)
	}
	if kind != unix.BPF_MAP_TYPE_PERCPU_ARRAY || entries != 1 {
		return nil, fail("descriptor is no counter map", nil)
	}
	return c, nil
}

// Read sums the counts of all CPUs into s.
func (c *Counters) Read(s *Stats) error {
	if errno := lookup(c.fd, &c.key, c.values); errno != 0 {
		return fail("read counters", errno)
	}
	*s = Stats{}
	const perCPU = counters * int(Points)
	for at := 0; at < len(c.values); at += perCPU {
		cpu := c.values[at : at+perCPU]
		for p := range Points {
			s.Submitted[p] += cpu[p]
			for cause := range Causes {
				n := cpu[(1+int(cause))*int(Points)+int(p)]
				s.Causes[cause][p] += n
				s.Dropped[p] += n
			}
			s.Truncated[p] += cpu[(counters-1)*int(Points)+int(p)]
		}
	}
	for i := range c.programs {
		p := &c.programs[i]
		clear(c.info[:]) // the counts in it are input as well
		if errno := info(p.FD, c.info[:]); errno != 0 {
			return fail("read program", errno)
		}
		s.Missed[p.Point] += c.info[progInfoMisses/8]
	}
	return nil
}

// possibleCPUs is the number of CPUs the kernel reserves per-CPU memory for: the last number of a list like 0-3.
func possibleCPUs() (int, error) {
	fd, err := unix.Open("/sys/devices/system/cpu/possible", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fail("open /sys/devices/system/cpu/possible", err)
	}
	defer unix.Close(fd)
	var b [256]byte
	n, err := unix.Read(fd, b[:])
	if err != nil {
		return 0, fail("read /sys/devices/system/cpu/possible", err)
	}
	last, digits := 0, 0
	for _, c := range b[:n] {
		switch {
		case c >= '0' && c <= '9':
			if digits == 0 {
				last = 0
			}
			last = last*10 + int(c-'0')
			digits++
		default:
			digits = 0
		}
		if last >= cpusMax {
			break
		}
	}
	if n == 0 || last >= cpusMax {
		return 0, fail("/sys/devices/system/cpu/possible is not understood", nil)
	}
	return last + 1, nil
}

// excludedMax is KE_EXCLUDED_MAX of bpf/c/record.h.
const excludedMax = 16

// Exclude sets the processes that are not captured, by the control map fd: the agent itself and what belongs to it.
func Exclude(fd int, pids []uint32) error {
	var value [1 + excludedMax]uint32
	if len(pids) > excludedMax {
		return fail("more than 16 processes to exclude", nil)
	}
	value[0] = uint32(len(pids))
	copy(value[1:], pids)
	var key uint32
	if errno := update(fd, &key, value[:]); errno != 0 {
		return fail("write control map", errno)
	}
	return nil
}
