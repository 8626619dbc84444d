package bpf

import (
	"fmt"

	"github.com/kestrel-detection/kestrel/bpf/ring"
	"github.com/kestrel-detection/kestrel/event"
)

// hook is one place in the kernel where a program is attached.
type hook struct {
	name     string // of the tracepoint; with a group: group/name
	program  string // in the object
	point    ring.Point
	raw      bool // tp_btf
	args     int  // sys_enter: how many arguments the program reads
	exit     bool // sys_exit: the program reads the return value
	fallible bool // need not exist: not every architecture has the system call
	aside    bool // fills a table for another program: when it does not run, no event is lost
}

// hooks per tier. A program may have several hooks.
var hooks = [...][]hook{
	TierBTF: {
		{name: "sched/sched_process_exec", program: "ke_exec", point: ring.PointExec},
		{name: "sched_process_fork", program: "ke_fork", point: ring.PointFork, raw: true},
		{name: "sched/sched_process_exit", program: "ke_exit", point: ring.PointExit},
		{name: "syscalls/sys_exit_openat", program: "ke_open_exit", point: ring.PointFile, exit: true},
		{name: "syscalls/sys_exit_openat2", program: "ke_open_exit", point: ring.PointFile, exit: true, fallible: true},
		{name: "syscalls/sys_exit_open", program: "ke_open_exit", point: ring.PointFile, exit: true, fallible: true},
		{name: "syscalls/sys_exit_creat", program: "ke_open_exit", point: ring.PointFile, exit: true, fallible: true},
		{name: "syscalls/sys_exit_connect", program: "ke_connect_exit", point: ring.PointNetwork, exit: true},
		{name: "syscalls/sys_enter_connect", program: "ke_connect_enter", point: ring.PointNetwork, args: 3},
	},
	// What ends a call is attached before what starts it, so that no start is left waiting.
	TierTracepoint: {
		{name: "sched/sched_process_exec", program: "ke_exec", point: ring.PointExec},
		{name: "task/task_newtask", program: "ke_fork", point: ring.PointFork},
		{name: "sched/sched_process_exit", program: "ke_exit", point: ring.PointExit},
		{name: "syscalls/sys_enter_exit_group", program: "ke_exit_group", point: ring.PointExit, args: 1, aside: true},
		{name: "syscalls/sys_exit_execve", program: "ke_execve_exit", point: ring.PointExec, exit: true, aside: true},
		{name: "syscalls/sys_exit_execveat", program: "ke_execve_exit", point: ring.PointExec, exit: true, aside: true},
		{name: "syscalls/sys_enter_execve", program: "ke_execve", point: ring.PointExec, args: 3, aside: true},
		{name: "syscalls/sys_enter_execveat", program: "ke_execveat", point: ring.PointExec, args: 5, aside: true},
		{name: "syscalls/sys_exit_openat", program: "ke_open_exit", point: ring.PointFile, exit: true},
		{name: "syscalls/sys_exit_openat2", program: "ke_open_exit", point: ring.PointFile, exit: true, fallible: true},
		{name: "syscalls/sys_exit_open", program: "ke_open_exit", point: ring.PointFile, exit: true, fallible: true},
		{name: "syscalls/sys_exit_creat", program: "ke_open_exit", point: ring.PointFile, exit: true, fallible: true},
		{name: "syscalls/sys_enter_openat", program: "ke_openat", point: ring.PointFile, args: 4},
		{name: "syscalls/sys_enter_openat2", program: "ke_openat2", point: ring.PointFile, args: 4, fallible: true},
		{name: "syscalls/sys_enter_open", program: "ke_open", point: ring.PointFile, args: 3, fallible: true},
		{name: "syscalls/sys_enter_creat", program: "ke_creat", point: ring.PointFile, args: 2, fallible: true},
		{name: "syscalls/sys_exit_connect", program: "ke_connect_exit", point: ring.PointNetwork, exit: true},
		{name: "syscalls/sys_enter_connect", program: "ke_connect_enter", point: ring.PointNetwork, args: 3},
	},
}

// classMaps are the maps that only the programs of a class use, by tier.
var classMaps = [...]map[string]event.Class{
	TierBTF:        {"ke_connects": event.ClassNetwork, "ke_ended": event.ClassProcess},
	TierTracepoint: {"ke_connects": event.ClassNetwork, "ke_opens": event.ClassFile, "ke_execs": event.ClassProcess, "ke_codes": event.ClassProcess},
}

// layout collects the offsets that the programs get as constants.
type layout map[string]any

// offsets reads the layout of every tracepoint that the hooks need. A tracepoint that is missing or not understood is
// left out of the result and named in missing.
func offsets(t *tracefs, tier Tier, classes uint32) (use []hook, l layout, missing []string) {
	l = layout{}
	for _, h := range hooks[tier] {
		if classes>>h.point.Class()&1 == 0 {
			continue
		}
		if h.raw {
			use = append(use, h)
			continue
		}
		fields, err := t.format(h.name)
		if err == nil {
			err = l.add(tier, h, fields)
		}
		if err == nil {
			use = append(use, h)
		} else if !h.fallible {
			missing = append(missing, fmt.Sprintf("%s: %v", h.name, err))
		}
	}
	return use, l, missing
}

func (l layout) add(tier Tier, h hook, fields []field) error {
	if h.args > 0 {
		at, err := callArgs(fields, h.args)
		if err != nil {
			return err
		}
		return l.set("ke_args_off", at)
	}
	if h.exit {
		return l.field(fields, "ret", 8, "ke_ret_off")
	}
	switch {
	case h.program == "ke_exit":
		if f, ok := findField(fields, "group_dead"); ok && f.size == 1 {
			return l.set("ke_group_dead_off", f.offset)
		}
	case tier == TierBTF: // the others ask the kernel's structures
	case h.program == "ke_exec":
		if err := l.field(fields, "filename", 4, "ke_exec_filename_off"); err != nil {
			return err
		}
		return l.field(fields, "old_pid", 4, "ke_exec_old_pid_off")
	case h.program == "ke_fork":
		if err := l.field(fields, "pid", 4, "ke_task_pid_off"); err != nil {
			return err
		}
		return l.field(fields, "clone_flags", 8, "ke_task_flags_off")
	}
	return nil
}

// field makes the offset of a field the value of a constant.
func (l layout) field(fields []field, name string, size uint32, constant string) error {
	f, ok := findField(fields, name)
	if !ok || f.size != size {
		return fmt.Errorf("no field %s of %d bytes", name, size)
	}
	return l.set(constant, f.offset)
}

// set gives a constant its value. Tracepoints that share one must agree.
func (l layout) set(constant string, offset uint32) error {
	if v, ok := l[constant]; ok && v != offset {
		return fmt.Errorf("offset %d, elsewhere %v", offset, v)
	}
	l[constant] = offset
	return nil
}
