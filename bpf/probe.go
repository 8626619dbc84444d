package bpf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"golang.org/x/sys/unix"
)

// Answer is what a probe found out.
type Answer uint8

// The answers. Unknown means that the probe could not tell, mostly for want of privilege.
const (
	Unknown Answer = iota
	Yes
	No
)

func (a Answer) String() string {
	switch a {
	case Yes:
		return "yes"
	case No:
		return "no"
	}
	return "could not tell"
}

// Check is one thing that was tried.
type Check struct {
	Name   string
	Answer Answer
	Detail string // No: what it needs; Unknown: why; Yes: what was found, or nothing
}

// Report is what this kernel can do for capture and guard.
type Report struct {
	Checks []Check
	Tier   Tier // that Load would take; TierAuto when none
}

// Check finds a check by its name.
func (r *Report) Check(name string) (Check, bool) {
	for _, c := range r.Checks {
		if c.Name == name {
			return c, true
		}
	}
	return Check{}, false
}

// The names of the checks.
const (
	CheckBTF         = "type information (BTF)"
	CheckRing        = "ring buffer"
	CheckTracefs     = "tracefs"
	CheckSyscalls    = "system call tracepoints"
	CheckTracepoint  = "attach to a tracepoint"
	CheckTpBTF       = "attach to a typed tracepoint (tp_btf)"
	CheckFentry      = "attach to a function (fentry)"
	CheckLSMList     = "bpf in the list of security modules"
	CheckLSM         = "attach to a security hook (BPF LSM)"
	CheckFanotify    = "fanotify"
	CheckFanotifyAsk = "fanotify permission events"
	CheckConnector   = "process connector"
	CheckCaps        = "capabilities"
	CheckCapture     = "capture"
)

// probeFunction is exported to modules under this name in every kernel since 2.6 and is seldom called, to attach a
// program to that does nothing.
const probeFunction = "vfs_unlink"

// Probe tries everything that capture and guard may use and undoes it. It takes about a second and as much memory as
// Load.
func Probe() Report {
	var r Report
	add := func(name string, answer Answer, detail string) {
		r.Checks = append(r.Checks, Check{name, answer, detail})
	}
	tried := func(name string, err error, needs string) {
		answer, detail := judge(err, needs)
		add(name, answer, detail)
	}
	t, err := openTracefs()
	_, errBTF := btf.LoadKernelSpec()
	tried(CheckBTF, errBTF, "CONFIG_DEBUG_INFO_BTF")
	tried(CheckRing, probeRing(), "Linux 5.8")
	if answer, detail := judge(err, "CONFIG_FTRACE"); t == nil {
		add(CheckTracefs, answer, detail)
		add(CheckSyscalls, Unknown, "no tracefs")
		add(CheckTracepoint, Unknown, "no tracefs")
	} else {
		defer t.Close()
		add(CheckTracefs, Yes, t.how)
		_, err := t.id("syscalls/sys_exit_openat")
		tried(CheckSyscalls, err, "CONFIG_FTRACE_SYSCALLS")
		tried(CheckTracepoint, probeTracepoint(t), "CONFIG_BPF_EVENTS")
	}
	tried(CheckTpBTF, probeTracing(ebpf.Tracing, ebpf.AttachTraceRawTp, "sched_process_exec"), "BTF, CONFIG_BPF_EVENTS")
	tried(CheckFentry, probeTracing(ebpf.Tracing, ebpf.AttachTraceFEntry, probeFunction),
		"CONFIG_DYNAMIC_FTRACE_WITH_DIRECT_CALLS, on arm64 Linux 6.4")
	r.Checks = append(r.Checks, probeLSM()...)
	tried(CheckFanotify, probeFanotify(unix.FAN_CLASS_NOTIF, unix.FAN_OPEN), "CONFIG_FANOTIFY")
	tried(CheckFanotifyAsk, probeFanotify(unix.FAN_CLASS_CONTENT, unix.FAN_OPEN_EXEC_PERM),
		"CONFIG_FANOTIFY_ACCESS_PERMISSIONS, Linux 5.0")
	tried(CheckConnector, probeConnector(), "CONFIG_PROC_EVENTS")
	r.Checks = append(r.Checks, probeCaps())
	c, err := Load(Options{RingBytes: os.Getpagesize(), Exclude: []uint32{uint32(os.Getpid())}})
	if err != nil {
		tried(CheckCapture, err, "see above")
		return r
	}
	r.Tier = c.Tier
	add(CheckCapture, Yes, fmt.Sprintf("tier %s, %d hooks", c.Tier, len(c.Hooks)))
	c.Close()
	return r
}

