//go:build linux

package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// mounts in the order in which they must be made. /tmp and /var/tmp are tmpfs, not the initramfs itself, so that a test
// sees a file below a mount point; /var/tmp allows setuid programs, as on real systems.
var mounts = []struct {
	kind, dir string
	flags     uintptr
	data      string
}{
	{"proc", "/proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"sysfs", "/sys", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"devtmpfs", "/dev", unix.MS_NOSUID, ""},
	{"devpts", "/dev/pts", unix.MS_NOSUID | unix.MS_NOEXEC, "ptmxmode=666"},
	{"tmpfs", "/dev/shm", unix.MS_NOSUID | unix.MS_NODEV, ""},
	{"tracefs", "/sys/kernel/tracing", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"securityfs", "/sys/kernel/security", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"bpf", "/sys/fs/bpf", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"cgroup2", "/sys/fs/cgroup", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
	{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, ""},
	{"tmpfs", "/tmp", unix.MS_NODEV, "mode=1777"},
	{"tmpfs", "/var/tmp", unix.MS_NODEV, "mode=1777"},
}

// setUp makes the system usable and returns what did not work; a test that needs it then says so itself.
func setUp() (problems []error) {
	try := func(what string, err error) {
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", what, err))
		}
	}
	unix.Umask(0o022)
	for _, m := range mounts {
		// Directories below a pseudo file system exist or cannot be made; the mount tells.
		_ = os.MkdirAll(m.dir, 0o755)
		try("mount "+m.dir, unix.Mount(m.kind, m.dir, m.kind, m.flags, m.data))
	}
	for link, to := range map[string]string{
		"/dev/fd": "/proc/self/fd", "/dev/stdin": "/proc/self/fd/0", "/dev/stdout": "/proc/self/fd/1",
		"/dev/stderr": "/proc/self/fd/2",
	} {
		try("link", os.Symlink(to, link))
	}
	try("bring lo up", loopbackUp())
	try("set host name", unix.Sethostname([]byte("kestrel-vm")))
	// Messages of the kernel would cut the lines of the tests in two. A panic is printed whatever this says.
	const setConsoleLevel, emergencyOnly = 8, 1
	_, err := unix.Klogctl(setConsoleLevel, make([]byte, emergencyOnly))
	try("quieten the console", err)
	return problems
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, req); err != nil {
		return err
	}
	req.SetUint16(req.Uint16() | unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}
