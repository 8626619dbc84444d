package shape

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// The patterns are put together from parts, so that this file does not hold what it looks for.
var (
	// deskWords mark unfinished work. Three Xs are a word, six are what mktemp replaces.
	deskWords = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)
	// deskPaths are folders of one machine. What stands before one tells a path from the middle of a longer one.
	deskPaths = regexp.MustCompile(`(?:^|[^\w/.~$}-])(/(?:wo` + `rk|ro` + `ot|fa` + `rm)/|/tmp/(?:bash` + `_jobs|w/))`)
)

// rootHome is a folder of every machine that rules speak of.
const rootHome = "/ro" + "ot/"

// textExceptions: file and what it may hold.
var textExceptions = exceptions{
	"dfa/build/literal.go " + rootHome: "a literal that rules and events are full of",
	"eql/parse_test.go " + rootHome:    "the text of a rule",
}

// isText tells whether a file is one that people write: Go, C, make, shell, Markdown.
func isText(name string, content []byte) bool {
	base := path.Base(name)
	switch path.Ext(base) {
	case ".go", ".c", ".h", ".S", ".md", ".mk", ".sh":
		return true
	}
	return strings.HasPrefix(base, "Makefile") || bytes.HasPrefix(content, []byte("#!")) &&
		bytes.Contains(content[:min(len(content), 80)], []byte("sh\n"))
}

// textViolations are the lines of the tree's texts that hold a word or path of somebody's desk.
func textViolations(fsys fs.FS, except exceptions) ([]string, error) {
	used := map[string]bool{}
	var list []string
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name == "build" || name != "." && path.Base(name)[0] == '.' {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		content, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		if !isText(name, content) {
			return nil
		}
		for i, line := range strings.Split(string(content), "\n") {
			for _, found := range deskFinds(line) {
				if key := name + " " + found; except[key] != "" {
					used[key] = true
					continue
				}
				list = append(list, fmt.Sprintf("%s:%d holds %s", name, i+1, found))
			}
		}
		return nil
	})
	return append(list, except.unneeded(used)...), err
}

func deskFinds(line string) []string {
	finds := deskWords.FindAllString(line, -1)
	for _, m := range deskPaths.FindAllStringSubmatch(line, -1) {
		finds = append(finds, m[1])
	}
	return slices.Compact(finds)
}

func TestText(t *testing.T) {
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	list, err := textViolations(os.DirFS(dir), textExceptions)
	if err != nil {
		t.Fatal(err)
	}
	report(t, list)
}

func TestTextCanary(t *testing.T) {
	work, todo, xxx := "/wo"+"rk/", "TO"+"DO", "XX"+"X"
	fsys := fstest.MapFS{
		"a/a.go":            {Data: []byte("package a\n\n// " + todo + ": see " + work + "a\n")},
		"a/testdata/run":    {Data: []byte("#!/bin/sh\ncd " + rootHome + "\nmktemp -d /tmp/x.XXXXXX\n")},
		"a/testdata/data":   {Data: []byte(todo)},
		"b.md":              {Data: []byte("`/tmp/bash" + "_jobs.0` and (" + work + "b)\n")},
		"c.md":              {Data: []byte("/home/anna" + work + " ../fa" + "rm/x\n")},
		"build/out.go":      {Data: []byte(todo)},
		"c/Makefile":        {Data: []byte("all: # " + xxx + "\n")},
		"c/tp.bpf.c":        {Data: []byte("/* FIX" + "ME */\n")},
		"c/known.h":         {Data: []byte(xxx + "\n")},
		".hidden/readme.md": {Data: []byte(todo)},
	}
	got, err := textViolations(fsys, exceptions{"c/known.h " + xxx: "a reason", "c/known.h " + todo: "a reason"})
	if err != nil {
		t.Fatal(err)
	}
	mustCatch(t, got,
		[]string{"a/a.go:3 holds " + todo},
		[]string{"a/a.go:3 holds " + work},
		[]string{"a/testdata/run:2 holds " + rootHome},
		[]string{"b.md:1 holds /tmp/bash"},
		[]string{"b.md:1 holds " + work},
		[]string{"c/Makefile:1 holds " + xxx},
		[]string{"c/tp.bpf.c:1 holds FIX"},
		[]string{"c/known.h " + todo, "not needed any more"})
}
