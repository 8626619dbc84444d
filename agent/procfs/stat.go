//go:build linux

package procfs

import "bytes"

// stat is what is used of a process's stat file.
type stat struct {
	comm    []byte // in the snapshot's buffer
	state   byte
	ppid    uint32
	session uint32
	tty     uint32
	start   uint64 // ns since boot
}

// ended tells a process that waits for its parent to take notice (Z), or is being taken down (X, x).
func (s *stat) ended() bool { return s.state == 'Z' || s.state == 'X' || s.state == 'x' }

// The fields of the stat file that are used, as proc(5) counts them; the second is the name in parentheses.
const (
	statState   = 3
	statParent  = 4
	statSession = 6
	statTTY     = 7
	statStart   = 22
)

func (s *Snapshot) stat(pid uint32) (stat, bool) { return parseStat(s.read(pid, "stat")) }

// parseStat reads a stat file. A name may have anything in it, parentheses too: it ends at the last one.
func parseStat(text []byte) (st stat, ok bool) {
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open || end+2 >= len(text) {
		return stat{}, false
	}
	st.comm = text[open+1 : end]
	st.state = text[end+2]
	rest := text[end+2:]
	for field := statState; ; field++ {
		v, digits := parseUint(rest)
		switch field {
		case statParent:
			st.ppid = uint32(v)
		case statSession:
			st.session = uint32(v)
		case statTTY:
			st.tty = uint32(v)
		case statStart:
			st.start = v * tickNanos
			return st, digits > 0
		}
		next := bytes.IndexByte(rest, ' ')
		if next < 0 {
			return stat{}, false
		}
		rest = rest[next+1:]
	}
}

// parseUint reads the digits that b begins with, and says how many there are. Numbers of the kernel fit 64 bits.
func parseUint(b []byte) (v uint64, digits int) {
	for digits < len(b) && b[digits] >= '0' && b[digits] <= '9' {
		v = v*10 + uint64(b[digits]-'0')
		digits++
	}
	return v, digits
}
