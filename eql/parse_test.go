package eql

import (
	"math"
	"strings"
	"testing"
	"time"
)

// mustParse parses a query that has to be free of diagnostics, also of Check.
func mustParse(t testing.TB, src string, d Dialect) *Query {
	t.Helper()
	q, diags := Parse("rule.eql", []byte(src), d)
	if len(diags) == 0 {
		diags = Check(q)
	}
	if len(diags) > 0 {
		t.Fatalf("%s\n%s", src, diags)
	}
	return q
}

func mustExpr(t testing.TB, src string, d Dialect) Expr {
	t.Helper()
	x, diags := ParseExpr("", []byte(src), d)
	if len(diags) > 0 {
		t.Fatalf("%s\n%s", src, diags)
	}
	return x
}

// The canonical form shows how an expression was understood.
func TestExpr(t *testing.T) {
	tests := []struct {
		d         Dialect
		src, want string
	}{
		{Kestrel, `a or b and not c`, `a or b and not c`},
		{Kestrel, `(a or b) and (not (c))`, `(a or b) and not c`},
		{Kestrel, `(a and b) and c`, `(a and b) and c`},
		{Kestrel, `not a == b`, `not a == b`},
		{Kestrel, `not (a and b)`, `not (a and b)`},
		{Kestrel, `not not a`, `not not a`},
		{Kestrel, `1+2*3-4/5%6 == -a`, `1 + 2 * 3 - 4 / 5 % 6 == -a`},
		{Kestrel, `(1+2)*3 - (4 - 5)`, `(1 + 2) * 3 - (4 - 5)`},
		{Kestrel, `a - -5 - (-5) - +5`, `a - -5 - -5 - 5`},
		{Kestrel, `- - a`, `--a`},
		{Kestrel, `a + b in (1)`, `a + b in (1)`},
		{Kestrel, `(a + b) in (1)`, `(a + b) in (1)`},
		{Kestrel, `-5 in (1)`, `-5 in (1)`},
		{Kestrel, `(-5) in (1)`, `(-5) in (1)`},
		{Kestrel, `a == (b == c)`, `a == (b == c)`},
		{Kestrel, `a not in ("x", 1, b)`, `a not in ("x", 1, b)`},
		{Kestrel, `not a in~ ("x")`, `a not in~ ("x")`},
		{Kestrel, `a not in ("x") == true`, `a not in ("x") == true`},
		{Kestrel, `a : ("x")`, `a : "x"`},
		{Kestrel, `a : 4 + 5`, `a : 4 + 5`},
		{Kestrel, `a like ("x*", """y\z""")`, `a like ("x*", """y\z""")`},
		{Kestrel, `a like~ "x" or b regex "y" or c regex~ ("z")`, `a like~ "x" or b regex "y" or c regex~ "z"`},
		{Kestrel, `a contains ("-c", "x") and b startswith "/tmp" and c endswith~ ("a", $X)`,
			`a contains ("-c", "x") and b startswith "/tmp" and c endswith~ ("a", $X)`},
		{Kestrel, `a contains b.c and not a contains f(x)`, `a contains b.c and not a contains f(x)`},
		{Kestrel, `destination.ip in $HOME_NET and a in ($A, "x") and b in ($B)`,
			`destination.ip in $HOME_NET and a in ($A, "x") and b in $B`},
		{Kestrel, `search(a, $e, $e.name[0].x : "y")`, `search(a, $e, $e.name[0].x : "y")`},
		{Kestrel, `f() and g~(1, f(2)) == null`, `f() and g~(1, f(2)) == null`},
		{Kestrel, `?a.b[0].c == @timestamp`, `?a.b[0].c == @timestamp`},
		{Kestrel, "`my-field`.`a.b`.c and `some``tick` and `plain`", "`my-field`.`a.b`.c and `some``tick` and plain"},
		{Kestrel, "`and` == `contains`", "`and` == contains"},
		{Kestrel, `contains == contains(contains, "x")`, `contains == contains(contains, "x")`},
		{Kestrel, `not descendant of [process where a == 1] or child of [any where true]`,
			`not descendant of [process where a == 1] or child of [any where true]`},
		{Kestrel, `event of ["x y" where true]`, `event of ["x y" where true]`},
		{Kestrel, "event.type == \"exec\" and client.`as`.name == 1", "event.type == \"exec\" and client.`as`.name == 1"},
		{Elastic, `client.as.name == 1`, `client.as.name == 1`},
		{Kestrel, `a == .5 and b == 5. and c == 1e3 and d == 1.5E-3`, `a == 0.5 and b == 5.0 and c == 1000.0 and d == 0.0015`},
		{Kestrel, `a == 100000000000000000000`, `a == 1e+20`},
		{Kestrel, `a == true or b == false or c != null`, `a == true or b == false or c != null`},
		{Kestrel, `a /* c */ == 1 // x` + "\n" + `# y` + "\n" + `and b == "#//"`, `a == 1 and b == "#//"`},
		{Kestrel, `"\n\t\r\b\f\\\"\'\u{41}\u{1F600}" == a`, `"\n\t\r\b\f\\\"'A😀" == a`},
		{Kestrel, `a == "\u{00}\u{7f}"`, `a == "\u{00}\u{7f}"`},
		{Elastic, `a == """x\d"y"""`, `a == """x\d"y"""`},
		{Elastic, `a == """""quoted"""""`, `a == """""quoted"""""`},
		{Elastic, `a == """"""`, `a == """"""`},
		{Elastic, `contains == as and child > startswith`, `contains == as and child > startswith`},
		{Endgame, `a = 'it' and b == "\'"`, `a == "it" and b == "'"`},
		{Endgame, `a == ?'\d"'`, `a == ?'\d"'`},
		{Endgame, `a == ?'\d'`, `a == ?"\d"`},
		{Endgame, `a == ?"\d+"`, `a == ?"\d+"`},
		{Endgame, `f(a, b,) and a in (1, 2,)`, `f(a, b) and a in (1, 2)`},
		{Endgame, `"hello":length() == 5`, `length("hello") == 5`},
		{Endgame, `like == 1 and AND and regex.sample`, `like == 1 and AND and regex.sample`},
	}
	for _, tt := range tests {
		x := mustExpr(t, tt.src, tt.d)
		if got := Format(x, tt.d); got != tt.want {
			t.Errorf("%s: %s\ngot  %s\nwant %s", tt.d, tt.src, got, tt.want)
		}
		roundTrip(t, x, tt.d)
	}
}

