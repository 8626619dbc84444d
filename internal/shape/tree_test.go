package shape

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// tree is every Go file of the module, whatever its build constraints.
type tree struct {
	fset    *token.FileSet
	module  string
	folders []*folder // by path
}

// folder is a package with its tests.
type folder struct {
	path  string // in the module
	name  string // of the package
	files []*file
}

type file struct {
	path      string // in the module
	ast       *ast.File
	lines     int
	test      bool
	generated bool
}

// root is the folder of go.mod.
var root = sync.OnceValues(func() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the test")
		}
		dir = up
	}
})

var parsed = sync.OnceValues(func() (*tree, error) {
	dir, err := root()
	if err != nil {
		return nil, err
	}
	return parseTree(os.DirFS(dir))
})

// theTree is the tree that the test stands in. Every test that asks the go command calls it too: the test cache knows
// of the files that the test itself opens, not of those that its children do.
func theTree(t *testing.T) *tree {
	t.Helper()
	tr, err := parsed()
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// skipped tells that a folder holds no package of this module: fixtures, build results, other modules.
func skipped(fsys fs.FS, dir string) bool {
	name := path.Base(dir)
	if dir == "." {
		return false
	}
	if dir == "build" || name == "testdata" || name[0] == '.' || name[0] == '_' {
		return true
	}
	_, err := fs.Stat(fsys, dir+"/go.mod")
	return err == nil
}

func parseTree(fsys fs.FS) (*tree, error) {
	mod, err := fs.ReadFile(fsys, "go.mod")
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(mod), "\n")
	t := &tree{fset: token.NewFileSet(), module: strings.TrimSpace(strings.TrimPrefix(line, "module "))}
	folders := map[string]*folder{}
	err = fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipped(fsys, name) {
				return fs.SkipDir
			}
			return nil
		}
		if base := path.Base(name); path.Ext(name) != ".go" || base[0] == '.' || base[0] == '_' {
			return nil
		}
		src, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(t.fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		dir := path.Dir(name)
		f := folders[dir]
		if f == nil {
			f = &folder{path: dir}
			folders[dir] = f
			t.folders = append(t.folders, f)
		}
		entry := &file{
			path: name, ast: parsed, lines: bytes.Count(src, []byte("\n")), test: strings.HasSuffix(name, "_test.go"),
			generated: ast.IsGenerated(parsed),
		}
		if f.name == "" || !entry.test {
			f.name = strings.TrimSuffix(parsed.Name.Name, "_test")
		}
		f.files = append(f.files, entry)
		return nil
	})
	if err == nil && len(t.folders) == 0 {
		err = errors.New("no Go file in the tree")
	}
	slices.SortFunc(t.folders, func(a, b *folder) int { return strings.Compare(a.path, b.path) })
	return t, err
}

// folder is the folder of a path, or nil.
func (t *tree) folder(path string) *folder {
	for _, f := range t.folders {
		if f.path == path {
			return f
		}
	}
	return nil
}

// imports are the paths that a file imports.
func (f *file) imports() []string {
	var list []string
	for _, spec := range f.ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// at is a position as file:line.
func (t *tree) at(pos token.Pos) string {
	p := t.fset.Position(pos)
	return fmt.Sprintf("%s:%d", p.Filename, p.Line)
}

// funcName is a function's name as the linker writes it after the package: Load, (*Set).Scan, Record.Int.
func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return d.Name.Name
	}
	name, pointer := receiver(d)
	if pointer {
		name = "(*" + name + ")"
	}
	return name + "." + d.Name.Name
}

// receiver is the name of a method's type.
func receiver(d *ast.FuncDecl) (name string, pointer bool) {
	x := d.Recv.List[0].Type
	if star, ok := x.(*ast.StarExpr); ok {
		x, pointer = star.X, true
	}
	switch g := x.(type) { // type parameters
	case *ast.IndexExpr:
		x = g.X
	case *ast.IndexListExpr:
		x = g.X
	}
	if id, ok := x.(*ast.Ident); ok {
		name = id.Name
	}
	return name, pointer
}

// enclosing is the name of the function of a file that a position is in, or "".
func enclosing(f *ast.File, pos token.Pos) string {
	for _, d := range f.Decls {
		if fd, ok := d.(*ast.FuncDecl); ok && fd.Pos() <= pos && pos < fd.End() {
			return funcName(fd)
		}
	}
	return ""
}

// exceptions are allowed violations: what and where, and why. See each gate for the form of its keys.
type exceptions map[string]string

// unneeded are the exceptions that no violation used.
func (e exceptions) unneeded(used map[string]bool) []string {
	var list []string
	for key := range e {
		if !used[key] {
			list = append(list, fmt.Sprintf("the exception %q is not needed any more", key))
		}
	}
	slices.Sort(list)
	return list
}

// goCommand runs the go command in the root of the tree for linux and an architecture.
func goCommand(t *testing.T, arch string, args ...string) (stdout, stderr []byte) {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+arch, "CGO_ENABLED=0", "GOWORK=off")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("GOARCH=%s go %s: %v\n%s", arch, strings.Join(args, " "), err, tail(errs.Bytes()))
	}
	return out.Bytes(), errs.Bytes()
}

// tail is the end of what a command had to say.
func tail(b []byte) []byte { return b[max(0, len(b)-4096):] }

func report(t *testing.T, violations []string) {
	t.Helper()
	for _, v := range violations {
		t.Error(v)
	}
}

// mustCatch is the test of a gate: its violations over a canary are the wanted ones, in this order, each given by parts
// of the message.
func mustCatch(t *testing.T, got []string, want ...[]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d violations, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
		return
	}
	for i, parts := range want {
		for _, part := range parts {
			if !strings.Contains(got[i], part) {
				t.Errorf("violation %d is %q, want it to say %q", i, got[i], part)
			}
		}
	}
}
