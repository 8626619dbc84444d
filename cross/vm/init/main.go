//go:build linux

// Command init is the first and only system program of a test guest: a static binary in an initramfs without a C
// library, a shell or busybox.
//
// As process 1 it mounts the pseudo file systems, brings the loopback device up, runs the programs of the plan one after
// the other and prints their output on the console in the form that package plan describes; then it powers the machine
// off. Under any other name or process id it stands in for the few system programs that tests call: see stand.go.
//
// It has one goroutine besides those that os/exec makes, and keeps no output in memory.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/cross/vm/plan"
)

func main() {
	if os.Getpid() != 1 {
		os.Exit(standIn(os.Args))
	}
	failed := boot()
	fmt.Printf("%s %d\n", plan.Result, failed)
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART) // no power switch: the host runs QEMU with -no-reboot
	select {}
}

// boot sets the system up, runs the plan and returns how many of its programs failed.
func boot() (failed int) {
	// The console starts in the middle of a line when the firmware wrote to it.
	fmt.Printf("\n%s %s\n", plan.Init, release())
	for _, err := range setUp() {
		fmt.Printf("init: %v\n", err)
	}
	p, err := plan.Read(plan.Path)
	if err != nil {
		fmt.Printf("init: %v\n", err)
		return 1
	}
	for _, path := range p.StandIns {
		if err := link(path); err != nil {
			fmt.Printf("init: stand in: %v\n", err)
		}
	}
	log := openKernelLog()
	for i := range p.Programs {
		if run(&p.Programs[i]) != 0 {
			failed++
		}
	}
	for _, line := range log.complaints() {
		fmt.Printf("%s %s\n", plan.Kernel, line)
	}
	return failed
}

func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "unknown"
	}
	return unix.ByteSliceToString(u.Release[:])
}

// run runs one program and returns its exit code, -1 when it could not be run or a signal killed it.
func run(p *plan.Program) int {
	fmt.Printf("%s %s\n", plan.Begin, p.Name)
	cmd := exec.Command(p.Path, p.Args...)
	cmd.Dir = p.Dir
	cmd.Env = append([]string{"PATH=/bin", "HOME=/root", "TMPDIR=/tmp", "USER=root"}, p.Env...)
	out := &lineEnd{w: os.Stdout}
	cmd.Stdout, cmd.Stderr = out, out
	start := time.Now()
	err := cmd.Run()
	out.finish()
	code := 0
	if err != nil {
		code = -1
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			code = exit.ExitCode()
		}
		fmt.Printf("init: %s: %v\n", p.Name, err)
	}
	fmt.Printf("%s %s %d %d\n", plan.End, p.Name, code, time.Since(start).Milliseconds())
	return code
}

// lineEnd passes bytes on and knows whether the last line is complete, so that the next line of init starts a new one.
type lineEnd struct {
	w    *os.File
	open bool
}

func (l *lineEnd) Write(b []byte) (int, error) {
	if len(b) > 0 {
		l.open = b[len(b)-1] != '\n'
	}
	return l.w.Write(b)
}

func (l *lineEnd) finish() {
	if l.open {
		_, _ = l.w.WriteString("\n")
	}
}

// kernelLog is a reader of the kernel's messages.
type kernelLog struct {
	fd int
}

// openKernelLog starts to listen: messages from before do not count.
func openKernelLog() kernelLog {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		fmt.Printf("init: open kernel log: %v\n", err)
		return kernelLog{-1}
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		fmt.Printf("init: seek kernel log: %v\n", err)
	}
	return kernelLog{fd}
}

// complaints are the messages since the start that say that the kernel found something wrong with itself.
func (l kernelLog) complaints() (lines []string) {
	if l.fd < 0 {
		return nil
	}
	defer unix.Close(l.fd)
	buf := make([]byte, 8192) // the kernel's limit for one record
	for {
		n, err := unix.Read(l.fd, buf)
		if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EINTR) {
			continue // records were overwritten before they were read
		}
		if err != nil || n <= 0 {
			return lines
		}
		_, text, _ := strings.Cut(string(buf[:n]), ";")
		text, _, _ = strings.Cut(text, "\n")
		if complaint(text) {
			lines = append(lines, text)
		}
	}
}

// complaint tells whether a kernel message reports a bug. Lockup detectors do not count: without hardware
// virtualization a guest on a busy host stands still for longer than they allow.
func complaint(text string) bool {
	if strings.Contains(text, "lockup") {
		return false
	}
	for _, sign := range []string{"WARNING: ", "BUG: ", "Oops", "general protection fault", "Unable to handle kernel"} {
		if strings.Contains(text, sign) {
			return true
		}
	}
	return false
}
