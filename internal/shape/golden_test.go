package shape

import (
	"flag"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite testdata/limits.golden")

const goldenFile = "testdata/limits.golden"

// constants are the constants of a package as lines, by name: name, type unless it has none, value.
func constants(fset *token.FileSet, files []*ast.File) ([]string, error) {
	info := &types.Info{Defs: map[*ast.Ident]types.Object{}}
	conf := types.Config{Importer: importer.ForCompiler(fset, "source", nil)}
	pkg, err := conf.Check("limits", fset, files, info)
	if err != nil {
		return nil, err
	}
	var list []string
	for _, name := range pkg.Scope().Names() { // sorted
		c, ok := pkg.Scope().Lookup(name).(*types.Const)
		if !ok {
			continue
		}
		kind := ""
		if b, basic := c.Type().(*types.Basic); !basic || b.Info()&types.IsUntyped == 0 {
			kind = " " + types.TypeString(c.Type(), types.RelativeTo(pkg))
		}
		list = append(list, fmt.Sprintf("%s%s = %s", name, kind, c.Val().ExactString()))
	}
	return list, nil
}

// difference lists what is only in the golden lines and what is only in the tree.
func difference(golden, tree []string) []string {
	var list []string
	for _, line := range golden {
		if !slices.Contains(tree, line) {
			list = append(list, "- "+line)
		}
	}
	for _, line := range tree {
		if !slices.Contains(golden, line) {
			list = append(list, "+ "+line)
		}
	}
	return list
}

// TestGolden shows every change of a limit in review, with its value: the constants of package limits as a default build
// sees them.
func TestGolden(t *testing.T) {
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	tr := theTree(t)
	folder := tr.folder("limits")
	if folder == nil {
		t.Fatal("there is no package limits")
	}
	var files []*ast.File
	for _, f := range folder.files {
		name := filepath.Join(dir, filepath.FromSlash(f.path))
		built, err := build.Default.MatchFile(filepath.Dir(name), filepath.Base(name))
		if err != nil {
			t.Fatal(err)
		}
		if built && !f.test {
			files = append(files, f.ast)
		}
	}
	got, err := constants(tr.fset, files)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) == 0 {
		t.Fatal("package limits has no constants")
	}
	if *update {
		if err := os.WriteFile(goldenFile, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(golden), "\n"), "\n")
	if diff := difference(want, got); len(diff) > 0 {
		t.Errorf("limits changed; if that is meant: go test ./internal/shape -run TestGolden -update\n%s",
			strings.Join(diff, "\n"))
	}
}

func TestGoldenCanary(t *testing.T) {
	const source = `package limits

type size uint16

const (
	RulesMax        = 1 << 4
	BytesMax uint32 = RulesMax * 1024
	hidden   size   = 3
	Name            = "kestrel"
	_               = uint(RulesMax - 2)
)

var notConstant = RulesMax
`
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "limits.go", source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	got, err := constants(fset, []*ast.File{f})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"BytesMax uint32 = 16384", `Name = "kestrel"`, "RulesMax = 16", "hidden size = 3"}
	if !slices.Equal(got, want) {
		t.Errorf("constants are %q, want %q", got, want)
	}
	changed := []string{"BytesMax uint32 = 16384", `Name = "kestrel"`, "Other = 1", "RulesMax = 17"}
	mustCatch(t, difference(changed, got),
		[]string{"- Other = 1"}, []string{"- RulesMax = 17"}, []string{"+ RulesMax = 16"}, []string{"+ hidden size = 3"})
}
