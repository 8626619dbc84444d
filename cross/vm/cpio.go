package main

import (
	"fmt"
	"io"
	"strings"
)

// The types of a file in an archive: the upper bits of its mode.
const (
	cpioDir     = 0o040000
	cpioFile    = 0o100000
	cpioLink    = 0o120000
	cpioCharDev = 0o020000
)

// cpioNameMax and cpioFileMax are what the header's eight hexadecimal digits and the kernel's PATH_MAX allow.
const (
	cpioNameMax = 4095
	cpioFileMax = 1<<32 - 1
)

// cpioEntry is one member of an archive.
type cpioEntry struct {
	name         string // relative, without a leading slash
	mode         uint32 // type and permissions
	data         []byte // contents, or the target of a link
	major, minor uint32 // of a device
}

// cpioWriter writes an archive in the "newc" format, the one that the kernel unpacks as an initramfs
// (Documentation/driver-api/early-userspace/buffer-format.rst). All times are zero and all owners root, so that the same
// input gives the same bytes.
type cpioWriter struct {
	w     io.Writer
	inode uint32 // of the next member
	n     int64  // bytes written
	err   error  // the first one; later calls do nothing
}

// add appends one member.
func (c *cpioWriter) add(e cpioEntry) error {
	if len(e.name) > cpioNameMax {
		return fmt.Errorf("cpio: name of %d bytes (max %d)", len(e.name), cpioNameMax)
	}
	if uint64(len(e.data)) > cpioFileMax {
		return fmt.Errorf("cpio: %s: %d bytes (max %d)", e.name, len(e.data), uint64(cpioFileMax))
	}
	links := 1
	if e.mode&0o170000 == cpioDir {
		links = 2
	}
	c.member(c.inode, links, e)
	c.inode++
	return c.err
}

// close writes the trailer.
func (c *cpioWriter) close() error {
	c.member(0, 1, cpioEntry{name: "TRAILER!!!"})
	return c.err
}

func (c *cpioWriter) member(inode uint32, links int, e cpioEntry) {
	// Magic, inode, mode, uid, gid, links, time, size, device (2), device of the node (2), bytes of the name with its
	// final zero, checksum (none).
	c.write(fmt.Appendf(nil, "070701"+strings.Repeat("%08X", 13),
		inode, e.mode, 0, 0, links, 0, len(e.data), 0, 0, e.major, e.minor, len(e.name)+1, 0))
	c.write(append([]byte(e.name), 0))
	c.pad()
	c.write(e.data)
	c.pad()
}

// pad fills up to a multiple of four bytes.
func (c *cpioWriter) pad() {
	c.write(make([]byte, -c.n&3))
}

func (c *cpioWriter) write(b []byte) {
	if c.err != nil {
		return
	}
	n, err := c.w.Write(b)
	c.n += int64(n)
	if err != nil {
		c.err = fmt.Errorf("cpio: %w", err)
	}
}
