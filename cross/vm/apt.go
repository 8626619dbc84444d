package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

const (
	// defaultMirror is used when the system's own sources name no Debian suite.
	defaultMirror = "http://deb.debian.org/debian"
	// keyring verifies the archive's signature; package debian-archive-keyring.
	keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
	// hopsMax bounds the walk through Depends from the meta package to the package with the kernel in it (two or three).
	hopsMax = 8
)

// archive fetches kernels from a Debian mirror with apt's own programs, through lists and a status file of its own: the
// system's package lists, cache and installed packages stay as they are.
type archive struct {
	cache   string
	mirror  string
	refresh bool            // fetch even what the cache has
	updated map[string]bool // suites whose lists were fetched in this run
}

// tools are the programs that archive runs.
var tools = []string{"apt-get", "apt-cache", "dpkg-deb"}

// suiteRE matches the name of a Debian suite that is served from the main archive.
var suiteRE = regexp.MustCompile(`^(bullseye|bookworm|trixie|forky|duke|sid|unstable|testing|stable|oldstable|oldoldstable)` +
	`(-updates|-backports)?/?$`)

// systemMirror is the mirror that apt is set up to use, or the default one.
func systemMirror(etc string) string {
	lists, _ := filepath.Glob(filepath.Join(etc, "sources.list.d", "*.list"))
	stanzas, _ := filepath.Glob(filepath.Join(etc, "sources.list.d", "*.sources"))
	for _, path := range append([]string{filepath.Join(etc, "sources.list")}, append(lists, stanzas...)...) {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		find := mirrorInList
		if strings.HasSuffix(path, ".sources") {
			find = mirrorInStanzas
		}
		if m := find(string(b)); m != "" {
			return m
		}
	}
	return defaultMirror
}

// mirrorInList reads one-line sources: deb [options] URI suite component...
func mirrorInList(text string) string {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if before, rest, ok := strings.Cut(line, "["); ok {
			_, after, _ := strings.Cut(rest, "]")
			line = before + after
		}
		f := strings.Fields(line)
		if len(f) >= 4 && f[0] == "deb" && usable(f[1]) && suiteRE.MatchString(f[2]) {
			return f[1]
		}
	}
	return ""
}

// mirrorInStanzas reads deb822 sources: fields, continuation lines, stanzas separated by empty lines.
func mirrorInStanzas(text string) string {
	for stanza := range strings.SplitSeq(text, "\n\n") {
		fields, last := map[string]string{}, ""
		for line := range strings.Lines(stanza) {
			if strings.HasPrefix(line, "#") {
				continue
			}
			if strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") {
				fields[last] += line
				continue
			}
			name, value, _ := strings.Cut(line, ":")
			last = strings.ToLower(strings.TrimSpace(name))
			fields[last] = value
		}
		if strings.EqualFold(strings.TrimSpace(fields["enabled"]), "no") {
			continue
		}
		uris := strings.Fields(fields["uris"])
		for _, suite := range strings.Fields(fields["suites"]) {
			if len(uris) > 0 && usable(uris[0]) && suiteRE.MatchString(suite) {
				return uris[0]
			}
		}
	}
	return ""
}

// usable tells whether all suites can be expected at a URI.
func usable(uri string) bool {
	return !strings.HasPrefix(uri, "cdrom:") && !strings.HasPrefix(uri, "file:") && !strings.Contains(uri, "security")
}

func (a *archive) dir(suite string) string { return filepath.Join(a.cache, "apt", suite) }

// config points apt at the private state of a suite, on top of the system's settings (proxy, credentials) but without
// the hooks, which are for the system's own lists. Insecure archives are refused whatever the system's setting.
func (a *archive) config(suite string) string {
	dir := a.dir(suite)
	var b strings.Builder
	for _, hook := range []string{"APT::Update::Pre-Invoke", "APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success",
		"Acquire::IndexTargets::deb::DEP-11", "Acquire::IndexTargets::deb::CNF", "APT::Architectures"} {
		fmt.Fprintf(&b, "#clear %s;\n", hook)
	}
	for _, o := range [][2]string{
		{"Dir::Etc::sourcelist", filepath.Join(dir, "sources.list")},
		{"Dir::Etc::sourceparts", "/dev/null"},
		{"Dir::Etc::preferences", "/dev/null"},
		{"Dir::Etc::preferencesparts", "/dev/null"},
		{"Dir::State::Lists", filepath.Join(dir, "lists")},
		{"Dir::State::status", filepath.Join(dir, "status")},
		{"Dir::Cache", filepath.Join(dir, "cache")},
		{"Acquire::Languages", "none"},
		{"Acquire::AllowInsecureRepositories", "false"},
		{"Acquire::AllowWeakRepositories", "false"},
		{"Acquire::AllowDowngradeToInsecureRepositories", "false"},
		{"APT::Get::AllowUnauthenticated", "false"},
		{"Acquire::Retries", "2"},
	} {
		fmt.Fprintf(&b, "%s %q;\n", o[0], o[1])
	}
	for _, ar := range archs {
		fmt.Fprintf(&b, "APT::Architectures:: %q;\n", ar.name)
	}
	if os.Getuid() == 0 {
		// apt would drop its privileges for downloads and then not reach a cache below /root.
		fmt.Fprintf(&b, "APT::Sandbox::User \"root\";\n")
	}
	return b.String()
}

