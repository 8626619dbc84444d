package expr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/events"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// testEvent has a field of every kind.
const testEvent = `{"s":"Hello","n":7,"f":2.5,"t":true,"list":["a","B","c"],"nums":[1,2,3],"ip":"10.1.2.3","uid":"1000",
	"date":"2024-01-31T12:00:00Z","ver":"1.10.0","none":null,"obj":{"x":{"y":"deep"},"z":1},"flat.name":"flat",
	"objs":[{"k":"a","l":[{"m":1}]},{"k":"b","l":[]}],"empty":[],"wild":"a*b"}`

var testSchema = &events.Schema{Closed: true, Fields: map[string]events.Field{
	"s": {Type: events.TypeString}, "n": {Type: events.TypeNumber}, "f": {Type: events.TypeNumber},
	"t": {Type: events.TypeBool}, "list": {Type: events.TypeString}, "nums": {Type: events.TypeNumber},
	"ip": {Type: events.TypeIP}, "uid": {Type: events.TypeString}, "date": {Type: events.TypeDate},
	"ver": {Type: events.TypeVersion}, "none": {}, "obj": {Type: events.TypeObject},
	"obj.x":   {Type: events.TypeObject},
	"obj.x.y": {Type: events.TypeString}, "obj.z": {Type: events.TypeNumber}, "flat.name": {Type: events.TypeString},
	"objs": {Type: events.TypeObject}, "objs.k": {Type: events.TypeString}, "objs.l": {Type: events.TypeObject},
	"objs.l.m": {Type: events.TypeNumber}, "empty": {}, "wild": {Type: events.TypeString},
}}

// evaluate gives the value of an expression as JSON, or the first error.
func evaluate(t *testing.T, text string, opt Options) string {
	t.Helper()
	x, diags := eql.ParseExpr("", []byte(text), opt.Dialect)
	c := Compiler{Options: opt, Source: eql.NewSource("", text), Schema: testSchema}
	if !diags.HasErrors() {
		e := c.Value(x)
		diags = c.Diags
		if !diags.HasErrors() {
			ev, err := events.New(testSchema, []byte(testEvent), 1)
			if err != nil {
				t.Fatal(err)
			}
			env := &Env{Event: ev}
			v := e.Eval(env)
			if env.Err != nil {
				return "failed: " + env.Err.Error()
			}
			return string(v.AppendJSON(nil))
		}
	}
	for _, d := range diags {
		if d.Severity == eql.Error {
			return "error: " + d.Msg
		}
	}
	panic("no error")
}

func checkAll(t *testing.T, opt Options, cases map[string]string) {
	t.Helper()
	for text, want := range cases {
		got := evaluate(t, text, opt)
		if got != want && !(strings.HasPrefix(want, "error: ") && strings.Contains(got, want)) {
			t.Errorf("%s: %s is %s, want %s", opt.Dialect, text, got, want)
		}
	}
}

// TestCommon holds in the elastic and kestrel dialects.
func TestCommon(t *testing.T) {
	for _, d := range []eql.Dialect{eql.Elastic, eql.Kestrel} {
		checkAll(t, Options{Dialect: d}, commonCases)
	}
}