// judge makes an answer of what the kernel said.
func judge(err error, needs string) (Answer, string) {
	switch {
	case err == nil:
		return Yes, ""
	case errors.As(err, new(*PrivilegeError)), errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return Unknown, "no privilege: " + err.Error()
	}
	return No, "needs " + needs + ": " + err.Error()
}

func probeRing() error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.RingBuf, MaxEntries: uint32(os.Getpagesize())})
	if err != nil {
		return err
	}
	return m.Close()
}

// nothing is a program that does nothing.
func nothing(kind ebpf.ProgramType, attach ebpf.AttachType, to string) (*ebpf.Program, error) {
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: kind, AttachType: attach, AttachTo: to, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()},
	})
}

func probeTracing(kind ebpf.ProgramType, attach ebpf.AttachType, to string) error {
	p, err := nothing(kind, attach, to)
	if err != nil {
		return err
	}
	defer p.Close()
	fd, err := attachRaw(p.FD())
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func probeTracepoint(t *tracefs) error {
	id, err := t.id("sched/sched_process_exec")
	if err != nil {
		return err
	}
	p, err := nothing(ebpf.TracePoint, ebpf.AttachNone, "")
	if err != nil {
		return err
	}
	defer p.Close()
	fd, err := attachTracepoint(id, p.FD())
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

// probeLSM tells apart that a program attaches and that it is asked: when bpf is not in the list, it attaches and
// enforces nothing.
func probeLSM() []Check {
	list, err := lsmList()
	named := Check{Name: CheckLSMList}
	switch {
	case err != nil:
		named.Answer, named.Detail = judge(err, "securityfs")
		if named.Answer == No {
			named.Answer = Unknown
		}
	case strings.Contains(","+list+",", ",bpf,"):
		named.Answer, named.Detail = Yes, list
	default:
		named.Answer, named.Detail = No, "needs bpf in CONFIG_LSM or in lsm= of the kernel command line; the list is "+list
	}
	attach := Check{Name: CheckLSM}
	attach.Answer, attach.Detail = judge(probeTracing(ebpf.LSM, ebpf.AttachLSMMac, "file_open"),
		"CONFIG_BPF_LSM, on arm64 Linux 6.4")
	if attach.Answer == Yes && named.Answer == No {
		attach.Answer, attach.Detail = No, "attaches but is never asked: "+named.Detail
	}
	return []Check{named, attach}
}

// lsmIDBPF is LSM_ID_BPF and the others are the modules a device may have, include/uapi/linux/lsm.h.
var lsmNames = map[uint64]string{
	100: "capability", 101: "selinux", 102: "smack", 103: "tomoyo", 104: "apparmor", 105: "yama", 106: "loadpin",
	107: "safesetid", 108: "lockdown", 109: "bpf", 110: "landlock", 111: "ima", 112: "evm", 113: "ipe",
}

// lsmList reads the list of active security modules: from securityfs where it is mounted, by the system call
// (Linux 6.8), or from a mount of its own.
func lsmList() (string, error) {
	if b, err := os.ReadFile("/sys/kernel/security/lsm"); err == nil {
		return strings.TrimSpace(string(b)), nil
	}
	if ids, err := lsmModules(); err == nil {
		names := make([]string, len(ids))
		for i, id := range ids {
			if names[i] = lsmNames[id]; names[i] == "" {
				names[i] = strconv.FormatUint(id, 10)
			}
		}
		return strings.Join(names, ","), nil
	}
	fs, err := unix.Fsopen("securityfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return "", fmt.Errorf("open securityfs: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return "", fmt.Errorf("open securityfs: %w", err)
	}
	dir, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return "", fmt.Errorf("mount securityfs: %w", err)
	}
	defer unix.Close(dir)
	t := tracefs{dir: dir}
	b, err := t.read("lsm")
	return strings.TrimSpace(string(b)), err
}

// probeFanotify marks the root directory itself, which nobody executes, so that nothing waits for an answer.
func probeFanotify(class, mask uint64) error {
	fd, err := unix.FanotifyInit(uint(class)|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK, unix.O_RDONLY|unix.O_CLOEXEC)
	if err != nil {
		return fmt.Errorf("fanotify_init: %w", err)
	}
	defer unix.Close(fd)
	if mask == unix.FAN_OPEN {
		mask |= unix.FAN_ONDIR
	}
	if err := unix.FanotifyMark(fd, unix.FAN_MARK_ADD, mask, unix.AT_FDCWD, "/"); err != nil {
		return fmt.Errorf("fanotify_mark: %w", err)
	}
	return nil
}

// The process connector: include/uapi/linux/connector.h and cn_proc.h.
const (
	cnIdxProc      = 1
	cnValProc      = 1
	cnListen       = 1
	cnIgnore       = 2
	cnMessageBytes = 20
	connectorWait  = 200 * time.Millisecond
)

// probeConnector asks for process events and waits for the answer to that.
func probeConnector() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_CONNECTOR)
	if err != nil {
		return fmt.Errorf("open netlink connector: %w", err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: cnIdxProc}); err != nil {
		return fmt.Errorf("join process events: %w", err)
	}
	if err := connectorSend(fd, cnListen); err != nil {
		return fmt.Errorf("ask for process events: %w", err)
	}
	defer func() { _ = connectorSend(fd, cnIgnore) }()
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for range 2 { // a signal may end the first wait
		if n, err := unix.Poll(poll, int(connectorWait.Milliseconds())); err == nil && n == 0 {
			return errors.New("no answer from the process connector")
		} else if err == nil {
			break
		}
	}
	buf := make([]byte, 4096)
	n, err := unix.Read(fd, buf)
	if err != nil || n < unix.SizeofNlMsghdr+cnMessageBytes {
		return fmt.Errorf("read process connector: %d bytes, %w", n, err)
	}
	return nil
}

