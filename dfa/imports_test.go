package dfa_test

import (
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestImports keeps the device side small: what it imports the firmware links.
func TestImports(t *testing.T) {
	allowed := []string{`"encoding/binary"`, `"errors"`, `"math/bits"`, `"unicode/utf8"`, `"unsafe"`}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, file := range files {
		name := file.Name()
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			seen++
			if !slices.Contains(allowed, i.Path.Value) {
				t.Errorf("%s imports %s", name, i.Path.Value)
			}
			if i.Path.Value == `"unsafe"` && !strings.HasSuffix(name, "_unsafe.go") {
				t.Errorf("%s imports unsafe", name)
			}
		}
	}
	if seen == 0 {
		t.Error("no imports found")
	}
}