func TestQuery(t *testing.T) {
	tests := []struct {
		d         Dialect
		src, want string
	}{
		{Kestrel, `any where true`, `any where true`},
		{Kestrel, `"my category" where true | head 5 | tail 3`, "\"my category\" where true\n| head 5\n| tail 3"},
		{Kestrel, "`process` where true", `process where true`},
		{Kestrel, `"any" where true`, `"any" where true`},
		{Kestrel, "\uFEFFprocess where true", `process where true`},
		{Kestrel, `sequence by a, ?b with maxspan=30s [process where x] by c as e with runs=3 ![file where y] by d until [any where z] by f`,
			"sequence by a, ?b with maxspan=30s\n  [process where x] as e by c with runs=3\n  ![file where y] by d\nuntil [any where z] by f"},
		{Kestrel, `sequence with maxspan = 500ms by a [process where x] [file where y]`,
			"sequence by a with maxspan=500ms\n  [process where x]\n  [file where y]"},
		{Kestrel, `sequence [process where x] [file where y] with maxspan=2h until [any where z]`,
			"sequence with maxspan=2h\n  [process where x]\n  [file where y]\nuntil [any where z]"},
		{Kestrel, `sequence [process where x] with runs=2 with maxspan=1d`, "sequence with maxspan=1d\n  [process where x] with runs=2"},
		{Kestrel, `sequence [process where x] with runs=2 by a`, "sequence\n  [process where x] by a with runs=2"},
		{Kestrel, `sequence [a where x] as p [b where p.name == name]`, "sequence\n  [a where x] as p\n  [b where p.name == name]"},
		{Elastic, `sample by host [any where a] by b [any where c] by d`, "sample by host\n  [any where a] by b\n  [any where c] by d"},
		{Elastic, `join by a [x where b] [y where c] until [z where d]`, "join by a\n  [x where b]\n  [y where c]\nuntil [z where d]"},
		{Endgame, `process where true | unique a b c | count`, "process where true\n| unique a, b, c\n| count"},
		{Endgame, `process where true | unique_count a, length(b)`, "process where true\n| unique_count a, length(b)"},
		{Endgame, `process where true | filter a > -1 and b == 'c'`, "process where true\n| filter a > -1 and b == \"c\""},
		{Endgame, `sequence [a where x] by string(p) [b where y] fork=true by q * 2`, "sequence\n  [a where x] by string(p)\n  [b where y] fork by q * 2"},
		{Endgame, `sequence [a where x] [b where y] fork=false`, "sequence\n  [a where x]\n  [b where y]"},
		{Endgame, "`my cat` where true", "`my cat` where true"},
	}
	for _, tt := range tests {
		q := mustParse(t, tt.src, tt.d)
		if got := q.String(); got != tt.want {
			t.Errorf("%s: %s\ngot\n%s\nwant\n%s", tt.d, tt.src, got, tt.want)
		}
		roundTrip(t, q, tt.d)
	}
}

