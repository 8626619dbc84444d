package bpf

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

func pathSyscall(number uintptr, path *byte, a, b uintptr) (int, unix.Errno) {
	fd, _, errno := unix.Syscall(number, uintptr(unsafe.Pointer(path)), a, b)
	return int(fd), errno
}

// disconnect ends the association of a datagram socket: connect to AF_UNSPEC.
func disconnect(fd int) unix.Errno {
	var sa unix.RawSockaddrInet4
	_, _, errno := unix.Syscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&sa)), unsafe.Sizeof(sa))
	return errno
}
