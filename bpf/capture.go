package bpf

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/btf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/bpf/ring"
	"github.com/kestrel-detection/kestrel/event"
)

// Tier is how much of the kernel the programs can see.
type Tier uint8

// The tiers, best first. TierAuto as an option is the best one that attaches.
const (
	TierAuto Tier = iota
	TierBTF
	TierTracepoint
)

func (t Tier) String() string {
	switch t {
	case TierAuto:
		return "auto"
	case TierBTF:
		return "btf"
	case TierTracepoint:
		return "tracepoint"
	}
	return "invalid"
}

// AllClasses has a bit for every class that is captured.
const AllClasses = 1<<event.ClassProcess | 1<<event.ClassFile | 1<<event.ClassNetwork

// Limits of the ring: below 64 KB a burst of execs does not fit (one has 300 bytes, up to 12 KB), above 64 MB no
// profile goes.
const (
	ringBytesDefault = 256 << 10
	ringBytesMax     = 64 << 20
)

// wakeupPart of the ring filled wakes the reader at once; see ke_send in bpf/c/record.h.
const wakeupPart = 4

// Options say what to capture.
type Options struct {
	RingBytes int      // rounded up to a power of two and whole pages; 0: 256 KB
	Classes   uint32   // a bit per event.Class; 0: all
	Exclude   []uint32 // processes not to report, at most 16
	Tier      Tier
	Cgroup    uint64 // report this control group only (id of the v2 hierarchy); 0: all
}

// normal is o with its defaults filled in.
func (o Options) normal() (Options, error) {
	if o.RingBytes == 0 {
		o.RingBytes = ringBytesDefault
	}
	if o.RingBytes < 0 || o.RingBytes > ringBytesMax {
		return o, fmt.Errorf("capture: ring of %d bytes (max %d)", o.RingBytes, ringBytesMax)
	}
	size := os.Getpagesize()
	for size < o.RingBytes {
		size *= 2
	}
	o.RingBytes = size
	if o.Classes == 0 {
		o.Classes = AllClasses
	}
	if o.Classes&^AllClasses != 0 {
		return o, fmt.Errorf("capture: classes %#x (all: %#x)", o.Classes, AllClasses)
	}
	if o.Tier > TierTracepoint {
		return o, fmt.Errorf("capture: unknown tier %d", o.Tier)
	}
	return o, nil
}

// Capture is a running capture. Close ends it, unless its handles were inherited by another process.
type Capture struct {
	Tier    Tier
	Hooks   []string // attached
	Missing []string // what could not be had, with reasons; also why a better tier was not taken

	collection *ebpf.Collection
	handles    ring.Handles
}

// Handles are what package ring needs; they stay valid until Close.
type Handles = ring.Handles

// DecodeHandles reads what Handles.Encode wrote.
func DecodeHandles(s string) (Handles, error) { return ring.DecodeHandles(s) }

// Load loads the programs and attaches them. The error is a PrivilegeError, a SupportError, or names a bad option.
func Load(o Options) (*Capture, error) {
	o, err := o.normal()
	if err != nil {
		return nil, err
	}
	// Before 5.11 the memory of maps counts against RLIMIT_MEMLOCK. When the limit cannot be raised the load itself says
	// so.
	limitErr := rlimit.RemoveMemlock()
	t, err := openTracefs()
	if err != nil {
		return nil, err
	}
	defer t.Close()
	tiers := []Tier{TierBTF, TierTracepoint}
	if o.Tier != TierAuto {
		tiers = []Tier{o.Tier}
	}
	var reasons []string
	var failed []error
	for _, tier := range tiers {
		c, err := load(t, tier, o)
		if err == nil {
			c.Missing = append(c.Missing, reasons...)
			return c, nil
		}
		if limitErr != nil && errors.Is(err, unix.EPERM) {
			err = errors.Join(err, limitErr)
		}
		reasons = append(reasons, fmt.Sprintf("tier %s: %v", tier, err))
		failed = append(failed, err)
	}
	// With more privilege a tier might have worked: that is the better advice.
	for _, err := range failed {
		if errors.As(err, new(*PrivilegeError)) {
			return nil, err
		}
	}
	if len(failed) == 1 {
		return nil, failed[0]
	}
	return nil, &SupportError{"tracepoints and ring buffers (Linux 5.8)", errors.New(strings.Join(reasons, "; "))}
}