var commonCases = map[string]string{
	// Comparisons and null.
	`s == "Hello"`: "true", `s == "hello"`: "false", `s != "hello"`: "true", `none == "a"`: "null",
	`none != "a"`:  "null",
	`none == null`: "true", `s == null`: "false", `null != s`: "true", `none == none`: "null",
	`empty == null`:    "true",
	`?nothing == null`: "true", `?nothing == ?other`: "true", `?nothing == 1`: "null", `s < "I"`: "true",
	`s >= "I"`: "false",
	`n < 8`:    "true", `n <= 7`: "true", `n > 7.5`: "false", `none < 1`: "null", `n == f`: "false", `null < 1`: "null",
	`(n == 7) == true`: "true", `null == (none > 1)`: "true",
	// Logic.
	`t and none == 1`: "null", `not t or none == 1`: "null", `t or none == 1`: "true", `not (none == 1)`: "null",
	`not t and none == 1`: "false",
	// Dates, addresses, versions.
	`date == "2024-01-31T13:00:00+01:00"`: "true", `date > "2024-01-31"`: "true", `date < 1706702400001`: "true",
	`ip == "10.1.2.3"`: "true", `ip == "10.0.0.0/8"`: "true", `ip != "10.1.2.4"`: "true", `ver > "1.9"`: "true",
	`ver in ("1.10.0")`: "true", `ip in ("10.1.2.3", "::1")`: "true",
	// Arrays: some element.
	`list == "a"`: "true", `list == "b"`: "false", `list != "a"`: "false", `list != "z"`: "true", `nums > 2`: "true",
	`nums > 3`: "false", `list : "b"`: "true", `list in ("x", "c")`: "true", `list like "?"`: "true",
	`objs.k == "b"`: "true",
	`objs.l.m == 1`: "true", `nums == list`: "false", `nums + 1 == 4`: "true", `nums * nums == 6`: "true",
	`length(list) == 1`: "true", `startsWith(list, "B")`: "true", `not startsWith(list, "B")`: "false",
	`empty : "a"`: "null", `string(nums)`: `["1","2","3"]`,
	// Paths.
	`obj.x.y`: `"deep"`, `flat.name`: `"flat"`, "`flat.name`": `"flat"`, `obj.z`: "1",
	// Operators.
	`s : "hello"`: "true", `s : "h*O"`: "true", `s : ("x", "h?llo")`: "true", `s : null`: "null",
	`none : "a"`:      "null",
	`s : ("x", null)`: "null", `s in ("Hello")`: "true", `s in ("hello")`: "false", `s in~ ("hello")`: "true",
	`s not in ("x")`: "true", `n in (1, 7)`: "true", `n in (1, 2)`: "false", `none in ("a")`: "null",
	`s in ("x", null)`: "null",
	`s in ("x", none)`: "null", `s in ("x", s)`: "true", `n in (7.0)`: "true",
	`s like "H*"`: "true", `s like "h*"`: "false", `s like~ "h*"`: "true", `s like ("x", "*o")`: "true",
	`none like "*"`:  "null",
	`s regex "H.*o"`: "true", `s regex "H"`: "false", `s regex~ "hel+o"`: "true",
	`s regex ("x", "[A-Z]ello")`: "true",
	`none regex ".*"`:            "null",
	// Arithmetic.
	`n + 1`: "8", `n - 10`: "-3", `n * f`: "17.5", `n / 2`: "3", `n / 2.0`: "3.5", `n % 4`: "3", `-n`: "-7",
	`+n`:    "7",
	`n / 0`: "null", `n % 0`: "null", `none + 1`: "null", `9223372036854775807 + n`: "null", `-n % 4`: "-3",
	// Functions.
	`add(n, 1)`: "8", `subtract(n, 1)`: "6", `multiply(n, 2)`: "14", `divide(n, 2)`: "3", `modulo(n, 4)`: "3",
	`add(none, 1)`: "null", `divide(n, none)`: "null", `modulo(n, 0)`: "null", `multiply(none, none)`: "null",
	`subtract(none, 1)`:    "null",
	`between(s, "H", "o")`: `"ell"`, `between(s, "h", "o")`: "null", `between~(s, "h", "O")`: `"ell"`,
	`between("abcabc", "a", "c", true)`: `"bcab"`, `between("abcabc", "a", "c", none)`: `"b"`,
	`between(none, "a", "b")`: "null",
	`between(s, none, "b")`:   "null", `between(s, "x", "y")`: "null", `between(s, "", "")`: `""`,
	`between(list, "", "")`:       `["","",""]`,
	`cidrMatch(ip, "10.0.0.0/8")`: "true", `cidrMatch(ip, "11.0.0.0/8", "10.1.0.0/16")`: "true",
	`cidrMatch(ip, "11.0.0.0/8")`: "false", `cidrMatch(none, "11.0.0.0/8")`: "null",
	`cidrMatch(s, "11.0.0.0/8")`: "false",
	`concat(s, n, f, t)`:         `"Hello72.5true"`, `concat(s)`: `"Hello"`, `concat(s, none)`: "null",
	`concat("x", list)`: `["xa","xB","xc"]`,
	`endsWith(s, "lo")`: "true", `endsWith(s, "LO")`: "false", `endsWith~(s, "LO")`: "true",
	`endsWith(s, none)`:   "null",
	`endsWith(list, "c")`: "true",
	`indexOf(s, "l")`:     "2", `indexOf(s, "l", 3)`: "3", `indexOf(s, "l", 4)`: "null", `indexOf(s, "L")`: "null",
	`indexOf~(s, "L")`:      "2",
	`indexOf(s, "l", none)`: "2", `indexOf(none, "l")`: "null", `indexOf("äöü", "ü")`: "2", `indexOf(s, "", 5)`: "5",
	`indexOf(s, "", 6)`: "null", `indexOf(s, "H", -3)`: "0", `indexOf(list, "c")`: "[null,null,0]",
	`length(s)`: "5", `length("äöü")`: "3", `length(none)`: "null", `length("")`: "0",
	`number("0x1F")`: "31", `number("1F", 16)`: "31", `number("0x1F", 16)`: "31", `number("-12")`: "-12",
	`number("+1.5")`: "1.5",
	`number("x")`:    "null", `number("1.5", 2)`: "null", `number("77", 8)`: "63", `number("1", 99)`: "null",
	`number(none)`:      "null",
	`number(uid, none)`: "1000", `number("")`: "null", `number("--1")`: "null", `number("Inf")`: "null",
	`number("1_0")`:       "null",
	`startsWith(s, "He")`: "true", `startsWith(s, "he")`: "false", `startsWith~(s, "he")`: "true",
	`startsWith(none, "h")`: "null",
	`STARTSWITH(s, "He")`:   "true",
	`string(n)`:             `"7"`, `string(f)`: `"2.5"`, `string(t)`: `"true"`, `string(none)`: "null",
	`string(ip)`:              `"10.1.2.3"`,
	`string(date)`:            `"2024-01-31T12:00:00.000Z"`,
	`stringContains(s, "ll")`: "true", `stringContains(s, "LL")`: "false", `stringContains~(s, "LL")`: "true",
	`stringContains(s, none)`: "null",
	`substring(s, 1)`:         `"ello"`, `substring(s, 1, 3)`: `"el"`, `substring(s, -2)`: `"lo"`,
	`substring(s, 0, -1)`: `"Hell"`,
	`substring(s, 3, 1)`:  `""`, `substring(s, none, 2)`: `"He"`, `substring(none, 1)`: "null",
	`substring("äöü", 1, 2)`:  `"ö"`,
	`substring(s, -100, 100)`: `"Hello"`, `substring(s, 4.9)`: `"o"`, `substring(list, 0, 1)`: `["a","B","c"]`,
	// What is refused.
	`length()`: "error: length takes 1 argument, found 0", `length(s, s)`: "error: ", `substring(s)`: "error: ",
	`number(1, 2, 3)`: "error: number takes 1 to 2 arguments, found 3",
	`concat()`:        "error: concat takes at least 1 argument",
	`length~(s)`:      "error: length has no form with `~`", `strlen(s)`: "error: unknown function strlen",
	`nothing == 1`: "error: unknown field nothing", `s + 1`: "error: arithmetic takes numbers, this is a string",
	`cidrMatch(ip, s)`: "error: ", `cidrMatch(ip, "10.0.0.0")`: "error: ", `s regex "("`: "error: ",
	`s like 1`:  "error: ",
	`add(s, 1)`: "error: argument 1 of add is a number, this is a string", `startsWith(t, "a")`: "error: ",
	`date > "soon"`: "error: ", `ip == "home"`: "error: ", `between(s, "a", "b", 1)`: "error: ", `n`: "7",
	`not n`:                         "error: ",
	`child of [process where true]`: "error: ",
}