// The three rules by which the dialect is defined.
func TestDefiningRules(t *testing.T) {
	event := mustParse(t, `process where
    process.executable in ("/tmp/*", "/dev/shm/*", "/var/tmp/*")
    and process.args contains ("-c", "bash", "python", "perl")
    and not user.id in (0, 33, 34)  # comment
`, Kestrel)
	and, ok := event.Stages[0].Event.Where.(*Logical)
	if event.Kind != KindEvent || !ok || and.Op != And || len(and.Args) != 3 {
		t.Fatalf("event query is %s", event)
	}
	contains, ok := and.Args[1].(*Match)
	if !ok || contains.Op != Contains || contains.Fold || len(contains.Values) != 4 {
		t.Errorf("second condition is %s", ExprString(and.Args[1]))
	}
	if not, ok := and.Args[2].(*Not); !ok || not.X.(*Match).X.(*Field).Path() != "user.id" {
		t.Errorf("third condition is %s", ExprString(and.Args[2]))
	}

	trailing := mustParse(t, `sequence by process.entity_id
    [process where event.type == "exec" and process.executable == "/usr/bin/sudo"]
    [file where file.path in ("/etc/shadow", "/etc/sudoers", "/root/*")]
    [process where event.type == "exec" and process.executable in ("/bin/bash", "/bin/sh")]
with maxspan=30s
`, Kestrel)
	if len(trailing.Stages) != 3 || trailing.MaxSpan == nil || trailing.MaxSpan.Duration() != 30*time.Second {
		t.Errorf("sequence is %s", trailing)
	}

	until := mustParse(t, `sequence by process.entity_id
    [process where process.executable == "curl" or process.executable == "wget"]
    [network where destination.port in (443, 8443) and not destination.ip in $HOME_NET]
with maxspan=5m
until [process where event.type == "exit"]
`, Kestrel)
	if len(until.Stages) != 2 || until.MaxSpan.Duration() != 5*time.Minute || until.Until == nil {
		t.Errorf("sequence is %s", until)
	}
	vars := 0
	Walk(until, func(n Node) bool {
		if v, ok := n.(*Var); ok && v.Name == "HOME_NET" {
			vars++
		}
		return true
	})
	if vars != 1 {
		t.Errorf("found %d variables, want 1", vars)
	}
}

// Each construct of one dialect is refused in the others with the names of its
// owners, and nothing else is said.
func TestDialectRefusals(t *testing.T) {
	tests := []struct {
		src   string
		owner [3]bool // kestrel, elastic, endgame
	}{
		{"process where true # c", [3]bool{true, false, false}},
		{`process where a contains "x"`, [3]bool{true, false, false}},
		{`process where a startswith~ ("x", "y")`, [3]bool{true, false, false}},
		{`process where a in ($X, "y")`, [3]bool{true, false, false}},
		{`sequence [a where true] as x [b where true]`, [3]bool{true, false, false}},
		{`sequence [a where true] [b where true] with maxspan=1s`, [3]bool{true, false, false}},
		{`process where child of [process where true]`, [3]bool{true, false, true}},
		{`process where a[0] == 1`, [3]bool{true, false, true}},
		{`process where a : "x"`, [3]bool{true, true, false}},
		{`process where a in~ ("x")`, [3]bool{true, true, false}},
		{`process where ?a == 1`, [3]bool{true, true, false}},
		{`process where f~(a)`, [3]bool{true, true, false}},
		{`process where a == """x"""`, [3]bool{true, true, false}},
		{`"process" where true`, [3]bool{true, true, false}},
		{`sequence [a where true] with runs=2`, [3]bool{true, true, false}},
		{`sequence with maxspan=1s [a where true] ![b where true]`, [3]bool{true, true, false}},
		{`sample by a [a where true] [b where true]`, [3]bool{true, true, false}},
		{`process where a == 'x'`, [3]bool{false, false, true}},
		{`process where a == ?"x"`, [3]bool{false, false, true}},
		{`process where a = 1`, [3]bool{false, false, true}},
		{`sequence [a where true] fork [b where true]`, [3]bool{false, false, true}},
		{`sequence by f(x) [a where true] [b where true]`, [3]bool{false, false, true}},
	}
	for _, tt := range tests {
		for d, owned := range tt.owner {
			_, diags := Parse("", []byte(tt.src), Dialect(d))
			if owned && len(diags) > 0 {
				t.Errorf("%s: %s\n%s", Dialect(d), tt.src, diags)
			}
			if !owned && len(diags) != 1 {
				t.Errorf("%s: %s: %d diagnostics, want 1\n%s", Dialect(d), tt.src, len(diags), diags)
			}
		}
	}
}

