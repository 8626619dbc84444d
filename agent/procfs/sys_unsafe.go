//go:build linux

package procfs

import (
	"syscall"
	"unsafe"
)

// The functions of package syscall take paths as strings and copy them to add the NUL; these take bytes that have it.

// clockRealtime and clockBoottime are of include/uapi/linux/time.h.
const (
	clockRealtime = 0
	clockBoottime = 7
)

// openAt opens for reading a path relative to dir; -1 when it cannot.
//
// Preconditions: path ends with a NUL.
func openAt(dir int, path []byte) int {
	for {
		fd, _, errno := syscall.Syscall6(syscall.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(unsafe.SliceData(path))),
			syscall.O_RDONLY|syscall.O_CLOEXEC, 0, 0, 0)
		if errno == 0 {
			return int(fd)
		}
		if errno != syscall.EINTR {
			return -1
		}
	}
}

// readlinkAt reads a link into buf and gives its length, which is that of buf when it may have been cut; -1 when it
// cannot.
//
// Preconditions: path ends with a NUL; buf is not empty.
func readlinkAt(dir int, path, buf []byte) int {
	n, _, errno := syscall.Syscall6(syscall.SYS_READLINKAT, uintptr(dir), uintptr(unsafe.Pointer(unsafe.SliceData(path))),
		uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), 0, 0)
	if errno != 0 {
		return -1
	}
	return int(n)
}

func read(fd int, buf []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, buf)
		if err != syscall.EINTR {
			return n, err
		}
	}
}

func clockNanos(clock uintptr) uint64 {
	var ts syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clock, uintptr(unsafe.Pointer(&ts)), 0); errno != 0 {
		panic("BUG: clock_gettime: " + errno.Error()) // both clocks are older than any kernel we run on
	}
	return uint64(ts.Nano())
}

// bootNanos is the monotonic clock that counts suspend.
func bootNanos() uint64 { return clockNanos(clockBoottime) }

func wallNanos() uint64 { return clockNanos(clockRealtime) }