func TestElastic(t *testing.T) {
	checkAll(t, Options{Dialect: eql.Elastic}, map[string]string{
		`uid == 1000`: "false", `uid in (1000)`: "false", `s in ("H*")`: "false", `n : 7`: "error: ",
		`n : "7"`:           "error: ",
		`wildcard(s, "H*")`: "error: ", `length(ip)`: "error: ", `arrayCount(list, x, true)`: "error: ",
		`t : "true"`: "error: ",
		`number(n)`:  "error: ",
	})
}

func TestKestrel(t *testing.T) {
	list := []value.Value{value.String("H*"), value.String("x"), value.Int(1000)}
	globals := map[string][]value.Value{"L": list, "ONE": list[:1]}
	checkAll(t, Options{Dialect: eql.Kestrel, Globals: globals}, map[string]string{
		// Numbers and strings.
		`uid == 1000`: "true", `uid != 1000`: "false", `1000 == uid`: "true", `uid < 2000`: "true",
		`uid in (0, 1000)`: "true",
		`n : "7"`:          "true", `n == "7"`: "true", `n like "?"`: "true", `n in ("?")`: "true", `length(n)`: "1",
		`n in ("7")`: "true",
		// Globs and networks in lists.
		`s in ("H*", "x")`: "true", `s in ("h*")`: "false", `s in~ ("h*")`: "true", `s == "H*"`: "false",
		`wild in ("a?b")`:      "true",
		`ip in ("10.0.0.0/8")`: "true", `ip in ("11.0.0.0/8", "10.1.*")`: "true", `not ip in ("10.0.0.0/8")`: "false",
		// Operators.
		`s contains "ell"`: "true", `s contains ("x", "lo")`: "true", `s contains "LL"`: "false",
		`s contains~ "LL"`:  "true",
		`s startswith "He"`: "true", `s startswith~ ("x", "he")`: "true", `s endswith "lo"`: "true",
		`none contains "a"`: "null",
		`list contains "B"`: "true", `s contains none`: "null", `n contains 7`: "true",
		// Globals.
		`s in $L`: "true", `uid in $L`: "true", `s like $L`: "error: ", `s like $ONE`: "true", `s == $ONE`: "false",
		`s == $L`: "error: ",
		`s in $M`: "error: unknown global $M", `s == $ONE.x`: "error: ",
		// Functions of the endpoint.
		`arraySearch(list, $e, $e == "B")`: "true", `arraySearch(objs, $o, $o.k == "b")`: "true",
		`arrayCount(list, $e, $e : "b")`: "1", `arrayContains(list, "x", "c")`: "true",
		`arrayContains~(list, "A")`: "true",
		`arrayContains(none, "x")`:  "null", `arrayContains(s, "Hello")`: "true",
		`arraySearch(none, $e, true)`:       "false",
		`arraySearch(s, $e, $e == "Hello")`: "true", `arrayCount(none, $e, true)`: "0",
		`arraySearch(objs, $o, arraySearch($o.l, $p, $p.m == 1 and $o.k == "a"))`: "true",
		`wildcard(s, "x", "H*")`: "true", `wildcard~(s, "h*")`: "true", `match(s, "[A-Z]ello")`: "true",
		`match(s, "ello")`:   "false",
		`match~(s, "HELLO")`: "true", `matchLite(s, "H.*")`: "true", `safe(n)`: "7", `match(none, "a")`: "null",
		`list[1] == "B"`: "true", `list[9] == null`: "true", `objs[0].l[0].m`: "1", `objs[1].k`: `"b"`,
		`match(s, "(")`: "error: ", `match(s, n)`: "error: ", `arraySearch(list, "a", true)`: "error: ",
		`s == t`: "error: ", `t < t`: "error: ", `date : "2024*"`: "error: ",
		`TRUE(s)`: "error: unknown function",
	})
}

