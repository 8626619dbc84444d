package agent

import (
	"bufio"
	"io"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// settle gives back what only the start needed: the garbage of it, and the pages of code that will not run again. It is
// called once, when everything is carved and the goroutines run.
//
// The collector is then off until the heap would pass the limit: nothing allocates on the way of an event, and what a
// reload or a report allocates is collected there.
func settle(heapLimit int64) error {
	debug.FreeOSMemory()
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(heapLimit)
	return dropCode()
}

// dropCode unmaps the pages of the binary's code and read-only data. They are clean pages of a file: what is needed
// again is mapped again when it is touched, from the page cache. What stays resident is what runs.
func dropCode() error {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	fixed, err := isFixed()
	if err != nil {
		return err
	}
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return err
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		// 00400000-00579000 r-xp 00000000 fe:00 1234   /path
		line := sc.Text()
		if !strings.HasSuffix(line, exe) || !strings.Contains(line, " r-xp ") && !(fixed && strings.Contains(line, " r--p ")) {
			continue
		}
		from, to, ok := parseRange(line)
		if !ok {
			continue
		}
		if _, _, errno := unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED); errno != 0 {
			return errno
		}
	}
	return nil
}

// isFixed tells whether the binary runs at the addresses it was linked for. In one that does not (PIE), read-only data
// has pages that the loader wrote into: to drop these would lose the addresses in them.
func isFixed() (bool, error) {
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		return false, err
	}
	defer f.Close()
	var head [18]byte // e_ident and e_type, elf(5)
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return false, err
	}
	return head[16] == 2 && head[17] == 0, nil // ET_EXEC; every port of Kestrel is little-endian
}

func parseRange(line string) (from, to uintptr, ok bool) {
	a, rest, ok := strings.Cut(line, "-")
	b, _, ok2 := strings.Cut(rest, " ")
	if !ok || !ok2 {
		return 0, 0, false
	}
	lo, err := strconv.ParseUint(a, 16, 64)
	hi, err2 := strconv.ParseUint(b, 16, 64)
	return uintptr(lo), uintptr(hi), err == nil && err2 == nil && lo < hi
}
