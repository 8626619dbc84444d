package corpus

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func mkdir(t *testing.T, elem ...string) string {
	t.Helper()
	dir := filepath.Join(elem...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestFind: the corpus is found from any folder of the module, and only where it lies beside the module.
func TestFind(t *testing.T) {
	top := t.TempDir()
	root := mkdir(t, top, "module")
	deep := mkdir(t, root, "a", "b")
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module m\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	mkdir(t, root, "shared", "corpus")
	for _, folder := range []string{root, deep} {
		if _, err := find(folder); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("without a corpus, from %s: %v", folder, err)
		}
	}
	want := mkdir(t, top, "shared", "corpus")
	for _, folder := range []string{root, deep} {
		if got, err := find(folder); err != nil || got != want {
			t.Errorf("from %s: %s, %v", folder, got, err)
		}
	}
}

func TestLines(t *testing.T) {
	list, err := lines[Case]([]byte(`{"id": "a", "expected_matches": [[1, null]]}` + "\n" + `{"id": "b", "other": 1}`))
	if err != nil || len(list) != 2 || list[1].ID != "b" || *list[0].Matches[0][0] != 1 || list[0].Matches[0][1] != nil {
		t.Errorf("%+v, %v", list, err)
	}
	for content, want := range map[string]string{
		"":                         "no lines",
		"{\"id\": \"a\"}\n{\"id\"": "line 2: unexpected end",
		"{}\n\n{}":                 "line 2: ",
		`{"id": 1}`:                "line 1: json: cannot unmarshal",
	} {
		if list, err := lines[Case]([]byte(content)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %s", content, list, err, want)
		}
	}
}

// TestCases: all files of the corpus are what Case says.
func TestCases(t *testing.T) {
	datasets := make(map[string]bool)
	for _, suite := range Suites(t) {
		for _, c := range Cases(t, suite) {
			if !strings.HasPrefix(c.ID, suite+"/") || c.Kind == "" || c.Dialect == "" {
				t.Errorf("%s: %+v", suite, c)
			}
			if c.Dataset != "" {
				datasets[c.Dataset] = true
			}
		}
	}
	for name := range datasets {
		Lines[map[string]any](t, Dataset(t, name))
	}
	files := RuleFiles(t)
	for _, file := range files {
		for _, r := range Rules(t, file) {
			if r.ID == "" || r.Query == "" || r.Dialect == "" {
				t.Errorf("%s: %+v", file, r)
			}
		}
	}
	for _, set := range Linux {
		if !slices.Contains(files, set.Name) {
			t.Errorf("no file %s among %q", set.Name, files)
		}
	}
	var found []map[string]any
	if JSON(t, Path(t, "datasets/expected.json"), &found); len(found) == 0 || len(Recordings(t)) == 0 {
		t.Errorf("%d findings in %d recordings", len(found), len(Recordings(t)))
	}
}
