package sink

import (
	"bytes"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/internal/mallocs"
)

// sum is what every alert given to a sink must be in.
func (c Counters) sum() uint64 { return c.Alerts + c.Lost + c.Pending }

func openStdout(t *testing.T, fd int, json bool) *Stdout {
	t.Helper()
	s, err := OpenStdout(fd, json, make([]byte, BufferBytesMin))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

func TestStdoutPipe(t *testing.T) {
	r, w := pipe(t)
	s := openStdout(t, int(w.Fd()), false)
	var want []byte
	for _, a := range all()[:4] {
		if err := s.Write(a); err != nil {
			t.Fatal(err)
		}
		want = append(AppendJSON(want, a), '\n')
	}
	if c := s.Counters(); c.Pending != 4 || c.Alerts != 0 {
		t.Errorf("before Flush: %+v", c)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	got, err := io.ReadAll(r)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
	}
	if c := s.Counters(); c != (Counters{Alerts: 4, Bytes: uint64(len(want))}) {
		t.Errorf("%+v", c)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := s.Write(execAlert()); err == nil || s.Counters().Lost != 1 {
		t.Errorf("Write after Close: %v, %+v", err, s.Counters())
	}
}

func TestStdoutReaderGone(t *testing.T) {
	r, w := pipe(t)
	s := openStdout(t, int(w.Fd()), false)
	for range 3 {
		if err := s.Write(execAlert()); err != nil {
			t.Fatal(err)
		}
	}
	r.Close()
	if err := s.Flush(); err != unix.EPIPE {
		t.Fatalf("Flush: %v", err)
	}
	if err := s.Write(execAlert()); err != unix.EPIPE {
		t.Errorf("Write: %v", err)
	}
	if c := s.Counters(); c != (Counters{Lost: 4, Errors: 1}) {
		t.Errorf("%+v", c)
	}
}

// A reader that stops loses nothing until the buffer is full, and after it goes on what comes through is whole lines.
func TestStdoutStalledReader(t *testing.T) {
	r, w := pipe(t)
	s := openStdout(t, int(w.Fd()), false)
	line := append(AppendJSON(nil, execAlert()), '\n')
	given := 0
	for s.Counters().Lost < 5 {
		given++
		err := s.Write(execAlert())
		if (err != nil) != (s.Counters().sum() == uint64(given) && s.Counters().Lost > 0) || err != nil && err != unix.EAGAIN {
			t.Fatalf("Write %d: %v, %+v", given, err, s.Counters())
		}
		if given > 10000 {
			t.Fatal("the pipe never fills")
		}
	}
	c := s.Counters()
	if c.Errors != 1 || c.sum() != uint64(given) || c.Alerts == 0 || c.Pending == 0 {
		t.Errorf("stalled: %+v of %d", c, given)
	}
	var got []byte
	buf := make([]byte, 1<<16)
	for s.Flush() == unix.EAGAIN {
		n, err := r.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, buf[:n]...)
	}
	s.Close()
	w.Close()
	rest, _ := io.ReadAll(r)
	got = append(got, rest...)
	c = s.Counters()
	if c.Pending != 0 || c.Lost != 5 || c.sum() != uint64(given) || !bytes.Equal(got, bytes.Repeat(line, int(c.Alerts))) {
		t.Errorf("%+v of %d, %d bytes", c, given, len(got))
	}
}

// The mode of the descriptor we were given stays as it was: it is shared with the shell.
func TestStdoutLeavesModeAlone(t *testing.T) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	s := openStdout(t, fds[1], false)
	flags, err := unix.FcntlInt(uintptr(fds[1]), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
	if !s.own {
		t.Error("the pipe was not opened once more")
	}
	s.Close()
	if _, err := unix.FcntlInt(uintptr(fds[1]), unix.F_GETFL, 0); err != nil {
		t.Errorf("Close closed what it was given: %v", err)
	}
}

// terminal is a pseudo terminal: what is written to slave can be read from master.
func terminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { master.Close() })
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo terminals here: ", err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

func TestStdoutTerminal(t *testing.T) {
	for _, c := range []struct {
		name, term, noColour string
		json, colour         bool
	}{
		{"colour", "xterm", "", false, true},
		{"NO_COLOR", "xterm", "1", false, false},
		{"dumb", "dumb", "", false, false},
		{"no TERM", "", "", false, false},
		{"JSON asked for", "xterm", "", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("TERM", c.term)
			t.Setenv("NO_COLOR", c.noColour)
			master, slave := terminal(t)
			s := openStdout(t, int(slave.Fd()), c.json)
			a := sequenceAlert()
			if err := s.Write(a); err != nil {
				t.Fatal(err)
			}
			if err := s.Flush(); err != nil {
				t.Fatal(err)
			}
			want := string(AppendLine(nil, a, c.colour))
			if c.json {
				want = string(AppendJSON(nil, a)) + "\n"
			}
			want = strings.ReplaceAll(want, "\n", "\r\n")
			got := make([]byte, len(want))
			if _, err := io.ReadFull(master, got); err != nil || string(got) != want {
				t.Errorf("%v, got %q, want %q", err, got, want)
			}
		})
	}
}

// A terminal whose reader stops (Ctrl-S) does not stop us.
func TestStdoutStalledTerminal(t *testing.T) {
	t.Setenv("TERM", "dumb")
	master, slave := terminal(t)
	s := openStdout(t, int(slave.Fd()), false)
	given := uint64(0)
	for ; s.Counters().Lost == 0 && given < 10000; given++ {
		s.Write(execAlert())
	}
	if c := s.Counters(); c.Lost != 1 || c.sum() != given || c.Errors != 1 {
		t.Errorf("%+v of %d", c, given)
	}
	master.Close()
}

func TestStdoutBadDescriptor(t *testing.T) {
	if _, err := OpenStdout(9999, false, make([]byte, BufferBytesMin)); err == nil || !strings.Contains(err.Error(), "9999") {
		t.Errorf("%v", err)
	}
}

func TestStdoutDoesNotAllocate(t *testing.T) {
	null, err := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	s := openStdout(t, int(null.Fd()), false)
	alerts := []alert.Alert{execAlert(), sequenceAlert(), worstAlert()}
	if n := mallocs.Least(func() {
		for range 500 {
			for _, a := range alerts {
				s.Write(a)
			}
			s.Flush()
		}
	}); n != 0 {
		t.Errorf("%d allocations", n)
	}
	if c := s.Counters(); c.Alerts != 3000 || c.sum() != 3000 {
		t.Errorf("%+v", c)
	}
}
