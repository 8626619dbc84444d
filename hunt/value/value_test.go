package value

import (
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern, s  string
		fold, match bool
	}{
		{"", "", false, true}, {"", "a", false, false}, {"*", "", false, true}, {"*", "any thing", false, true},
		{"?", "", false, false}, {"?", "é", false, true}, {"a?c", "abc", false, true}, {"a?c", "ac", false, false},
		{"a*c", "ac", false, true}, {"a*c", "abcbc", false, true}, {"a*c", "abcb", false, false},
		{"*b*b*", "abcabc", false, true}, {"*b*b*", "abc", false, false}, {"A*", "abc", false, false},
		{"A*", "abc", true, true}, {"*\nb", "a\nb", false, true}, {"ab*ab", "aab", false, false},
		{"*a*a*a*a*b", strings.Repeat("a", 100), false, false}, {"É*", "éa", true, false},
	} {
		if got := Glob(c.pattern, c.s, c.fold); got != c.match {
			t.Errorf("Glob(%q, %q, %t) is %t", c.pattern, c.s, c.fold, got)
		}
	}
}

// FuzzGlob compares wildcards with the regular expression that they stand for.
func FuzzGlob(f *testing.F) {
	f.Add("a*b?c", "axxbyc")
	f.Add("*\\?*", "\n\u00e9")
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 20 || len(s) > 100 || strings.ToValidUTF8(pattern, "") != pattern ||
			strings.ToValidUTF8(s, "") != s {
			return
		}
		stars := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, ".*")
		all := regexp.MustCompile(`(?s)\A(?:` + strings.ReplaceAll(stars, `\?`, ".") + `)\z`)
		if want := all.MatchString(s); Glob(pattern, s, false) != want {
			t.Errorf("Glob(%q, %q) is %t", pattern, s, !want)
		}
		if want := regexp.MustCompile(`(?s)\A(?:` + stars + `)\z`).MatchString(s); Stars(pattern, s, false) != want {
			t.Errorf("Stars(%q, %q) is %t", pattern, s, !want)
		}
	})
}

func TestStars(t *testing.T) {
	for _, c := range []struct {
		pattern, s  string
		fold, match bool
	}{
		{"a*b", "axb", false, true}, {"a*b", "ab", false, true}, {"a*a", "a", false, false},
		{"a?b", "axb", false, false},
		{"a?*", "a?x", false, true}, {"*X*", "axb", true, true}, {"*X*", "axb", false, false},
	} {
		if got := Stars(c.pattern, c.s, c.fold); got != c.match {
			t.Errorf("Stars(%q, %q, %t) is %t", c.pattern, c.s, c.fold, got)
		}
	}
}

func TestOrder(t *testing.T) {
	date := Date(time.Date(2024, 1, 31, 12, 0, 0, 0, time.UTC).UnixNano())
	for _, c := range []struct {
		a, b  Value
		order int
		ok    bool
	}{
		{Int(1), Int(2), -1, true}, {Int(1), Float(1), 0, true}, {Float(1.5), Int(1), 1, true},
		{Int(math.MaxInt64), Float(1 << 63), -1, true}, {Int(math.MaxInt64 - 1), Float(math.MaxInt64), -1, true},
		{Int(math.MinInt64), Float(-1 << 63), 0, true}, {Float(-1e30), Int(math.MinInt64), -1, true},
		{String("a"), String("b"), -1, true}, {String("B"), String("a"), -1, true}, {String("a"), Int(1), 0, false},
		{Null, Int(1), 0, false}, {Null, Null, 0, false}, {Bool(true), Bool(false), 1, true},
		{Bool(true), Int(1), 0, false},
		{date, String("2024-01-31T13:00:00+01:00"), 0, true}, {date, String("2024-02"), -1, true},
		{date, Int(1706702400001), -1, true}, {Float(1706702400000), date, 0, true}, {date, String("soon"), 0, false},
		{Version("1.9"), String("1.10"), -1, true}, {IP("10.0.0.9"), IP("10.0.0.10"), -1, true},
	} {
		if got, ok := (Rules{}).Order(c.a, c.b); ok != c.ok || ok && got != c.order {
			t.Errorf("%v and %v: %d, %t", c.a, c.b, got, ok)
		}
	}
}

