package bpf

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The layout of a 6.1 kernel, of one whose common part is longer (real-time and RHEL kernels), and of one that has a
// new field in between.
const (
	formatPlain = `name: sys_enter_connect
ID: 1234
format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_flags;	offset:2;	size:1;	signed:0;
	field:int common_pid;	offset:4;	size:4;	signed:1;

	field:int __syscall_nr;	offset:8;	size:4;	signed:1;
	field:int fd;	offset:16;	size:8;	signed:0;
	field:struct sockaddr * uservaddr;	offset:24;	size:8;	signed:0;
	field:int addrlen;	offset:32;	size:8;	signed:0;

print fmt: "fd: 0x%08lx", ((unsigned long)(REC->fd))
`
	formatLong = `format:
	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
	field:unsigned char common_preempt_lazy_count;	offset:8;	size:1;	signed:0;

	field:int __syscall_nr;	offset:12;	size:4;	signed:1;
	field:int fd;	offset:24;	size:8;	signed:0;
	field:struct sockaddr * uservaddr;	offset:32;	size:8;	signed:0;
	field:int addrlen;	offset:40;	size:8;	signed:0;
`
)

func TestFormat(t *testing.T) {
	for text, want := range map[string]uint32{formatPlain: 16, formatLong: 24} {
		fields, err := parseFormat(text)
		if err != nil {
			t.Fatal(err)
		}
		got, err := callArgs(fields, 3)
		if err != nil || got != want {
			t.Errorf("arguments at %d, want %d: %v", got, want, err)
		}
		if _, err := callArgs(fields, 4); err == nil {
			t.Error("a fourth argument of three")
		}
	}
	fields, err := parseFormat("field:__data_loc char[] filename;	offset:8;	size:4;	signed:0;\n" +
		"\tfield:char comm[16];\toffset:12;\tsize:16;\tsigned:0;\n\tfield:const char **argv;\toffset:28;\tsize:8;\n")
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range []field{{"filename", 8, 4}, {"comm", 12, 16}, {"argv", 28, 8}} {
		if fields[i] != w {
			t.Errorf("field %d: %+v, want %+v", i, fields[i], w)
		}
	}
	for _, bad := range []string{
		"", "name: x\n", "field:int a;", "field:int a;\toffset:x;\tsize:4;", "field:int a;\toffset:0;\tsigned:1;",
		"field:;\toffset:0;\tsize:4;", "field:int a;\toffset:-1;\tsize:4;", "field:int a;\toffset:0;\tsize:99999999;",
	} {
		if got, err := parseFormat(bad); err == nil {
			t.Errorf("%q became %+v", bad, got)
		}
	}
	gap := strings.Replace(formatPlain, "offset:32", "offset:40", 1)
	fields, err = parseFormat(gap)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := callArgs(fields, 3); err == nil {
		t.Error("arguments with a gap are accepted")
	}
}

// TestLayoutConflict: hooks that share a constant must agree.
func TestLayoutConflict(t *testing.T) {
	l := layout{}
	if err := l.set("ke_ret_off", 16); err != nil {
		t.Fatal(err)
	}
	if err := l.set("ke_ret_off", 16); err != nil {
		t.Error(err)
	}
	if err := l.set("ke_ret_off", 24); err == nil {
		t.Error("two offsets for one constant")
	}
}

// TestDetachedTracefs: the tracepoints can be read where tracefs is mounted nowhere.
func TestDetachedTracefs(t *testing.T) {
	fd, err := detachedTracefs()
	if err == unix.EPERM || err == unix.ENOSYS {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	fs := tracefs{dir: fd}
	defer fs.Close()
	if _, err := fs.id("sched/sched_process_exec"); err != nil {
		t.Error(err)
	}
	if _, err := fs.format("sched/sched_process_exit"); err != nil {
		t.Error(err)
	}
	if _, err := fs.id("sched/none"); err == nil {
		t.Error("a tracepoint that is not there has a number")
	}
}

func FuzzFormat(f *testing.F) {
	f.Add(formatPlain)
	f.Add(formatLong)
	f.Fuzz(func(t *testing.T, text string) {
		fields, err := parseFormat(text)
		if err == nil && len(fields) == 0 {
			t.Error("no fields and no error")
		}
		_, _ = callArgs(fields, 3)
	})
}