func TestEndgame(t *testing.T) {
	insensitive := map[string]string{
		`s == "hello"`: "true", `s != "hello"`: "false", `s in ("hello")`: "true", `startsWith(s, "he")`: "true",
		`endsWith(s, "LO")`: "true", `stringContains(s, "LL")`: "true", `indexOf(s, "L")`: "2",
		`between(s, "h", "O")`: `"ell"`,
		`wildcard(s, "h*")`:    "true", `match(s, "hello")`: "true", `s == "h*"`: "true",
		`arrayContains(list, "b")`: "true",
		`s < "I"`:                  "true", `s >= "HELLO"`: "true", `between(s, "h", "O", false, true)`: "null",
	}
	sensitive := map[string]string{
		`s == "hello"`: "false", `s != "hello"`: "true", `s in ("hello")`: "false", `startsWith(s, "he")`: "false",
		`endsWith(s, "LO")`: "false", `stringContains(s, "LL")`: "false", `indexOf(s, "L")`: "null",
		`wildcard(s, "h*")`: "false", `match(s, "hello")`: "false", `s == "h*"`: "false",
		`arrayContains(list, "b")`: "false",
		`s >= "HELLO"`:             "true",
	}
	both := map[string]string{
		`s = "H*o"`: "true", `"H*o" == s`: "true", `s != "H*o"`: "false", `"x*" != s`: "true", `none == "*"`: "null",
		`none != "*"`:  "null",
		`s == "H?llo"`: "false", `wildcard(s, "H?llo")`: "false", `s in ("H*")`: "false", `length(list)`: "3",
		`length(s)`:    "5",
		`length(none)`: "null", `length(n)`: "null", `list[0] == "a"`: "true",
		`arraySearch(list, e, e == "B")`: "true",
		`arrayCount(list, e, e == "*")`:  "3", `arraySearch(objs, o, arrayCount(o.l, p, p.m == 1) == 1)`: "true",
		`arraySearch(objs, o, o.k != "a*")`: "true", `nothing == null`: "true", `nothing == other`: "null",
		`nothing`:   "null",
		`obj and n`: "true", `empty or none`: "null", `not obj`: "false", `s:length()`: "5",
		`s:substring(1, 3)`:  `"el"`,
		`safe(divide(s, s))`: "null", `add(s, 1)`: "null", `n + s`: "null", `match(s, ?"H\w+")`: "true",
		`startswith(s, "H")`: "error: unknown function", `1 == "a"`: "error: ", `length(1)`: "error: ",
		`true < false`: "error: ",
		`1 + "a"`:      "error: ", `wildcard(s)`: "error: ", `arrayCount(list, e)`: "error: ", `match(s, 1)`: "error: ",
	}
	checkAll(t, Options{Dialect: eql.Endgame}, insensitive)
	checkAll(t, Options{Dialect: eql.Endgame}, both)
	checkAll(t, Options{Dialect: eql.Endgame, CaseSensitive: true}, sensitive)
	checkAll(t, Options{Dialect: eql.Endgame, CaseSensitive: true}, both)
}

