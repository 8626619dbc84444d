package shape

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// hotFolders are the packages between source and sink. Their tests are free.
var hotFolders = []string{
	"bpf/ring", "dfa", "engine", "event", "event/alert", "event/proc", "event/ring", "expr", "nfa",
}

// floatFolders are those of them that may compute with floats, and why.
var floatFolders = map[string]string{
	"expr": "rules have fractions; each operation is rounded by itself and none is fused, so processors agree",
}

// coldImports are banned from them.
var coldImports = map[string]string{
	"encoding/json": "allocates and reflects",
	"fmt":           "allocates and reflects: a hot path has error codes and counters",
	"iter":          "calls closures",
	"log":           "allocates: a hot path has error codes and counters",
	"log/slog":      "allocates: a hot path has error codes and counters",
	"maps":          "iterates over maps, in an order that differs from run to run",
	"math/rand":     "the same events must give the same alerts",
	"math/rand/v2":  "the same events must give the same alerts",
	"reflect":       "allocates",
	"regexp":        "package dfa has the automata",
	"sync":          "the engine hands over by channels and the rings by atomic positions; locks and pools have no place",
}

// clocks are the functions of package time that read or start one; types and constants are free.
var clocks = []string{"After", "AfterFunc", "NewTicker", "NewTimer", "Now", "Since", "Sleep", "Tick", "Until"}

// hotExceptions: folder, what, function.
var hotExceptions = exceptions{
	"engine go newWorker":            "the match workers; they end with Close",
	"event/ring fmt New":             "a setup error, before anything runs",
	"event/proc fmt New":             "a setup error, before anything runs",
	"event/proc fmt (*Config).check": "a setup error, before anything runs",
}

// checked is a package with its types.
type checked struct {
	folder string
	fset   *token.FileSet
	files  []*ast.File
	info   *types.Info
}

