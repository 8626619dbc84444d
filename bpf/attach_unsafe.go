package bpf

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The attachments are made by hand because all that is kept of them is a descriptor: closing it detaches.

// attachRaw attaches a tp_btf program, which knows its tracepoint since it was loaded.
func attachRaw(program int) (int, error) {
	attr := struct {
		name uint64
		fd   uint32
		_    uint32
	}{fd: uint32(program)}
	fd, _, errno := unix.Syscall(unix.SYS_BPF, unix.BPF_RAW_TRACEPOINT_OPEN, uintptr(unsafe.Pointer(&attr)),
		unsafe.Sizeof(attr))
	if errno != 0 {
		return -1, fmt.Errorf("open raw tracepoint: %w", errno)
	}
	return int(fd), nil
}

// attachTracepoint attaches a program to the tracepoint with the number id. The perf event itself records nothing: the
// programs return 0.
func attachTracepoint(id uint64, program int) (int, error) {
	attr := unix.PerfEventAttr{Type: unix.PERF_TYPE_TRACEPOINT, Config: id, Sample: 1, Wakeup: 1}
	attr.Size = uint32(unsafe.Sizeof(attr))
	// The CPU is that of the counter; the program runs on all of them.
	fd, err := unix.PerfEventOpen(&attr, -1, 0, -1, unix.PERF_FLAG_FD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open perf event: %w", err)
	}
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_SET_BPF, program); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("attach program to perf event: %w", err)
	}
	if err := unix.IoctlSetInt(fd, unix.PERF_EVENT_IOC_ENABLE, 0); err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("enable perf event: %w", err)
	}
	return fd, nil
}

// lsmModulesMax bounds the list of security modules; the kernel has 15.
const lsmModulesMax = 32

// lsmModules asks for the ids of the active security modules (lsm_list_modules(2)).
func lsmModules() ([]uint64, error) {
	ids := make([]uint64, lsmModulesMax)
	size := uint32(len(ids) * 8)
	n, _, errno := unix.Syscall(unix.SYS_LSM_LIST_MODULES, uintptr(unsafe.Pointer(&ids[0])),
		uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return nil, errno
	}
	return ids[:min(int(n), len(ids))], nil
}
