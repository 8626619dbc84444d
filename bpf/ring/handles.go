package ring

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Program is a loaded program and what it captures.
type Program struct {
	FD    int
	Point Point
}

// Handles are the descriptors that keep a capture alive. They can be inherited over exec: ClearCloexec, pass Encode's
// text, DecodeHandles in the new image.
type Handles struct {
	Tier      uint8
	RingBytes int
	Ring      int       // ring buffer map
	Counters  int       // counter map
	Control   int       // control map
	Programs  []Program // those whose runs are events; at most handlesMax
	Hooks     []int     // attachments; closing one detaches it. At most handlesMax
}

// handlesMax bounds the hooks and the programs: there are below twenty of either.
const handlesMax = 32

// handlesVersion starts the encoded text; it changes with the layout.
const handlesVersion = "k1"

// Encode writes the handles as one word: k1:tier:bytes:ring:counters:control:fd.point,...:fd,...
func (h Handles) Encode() string {
	b := make([]byte, 0, 256)
	b = append(b, handlesVersion...)
	for _, v := range [...]int{int(h.Tier), h.RingBytes, h.Ring, h.Counters, h.Control} {
		b = append(b, ':')
		b = strconv.AppendInt(b, int64(v), 10)
	}
	for i, p := range h.Programs {
		b = append(b, ":,"[min(i, 1)])
		b = strconv.AppendInt(b, int64(p.FD), 10)
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(p.Point), 10)
	}
	for i, fd := range h.Hooks {
		b = append(b, ":,"[min(i, 1)])
		b = strconv.AppendInt(b, int64(fd), 10)
	}
	return string(b)
}

// DecodeHandles reads what Encode wrote and checks that every descriptor is open. What the descriptors are is checked
// where they are used.
func DecodeHandles(s string) (Handles, error) {
	var h Handles
	parts := strings.Split(s, ":")
	if len(parts) != 8 || parts[0] != handlesVersion {
		return Handles{}, fail("handles are not of this version", nil)
	}
	var tier int
	for i, p := range [...]*int{&tier, &h.RingBytes, &h.Ring, &h.Counters, &h.Control} {
		v, ok := number(parts[1+i])
		if !ok || i > 1 && !open(v) {
			return Handles{}, fail("handles: bad number or closed descriptor "+parts[1+i], nil)
		}
		*p = v
	}
	if tier > 0xff {
		return Handles{}, fail("handles: bad tier", nil)
	}
	h.Tier = uint8(tier)
	programs, hooks := strings.Split(parts[6], ","), strings.Split(parts[7], ",")
	if len(programs) > handlesMax || len(hooks) > handlesMax {
		return Handles{}, fail("handles: more than 32 programs or hooks", nil)
	}
	for _, p := range programs {
		fd, point, _ := strings.Cut(p, ".")
		v, ok := number(fd)
		c, ok2 := number(point)
		if !ok || !ok2 || !open(v) || c >= int(Points) {
			return Handles{}, fail("handles: bad program "+p, nil)
		}
		h.Programs = append(h.Programs, Program{v, Point(c)})
	}
	for _, p := range hooks {
		v, ok := number(p)
		if !ok || !open(v) {
			return Handles{}, fail("handles: bad hook "+p, nil)
		}
		h.Hooks = append(h.Hooks, v)
	}
	return h, nil
}

func number(s string) (int, bool) {
	v, err := strconv.ParseUint(s, 10, 31)
	return int(v), err == nil
}

func open(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err == nil
}

// each calls f for every descriptor until it fails.
func (h Handles) each(f func(fd int) error) error {
	for _, fd := range [...]int{h.Ring, h.Counters, h.Control} {
		if err := f(fd); err != nil {
			return err
		}
	}
	for _, p := range h.Programs {
		if err := f(p.FD); err != nil {
			return err
		}
	}
	for _, fd := range h.Hooks {
		if err := f(fd); err != nil {
			return err
		}
	}
	return nil
}

// ClearCloexec lets every descriptor live through the next exec of this process.
func (h Handles) ClearCloexec() error { return h.flag(0) }

// SetCloexec undoes ClearCloexec: the new image calls it first so that no child inherits the descriptors.
func (h Handles) SetCloexec() error { return h.flag(unix.FD_CLOEXEC) }

func (h Handles) flag(v int) error {
	return h.each(func(fd int) error {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, v); err != nil {
			return fail("set flags of descriptor "+strconv.Itoa(fd), err)
		}
		return nil
	})
}

// Detach ends the capture; the ring and the counters stay. Programs that run at the moment come to their end.
func (h *Handles) Detach() {
	for _, fd := range h.Hooks {
		unix.Close(fd)
	}
	h.Hooks = nil
}

// Close detaches everything that this process holds alone.
func (h Handles) Close() {
	_ = h.each(func(fd int) error { return unix.Close(fd) })
}

// DisableTHP keeps transparent huge pages from the memory of this process and of what it executes: with them always on,
// a Go program takes 2 to 4 MB more.
func DisableTHP() error {
	if err := unix.Prctl(unix.PR_SET_THP_DISABLE, 1, 0, 0, 0); err != nil {
		return fail("disable huge pages", err)
	}
	return nil
}