func TestEqual(t *testing.T) {
	list := Array([]Value{Int(1), Null, String("a")})
	for _, c := range []struct {
		rules Rules
		a, b  Value
		want  Truth
	}{
		{Rules{}, Null, Null, Unknown}, {Rules{}, Null, Int(1), Unknown}, {Rules{}, Int(1), Float(1), True},
		{Rules{}, String("a"), String("A"), False}, {Rules{Fold: true}, String("a"), String("A"), True},
		{Rules{}, String("7"), Int(7), False}, {Rules{Numeric: true}, String("7"), Int(7), True},
		{Rules{Numeric: true}, Int(7), String("07"), False}, {Rules{Numeric: true}, String("1.5"), Float(1.5), True},
		{Rules{}, IP("10.0.0.1"), String("10.0.0.1"), True}, {Rules{}, IP("10.1.2.3"), String("10.0.0.0/8"), True},
		{Rules{}, String("10.0.0.0/8"), IP("11.0.0.1"), False},
		{Rules{}, IP("::ffff:10.0.0.1"), IP("10.0.0.1"), True},
		{Rules{}, IP("10.0.0.1"), String("10.*"), False}, {Rules{}, Bool(true), String("true"), False},
		{Rules{}, list, list, True}, {Rules{}, list, Array(nil), False}, {Rules{}, list, Int(1), False},
	} {
		if got := c.rules.Equal(c.a, c.b); got != c.want {
			t.Errorf("%+v: %s and %s: %d", c.rules, c.a.Text(), c.b.Text(), got)
		}
	}
}

func TestCompute(t *testing.T) {
	for _, c := range []struct {
		op         Op
		a, b, want Value
	}{
		{Add, Int(7), Int(3), Int(10)}, {Add, Int(math.MaxInt64), Int(1), Null},
		{Add, Int(-1), Int(math.MinInt64), Null},
		{Add, Int(1), Float(0.5), Float(1.5)}, {Add, Int(1), String("1"), Null}, {Add, Null, Int(1), Null},
		{Sub, Int(math.MinInt64), Int(1), Null}, {Sub, Int(0), Int(math.MinInt64), Null},
		{Sub, Int(5), Int(0), Int(5)},
		{Mul, Int(1 << 32), Int(1 << 31), Null}, {Mul, Int(-1), Int(math.MinInt64), Null},
		{Mul, Int(0), Int(5), Int(0)},
		{Mul, Int(math.MinInt64), Int(1), Int(math.MinInt64)},
		{Div, Int(7), Int(2), Int(3)}, {Div, Int(-7), Int(2), Int(-3)}, {Div, Int(7), Int(0), Null},
		{Div, Int(7), Float(0), Null}, {Div, Int(math.MinInt64), Int(-1), Null}, {Div, Float(7), Int(2), Float(3.5)},
		{Mod, Int(-7), Int(3), Int(-1)}, {Mod, Int(7), Int(0), Null}, {Mod, Int(math.MinInt64), Int(-1), Int(0)},
		{Mod, Float(7.5), Int(2), Float(1.5)},
	} {
		if got := Compute(c.op, c.a, c.b); got != c.want {
			t.Errorf("%s %d %s is %s, want %s", c.a.Text(), c.op, c.b.Text(), got.Text(), c.want.Text())
		}
	}
	if got := Negate(Int(math.MinInt64)); got != Null {
		t.Errorf("the negation of the least integer is %s", got.Text())
	}
	if got := Negate(Float(1.5)); got != Float(-1.5) || Negate(String("a")) != Null {
		t.Errorf("wrong negation %s", got.Text())
	}
}

func TestParseDate(t *testing.T) {
	for s, want := range map[string]string{
		"2024-01-31T12:00:00Z":           "2024-01-31T12:00:00.000Z",
		"2024-01-31T12:00:00.123456789Z": "2024-01-31T12:00:00.123456789Z",
		"2024-01-31T12:00:00.5+01:00":    "2024-01-31T11:00:00.500Z",
		"2024-01-31T12:00:00.5+0100":     "2024-01-31T11:00:00.500Z",
		"2024-01-31 12:00:00":            "2024-01-31T12:00:00.000Z", "2024-01-31T12:30": "2024-01-31T12:30:00.000Z",
		"2024-01-31": "2024-01-31T00:00:00.000Z", "31-01-2024": "2024-01-31T00:00:00.000Z",
		"2024-01": "2024-01-01T00:00:00.000Z",
		"2024":    "2024-01-01T00:00:00.000Z", "1": "1970-01-01T00:00:00.001Z",
		"1706702400000": "2024-01-31T12:00:00.000Z",
		"-1":            "1969-12-31T23:59:59.999Z",
	} {
		if nanos, ok := ParseDate(s); !ok || Date(nanos).Text() != want {
			t.Errorf("%s is %s, %t, want %s", s, Date(nanos).Text(), ok, want)
		}
	}
	for _, s := range []string{"", "now", "2024-13-01", "1500", "9999-01-01", "99999999999999999", "1e300"} {
		if nanos, ok := ParseDate(s); ok {
			t.Errorf("%q is a date, %s", s, Date(nanos).Text())
		}
	}
}

