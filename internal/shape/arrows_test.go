package shape

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// arrow is what a package may import of this module. Tests may import more.
type arrow struct {
	may  string // folders, or all
	host bool   // not for a device: nothing that cmd/kestrel-agent links leads here
}

const all = "*"

// arrows is the table of the two flows, data and rules. A new package gets its line here, with as few arrows as it can do
// with.
var arrows = map[string]arrow{
	"limits": {},
	"cbor":   {may: "limits"},

	// Data: source, event ring, match, sequence, alert ring, sink.
	"event":       {may: "limits"},
	"event/alert": {may: "event limits"},
	"event/evlog": {may: "event limits"},
	"event/proc":  {may: "event limits"},
	"event/ring":  {may: "event limits"},
	"bpf":         {may: "bpf/ring event limits"},
	"bpf/ring":    {may: "event limits"},
	"dfa":         {may: "limits"},
	"expr":        {may: "dfa event event/alert limits"},
	"image":       {may: "cbor dfa event expr limits"},
	"nfa":         {may: "event event/alert image limits"},
	"lineage":     {},
	"suppress":    {may: "event event/alert"},
	"engine":      {may: "dfa event event/alert expr image limits lineage nfa suppress"},
	"sink":        {may: "event event/alert limits"},

	// The device: what ties the above together.
	"arena":          {may: "limits"},
	"image/defaults": {},
	"version":        {may: "event image limits"},
	"agent/config":   {may: "limits"},
	"agent/procfs":   {may: "event limits"},
	"agent": {may: "agent/config agent/procfs arena bpf bpf/ring engine event event/alert event/evlog event/proc " +
		"event/ring image limits nfa sink version"},
	"cmd/kestrel-agent": {may: "agent agent/config arena bpf bpf/ring engine event event/alert event/evlog image " +
		"image/defaults limits sink version"},

	// Rules: language, typed form, image writer.
	"eql":           {may: "limits", host: true},
	"ir":            {may: "event limits", host: true},
	"ir/check":      {may: "dfa/build eql event expr/build ir limits", host: true},
	"ir/reference":  {may: "dfa/build event ir limits", host: true},
	"ir/irtest":     {may: "event ir", host: true},
	"dfa/build":     {may: "dfa limits", host: true},
	"expr/build":    {may: "dfa/build event expr ir limits", host: true},
	"image/build":   {may: "cbor dfa dfa/build event expr/build image ir limits", host: true},
	"rules":         {may: "eql event event/alert image/build ir ir/check limits", host: true},
	"rules/explain": {may: "event ir ir/reference", host: true},
	"event/ecsjson": {may: "event limits", host: true},

	// Hunts: the language itself, apart from what the device does with it.
	"hunt/value":  {host: true},
	"hunt/events": {may: "event event/ecsjson event/evlog event/proc hunt/value", host: true},
	"hunt/expr":   {may: "dfa/build eql hunt/events hunt/value", host: true},
	"hunt":        {may: "eql hunt/events hunt/expr hunt/value", host: true},

	// Tools.
	"bench": {may: "agent dfa dfa/build engine event event/alert event/evlog event/proc expr expr/build image image/build ir " +
		"ir/reference limits nfa sink", host: true},
	"event/gen":           {may: "event limits", host: true},
	"cmd/kestrel":         {may: all, host: true},
	"cross/vm":            {may: "cross/vm/plan", host: true},
	"cross/vm/init":       {may: "cross/vm/plan", host: true},
	"cross/vm/plan":       {host: true},
	"internal/agree":      {host: true},
	"internal/corpus":     {host: true},
	"internal/shape":      {host: true},
	"internal/mallocs":    {host: true},
	"internal/testreport": {host: true},
}

// modules are the third-party modules and where each may stand; elsewhere Kestrel's own code does not know them.
var modules = map[string]struct{ why, may string }{
	"github.com/cilium/ebpf":            {"loads and attaches the kernel programs", "bpf"},
	"github.com/cloudflare/ahocorasick": {"what the automata are measured beside, on a host", "bench"},
	"github.com/pelletier/go-toml/v2":   {"reads the configuration, and Elastic rules on a host", "agent/config rules"},
	"github.com/spf13/cobra":            {"commands of the full tool", "cmd/kestrel"},
	"go.yaml.in/yaml/v3":                {"reads rule packages and their tests, on a host", "rules cmd/kestrel"},
	"golang.org/x/sys": {"system calls", "agent agent/procfs arena bench bpf bpf/ring cmd/kestrel cmd/kestrel-agent " +
		"cross/vm/init event/proc sink"},
}