// TestOpen: without a schema nothing is known of fields, and what a type checker would refuse is a warning.
func TestOpen(t *testing.T) {
	for text, warnings := range map[string]int{
		`anything == 1 and other : "a"`: 0, `pid : 4`: 1, `1 + 2`: 0, `1 and true`: 1, `"a" == 1`: 1,
		`(pid : 4) + 1`:                     2,
		`between(a, "x", "y", false, true)`: 1, `number(5)`: 1,
	} {
		x, diags := eql.ParseExpr("", []byte(text), eql.Elastic)
		c := Compiler{Options: Options{Dialect: eql.Elastic}, Source: eql.NewSource("", text)}
		c.Value(x)
		if diags.HasErrors() || c.Diags.HasErrors() || len(c.Diags) != warnings {
			t.Errorf("%s: %d diagnostics, want %d warnings:\n%s%s", text, len(c.Diags), warnings, diags, c.Diags)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	known := []string{"process.name", "process.executable", "user.id"}
	for wrong, want := range map[string]string{
		"proces.name": "process.name", "process.nmae": "process.name", "executable": "process.executable",
		"USER.ID": "user.id", "file.path": "", "": "",
	} {
		got := didYouMean(wrong, known)
		if want != "" {
			want = "did you mean " + want + "?"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", wrong, got, want)
		}
	}
}

func TestCombosMax(t *testing.T) {
	var list []string
	for i := range 1100 {
		list = append(list, fmt.Sprint(i))
	}
	text := `add(a, b)`
	x, _ := eql.ParseExpr("", []byte(text), eql.Kestrel)
	c := Compiler{Options: Options{Dialect: eql.Kestrel}, Source: eql.NewSource("", text)}
	e := c.Value(x)
	all := strings.Join(list, ",")
	ev, err := events.New(&events.Schema{}, fmt.Appendf(nil, `{"a":[%s],"b":[%s]}`, all, all), 1)
	if err != nil {
		t.Fatal(err)
	}
	env := &Env{Event: ev}
	if e.Eval(env); env.Err == nil || !strings.Contains(env.Err.Error(), "combinations") {
		t.Errorf("1100 * 1100 combinations: %v", env.Err)
	}
}