func connectorSend(fd int, op uint32) error {
	var b bytes.Buffer
	w := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) } // a Buffer takes everything
	w(unix.NlMsghdr{Len: unix.SizeofNlMsghdr + cnMessageBytes + 4, Type: unix.NLMSG_DONE, Pid: uint32(os.Getpid())})
	w([4]uint32{cnIdxProc, cnValProc, 0, 0})
	w([2]uint16{4, 0})
	w(op)
	return unix.Sendto(fd, b.Bytes(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// capabilities are those that some part of the agent can use.
var capabilities = []struct {
	bit  uint
	name string
	use  string
}{
	{unix.CAP_BPF, "CAP_BPF", "capture"},
	{unix.CAP_PERFMON, "CAP_PERFMON", "capture"},
	{unix.CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "mounting tracefs, BPF LSM, fanotify, kernels before 5.8"},
	{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN", "process connector"},
	{unix.CAP_SYS_RESOURCE, "CAP_SYS_RESOURCE", "memory limit on kernels before 5.11"},
	{unix.CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "reading /proc of other users"},
	{unix.CAP_KILL, "CAP_KILL", "kill rules"},
}

func probeCaps() Check {
	c := Check{Name: CheckCaps}
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		c.Detail = err.Error()
		return c
	}
	for line := range strings.Lines(string(text)) {
		hex, ok := strings.CutPrefix(line, "CapEff:")
		if !ok {
			continue
		}
		set, err := strconv.ParseUint(strings.TrimSpace(hex), 16, 64)
		if err != nil {
			c.Detail = err.Error()
			return c
		}
		c.Answer = Yes
		var missing []string
		for _, k := range capabilities {
			if set>>k.bit&1 == 0 {
				missing = append(missing, k.name+" ("+k.use+")")
			}
		}
		if len(missing) > 0 {
			c.Detail = "without " + strings.Join(missing, ", ")
		}
		if set>>unix.CAP_SYS_ADMIN&1 == 0 && (set>>unix.CAP_BPF&1 == 0 || set>>unix.CAP_PERFMON&1 == 0) {
			c.Answer = No
		}
		return c
	}
	c.Detail = "no CapEff in /proc/self/status"
	return c
}
