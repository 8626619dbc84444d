package shape

import (
	"fmt"
	"strings"
	"testing"
)

// agentFolder is the firmware binary.
const agentFolder = "cmd/kestrel-agent"

// forbidden are the packages that the firmware binary must not link, and why. A path ending in /... means the package
// and all below it; a path without a dot in its first part that is not the standard library's is this module's.
var forbidden = []struct{ path, why string }{
	{"eql/...", "the language: rules are compiled on a host"},
	{"ir/...", "the typed form of rules: rules are compiled on a host"},
	{"rules/...", "rule packages: rules are compiled on a host"},
	{"dfa/build/...", "the automata's compiler: a device only reads tables"},
	{"image/build/...", "the image writer: a device only reads images"},
	{"event/ecsjson/...", "test events and imported logs: a device gets records"},
	{"event/gen/...", "a generator of source code"},

	{"encoding/json/...", "alerts are written by hand into a fixed buffer; json brings reflection on the path and 300 KB"},
	{"encoding/gob/...", "compiles encoders at run time"},
	{"text/template/...", "calls methods by name, so that the linker keeps every exported method of the program"},
	{"html/template/...", "as text/template"},
	{"net", "a resolver and a poller that nothing here needs: sinks use sockets through golang.org/x/sys"},
	{"net/http/...", "4 MB, and a server or client that a device has no use for"},
	{"crypto/tls/...", "the alert link has no TLS; certificates and their parsers are 2 MB"},
	{"crypto/x509/...", "as crypto/tls"},
	{"regexp/...", "patterns are compiled into automata on a host; at run time package dfa has them all"},
	{"log/...", "allocates and formats; the agent has counters and its own console lines"},
	{"plugin", "a static binary cannot load one"},
	{"runtime/cgo", "a static binary for every libc has no C in it"},
	{"os/user", "looks users up in files; records carry ids, the user table carries names"},
	{"testing/...", "for tests"},
	{"expvar", "brings net/http and json"},
	{"database/sql/...", "not on a device"},

	{"github.com/spf13/cobra/...", "commands of the full tool, through text/template"},
	{"github.com/spf13/pflag/...", "as cobra"},
	{"github.com/cloudflare/ahocorasick/...", "4 KB a node"},
	{"github.com/prometheus/...", "for the full build"},
	{"github.com/veraison/go-cose/...", "signing is the host's; a device verifies"},
	{"github.com/fxamacker/cbor/...", "reflection; package cbor reads what an image has"},
	{"go.yaml.in/...", "rule packages are the host's"},
	{"gopkg.in/yaml.v3/...", "as go.yaml.in"},
}

// linkedForbidden are the packages among deps, as go list names them, that are forbidden.
func linkedForbidden(module string, deps []string) []string {
	var list []string
	for _, dep := range deps {
		dep = strings.TrimPrefix(dep, module+"/")
		for _, f := range forbidden {
			prefix, tree := strings.CutSuffix(f.path, "/...")
			if dep == prefix || tree && strings.HasPrefix(dep, prefix+"/") {
				list = append(list, fmt.Sprintf("%s is linked: %s", dep, f.why))
			}
		}
	}
	return list
}

var architectures = []string{"amd64", "arm64"}

func TestDeviceBinary(t *testing.T) {
	tr := theTree(t)
	if tr.folder(agentFolder) == nil {
		t.Skipf("there is no %s yet", agentFolder)
	}
	for _, arch := range architectures {
		t.Run(arch, func(t *testing.T) {
			out, _ := goCommand(t, arch, "list", "-deps", "./"+agentFolder)
			deps := strings.Fields(string(out))
			if len(deps) < 20 {
				t.Fatalf("only %d dependencies: %v", len(deps), deps)
			}
			report(t, linkedForbidden(tr.module, deps))
			if t.Failed() {
				t.Logf("what brings a package in: go list -deps -f '{{.ImportPath}}: {{.Imports}}' ./%s", agentFolder)
			}
		})
	}
}

func TestDeviceCanary(t *testing.T) {
	tr := theTree(t)
	out, _ := goCommand(t, "arm64", "list", "-deps", "./internal/shape/testdata/device")
	mustCatch(t, linkedForbidden(tr.module, strings.Fields(string(out))),
		[]string{"encoding/json is linked"},
		[]string{"dfa/build is linked"},
		[]string{"regexp/syntax is linked"},
		[]string{"regexp is linked"})
}
