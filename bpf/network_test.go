package bpf

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/event"
)

const networkOnly = 1 << event.ClassNetwork

// listener is a socket that listens on a port of its own.
func listener(t *testing.T, family int, address unix.Sockaddr) (port int) {
	t.Helper()
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, address); err != nil {
		t.Skipf("skipped: %v", err)
	}
	if err := unix.Listen(fd, 8); err != nil {
		t.Fatal(err)
	}
	return portOf(t, fd)
}

func portOf(t *testing.T, fd int) int {
	t.Helper()
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return sa.Port
	case *unix.SockaddrInet6:
		return sa.Port
	}
	t.Fatalf("%T", sa)
	return 0
}

func TestConnect(t *testing.T) {
	loop4, loop6 := [4]byte{127, 0, 0, 1}, [16]byte{15: 1}
	mapped := [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
	v4 := func(port int) unix.Sockaddr { return &unix.SockaddrInet4{Port: port, Addr: loop4} }
	v6 := func(port int, a [16]byte) unix.Sockaddr { return &unix.SockaddrInet6{Port: port, Addr: a} }
	tiers(t, func(t *testing.T, tier Tier) {
		open4 := listener(t, unix.AF_INET, v4(0))
		closed := func(t *testing.T) int { // a port nobody listens on
			fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(fd)
			if err := unix.Bind(fd, v4(0)); err != nil {
				t.Fatal(err)
			}
			return portOf(t, fd)
		}(t)
		l := start(t, Options{Tier: tier, Classes: networkOnly})
		const stream, datagram, later = unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_STREAM | unix.SOCK_NONBLOCK
		for _, c := range []struct {
			name         string
			family, kind int
			port         int // 0: that of a v6 listener
			to           func(port int) unix.Sockaddr
			ip           string
			protocol     int
			errno        unix.Errno
			source       string // "": absent
		}{
			{"tcp4", unix.AF_INET, stream, open4, v4, string(loop4[:]), unix.IPPROTO_TCP, 0, string(loop4[:])},
			{"tcp6", unix.AF_INET6, stream, 0, func(p int) unix.Sockaddr { return v6(p, loop6) }, string(loop6[:]),
				unix.IPPROTO_TCP, 0, string(loop6[:])},
			{"tcp4-in-6", unix.AF_INET6, stream, open4, func(p int) unix.Sockaddr { return v6(p, mapped) },
				string(loop4[:]), unix.IPPROTO_TCP, 0, string(loop4[:])},
			{"refused", unix.AF_INET, stream, closed, v4, string(loop4[:]), unix.IPPROTO_TCP, unix.ECONNREFUSED, ""},
			{"refused6", unix.AF_INET6, stream, closed, func(p int) unix.Sockaddr { return v6(p, loop6) },
				string(loop6[:]), unix.IPPROTO_TCP, unix.ECONNREFUSED, ""},
			{"in-progress", unix.AF_INET, later, open4, v4, string(loop4[:]), unix.IPPROTO_TCP, unix.EINPROGRESS,
				string(loop4[:])},
			{"udp4", unix.AF_INET, datagram, 53, v4, string(loop4[:]), unix.IPPROTO_UDP, 0, string(loop4[:])},
			{"udp6", unix.AF_INET6, datagram, 53, func(p int) unix.Sockaddr { return v6(p, loop6) }, string(loop6[:]),
				unix.IPPROTO_UDP, 0, string(loop6[:])},
		} {
			t.Run(c.name, func(t *testing.T) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				if c.port == 0 {
					c.port = listener(t, unix.AF_INET6, v6(0, loop6))
				}
				fd, err := unix.Socket(c.family, c.kind|unix.SOCK_CLOEXEC, 0)
				if err != nil {
					t.Skipf("skipped: %v", err)
				}
				defer unix.Close(fd)
				from := now()
				err = unix.Connect(fd, c.to(c.port))
				if errno, _ := errors.AsType[unix.Errno](err); errno != c.errno {
					t.Fatalf("connect: %v, want %v", err, c.errno)
				}
				rec := l.one(event.TypeConnect, os.Getpid())
				header(t, rec, tier, os.Getpid(), unix.Gettid(), from, now())
				w := slots{
					event.SlotUID: 0, event.SlotGID: 0, event.SlotResult: -int(c.errno),
					event.SlotDestinationIP: c.ip, event.SlotDestinationPort: c.port,
				}
				if tier == TierBTF {
					w[event.SlotProtocol] = c.protocol
					if c.source != "" {
						w[event.SlotSourceIP], w[event.SlotSourcePort] = c.source, portOf(t, fd)
					}
				}
				check(t, rec, w)
				cut(t, rec)
			})
		}
	})
}

// TestConnectSilent: what is no internet connection is not reported, nor is the end of one.
func TestConnectSilent(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	tiers(t, func(t *testing.T, tier Tier) {
		l := start(t, Options{Tier: tier, Classes: networkOnly})
		local, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(local)
		if err := unix.Connect(local, &unix.SockaddrUnix{Name: filepath.Join(t.TempDir(), "none")}); err == nil {
			t.Fatal("connected to nothing")
		}
		udp, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(udp)
		if errno := disconnect(udp); errno != 0 {
			t.Fatal(errno)
		}
		recs := l.take(func(r event.Record) bool {
			return r.Type() == event.TypeConnect && int(r.PID()) == os.Getpid()
		})
		if len(recs) != 0 {
			t.Errorf("%d records", len(recs))
		}
	})
}