// check parses and types packages of this module, given by folder. The types of what they import come from the go
// command's build cache.
func check(t *testing.T, module string, folders ...string) []*checked {
	t.Helper()
	args := []string{"list", "-export", "-deps", "-json=ImportPath,Dir,GoFiles,Export", "--"}
	for _, f := range folders {
		args = append(args, "./"+f)
	}
	out, _ := goCommand(t, runtime.GOARCH, args...)
	type listed struct {
		ImportPath, Dir, Export string
		GoFiles                 []string
	}
	packages := map[string]*listed{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(listed)
		err := dec.Decode(p)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		packages[p.ImportPath] = p
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) {
		p := packages[path]
		if p == nil || p.Export == "" {
			return nil, fmt.Errorf("no export data for %s", path)
		}
		return os.Open(p.Export)
	})
	var list []*checked
	for _, folder := range folders {
		p := packages[module+"/"+folder]
		if p == nil {
			t.Fatalf("go list does not know %s", folder)
		}
		c := &checked{folder: folder, fset: fset, info: &types.Info{
			Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{},
		}}
		for _, name := range p.GoFiles {
			src, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			f, err := parser.ParseFile(fset, folder+"/"+name, src, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			c.files = append(c.files, f)
		}
		conf := types.Config{Importer: imports, Sizes: types.SizesFor("gc", runtime.GOARCH)}
		if _, err := conf.Check(p.ImportPath, fset, c.files, c.info); err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
	return list
}

// hotGate collects violations of what a package on the hot path may use.
type hotGate struct {
	*checked
	except exceptions
	used   map[string]bool
	list   []string
}

// add notes a violation unless an exception covers it.
func (g *hotGate) add(f *ast.File, pos token.Pos, what, why string) {
	fn := enclosing(f, pos)
	key := g.folder + " " + what + " " + fn
	if g.except[key] != "" {
		g.used[key] = true
		return
	}
	if fn == "" {
		fn = "the file's declarations"
	}
	p := g.fset.Position(pos)
	v := fmt.Sprintf("%s:%d: %s in %s: %s", p.Filename, p.Line, what, fn, why)
	if !slices.Contains(g.list, v) {
		g.list = append(g.list, v)
	}
}

// check walks the package. Types are exact, with two limits: only files for linux and the architecture of this machine
// are seen, and what a function outside the hot packages does inside is not.
func (g *hotGate) check() {
	for _, f := range g.files {
		for _, spec := range f.Imports {
			path := strings.Trim(spec.Path.Value, `"`)
			if why := coldImports[path]; why != "" && !g.excepted(path) {
				g.add(f, spec.Pos(), path, why)
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			g.node(f, n)
			return true
		})
	}
}

// excepted tells that some function of the package may use an import; then each use is looked at, not the import.
func (g *hotGate) excepted(path string) bool {
	for key := range g.except {
		if strings.HasPrefix(key, g.folder+" "+path+" ") {
			return true
		}
	}
	return false
}

func (g *hotGate) node(f *ast.File, n ast.Node) {
	if x, ok := n.(ast.Expr); ok {
		if tv := g.info.Types[x]; tv.Type != nil && isFloat(tv.Type) && floatFolders[g.folder] == "" {
			g.add(f, n.Pos(), "float", "rounding differs between processors")
		}
	}
	switch n := n.(type) {
	case *ast.Ident:
		obj := g.info.Uses[n]
		if obj == nil || obj.Pkg() == nil {
			return
		}
		path := obj.Pkg().Path()
		if why := coldImports[path]; why != "" && g.excepted(path) {
			g.add(f, n.Pos(), path, why)
		}
		fn, ok := obj.(*types.Func)
		if ok && path == "time" && fn.Signature().Recv() == nil && slices.Contains(clocks, fn.Name()) {
			g.add(f, n.Pos(), "time."+fn.Name(), "time is an argument")
		}
	case *ast.GoStmt:
		g.add(f, n.Pos(), "go", "who owns the goroutine, and when does it end?")
	case *ast.RangeStmt:
		if isMap(g.info.Types[n.X].Type) {
			g.add(f, n.Pos(), "map iteration", "the order differs from run to run")
		}
	}
}

func isFloat(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&(types.IsFloat|types.IsComplex) != 0
}

// isMap also tells for a type parameter, when one of its types is a map.
func isMap(t types.Type) bool {
	if t == nil {
		return false
	}
	switch u := t.Underlying().(type) {
	case *types.Map:
		return true
	case *types.Interface:
		for i := range u.NumEmbeddeds() {
			union, ok := u.EmbeddedType(i).(*types.Union)
			if !ok {
				if isMap(u.EmbeddedType(i)) {
					return true
				}
				continue
			}
			for j := range union.Len() {
				if isMap(union.Term(j).Type()) {
					return true
				}
			}
		}
	}
	return false
}

// hotViolations runs the gate over packages.
func hotViolations(list []*checked, except exceptions) []string {
	used := map[string]bool{}
	var violations []string
	for _, c := range list {
		g := &hotGate{checked: c, except: except, used: used}
		g.check()
		violations = append(violations, g.list...)
	}
	return append(violations, except.unneeded(used)...)
}

func TestHotPackages(t *testing.T) {
	tr := theTree(t)
	report(t, hotViolations(check(t, tr.module, hotFolders...), hotExceptions))
}

func TestHotCanary(t *testing.T) {
	const fixture = "internal/shape/testdata/hot"
	list := check(t, theTree(t).module, fixture)
	except := exceptions{
		fixture + " fmt setup":  "setup",
		fixture + " fmt nobody": "not needed",
	}
	mustCatch(t, hotViolations(list, except),
		[]string{"hot.go:6", "reflect in the file's declarations"},
		[]string{"fmt in step"},
		[]string{"time.Now in step"},
		[]string{"go in step"},
		[]string{"map iteration in step"},
		[]string{"float in step"},
		[]string{"time.Now in clock"},
		[]string{"map iteration in generic"},
		[]string{"fmt nobody", "not needed any more"})
}
