// Package corpus reads public rules, conformance cases and recordings, which lie beside the repository and are no part
// of it, for the tests that hold Kestrel against them. Where they are absent such a test is skipped, and says so; a
// corpus that is there but cannot be read fails it. For tests only.
//
//	../shared/corpus/conformance/*.jsonl              suites of cases
//	../shared/corpus/conformance/datasets/*.ndjson    the events of cases, and datasets.json, their schemas
//	../shared/corpus/rules/*.jsonl                    rules, and stats.json, what they use
//	../shared/corpus/datasets/*.ndjson                recordings, and expected.json, what is found in them
//
// What is read belongs to the caller. Nothing is kept, so any goroutine may call it that may end its test.
package corpus

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// beside is where the corpus lies, seen from the root of the repository.
const beside = "../shared/corpus"

// Case is a conformance case or a rule. Which fields a case has depends on its suite and kind; a rule has an id, a
// dialect and a query.
type Case struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Dialect string `json:"dialect"` // elasticsearch, endpoint or endgame

	Query      string `json:"query"`
	Expression string `json:"expression"`
	Entry      string `json:"entry"`     // what the query is where it is no query: expression
	Optimized  string `json:"optimized"` // another form of the expression
	Alternate  string `json:"alternate"` // the same

	ExpectError  bool   `json:"expect_error"`
	ErrorKind    string `json:"error_kind"`
	PythonEQL    string `json:"python_eql"` // what python-eql says of it
	Level        string `json:"level"`      // syntax: a type checker may refuse it
	Unsupported  bool   `json:"es_unsupported"`
	Expected     any    `json:"expected"` // value of the expression
	ExpectedNull bool   `json:"expected_null"`

	Dataset       string     `json:"dataset"`
	IDField       string     `json:"id_field"` // of the dataset: the ids by which events are expected
	CaseSensitive *bool      `json:"case_sensitive"`
	Size          *int       `json:"size"` // of the result
	SamplesPerKey int        `json:"max_samples_per_key"`
	IDs           []int64    `json:"expected_event_ids"`    // -1 for a missing event
	Alternatives  [][]int64  `json:"expected_alternatives"` // any of which will do
	Matches       [][]*int64 `json:"expected_matches"`      // null for a missing event
	Keys          [][]any    `json:"join_keys_by_match"`

	Stages int     `json:"stages"`
	Events []Event `json:"events"` // of a case for the machine of sequences
}

// Event says which stage of a sequence an event fits. Its time is its id.
type Event struct {
	Time  int64   `json:"t"`
	Key   *string `json:"key"`
	Stage int     `json:"stage"`
}

// Set is a file of rules.
type Set struct {
	Name    string
	Dialect string // as eql.ParseDialect takes it
}

// Linux are the files whose rules are for Linux.
var Linux = []Set{
	{"linux_detection_rules", "elastic"}, {"linux_protections_artifacts", "kestrel"}, {"linux_other", "elastic"},
}

// Path is where a file or folder of the corpus lies. Without a corpus the test is skipped.
func Path(t testing.TB, name string) string {
	t.Helper()
	dir, err := find(".")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skipf("no corpus beside the repository: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, filepath.FromSlash(name))
}

// find looks for the corpus beside the module that a folder belongs to.
func find(folder string) (string, error) {
	at, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	for root := at; ; root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			dir := filepath.Join(root, beside)
			_, err := os.Stat(dir)
			return dir, err
		}
		if root == filepath.Dir(root) {
			return "", fmt.Errorf("no go.mod in %s or above", at)
		}
	}
}

// Suites are the names of all suites of conformance cases.
func Suites(t testing.TB) []string {
	t.Helper()
	return names(t, "conformance/*.jsonl")
}

// Cases are the cases of a suite.
func Cases(t testing.TB, suite string) []Case {
	t.Helper()
	return Lines[Case](t, Path(t, "conformance/"+suite+".jsonl"))
}

// Dataset is the path of the events of cases.
func Dataset(t testing.TB, name string) string {
	t.Helper()
	return Path(t, "conformance/datasets/"+name+".ndjson")
}

// RuleFiles are the names of all files of rules.
func RuleFiles(t testing.TB) []string {
	t.Helper()
	return names(t, "rules/*.jsonl")
}

// Rules are the rules of a file.
func Rules(t testing.TB, file string) []Case {
	t.Helper()
	return Lines[Case](t, RulesPath(t, file))
}

// RulesPath is the path of a file of rules.
func RulesPath(t testing.TB, file string) string {
	t.Helper()
	return Path(t, "rules/"+file+".jsonl")
}

// Recordings are the paths of all recordings.
func Recordings(t testing.TB) []string {
	t.Helper()
	return glob(t, "datasets/*.ndjson")
}

func names(t testing.TB, pattern string) (list []string) {
	t.Helper()
	for _, path := range glob(t, pattern) {
		list = append(list, strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)))
	}
	return list
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	list, err := filepath.Glob(Path(t, pattern))
	if err != nil || len(list) == 0 {
		t.Fatalf("no file of the corpus matches %s: %v", pattern, err)
	}
	return list
}

// Read is the content of a file.
func Read(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// JSON reads a file that is one value.
func JSON(t testing.TB, path string, to any) {
	t.Helper()
	if err := json.Unmarshal(Read(t, path), to); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// Lines reads a file that is a value a line.
func Lines[T any](t testing.TB, path string) []T {
	t.Helper()
	list, err := lines[T](Read(t, path))
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return list
}

func lines[T any](content []byte) (list []T, err error) {
	for line := range bytes.Lines(content) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return nil, fmt.Errorf("line %d: %w", len(list)+1, err)
		}
		list = append(list, v)
	}
	if len(list) == 0 {
		return nil, errors.New("no lines")
	}
	return list, nil
}
