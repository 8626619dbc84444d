package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kernel is a kernel series and the Debian suite that has it.
type kernel struct {
	series string
	suite  string
}

// kernels are what the tests run on. The last one is whatever backports has at the time; the guest tells its version.
var kernels = []kernel{
	{"5.10", "bullseye"},
	{"6.1", "bookworm"},
	{"6.12", "trixie"},
	{"7.x", "trixie-backports"},
}

// arch is a processor architecture: its name is the same in Go and in Debian.
type arch struct {
	name    string
	qemu    string // program
	pkg     string // Debian package of that program
	machine []string
	console string
}

// archs and how QEMU runs them without hardware virtualization.
var archs = []arch{
	// Without cx16=off 6.12 panics in one of ten boots: a race in the emulation of cmpxchg16b (QEMU 7.2).
	{"amd64", "qemu-system-x86_64", "qemu-system-x86", []string{"-cpu", "max,cx16=off"}, "ttyS0"},
	// Emulating pointer authentication makes a boot three times slower.
	{"arm64", "qemu-system-aarch64", "qemu-system-arm", []string{"-M", "virt", "-cpu", "max,pauth=off"}, "ttyAMA0"},
}

// choose picks the members of all whose names are in a comma-separated list; an empty list is everything.
func choose[T any](list string, all []T, name func(T) string) ([]T, error) {
	if list == "" {
		return all, nil
	}
	var out []T
	for want := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(t T) bool { return name(t) == strings.TrimSpace(want) })
		if i < 0 {
			var names []string
			for _, t := range all {
				names = append(names, name(t))
			}
			return nil, fmt.Errorf("unknown %q (known: %s)", want, strings.Join(names, ", "))
		}
		out = append(out, all[i])
	}
	return out, nil
}

// cacheDir is where kernels and package lists are kept:
//
//	apt/SUITE/            apt.conf, sources.list, status, lists/, cache/: a private apt; the system's is not touched
//	SERIES-ARCH/vmlinuz   the kernel
//	SERIES-ARCH/package   the Debian package it came from, name and version
func cacheDir() (string, error) {
	base := os.Getenv("XDG_CACHE_HOME")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find cache: %w", err)
		}
		base = filepath.Join(home, ".cache")
	}
	return filepath.Join(base, "kestrel", "kernels"), nil
}

// image returns the path of a kernel and the package that it came from, from the cache or else from the archive.
func (a *archive) image(k kernel, ar arch) (path, pkg string, err error) {
	dir := filepath.Join(a.cache, k.series+"-"+ar.name)
	path = filepath.Join(dir, "vmlinuz")
	if !a.refresh {
		if b, err := os.ReadFile(filepath.Join(dir, "package")); err == nil {
			if _, err := os.Stat(path); err == nil {
				return path, strings.TrimSpace(string(b)), nil
			}
		}
	}
	if err := a.update(k.suite); err != nil {
		return "", "", err
	}
	work, err := os.MkdirTemp(a.cache, "new-")
	if err != nil {
		return "", "", fmt.Errorf("make cache: %w", err)
	}
	defer os.RemoveAll(work)
	found, pkg, err := a.fetch(k.suite, ar.name, work)
	if err != nil {
		return "", "", err
	}
	// Complete the directory before it takes its name: an interrupted run leaves nothing that looks finished.
	fresh := filepath.Join(work, "kernel")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return "", "", fmt.Errorf("make cache: %w", err)
	}
	if err := os.Rename(found, filepath.Join(fresh, "vmlinuz")); err != nil {
		return "", "", fmt.Errorf("keep kernel: %w", err)
	}
	if err := os.WriteFile(filepath.Join(fresh, "package"), []byte(pkg+"\n"), 0o644); err != nil {
		return "", "", fmt.Errorf("keep kernel: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", "", fmt.Errorf("replace kernel: %w", err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		return "", "", fmt.Errorf("keep kernel: %w", err)
	}
	return path, pkg, nil
}