const arrowsFile = "internal/shape/arrows_test.go"

// brokenArrows are the imports that a table does not allow.
func brokenArrows(t *tree, table map[string]arrow) []string {
	var list []string
	for _, folder := range t.folders {
		a, ok := table[folder.path]
		if !ok {
			list = append(list, fmt.Sprintf("%s is not in the table: add what it may import to arrows in %s", folder.path,
				arrowsFile))
			continue
		}
		for _, file := range folder.files {
			if file.test {
				continue
			}
			for _, imp := range file.imports() {
				if v := broken(t.module, folder.path, a, imp); v != "" {
					list = append(list, file.path+v)
				}
			}
		}
	}
	return list
}

func broken(module, folder string, a arrow, imp string) string {
	if local, ok := strings.CutPrefix(imp, module+"/"); ok {
		if a.may == all || slices.Contains(strings.Fields(a.may), local) {
			return ""
		}
		return fmt.Sprintf(" imports %s: no such arrow from %s; see arrows in %s", local, folder, arrowsFile)
	}
	if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") {
		return ""
	}
	for m, where := range modules {
		if imp == m || strings.HasPrefix(imp, m+"/") {
			if slices.Contains(strings.Fields(where.may), folder) {
				return ""
			}
			return fmt.Sprintf(" imports %s, which stands in %s only (%s)", imp, where.may, where.why)
		}
	}
	return fmt.Sprintf(" imports %s, a module that is not in the table of modules in %s", imp, arrowsFile)
}

// brokenTable are the faults of the table itself: arrows to nowhere, and ways from the device to the host's packages.
func brokenTable(table map[string]arrow, from ...string) []string {
	var list []string
	reached := map[string]bool{}
	for len(from) > 0 {
		p := from[0]
		from = from[1:]
		if reached[p] {
			continue
		}
		reached[p] = true
		if table[p].host {
			list = append(list, "the device reaches "+p+", which is for the host")
			continue
		}
		from = append(from, strings.Fields(table[p].may)...)
	}
	for p, a := range table {
		for _, to := range strings.Fields(a.may) {
			if _, ok := table[to]; !ok && to != all {
				list = append(list, fmt.Sprintf("the table has an arrow from %s to %s, which is not in it", p, to))
			}
		}
	}
	slices.Sort(list)
	return list
}

func TestArrows(t *testing.T) {
	report(t, brokenArrows(theTree(t), arrows))
	report(t, brokenTable(arrows, "cmd/kestrel-agent", "agent"))
}

func TestArrowsCanary(t *testing.T) {
	tr, err := parseTree(fstest.MapFS{
		"go.mod":              {Data: []byte("module example.org/m\n")},
		"alpha/a.go":          {Data: []byte("package alpha\nimport _ \"example.org/m/beta\"\n")},
		"alpha/a_test.go":     {Data: []byte("package alpha\nimport _ \"example.org/m/gamma\"\n")},
		"alpha/tagged.go":     {Data: []byte("//go:build kestrel_other\n\npackage alpha\nimport _ \"example.org/m/gamma\"\n")},
		"beta/b.go":           {Data: []byte("package beta\nimport _ \"github.com/spf13/cobra\"\n")},
		"delta/d.go":          {Data: []byte("package delta\n")},
		"gamma/g.go":          {Data: []byte("package gamma\nimport _ \"example.com/other\"\n")},
		"gamma/testdata/g.go": {Data: []byte("package gamma\nimport _ \"example.org/m/alpha\"\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	table := map[string]arrow{"alpha": {may: "beta"}, "beta": {may: "gamma nowhere"}, "gamma": {host: true}}
	mustCatch(t, brokenArrows(tr, table),
		[]string{"alpha/tagged.go imports gamma"},
		[]string{"beta/b.go imports github.com/spf13/cobra", "cmd/kestrel only"},
		[]string{"delta is not in the table"},
		[]string{"gamma/g.go imports example.com/other", "not in the table of modules"})
	mustCatch(t, brokenTable(table, "alpha"),
		[]string{"the device reaches gamma"},
		[]string{"from beta to nowhere"})
}