func TestSpans(t *testing.T) {
	const src = "process where\n  (a.b == \"ü\" or ?c in (1, 2)) and not f(-3) : \"x\""
	q := mustParse(t, src, Kestrel)
	got := map[string]string{}
	Walk(q, func(n Node) bool {
		at := n.Range()
		text := src[at.Start:at.End]
		switch n := n.(type) {
		case *Field:
			got["field "+n.Path()] = text
		case *Logical:
			got[n.Op.String()] = text
		case *Number:
			got["number "+n.text()] = text
		case *Match:
			got[n.Op.String()] = text
		case *Not:
			got["not"] = text
		case *Call:
			got["call"] = text
		}
		return true
	})
	want := map[string]string{
		"field a.b": "a.b", "field c": "?c", "number 1": "1", "number 2": "2", "number -3": "-3",
		"or": `a.b == "ü" or ?c in (1, 2)`, "in": "?c in (1, 2)", "call": "f(-3)", ":": `f(-3) : "x"`,
		"not": `not f(-3) : "x"`, "and": `(a.b == "ü" or ?c in (1, 2)) and not f(-3) : "x"`,
	}
	for key, text := range want {
		if got[key] != text {
			t.Errorf("%s spans %q, want %q", key, got[key], text)
		}
	}
	c := q.Stages[0].Event.Where.(*Logical).Args[0].(*Logical).Args[1].(*Match)
	if pos := q.Source.Position(c.Start); pos.String() != "rule.eql:2:18" {
		t.Errorf("position %s, want rule.eql:2:18", pos)
	}
	if st := q.Stages[0]; src[st.Event.CategorySpan.Start:st.Event.CategorySpan.End] != "process" {
		t.Errorf("category span %v", st.Event.CategorySpan)
	}
}

func TestNumbers(t *testing.T) {
	tests := []struct {
		src   string
		isInt bool
		i     int64
		f     float64
	}{
		{"0", true, 0, 0},
		{"9223372036854775807", true, math.MaxInt64, 0},
		{"9223372036854775808", false, 0, 9223372036854775808},
		{"-9223372036854775808", true, math.MinInt64, 0},
		{"- 9223372036854775808", true, math.MinInt64, 0},
		{"-9223372036854775809", false, 0, -9223372036854775809},
		{"--9223372036854775808", false, 0, 9223372036854775808},
		{"-(5)", true, -5, 0},
		{"1.50", false, 0, 1.5},
		{"-0.0", false, 0, math.Copysign(0, -1)},
	}
	for _, tt := range tests {
		n, ok := mustExpr(t, tt.src, Kestrel).(*Number)
		if !ok || n.IsInt != tt.isInt || n.Int != tt.i || math.Float64bits(n.Float) != math.Float64bits(tt.f) {
			t.Errorf("%s is %+v", tt.src, n)
		}
		roundTrip(t, n, Kestrel)
	}
}

func TestDuration(t *testing.T) {
	for src, want := range map[string]time.Duration{
		"500ms": 500 * time.Millisecond, "30s": 30 * time.Second, "5 m": 5 * time.Minute,
		"2h": 2 * time.Hour, "1d": 24 * time.Hour, "106751d": 106751 * 24 * time.Hour,
	} {
		q := mustParse(t, "sequence with maxspan="+src+" [a where true] [b where true]", Elastic)
		if q.MaxSpan.Duration() != want {
			t.Errorf("%s is %v, want %v", src, q.MaxSpan.Duration(), want)
		}
	}
	for _, src := range []string{"106752d", "99999999999999999999s", "30", "30S", "30us", "1.0s", "-1s", "false", `"30s"`, ""} {
		_, diags := Parse("", []byte("sequence with maxspan="+src+" [a where true] [b where true]"), Elastic)
		if len(diags) != 1 {
			t.Errorf("maxspan=%s: %d diagnostics, want 1\n%s", src, len(diags), diags)
		}
	}
}

func TestParseExprErrors(t *testing.T) {
	for _, src := range []string{"", "  // x", "a ==", "a | head 5", "[a]", "a]", "a[", "a[0", "(", "()", "a by b", "where"} {
		x, diags := ParseExpr("", []byte(src), Kestrel)
		if x == nil || len(diags) != 1 {
			t.Errorf("%q: %d diagnostics, want 1\n%s", src, len(diags), diags)
		}
	}
}

func TestDiagnosticsErr(t *testing.T) {
	_, diags := Parse("x.eql", []byte("process where a = 1 and b == TRUE and (c == 2"), Kestrel)
	err := diags.Err()
	if err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("error is %v, want the two errors without the warning", err)
	}
	if want := "x.eql:1:17: `=` is not a comparison in the kestrel dialect (write `==` to compare)"; diags[0].String() != want {
		t.Errorf("got  %s\nwant %s", diags[0], want)
	}
	_, diags = Parse("x.eql", []byte("process where b == TRUE"), Kestrel)
	if diags.HasErrors() || diags.Err() != nil || len(diags) != 1 {
		t.Errorf("a warning counts as an error: %v", diags)
	}
}
