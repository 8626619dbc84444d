package eql

import (
	"strings"
	"testing"
	"time"
)

// oneError fails the test unless the only diagnostic contains the words.
func oneError(t *testing.T, diags Diagnostics, words string) {
	t.Helper()
	if len(diags) != 1 || !strings.Contains(diags[0].String(), words) {
		t.Errorf("diagnostics:\n%s\nwant one with %q", diags, words)
	}
}

func TestSourceSize(t *testing.T) {
	fill := func(n int) []byte {
		const query = "process where true"
		return []byte(query + strings.Repeat(" ", n-len(query)))
	}
	if _, diags := Parse("", fill(MaxSourceBytes), Kestrel); len(diags) > 0 {
		t.Errorf("at the limit: %s", diags)
	}
	q, diags := Parse("", fill(MaxSourceBytes+1), Kestrel)
	oneError(t, diags, "1048577 bytes (max 1048576)")
	if q == nil {
		t.Error("query is nil")
	}
}

func TestInvalidUTF8(t *testing.T) {
	_, diags := Parse("r.eql", []byte("process where\n  a == \"é\xff\""), Kestrel)
	oneError(t, diags, "r.eql:2:10: invalid UTF-8: byte 0xff")
}

func TestDepth(t *testing.T) {
	nest := func(n int, open, core, end string) string {
		return strings.Repeat(open, n) + core + strings.Repeat(end, n)
	}
	shapes := []struct{ open, core, end string }{
		{"(", "a", ")"},
		{"not ", "a", ""},
		{"- ", "a", ""},
		{"f(", "a", ")"},
		{"a + (", "b", ")"},
		{"", "a", " + 1"},
		{"a in (", "b", ")"},
		{"child of [process where ", "a", "]"},
		{"(a or (b and ", "c", "))"},
	}
	for _, s := range shapes {
		if _, diags := ParseExpr("", []byte(nest(MaxDepth/2-1, s.open, s.core, s.end)), Kestrel); len(diags) > 0 {
			t.Errorf("%q repeated %d times: %s", s.open+s.end, MaxDepth/2-1, diags)
		}
		for _, n := range []int{MaxDepth + 1, 10000} {
			start := time.Now()
			_, diags := ParseExpr("", []byte(nest(n, s.open, s.core, s.end)), Kestrel)
			oneError(t, diags, "nested too deeply")
			if took := time.Since(start); took > time.Second {
				t.Errorf("%q repeated %d times took %v", s.open+s.end, n, took)
			}
		}
	}
	if _, diags := ParseExpr("", []byte(nest(MaxDepth, "(", "a", ")")), Kestrel); len(diags) > 0 {
		t.Errorf("at the limit: %s", diags)
	}
	oneError(t, second(ParseExpr("", []byte(nest(MaxDepth+1, "(", "a", ")")), Kestrel)), "nested too deeply")
}

func second(_ Expr, diags Diagnostics) Diagnostics { return diags }

// The height of every tree stays within the limit, so that recursive passes
// over trees are safe.
func TestTreeHeight(t *testing.T) {
	src := "a" + strings.Repeat(" + 1", MaxDepth-1)
	for _, text := range []string{src, "(" + src + ") * 2", strings.Repeat("a or ", 100000) + "b"} {
		x, diags := ParseExpr("", []byte(text), Kestrel)
		if h := treeHeight(x); h > MaxDepth {
			t.Errorf("height %d with diagnostics %q", h, diags)
		}
	}
	if x := mustExpr(t, src, Kestrel); treeHeight(x) != MaxDepth {
		t.Errorf("height %d, want %d", treeHeight(x), MaxDepth)
	}
}

func treeHeight(n Node) int {
	height, first := 0, true
	Walk(n, func(m Node) bool {
		if first {
			first = false
			return true
		}
		height = max(height, treeHeight(m))
		return false
	})
	return height + 1
}

func TestListLength(t *testing.T) {
	for _, form := range []string{"a in (%)", "a : (%)", "f(%)", "a contains (%)"} {
		list := func(n int) []byte {
			return []byte(strings.Replace(form, "%", strings.TrimSuffix(strings.Repeat("1,", n), ","), 1))
		}
		if _, diags := ParseExpr("", list(MaxListLen), Kestrel); len(diags) > 0 {
			t.Errorf("%s at the limit: %s", form, diags)
		}
		oneError(t, second(ParseExpr("", list(MaxListLen+1), Kestrel)), "list is too long here (max 65536")
	}
}

func TestDiagnosticsLimit(t *testing.T) {
	for _, src := range []string{
		"process where " + strings.Repeat("a = 1 and ", 1000) + "true",
		"process where " + strings.Repeat("§ ", 1000),
		"sequence " + strings.Repeat("[process where] ", 1000),
		strings.Repeat("[process where ", 1000),
	} {
		_, diags := Parse("", []byte(src), Kestrel)
		if len(diags) != MaxDiagnostics+1 || !strings.Contains(diags[MaxDiagnostics].Msg, "too many errors") {
			t.Errorf("%.30s: %d diagnostics, want %d and a closing note", src, len(diags), MaxDiagnostics)
		}
	}
}

// A quadratic pass over a quarter of a mebibyte takes more than the limit, a
// linear one a hundredth of it.
func TestLinearTime(t *testing.T) {
	const (
		size  = MaxSourceBytes / 4
		limit = 2 * time.Second
	)
	for _, piece := range []string{
		`"a"`, `"""a""" `, `""" `, "(", ")", "[", "![", "]", "`", "``", "a ", "a.", "a or ", "not ", "$a ", "/*", "//\n", "#\n",
		"1,", "a in (", "a = b ", "sequence ", "until [", "| head 5 ", "\\", "é", `"\u{`, `?"`, "with maxspan=", "f(", ", ", "a : ",
	} {
		body := strings.Repeat(piece, size/len(piece))
		for d := Kestrel; d <= Endgame; d++ {
			for _, head := range []string{"", "process where ", "process where a in (", "sequence by "} {
				start := time.Now()
				Parse("", []byte(head+body), d)
				if took := time.Since(start); took > limit {
					t.Errorf("%s: %q + %q repeated took %v", d, head, piece, took)
				}
			}
		}
	}
}

func TestPosition(t *testing.T) {
	s := NewSource("f", "aé\r\n\n日本x")
	for offset, want := range map[int]string{0: "f:1:1", 1: "f:1:2", 3: "f:1:3", 5: "f:2:1", 6: "f:3:1", 12: "f:3:3", 13: "f:3:4", 99: "f:3:4", -1: "f:1:1"} {
		if got := s.Position(offset).String(); got != want {
			t.Errorf("offset %d is %s, want %s", offset, got, want)
		}
	}
	if s.Line(1) != "aé" || s.Line(2) != "" || s.Line(3) != "日本x" || s.Line(4) != "" {
		t.Errorf("lines %q %q %q %q", s.Line(1), s.Line(2), s.Line(3), s.Line(4))
	}
}

// The excerpt of a long line is cut on both sides and keeps its caret.
func TestDetailLongLine(t *testing.T) {
	src := "process where " + strings.Repeat("a == 1 and ", 50) + "b = 2 and " + strings.Repeat("c == 3 and ", 50) + "d"
	_, diags := Parse("", []byte(src), Kestrel)
	lines := strings.Split(diags[0].Detail(), "\n")
	at := strings.IndexByte(lines[2], '^')
	if len(lines[1]) > 150 || at < 0 || lines[1][at:at+3] != "= 2" {
		t.Errorf("detail:\n%s", diags[0].Detail())
	}
}
