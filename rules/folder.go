package rules

import (
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"github.com/kestrel-detection/kestrel/ir"
)

// found is what a directory without a manifest holds.
type found struct {
	packages []string // directories with a manifest.yaml
	legacy   []string // directories with a manifest.json
	files    []string // rules that are a file each
}

// folder loads a directory without a manifest: each .eql file is a rule named after the file, each .toml file an Elastic
// rule, each .yml or .yaml file that reads like one a Sigma rule, and a directory further down that has a manifest is a
// package of its own, with its own globals.
func (l *loader) folder() error {
	l.pkg.Set.Name = filepath.Base(l.name)
	in, err := l.find()
	if err != nil {
		return err
	}
	if len(in.files)+len(in.packages)+len(in.legacy) == 0 {
		return fmt.Errorf("%s has neither a %s nor .eql files, and no rule in another form", l.name, manifestName)
	}
	for _, p := range in.packages {
		if err := l.nested(p); err != nil {
			return err
		}
	}
	if len(in.packages) != 1 || len(in.files)+len(in.legacy) > 0 {
		l.pkg.Set.Name, l.pkg.Set.Version = filepath.Base(l.name), ""
	}
	for _, p := range in.legacy {
		if err := l.legacy(p); err != nil {
			return err
		}
	}
	for _, f := range in.files {
		l.oneFile(f, false)
	}
	return nil
}

// oneFile loads a file that is one rule. alone says that the user named it.
func (l *loader) oneFile(f string, alone bool) {
	id := strings.TrimSuffix(path.Base(f), path.Ext(f))
	l.begin("")
	defer l.end()
	if path.Ext(f) == ".eql" {
		l.rule = id
		l.ownFile(ir.Rule{ID: id, Name: id, Severity: ir.Medium, File: f}, f, place{1, 1}, place{1, 1})
		return
	}
	src, err := l.read(f)
	switch {
	case err != nil:
		l.problem(f, 1, 1, "%v", err)
	case path.Ext(f) == ".toml":
		l.elastic(f, src, alone)
	default:
		l.sigma(f, src)
	}
}

func (l *loader) find() (in found, err error) {
	err = fs.WalkDir(l.fsys, ".", func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			if p == "." {
				return nil
			}
			if _, err := fs.Stat(l.fsys, path.Join(p, manifestName)); err == nil {
				in.packages = append(in.packages, p)
				return fs.SkipDir
			}
			if l.isLegacy(p) {
				in.legacy = append(in.legacy, p)
				return fs.SkipDir
			}
		case path.Ext(p) == ".eql", path.Ext(p) == ".toml":
			in.files = append(in.files, p)
		case path.Ext(p) == ".yml", path.Ext(p) == ".yaml":
			src, err := l.read(p)
			if err != nil {
				return err
			}
			if sigmaLike.Match(src) {
				in.files = append(in.files, p)
			}
		}
		return nil
	})
	return in, err
}

// nested loads the package in a directory below. Its rules share the ids with the others.
func (l *loader) nested(dir string) error {
	sub, err := fs.Sub(l.fsys, dir)
	if err != nil {
		return err
	}
	n := newLoader(sub, filepath.Join(l.name, dir), l.dialect)
	n.ids, n.units = l.ids, l.units
	text, err := n.read(manifestName)
	if err != nil {
		return err
	}
	n.manifest(text)
	n.finish()
	l.pkg.Set.Name, l.pkg.Set.Version = n.pkg.Set.Name, n.pkg.Set.Version
	l.pkg.Set.Rules = append(l.pkg.Set.Rules, n.pkg.Set.Rules...)
	l.pkg.Queries = append(l.pkg.Queries, n.pkg.Queries...)
	l.pkg.declared = append(l.pkg.declared, n.pkg.declared...)
	for _, p := range n.pkg.Problems {
		p.file = "" // complete, and of another file system
		l.pkg.Problems = append(l.pkg.Problems, p)
	}
	return nil
}
