package sink

import (
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/event/alert"
)

const (
	// pipeChunk is what a pipe that poll calls writable takes without blocking (PIPE_BUF, pipe(7)).
	pipeChunk = 4096
	// stallMillis is how long a reader may keep the sink waiting before it counts as stalled; until it reads again the
	// sink only asks and does not wait.
	stallMillis = 200
)

// Stdout writes alerts to a descriptor that others gave us: readable lines on a terminal, JSON lines elsewhere.
type Stdout struct {
	counters
	p       pending
	fd      int
	own     bool // fd is ours to close
	lines   bool
	colour  bool
	stalled bool
	gone    bool // the reader has closed the pipe: nothing will ever be taken
	poll    [1]unix.PollFd
}

// OpenStdout makes the sink of fd, which stays open and as it is. json asks for JSON lines on a terminal, too. Colours
// are used on a terminal unless NO_COLOR is set (no-color.org) or TERM is dumb.
func OpenStdout(fd int, json bool, buf []byte) (*Stdout, error) {
	if len(buf) < BufferBytesMin {
		return nil, ErrBuffer
	}
	s := &Stdout{fd: fd, p: pending{buf: buf}}
	_, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	terminal := err == nil
	if terminal && !json {
		s.lines = true
		noColour, _ := unix.Getenv("NO_COLOR")
		term, _ := unix.Getenv("TERM")
		s.colour = noColour == "" && term != "" && term != "dumb"
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, &setupError{"open standard output", strconv.Itoa(fd), err}
	}
	if terminal || st.Mode&unix.S_IFMT == unix.S_IFIFO {
		s.unblock()
	}
	return s, nil
}

// unblock opens the same pipe or terminal once more in non-blocking mode: the mode of a descriptor that others gave us
// is theirs, too. Where that cannot be done, asking before each write has to do.
func (s *Stdout) unblock() {
	const flags = unix.O_WRONLY | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOCTTY
	if fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(s.fd), flags, 0); err == nil {
		s.fd, s.own = fd, true
	}
}

// Write renders an alert into the buffer. The error is why it was lost.
func (s *Stdout) Write(a alert.Alert) error {
	if s.gone || s.fd < 0 {
		s.lost.Add(1)
		return unix.EPIPE
	}
	need := jsonBytesOverhead + jsonBytesFactor*len(a)
	if s.lines {
		need = lineBytesMax
	}
	room := s.p.room(need)
	if room == nil {
		err := s.Flush()
		if room = s.p.room(need); room == nil {
			s.lost.Add(1)
			return err
		}
	}
	if s.lines {
		s.p.add(len(AppendLine(room, a, s.colour)))
	} else {
		s.p.add(len(append(AppendJSON(room, a), '\n')))
	}
	s.pending.Add(1)
	return nil
}

// Flush writes what is in the buffer as far as the other side takes it. unix.EAGAIN says that a reader is stalled and
// the rest waits; unix.EPIPE that the reader has gone and the rest is lost.
func (s *Stdout) Flush() error {
	for !s.p.empty() {
		if err := s.ready(); err != nil {
			return err
		}
		n, err := unix.Write(s.fd, s.p.buf[s.p.start:min(s.p.end, s.p.start+pipeChunk)])
		if n > 0 {
			s.bytes.Add(uint64(n))
			whole := s.p.take(n)
			s.alerts.Add(uint64(whole))
			s.pending.Add(-uint64(whole))
		}
		switch err {
		case nil:
			s.stalled = false
		case unix.EINTR:
		case unix.EAGAIN:
			return s.stall()
		case unix.EPIPE:
			s.errors.Add(1)
			s.gone = true
			s.abandon()
			return err
		default:
			s.errors.Add(1)
			return err
		}
	}
	return nil
}

// ready waits until the descriptor takes bytes, so that a reader that has stopped cannot stop the other sinks.
func (s *Stdout) ready() error {
	timeout := stallMillis
	if s.stalled {
		timeout = 0
	}
	s.poll[0] = unix.PollFd{Fd: int32(s.fd), Events: unix.POLLOUT}
	for {
		n, err := unix.Poll(s.poll[:], timeout)
		if err == unix.EINTR {
			continue
		}
		if n == 0 && err == nil {
			return s.stall()
		}
		return nil // what is wrong with the descriptor the write says
	}
}

// stall counts the first of several times that the reader does not take anything.
func (s *Stdout) stall() error {
	if !s.stalled {
		s.stalled = true
		s.errors.Add(1)
	}
	return unix.EAGAIN
}

// abandon loses what is in the buffer.
func (s *Stdout) abandon() {
	n := uint64(s.p.drop())
	s.lost.Add(n)
	s.pending.Add(-n)
}

// Close writes what can be written at once and loses the rest. The descriptor given to OpenStdout stays open.
func (s *Stdout) Close() error {
	if s.fd < 0 {
		return nil
	}
	err := s.Flush()
	s.abandon()
	if s.own {
		unix.Close(s.fd)
	}
	s.fd = -1
	return err
}
