package bpf

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// tracefs is the directory of the kernel's tracepoints. It need not be mounted anywhere.
type tracefs struct {
	dir int
	how string
}

// formatBytesMax bounds a format file; the longest ones (rtnetlink events) have 4 KB.
const formatBytesMax = 64 << 10

// openTracefs finds a mounted tracefs, or else makes a mount of its own that has no place in the tree and goes away
// with the descriptor, or else mounts it where it belongs.
func openTracefs() (*tracefs, error) {
	for _, dir := range [...]string{"/sys/kernel/tracing", "/sys/kernel/debug/tracing"} {
		fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			continue
		}
		t := &tracefs{fd, dir}
		if _, err := t.read("events/header_page"); err == nil {
			return t, nil
		}
		t.Close()
	}
	fd, err := detachedTracefs()
	if err == nil {
		return &tracefs{fd, "own mount, detached"}, nil
	}
	const dir = "/sys/kernel/tracing"
	if err2 := unix.Mount("tracefs", dir, "tracefs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err2 != nil {
		err = fmt.Errorf("mount tracefs: detached: %w, at %s: %w", err, dir, err2)
		if errors.Is(err, unix.EPERM) {
			return nil, &PrivilegeError{"a tracefs mounted at " + dir + ", or CAP_SYS_ADMIN to mount it", err}
		}
		return nil, &SupportError{"CONFIG_TRACING (tracefs)", err}
	}
	fd, err = unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return &tracefs{fd, "own mount at " + dir}, nil
}

// detachedTracefs mounts tracefs nowhere (fsmount(2), Linux 5.2).
func detachedTracefs() (int, error) {
	fs, err := unix.Fsopen("tracefs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, err
	}
	return unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
}

func (t *tracefs) Close() { unix.Close(t.dir) }

func (t *tracefs) read(path string) ([]byte, error) {
	fd, err := unix.Openat(t.dir, path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open tracefs %s: %w", path, err)
	}
	defer unix.Close(fd)
	var b bytes.Buffer
	chunk := make([]byte, 4096)
	for b.Len() < formatBytesMax {
		n, err := unix.Read(fd, chunk)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read tracefs %s: %w", path, err)
		}
		if n == 0 {
			return b.Bytes(), nil
		}
		b.Write(chunk[:n])
	}
	return nil, fmt.Errorf("read tracefs %s: longer than %d bytes", path, formatBytesMax)
}

// id is the number by which perf_event_open knows a tracepoint.
func (t *tracefs) id(event string) (uint64, error) {
	b, err := t.read("events/" + event + "/id")
	if err != nil {
		return 0, err
	}
	id, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("tracefs events/%s/id: %w", event, err)
	}
	return id, nil
}

// field is where a tracepoint has one of its fields.
type field struct {
	name         string
	offset, size uint32
}

// format reads a tracepoint's layout. Fields come in the order of the file, the common ones included.
func (t *tracefs) format(event string) ([]field, error) {
	b, err := t.read("events/" + event + "/format")
	if err != nil {
		return nil, err
	}
	fields, err := parseFormat(string(b))
	if err != nil {
		return nil, fmt.Errorf("tracefs events/%s/format: %w", event, err)
	}
	return fields, nil
}

// parseFormat reads lines like
//
//	field:__data_loc char[] filename;	offset:8;	size:4;	signed:0;
//
// The name is the last word of the declaration, without array brackets.
func parseFormat(text string) ([]field, error) {
	var fields []field
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "field:") {
			continue
		}
		parts := strings.Split(line, ";")
		if len(parts) < 3 {
			return nil, fmt.Errorf("field without offset and size: %q", line)
		}
		words := strings.Fields(strings.TrimPrefix(parts[0], "field:"))
		if len(words) == 0 {
			return nil, fmt.Errorf("field without name: %q", line)
		}
		name, _, _ := strings.Cut(words[len(words)-1], "[")
		f := field{name: strings.TrimLeft(name, "*")}
		for _, p := range parts[1:] {
			key, value, _ := strings.Cut(strings.TrimSpace(p), ":")
			if key != "offset" && key != "size" {
				continue
			}
			v, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				return nil, fmt.Errorf("field %s: %w", f.name, err)
			}
			if key == "offset" {
				f.offset = uint32(v)
			} else {
				f.size = uint32(v)
			}
		}
		if f.size == 0 {
			return nil, fmt.Errorf("field %s has no size", f.name)
		}
		fields = append(fields, f)
	}
	if len(fields) == 0 {
		return nil, errors.New("no fields")
	}
	return fields, nil
}

func findField(fields []field, name string) (field, bool) {
	for _, f := range fields {
		if f.name == name {
			return f, true
		}
	}
	return field{}, false
}

// callArgs is the offset of a system call's arguments in its sys_enter tracepoint: 8 bytes each, in order, after the
// number of the call.
func callArgs(fields []field, n int) (uint32, error) {
	for i, f := range fields {
		if f.name != "__syscall_nr" && f.name != "nr" {
			continue
		}
		args := fields[i+1:]
		if len(args) < n {
			return 0, fmt.Errorf("%d arguments, want %d", len(args), n)
		}
		for k := range n {
			if args[k].size != 8 || args[k].offset != args[0].offset+8*uint32(k) {
				return 0, fmt.Errorf("argument %s at %d, size %d: not 8 bytes after the one before", args[k].name,
					args[k].offset, args[k].size)
			}
		}
		return args[0].offset, nil
	}
	return 0, errors.New("no field __syscall_nr")
}
