package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSystemMirror(t *testing.T) {
	const own = "http://mirror.example/debian"
	for _, c := range []struct {
		name, file, text string
		want             string
	}{
		{"nothing", "other", "", defaultMirror},
		{"list", "sources.list", "# deb http://no.example/debian trixie main\ndeb " + own + " trixie main\n", own},
		{"list-options", "sources.list.d/a.list", "deb [arch=amd64 signed-by=/k.gpg] " + own + " bookworm-updates main\n", own},
		{"list-security", "sources.list", "deb http://security.example/debian-security bookworm-security main\n", defaultMirror},
		{"list-other", "sources.list", "deb http://archive.example/ubuntu noble main\n", defaultMirror},
		{"list-source", "sources.list", "deb-src " + own + " trixie main\n", defaultMirror},
		{"list-cdrom", "sources.list", "deb cdrom:[Debian GNU/Linux] trixie main\n", defaultMirror},
		{"list-cut", "sources.list", "deb " + own, defaultMirror},
		{"stanzas", "sources.list.d/debian.sources", "Types: deb\n# a comment\nURIs: http://s.example/debian-security\n" +
			"Suites: bookworm-security\nComponents: main\n\nTypes: deb\nuris: " + own + "\nSuites:\n bookworm\n bookworm-updates\n", own},
		{"stanza-disabled", "sources.list.d/debian.sources", "Enabled: no\nURIs: " + own + "\nSuites: trixie\n", defaultMirror},
		{"stanza-without-uri", "sources.list.d/debian.sources", "Suites: trixie\n", defaultMirror},
	} {
		t.Run(c.name, func(t *testing.T) {
			etc := t.TempDir()
			if err := os.Mkdir(filepath.Join(etc, "sources.list.d"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(etc, c.file), []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			if got := systemMirror(etc); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

func TestParseShow(t *testing.T) {
	for _, c := range []struct {
		name, text, version, next string
	}{
		{"meta", "Package: linux-image-cloud-amd64\nVersion: 6.1.176-1\nDepends: linux-image-6.1.0-50-cloud-amd64 (= 6.1.176-1)\n",
			"6.1.176-1", "linux-image-6.1.0-50-cloud-amd64"},
		{"meta-of-many", "Version: 7.3.4-1~bpo13+1\nDepends: linux-base-cloud-amd64 (= 7.3), linux-image-7.3.4+deb13-cloud-amd64 (= 7.3), " +
			"linux-modules-cloud-amd64 (= 7.3)\n", "7.3.4-1~bpo13+1", "linux-image-7.3.4+deb13-cloud-amd64"},
		{"split", "Version: 7.3\nDepends: linux-binary-7.3.4+deb13-cloud-amd64 (= 7.3), linux-modules-7.3.4 (= 7.3)\n", "7.3",
			"linux-binary-7.3.4+deb13-cloud-amd64"},
		{"kernel", "Version: 6.1.176-1\nDepends: kmod, linux-base (>= 4.3~), initramfs-tools (>= 0.120+deb8u2) | linux-initramfs-tool\n",
			"6.1.176-1", ""},
		{"two-versions", "Version: 2\n\nVersion: 1\nDepends: linux-image-1\n", "2", ""},
		{"nothing", "", "", ""},
	} {
		if version, next := parseShow(c.text); version != c.version || next != c.next {
			t.Errorf("%s: %q %q, want %q %q", c.name, version, next, c.version, c.next)
		}
	}
}

// TestFetch runs the whole way to a kernel with programs in place of apt's that know one package.
func TestFetch(t *testing.T) {
	bin := t.TempDir()
	script := func(name, text string) {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	script("apt-cache", `for last; do :; done
case $last in
linux-image-cloud-arm64:arm64) echo "Version: 1"; echo "Depends: linux-image-9.1-cloud-arm64 (= 1)";;
linux-image-9.1-cloud-arm64:arm64) echo "Version: 1"; echo "Depends: linux-base, linux-binary-9.1-cloud-arm64 (= 1)";;
linux-binary-9.1-cloud-arm64:arm64) echo "Version: 1";;
linux-image-cloud-amd64:amd64) echo "Version: 1"; echo "Depends: linux-image-cloud-amd64";;
*) echo "E: No packages found" >&2; exit 100;;
esac
`)
	script("apt-get", `for last; do :; done
[ "$last" = linux-binary-9.1-cloud-arm64:arm64=1 ] && : > one.deb
`)
	script("dpkg-deb", `mkdir -p "$3/usr/lib/modules/9.1" && echo kernel > "$3/usr/lib/modules/9.1/vmlinuz"
`)
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	a := &archive{cache: t.TempDir(), mirror: defaultMirror, updated: map[string]bool{"sid": true}}

	path, pkg, err := a.image(kernel{"9.x", "sid"}, arch{name: "arm64"})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "kernel\n" {
		t.Errorf("kernel %q, %v", b, err)
	}
	if pkg != "linux-binary-9.1-cloud-arm64 1" {
		t.Errorf("package %q", pkg)
	}
	if path != filepath.Join(a.cache, "9.x-arm64", "vmlinuz") {
		t.Errorf("kernel at %s", path)
	}
	left, err := filepath.Glob(filepath.Join(a.cache, "new-*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}

	// From the cache: apt is not asked again, unless told to.
	script("apt-cache", "echo 'E: asked' >&2; exit 1\n")
	if again, pkgAgain, err := a.image(kernel{"9.x", "sid"}, arch{name: "arm64"}); err != nil || again != path || pkgAgain != pkg {
		t.Errorf("second time: %q, %q, %v", again, pkgAgain, err)
	}
	a.refresh = true
	if _, _, err := a.image(kernel{"9.x", "sid"}, arch{name: "arm64"}); err == nil || !strings.Contains(err.Error(), "asked") {
		t.Errorf("refresh: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("a refresh that fails takes the old kernel away: %v", err)
	}
}

func TestFetchRefuses(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	for name, c := range map[string]struct{ show, want string }{
		"unknown":    {"exit 0", "has no package"},
		"no-kernel":  {"echo 'Version: 1'", "depends on no kernel"},
		"circle":     {"echo 'Version: 1'; echo 'Depends: linux-image-1'", "more than 8 packages"},
		"complaint":  {"echo noise >&2; echo 'E: broken' >&2; echo more >&2; exit 1", "find kernel: broken"},
		"just-fails": {"exit 3", "exit status 3"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(filepath.Join(bin, "apt-cache"), []byte("#!/bin/sh\n"+c.show+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			a := &archive{cache: t.TempDir()}
			if _, _, err := a.fetch("sid", "amd64", t.TempDir()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestConfig: the settings that keep the system's apt untouched and the archive verified are all there.
func TestConfig(t *testing.T) {
	a := &archive{cache: "/c"}
	text := a.config("sid")
	for _, want := range []string{
		"#clear APT::Update::Post-Invoke;\n",
		"Dir::Etc::sourcelist \"/c/apt/sid/sources.list\";\n",
		"Dir::Etc::sourceparts \"/dev/null\";\n",
		"Dir::State::Lists \"/c/apt/sid/lists\";\n",
		"Dir::State::status \"/c/apt/sid/status\";\n",
		"Dir::Cache \"/c/apt/sid/cache\";\n",
		"Acquire::AllowInsecureRepositories \"false\";\n",
		"APT::Get::AllowUnauthenticated \"false\";\n",
		"APT::Architectures:: \"amd64\";\nAPT::Architectures:: \"arm64\";\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
