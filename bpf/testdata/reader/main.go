// Command reader is the smallest second image: it gets the handles of a capture, reads until it has seen as many execs
// of a parent as it is asked for, and says how much memory it has.
package main

import (
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/bpf/ring"
	"github.com/kestrel-detection/kestrel/event"
)

func fatal(what string) {
	_, _ = unix.Write(2, []byte("reader: "+what+"\n"))
	unix.Exit(1)
}

func number(name string) int {
	text, _ := syscall.Getenv(name)
	n, err := strconv.Atoi(text)
	if err != nil {
		fatal(name + ": " + text)
	}
	return n
}

func status() string {
	fd, err := unix.Open("/proc/self/status", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		fatal(err.Error())
	}
	defer unix.Close(fd)
	b := make([]byte, 8192)
	n, err := unix.Read(fd, b)
	if err != nil {
		fatal(err.Error())
	}
	out := ""
	for line := range strings.Lines(string(b[:n])) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "Rss") || strings.HasPrefix(line, "VmHWM") {
			out += " " + strings.Join(strings.Fields(line), "")
		}
	}
	return out
}

func main() {
	text, _ := syscall.Getenv("KESTREL_HANDLES")
	h, err := ring.DecodeHandles(text)
	if err != nil {
		fatal(err.Error())
	}
	if err := h.SetCloexec(); err != nil {
		fatal(err.Error())
	}
	r, err := ring.Open(h.Ring, h.RingBytes)
	if err != nil {
		fatal(err.Error())
	}
	counts, err := ring.OpenCounters(h.Counters, h.Programs)
	if err != nil {
		fatal(err.Error())
	}
	parent, want, seen := number("KESTREL_PARENT"), number("KESTREL_WANT"), 0
	_, _ = unix.Write(1, []byte("ready"+status()+"\n"))
	for range 100 {
		if err := r.Wait(100); err != nil {
			fatal(err.Error())
		}
		for {
			rec, ok := r.Next()
			if !ok {
				break
			}
			v, _ := rec.Int(event.SlotParentPID)
			if rec.Type() == event.TypeExec && int(v) == parent && int(rec.PID()) != unix.Getpid() {
				seen++ // not the exec by which this image came
			}
		}
		r.Release()
		if seen >= want {
			break
		}
	}
	var s ring.Stats
	if err := counts.Read(&s); err != nil {
		fatal(err.Error())
	}
	_, _ = unix.Write(1, []byte("seen="+strconv.Itoa(seen)+" bad="+strconv.FormatUint(r.Bad, 10)+" sent="+
		strconv.FormatUint(s.Sent(event.ClassProcess), 10)+status()+"\n"))
}