func TestToClock(t *testing.T) {
	const want = "2024-01-31T12:00:00.000Z"
	for _, v := range []Value{Int(1706702400), Float(1706702400), Int(1706702400000), Int(1706702400000000),
		Int(1706702400000000000), Int(133511760000000000), String(want), Date(1706702400000000000)} {
		if got := ToClock(v); got.Text() != want {
			t.Errorf("%s is %s", v.Text(), got.Text())
		}
	}
	if got := ToClock(Int(1)); got.Text() != "1970-01-01T00:00:00.001Z" {
		t.Errorf("1 is %s", got.Text())
	}
}

func TestCompareVersions(t *testing.T) {
	ascending := []string{"0.9", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11",
		"1.0.0", "1.0.0+build", "1.2", "1.2.4", "1.11.3", "2", "10000000000000000000000", "bad", "v1"}
	for i, a := range ascending {
		for j, b := range ascending {
			if got := CompareVersions(a, b); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%s and %s compare as %d", a, b, got)
			}
		}
	}
}

func TestInNetwork(t *testing.T) {
	for _, c := range []struct {
		address, network string
		want             bool
	}{
		{"10.1.2.3", "10.9.9.9/8", true}, {"11.1.2.3", "10.0.0.0/8", false}, {"fe80::1", "fe80::/10", true},
		{"::ffff:10.0.0.1", "10.0.0.0/8", true}, {"10.0.0.1", "::ffff:10.0.0.0/104", true},
		{"x", "10.0.0.0/8", false},
		{"10.0.0.1", "10.0.0.0", false}, {"fe80::1%eth0", "fe80::/10", true}, {"10.0.0.1", "0.0.0.0/0", true},
	} {
		if got := InNetwork(c.address, c.network); got != c.want {
			t.Errorf("%s in %s is %t", c.address, c.network, got)
		}
	}
}

func TestText(t *testing.T) {
	const object = `{"a":[1,2.5,"x<\u0001",null,true,{"b":1}],"é":[],"o":{}}`
	v, err := Parse(object)
	if got := string(v.AppendJSON(nil)); got != object || err != nil {
		t.Errorf("the object is %s, %v", got, err)
	}
	for want, v := range map[string]Value{
		"": Null, "true": Bool(true), "-5": Int(-5), "1.0": Float(1), "2.5": Float(2.5), "1e+30": Float(1e30),
		"a":        String("a"),
		`[1,null]`: Array([]Value{Int(1), Null}), "1970-01-01T00:00:00.000000001Z": Date(1),
		"10.0.0.1": IP("10.0.0.1"),
	} {
		if got := v.Text(); got != want {
			t.Errorf("%v is written as %s, want %s", v, got, want)
		}
	}
	if got := string(String("a\"<\n").AppendJSON(nil)); got != `"a\"<\n"` {
		t.Errorf("the string is %s", got)
	}
	if Float(math.NaN()) != Null || Float(math.Inf(1)) != Null {
		t.Error("what is no finite number is not null")
	}
}

func TestTruth(t *testing.T) {
	for _, c := range []struct {
		v             Value
		strict, loose Truth
	}{
		{Null, Unknown, Unknown}, {Bool(true), True, True}, {Bool(false), False, False}, {Int(0), Unknown, False},
		{Float(0.5), Unknown, True}, {String(""), Unknown, False}, {String("a"), Unknown, True},
		{Array(nil), Unknown, False},
		{Object([]Member{{"a", Null}}), Unknown, True}, {Date(0), Unknown, True},
	} {
		if c.v.Truth() != c.strict || c.v.Loose() != c.loose {
			t.Errorf("%s is %d, loosely %d", c.v.Text(), c.v.Truth(), c.v.Loose())
		}
	}
	if Unknown.Not() != Unknown || True.Not() != False || False.Not() != True || Unknown.Value() != Null {
		t.Error("wrong negation")
	}
}
