package bpf

import (
	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/event"
)

// largefile is O_LARGEFILE, which a 64-bit kernel adds to every open.
const largefile = 0o100000

// legacyOpenings are the system calls that newer architectures do not have.
func legacyOpenings(dir string) []opening {
	call := func(number uintptr, path string, a, b uintptr) func() (int, error) {
		return func() (int, error) {
			p, err := unix.BytePtrFromString(path)
			if err != nil {
				return -1, err
			}
			fd, errno := pathSyscall(number, p, a, b)
			if errno != 0 {
				return -1, errno
			}
			return fd, nil
		}
	}
	return []opening{
		{name: "open", open: call(unix.SYS_OPEN, dir+"/file", unix.O_RDWR, 0), path: dir + "/file",
			typ: event.TypeFileWrite, flags: unix.O_RDWR},
		{name: "creat", open: call(unix.SYS_CREAT, dir+"/created", 0o600, 0), path: dir + "/created",
			typ: event.TypeFileCreate, flags: unix.O_WRONLY | unix.O_CREAT},
	}
}
