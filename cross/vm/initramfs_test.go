package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/cross/vm/plan"
)

// members reads the names and modes of an archive.
func members(t *testing.T, archive []byte) map[string]uint64 {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]uint64{}
	const headerBytes = 110
	for at := 0; ; {
		field := func(i int) int {
			v, err := strconv.ParseUint(string(b[at+6+8*i:at+14+8*i]), 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			return int(v)
		}
		name := string(b[at+headerBytes : at+headerBytes+field(11)-1])
		if name == "TRAILER!!!" {
			return out
		}
		if _, twice := out[name]; twice {
			t.Errorf("%s is in the archive twice", name)
		}
		if up := strings.LastIndexByte(name, '/'); up > 0 && out[name[:up]]&0o170000 != cpioDir {
			t.Errorf("%s comes before its directory", name)
		}
		out[name] = uint64(field(1))
		at += (headerBytes+field(11)+3)&^3 + (field(6)+3)&^3
	}
}

func TestInitramfs(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: builds programs")
	}
	set := []suite{
		{pkg: "./cross/vm", needs: []string{"./cross/vm/init", "/bin/true", "/bin/cat"}},
		{pkg: "./cross/vm/init", needs: []string{"./cross/vm/init", "/bin/true"}},
	}
	archive, err := initramfs("../..", "arm64", set, testOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got := members(t, archive)
	for name, mode := range map[string]uint64{
		"init": cpioFile | 0o755, "bin/init": cpioFile | 0o755, "dev/console": cpioCharDev | 0o600,
		"test/vm/vm.test": cpioFile | 0o755, "test/init/init.test": cpioFile | 0o755, "var/tmp": cpioDir | 0o755,
		"test/vm/testdata/good.cpio": cpioFile | 0o644, strings.TrimPrefix(plan.Path, "/"): cpioFile | 0o644,
	} {
		if got[name] != mode {
			t.Errorf("%s: mode %o, want %o", name, got[name], mode)
		}
	}
	for _, need := range []string{"/bin/ls", "cmd/kestrel", "./cross/vm/none"} {
		if _, err := initramfs("../..", "arm64", []suite{{pkg: "./cross/vm/init", needs: []string{need}}}, testOptions{}); err == nil {
			t.Errorf("%s can be needed", need)
		}
	}
}
