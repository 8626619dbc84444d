package bpf

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/bpf/ring"
	"github.com/kestrel-detection/kestrel/event"
)

func TestOptions(t *testing.T) {
	page := os.Getpagesize()
	for _, c := range []struct {
		in   Options
		want int
		bad  bool
	}{
		{Options{}, ringBytesDefault, false},
		{Options{RingBytes: 1}, page, false},
		{Options{RingBytes: page + 1}, 2 * page, false},
		{Options{RingBytes: 1 << 20}, 1 << 20, false},
		{Options{RingBytes: ringBytesMax}, ringBytesMax, false},
		{Options{RingBytes: ringBytesMax + 1}, 0, true},
		{Options{RingBytes: -1}, 0, true},
		{Options{Classes: 1 << event.ClassContext}, 0, true},
		{Options{Tier: TierTracepoint + 1}, 0, true},
	} {
		o, err := c.in.normal()
		if (err != nil) != c.bad {
			t.Errorf("%+v: error %v", c.in, err)
		}
		if err == nil && o.RingBytes != c.want {
			t.Errorf("%+v: ring of %d bytes, want %d", c.in, o.RingBytes, c.want)
		}
	}
}

// TestClasses: what is not asked for is not attached.
func TestClasses(t *testing.T) {
	tiers(t, func(t *testing.T, tier Tier) {
		for classes, want := range map[uint32]string{
			processOnly: "sched_process", fileOnly: "open", networkOnly: "connect",
			processOnly | networkOnly: "connect", AllClasses: "openat",
		} {
			l := start(t, Options{Tier: tier, Classes: classes, RingBytes: 1 << 16})
			all := strings.Join(l.c.Hooks, " ")
			if !strings.Contains(all, want) {
				t.Errorf("classes %#x: hooks %s", classes, all)
			}
			for class, word := range map[uint32]string{processOnly: "sched_process", fileOnly: "open", networkOnly: "connect"} {
				if classes&class == 0 && strings.Contains(all, word) {
					t.Errorf("classes %#x: hooks %s", classes, all)
				}
			}
			t.Logf("tier %s, classes %03b: %2d hooks, %d bytes of kernel memory", tier, classes, len(l.c.Hooks), l.c.Memlock())
			l.c.Close()
		}
	})
}

// TestVerifier prints what the verifier had to look at; its limit is a million instructions a program.
func TestVerifier(t *testing.T) {
	tiers(t, func(t *testing.T, tier Tier) {
		l := start(t, Options{Tier: tier})
		for name, p := range l.c.collection.Programs {
			info, err := p.Info()
			if err != nil {
				t.Fatal(err)
			}
			n, ok := info.VerifiedInstructions()
			if !ok {
				t.Skip("skipped: this kernel does not say")
			}
			t.Logf("%-18s %6d instructions verified", name, n)
			if n > 200_000 {
				t.Errorf("%s: %d instructions verified, too near to the limit", name, n)
			}
		}
	})
}

func TestAutoTier(t *testing.T) {
	l := start(t, Options{})
	if l.c.Tier != TierBTF && l.c.Tier != TierTracepoint {
		t.Errorf("tier %s", l.c.Tier)
	}
	if _, err := os.Stat("/sys/kernel/btf/vmlinux"); err == nil && l.c.Tier != TierBTF {
		t.Errorf("tier %s on a kernel with type information: %s", l.c.Tier, l.c.Missing)
	}
}

// TestWithoutTypes: where the kernel has no type information the other tier is taken, and says why.
func TestWithoutTypes(t *testing.T) {
	start(t, Options{Tier: TierTracepoint, Classes: processOnly}) // skips without privilege
	out, err := helperCommand("without-types").CombinedOutput()
	if strings.HasPrefix(string(out), "cannot hide") {
		t.Skipf("skipped: %s", out)
	}
	if err != nil || !strings.HasPrefix(string(out), "tier tracepoint 18 hooks; tier btf: ") &&
		!strings.HasPrefix(string(out), "tier tracepoint 14 hooks; tier btf: ") { // arm64 has no open and creat
		t.Errorf("%s (%v)", out, err)
	}
	t.Logf("%s", out)
}

// TestNoBTFObject: the object of the second tier has nothing that needs the kernel's types.
func TestNoBTFObject(t *testing.T) {
	spec, err := tpSpec()
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range spec.Programs {
		if p.AttachTo != "" && !strings.Contains(p.AttachTo, "/") {
			t.Errorf("%s: attaches by type to %s", name, p.AttachTo)
		}
		for i := range p.Instructions {
			if r := fmt.Sprint(p.Instructions[i].Metadata); strings.Contains(r, "CORERelocation") {
				t.Errorf("%s: instruction %d is relocated by type", name, i)
			}
		}
	}
}

func TestHandles(t *testing.T) {
	l := start(t, Options{RingBytes: 1 << 16})
	h := l.c.Handles()
	text := h.Encode()
	got, err := DecodeHandles(text)
	if err != nil {
		t.Fatal(err)
	}
	if got.Encode() != text || got.Tier != uint8(l.c.Tier) || got.RingBytes != 1<<16 ||
		!slices.Equal(got.Programs, h.Programs) || !slices.Equal(got.Hooks, h.Hooks) {
		t.Errorf("%s became %+v", text, got)
	}
	flags := func() int {
		v, err := unix.FcntlInt(uintptr(h.Ring), unix.F_GETFD, 0)
		if err != nil {
			t.Fatal(err)
		}
		return v & unix.FD_CLOEXEC
	}
	if flags() == 0 {
		t.Error("descriptors live through exec before they are asked to")
	}
	if err := h.ClearCloexec(); err != nil || flags() != 0 {
		t.Errorf("clear: flags %d, error %v", flags(), err)
	}
	if err := h.SetCloexec(); err != nil || flags() == 0 {
		t.Errorf("set: flags %d, error %v", flags(), err)
	}
	if _, err := ring.Open(h.Ring, 1<<17); err == nil {
		t.Error("a ring of another size is accepted")
	}
	if _, err := ring.Open(h.Counters, 1<<16); err == nil {
		t.Error("a counter map is taken for a ring")
	}
	if _, err := ring.OpenCounters(h.Ring, nil); err == nil {
		t.Error("a ring is taken for a counter map")
	}
	f, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := ring.Open(int(f.Fd()), 1<<16); err == nil {
		t.Error("a file is taken for a ring")
	}
}

// TestUnprivileged: without the capabilities the error says so.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		_, err := Load(Options{})
		if !errors.As(err, new(*PrivilegeError)) {
			t.Errorf("%v is no PrivilegeError", err)
		}
		return
	}
	cmd := helperCommand("load")
	cmd.SysProcAttr = asNobody()
	if dir, err := os.Open("."); err == nil {
		dir.Close()
		cmd.Dir = "/"
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "no privilege") {
		t.Errorf("%s (%v), want a PrivilegeError", out, err)
	}
	t.Logf("%s", out)
}