// update fetches the package lists of a suite, once per run.
func (a *archive) update(suite string) error {
	if a.updated[suite] {
		return nil
	}
	if _, err := os.Stat(keyring); err != nil {
		return fmt.Errorf("verify %s: %w (package debian-archive-keyring)", suite, err)
	}
	dir := a.dir(suite)
	for _, d := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return fmt.Errorf("make package lists: %w", err)
		}
	}
	for name, text := range map[string]string{
		"sources.list": fmt.Sprintf("deb [signed-by=%s] %s %s main\n", keyring, a.mirror, suite),
		"apt.conf":     a.config(suite),
		"status":       "", // nothing is installed
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("make package lists: %w", err)
		}
	}
	// Without --error-on=any apt only warns when a mirror cannot be reached.
	if _, err := a.run(suite, "", "apt-get", "update", "-q", "--error-on=any"); err != nil {
		return fmt.Errorf("suite %s of %s cannot be read: %w", suite, a.mirror, err)
	}
	a.updated[suite] = true
	return nil
}

// imageRE matches the packages on the way from the meta package to the kernel.
var imageRE = regexp.MustCompile(`^linux-(image|binary)-[0-9]`)

// fetch downloads the package that has the kernel of a suite into dir, unpacks it and returns the path of the kernel and
// the package's name and version.
func (a *archive) fetch(suite, arch, dir string) (path, pkg string, err error) {
	name := "linux-image-cloud-" + arch
	var version string
	for hop := 0; ; hop++ {
		if hop == hopsMax {
			return "", "", fmt.Errorf("find kernel: more than %d packages from linux-image-cloud-%s", hopsMax, arch)
		}
		show, err := a.run(suite, dir, "apt-cache", "show", "--no-all-versions", name+":"+arch)
		if err != nil {
			return "", "", fmt.Errorf("find kernel: %w", err)
		}
		var next string
		version, next = parseShow(show)
		if version == "" {
			return "", "", fmt.Errorf("find kernel: %s has no package %s", suite, name)
		}
		if next == "" {
			break
		}
		name = next
	}
	if !imageRE.MatchString(name) {
		return "", "", fmt.Errorf("find kernel: %s depends on no kernel", name)
	}
	if _, err := a.run(suite, dir, "apt-get", "download", "-q", name+":"+arch+"="+version); err != nil {
		return "", "", fmt.Errorf("download kernel: %w", err)
	}
	debs, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(debs) != 1 {
		return "", "", fmt.Errorf("download kernel: %d files, want 1", len(debs))
	}
	root := filepath.Join(dir, "root")
	if _, err := a.run(suite, dir, "dpkg-deb", "-x", debs[0], root); err != nil {
		return "", "", fmt.Errorf("unpack kernel: %w", err)
	}
	// Up to 6.x the kernel is in /boot, later beside its modules.
	for _, pattern := range []string{"boot/vmlinuz-*", "usr/lib/modules/*/vmlinuz", "lib/modules/*/vmlinuz"} {
		if found, _ := filepath.Glob(filepath.Join(root, pattern)); len(found) == 1 {
			return found[0], name + " " + version, nil
		}
	}
	return "", "", fmt.Errorf("unpack kernel: no vmlinuz in %s %s", name, version)
}

// parseShow returns the version of a package from the output of apt-cache show, and the package with the kernel that it
// depends on, if any.
func parseShow(text string) (version, next string) {
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) == "" {
			break // the first stanza is the newest version
		}
		if v, ok := strings.CutPrefix(line, "Version: "); ok {
			version = strings.TrimSpace(v)
		}
		if deps, ok := strings.CutPrefix(line, "Depends: "); ok {
			for dep := range strings.SplitSeq(deps, ",") {
				if f := strings.Fields(dep); len(f) > 0 && imageRE.MatchString(f[0]) {
					next = f[0]
					break
				}
			}
		}
	}
	return version, next
}

// run runs one of apt's programs in a directory and returns what it printed; the error has the last line of what it
// complained about.
func (a *archive) run(suite, dir, program string, args ...string) (string, error) {
	if strings.HasPrefix(program, "apt") {
		args = append([]string{"-c", filepath.Join(a.dir(suite), "apt.conf")}, args...)
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(complaints.String()); text != "" {
			return "", errors.New(strings.ReplaceAll(firstError(text), "\n", " "))
		}
		return "", fmt.Errorf("%s: %w", program, err)
	}
	return out.String(), nil
}

// firstError is the first line that apt marks as an error, else the last line.
func firstError(text string) string {
	lines := strings.Split(text, "\n")
	for _, line := range lines {
		if strings.HasPrefix(line, "E: ") {
			return strings.TrimPrefix(line, "E: ")
		}
	}
	return lines[len(lines)-1]
}
