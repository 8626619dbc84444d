// Package bpf captures what happens on a device: it loads the kernel programs of bpf/c, attaches them and hands their
// ring buffer to whoever reads it (package ring).
//
// There are two tiers. TierBTF uses the kernel's type information and sees everything in the table of bpf/README.md;
// TierTracepoint needs tracepoints only and sees less. Load takes the best one that attaches: it tries, it does not
// guess from a version.
//
// Loading parses the kernel's type information, which costs 15 to 25 MB for a moment. So the agent loads, passes the
// file descriptors on (Capture.Handles, Handles.ClearCloexec) and executes itself again; the second image imports only
// package ring. Until then the Capture must be kept alive: its objects close their descriptors when collected.
//
// When the ring is full the kernel drops the newest event and counts it by class; nothing waits for the reader. The
// same holds for every other reason why an event cannot be sent: see ring.Stats.
//
// A Capture belongs to one goroutine.
package bpf

//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -no-global-types -target amd64,arm64 -output-stem btf -cc clang-14 -cflags "-O2 -Wall -Werror -mcpu=v2" btfTier c/btf.bpf.c
//go:generate go run github.com/cilium/ebpf/cmd/bpf2go -go-package bpf -no-global-types -target amd64,arm64 -output-stem tp -cc clang-14 -cflags "-O2 -Wall -Werror -mcpu=v2" tpTier c/tp.bpf.c