// load tries one tier.
func load(t *tracefs, tier Tier, o Options) (*Capture, error) {
	use, l, missing := offsets(t, tier, o.Classes)
	if len(use) == 0 {
		return nil, &SupportError{"tracepoints", errors.New(strings.Join(missing, "; "))}
	}
	cache := btf.NewCache()
	co := ebpf.CollectionOptions{Cache: cache}
	spec, err := tpSpec()
	if tier == TierBTF {
		spec, err = btfSpec(cache, &co)
	}
	if err != nil {
		return nil, err
	}
	if err := prepare(spec, tier, o, use, l); err != nil {
		return nil, err
	}
	collection, err := ebpf.NewCollectionWithOptions(spec, co)
	if err != nil {
		return nil, classify(err, "tier "+tier.String())
	}
	c := &Capture{Tier: tier, Missing: missing, collection: collection}
	c.handles = ring.Handles{
		Tier: uint8(tier), RingBytes: o.RingBytes,
		Ring: collection.Maps["ke_ring"].FD(), Counters: collection.Maps["ke_count"].FD(),
		Control: collection.Maps["ke_control"].FD(),
	}
	if err := ring.Exclude(c.handles.Control, o.Exclude); err != nil {
		c.Close()
		return nil, fmt.Errorf("capture: %w", err)
	}
	if err := c.attach(t, use); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func tpSpec() (*ebpf.CollectionSpec, error) {
	spec, err := loadTpTier()
	if err != nil {
		return nil, fmt.Errorf("capture: read object: %w", err)
	}
	return spec, nil
}

// btfSpec resolves against the kernel proper only: the type information of a module may be broken or huge.
func btfSpec(cache *btf.Cache, co *ebpf.CollectionOptions) (*ebpf.CollectionSpec, error) {
	types, err := cache.Kernel()
	if err != nil {
		return nil, &SupportError{"type information (/sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF)", err}
	}
	co.Programs.KernelTypes = types
	spec, err := loadBtfTier()
	if err != nil {
		return nil, fmt.Errorf("capture: read object: %w", err)
	}
	if types.TypeByName("bpf_preempt_disable", new(*btf.Func)) != nil {
		withoutKfuncs(spec)
	}
	return spec, nil
}

// withoutKfuncs takes the calls of kernel functions out of the programs; none of them is asked for its result.
func withoutKfuncs(spec *ebpf.CollectionSpec) {
	for _, p := range spec.Programs {
		for i := range p.Instructions {
			if p.Instructions[i].IsKfuncCall() {
				p.Instructions[i] = asm.Mov.Imm(asm.R0, 0)
			}
		}
	}
}

// prepare gives the object its sizes and constants and takes out what is not attached.
func prepare(spec *ebpf.CollectionSpec, tier Tier, o Options, use []hook, l layout) error {
	for name := range spec.Programs {
		if !slices.ContainsFunc(use, func(h hook) bool { return h.program == name }) {
			delete(spec.Programs, name)
		}
	}
	for name, class := range classMaps[tier] {
		switch {
		case o.Classes>>class&1 != 0:
		case o.Classes>>event.ClassProcess&1 != 0:
			spec.Maps[name].MaxEntries = 1 // the exit program names it, in code that is never reached
		default:
			delete(spec.Maps, name)
		}
	}
	spec.Maps["ke_ring"].MaxEntries = uint32(o.RingBytes)
	if tier == TierBTF {
		spec.Maps["ke_scratch"].MaxEntries = 1 // its programs are never interrupted by one another
	}
	l["ke_wakeup_bytes"] = uint64(o.RingBytes / wakeupPart)
	l["ke_only_cgroup"] = o.Cgroup
	_, err := os.Stat("/proc/self/cgroup")
	l["ke_have_cgroup"] = err == nil
	l["ke_classes"] = o.Classes
	for name, v := range l {
		s := spec.Variables[name]
		if s == nil {
			return fmt.Errorf("capture: object has no constant %s", name)
		}
		if err := s.Set(v); err != nil {
			return fmt.Errorf("capture: set constant %s: %w", name, err)
		}
	}
	return nil
}

// attach attaches the hooks that are there.
func (c *Capture) attach(t *tracefs, use []hook) error {
	for name, p := range c.collection.Programs {
		h := use[slices.IndexFunc(use, func(h hook) bool { return h.program == name })]
		if !h.aside {
			c.handles.Programs = append(c.handles.Programs, ring.Program{FD: p.FD(), Point: h.point})
		}
	}
	slices.SortFunc(c.handles.Programs, func(a, b ring.Program) int { return a.FD - b.FD })
	for _, h := range use {
		fd, err := -1, error(nil)
		program := c.collection.Programs[h.program].FD()
		if h.raw {
			fd, err = attachRaw(program)
		} else {
			var id uint64
			if id, err = t.id(h.name); err == nil {
				fd, err = attachTracepoint(id, program)
			}
		}
		if err != nil {
			return classify(fmt.Errorf("attach %s: %w", h.name, err), "tracepoint "+h.name)
		}
		c.handles.Hooks = append(c.handles.Hooks, fd)
		c.Hooks = append(c.Hooks, h.name)
	}
	return nil
}

// Handles are the descriptors of the capture. They are closed by Close; keep the Capture alive as long as they are used.
func (c *Capture) Handles() Handles { return c.handles }

// Memlock is the kernel memory of the maps and programs in bytes, as the kernel accounts it.
func (c *Capture) Memlock() (bytes uint64) {
	for _, m := range c.collection.Maps {
		if info, err := m.Info(); err == nil {
			n, _ := info.Memlock()
			bytes += n
		}
	}
	for _, p := range c.collection.Programs {
		if info, err := p.Info(); err == nil {
			n, _ := info.Memlock()
			bytes += n
		}
	}
	return bytes
}

// Close detaches the programs and frees the maps, unless another process holds their descriptors as well.
func (c *Capture) Close() {
	for _, fd := range c.handles.Hooks {
		unix.Close(fd)
	}
	c.handles.Hooks = nil
	c.collection.Close()
	runtime.KeepAlive(c)
}

// Exclude sets the processes not to report, in place of those before; at most 16.
func (c *Capture) Exclude(pids []uint32) error {
	if err := ring.Exclude(c.handles.Control, pids); err != nil {
		return fmt.Errorf("capture: %w", err)
	}
	return nil
}
