package ring

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// view gives the mapped pages their meaning. The producer page is followed by the data, mapped twice in a row.
func (r *Reader) view(page, size int) {
	r.consumer = (*atomic.Uint64)(unsafe.Pointer(&r.consumerPage[0]))
	r.producer = (*atomic.Uint64)(unsafe.Pointer(&r.producerPage[0]))
	r.data = r.producerPage[page : page+size : page+size]
}

// header is the first word of a record's header in the ring.
func (r *Reader) header(at uint64) uint32 {
	return (*atomic.Uint32)(unsafe.Pointer(&r.data[at])).Load()
}

// bpf(2) attributes, include/uapi/linux/bpf.h. Pointers are 64 bits there as they are on every target.
type lookupAttr struct {
	fd    uint32
	_     uint32
	key   unsafe.Pointer
	value unsafe.Pointer
	flags uint64
}

type infoAttr struct {
	fd   uint32
	size uint32
	info unsafe.Pointer
}

const (
	mapInfoSize  = 88
	progInfoSize = 232

	progInfoMisses = 208 // recursion_misses, since Linux 5.12
)

func bpf(cmd uintptr, attr unsafe.Pointer, size uintptr) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_BPF, cmd, uintptr(attr), size)
	return errno
}

// lookup reads the value of a u32 key; of a per-CPU map, all CPUs' values in a row.
func lookup(fd int, key *uint32, value []uint64) unix.Errno {
	a := lookupAttr{fd: uint32(fd), key: unsafe.Pointer(key), value: unsafe.Pointer(&value[0])}
	return bpf(unix.BPF_MAP_LOOKUP_ELEM, unsafe.Pointer(&a), unsafe.Sizeof(a))
}

// update writes the value of a u32 key.
func update(fd int, key *uint32, value []uint32) unix.Errno {
	a := lookupAttr{fd: uint32(fd), key: unsafe.Pointer(key), value: unsafe.Pointer(&value[0])}
	return bpf(unix.BPF_MAP_UPDATE_ELEM, unsafe.Pointer(&a), unsafe.Sizeof(a))
}

func info(fd int, buf []uint64) unix.Errno {
	a := infoAttr{fd: uint32(fd), size: uint32(len(buf) * 8), info: unsafe.Pointer(&buf[0])}
	return bpf(unix.BPF_OBJ_GET_INFO_BY_FD, unsafe.Pointer(&a), unsafe.Sizeof(a))
}

// mapInfo reads a map's type and number of entries: type, id, key size, value size, max entries.
func mapInfo(fd int) (kind, entries uint32, err error) {
	var b [mapInfoSize / 8]uint64
	if errno := info(fd, b[:]); errno != 0 {
		return 0, 0, errno
	}
	return uint32(b[0]), uint32(b[2]), nil
}
