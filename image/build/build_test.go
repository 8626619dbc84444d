package build

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/ir"
	"github.com/kestrel-detection/kestrel/limits"
)

func single(id string, cond ir.Node) ir.Rule {
	return ir.Rule{ID: id, Name: id, Stages: []ir.Stage{{Category: event.CategoryProcess, Cond: cond}}}
}

func is(f event.FieldID, texts ...string) ir.Node {
	t := ir.StringTest{Field: f}
	for _, s := range texts {
		t.Patterns = append(t.Patterns, ir.Pattern{Text: s})
	}
	return t
}

func and(args ...ir.Node) ir.Node { return ir.And{Args: args} }
func or(args ...ir.Node) ir.Node  { return ir.Or{Args: args} }
func not(arg ir.Node) ir.Node     { return ir.Not{Arg: arg} }

func set(rules ...ir.Rule) *ir.Ruleset { return &ir.Ruleset{Name: "test", Version: "1", Rules: rules} }

// built compiles and never fails by panicking.
func built(t *testing.T, rs *ir.Ruleset) (img *image.Image, rep *Report, err error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("compiling failed by a panic, want an image or an error: %v", r)
			err = fmt.Errorf("%v", r)
		}
	}()
	file, rep, err := Build(rs, Options{})
	if err != nil {
		return nil, nil, err
	}
	if rep.Bytes != len(file) {
		t.Errorf("report of %d bytes, the image has %d", rep.Bytes, len(file))
	}
	img, err = image.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return img, rep, nil
}

// TestLimits: each limit and one more.
func TestLimits(t *testing.T) {
	yes := ir.Const{Value: ir.True}
	stages := func(n, keys int) ir.Rule {
		r := ir.Rule{ID: "r", Name: "r", Form: ir.FormSequence}
		for range n {
			s := ir.Stage{Category: event.CategoryAny, Cond: yes}
			for range keys {
				s.Keys = append(s.Keys, ir.Key{Field: event.FieldPID})
			}
			r.Stages = append(r.Stages, s)
		}
		return r
	}
	many := func(n int) *ir.Ruleset {
		rs := set()
		for i := range n {
			rs.Rules = append(rs.Rules, single(fmt.Sprint(i), yes))
		}
		return rs
	}
	code := func(n int) *ir.Ruleset {
		args := make([]ir.Node, n)
		for i := range args {
			args[i] = ir.IntTest{Field: event.FieldPID, Cmp: ir.Lt, Value: int64(i)}
		}
		return set(single("r", or(args...)))
	}
	long := strings.Repeat("x", limits.NameBytesMax)
	for _, c := range []struct {
		name string
		rs   *ir.Ruleset
		bad  string // of the error, empty for an image
	}{
		{"rules", many(limits.RulesMax), ""},
		{"rules", many(limits.RulesMax + 1), fmt.Sprintf("%d rules (max %d)", limits.RulesMax+1, limits.RulesMax)},
		{"no rules", set(), ""},
		{"stages", set(stages(limits.StagesMax-1, 0)), ""},
		{"stages", set(stages(limits.StagesMax, 0)), fmt.Sprintf("%d steps (max %d)", limits.StagesMax, limits.StagesMax-1)},
		{"keys", set(stages(2, limits.KeysMax)), ""},
		{"keys", set(stages(2, limits.KeysMax+1)), "step 1: 6 join keys (max 5)"},
		{"code", code(limits.CodeMax), ""},
		{"code", code(limits.CodeMax + 1), "step 1: 65001 tests (max 65000)"},
		{"id", set(ir.Rule{ID: long, Name: "r", Stages: single("", yes).Stages}), ""},
		{"id", set(ir.Rule{ID: long + "x", Name: "r", Stages: single("", yes).Stages}), "id of 256 bytes (max 255)"},
		{"name", set(ir.Rule{ID: "r", Name: long + "x", Stages: single("", yes).Stages}), "name of 256 bytes (max 255)"},
		{"rule set", &ir.Ruleset{Name: long, Version: long}, ""},
		{"rule set", &ir.Ruleset{Name: long + "x"}, "name of 256 bytes (max 255)"},
		{"rule set", &ir.Ruleset{Version: long + "x"}, "version of 256 bytes (max 255)"},
	} {
		t.Run(c.name+" "+c.bad, func(t *testing.T) {
			_, _, err := built(t, c.rs)
			if (err != nil) != (c.bad != "") || err != nil && !strings.Contains(err.Error(), c.bad) {
				t.Errorf("error %v, want %q", err, c.bad)
			}
		})
	}
}

// TestOddInput: what a package can hold and the format cannot is an error, not a bug.
func TestOddInput(t *testing.T) {
	yes := ir.Const{Value: ir.True}
	pair := single("r", yes)
	pair.Form, pair.Stages = ir.FormSequence, append(pair.Stages, pair.Stages...)
	for _, span := range []time.Duration{1, time.Hour, 1 << 62, 1<<62 + 1, 106751 * 24 * time.Hour, 1<<63 - 1} {
		r := pair
		r.MaxSpan = span
		if img, _, err := built(t, set(r)); err == nil && time.Duration(img.Rules[0].MaxSpan) != span {
			t.Errorf("maxspan %s became %d", span, img.Rules[0].MaxSpan)
		}
	}
	for _, rs := range []*ir.Ruleset{{Name: "n\xff"}, {Version: "\xff"}, set(single("id\xff", yes)), set(single("", yes))} {
		if img, _, err := built(t, rs); err == nil && len(rs.Rules) > 0 && img.String(img.Rules[0].ID) != rs.Rules[0].ID {
			t.Errorf("id %q became %q", rs.Rules[0].ID, img.String(img.Rules[0].ID))
		}
	}
}

// TestRanges: ranges made of prefixes hold the addresses that the prefixes hold, IPv4 and IPv6 apart, sorted and
// without overlap.
func TestRanges(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 8))
	address := func() netip.Addr {
		var b [16]byte
		switch rnd.IntN(4) {
		case 0: // IPv4, near the ends of its space or of a small part
			v := [4]byte{byte(rnd.IntN(3)) * 127, byte(rnd.IntN(2)) * 255, byte(rnd.IntN(256)), byte(rnd.IntN(256))}
			return netip.AddrFrom4(v)
		case 1: // around the addresses that stand for IPv4
			b[10], b[11] = byte(255*rnd.IntN(2)), byte(255-rnd.IntN(2))
			b[9] = byte(rnd.IntN(2))
		case 2:
			b[0], b[1] = 0xfe, 0x80
		}
		for i := 12; i < 16; i++ {
			b[i] = byte(rnd.IntN(3)) * 127
		}
		return netip.AddrFrom16(b)
	}
	less := func(a, b [2]uint64) bool { return a[0] < b[0] || a[0] == b[0] && a[1] < b[1] }
	for range 5000 {
		var prefixes []netip.Prefix
		for range rnd.IntN(5) {
			a := address()
			if a.Is4In6() {
				continue // the checker writes these as IPv4
			}
			prefixes = append(prefixes, netip.PrefixFrom(a, rnd.IntN(a.BitLen()+1)))
		}
		rs := ranges(prefixes)
		for i := range rs {
			if less([2]uint64{rs[i].HiHi, rs[i].HiLo}, [2]uint64{rs[i].LoHi, rs[i].LoLo}) ||
				i > 0 && !less([2]uint64{rs[i-1].HiHi, rs[i-1].HiLo}, [2]uint64{rs[i].LoHi, rs[i].LoLo}) {
				t.Fatalf("seed %d: %v: ranges %v", seed, prefixes, rs)
			}
		}
		for range 30 {
			a := address()
			if a.Is4In6() {
				continue
			}
			want, got := false, false
			for _, p := range prefixes {
				want = want || p.Contains(a)
			}
			one := prefixRange(netip.PrefixFrom(a, a.BitLen()))
			v := [2]uint64{one.LoHi, one.LoLo}
			for _, r := range rs {
				got = got || !less(v, [2]uint64{r.LoHi, r.LoLo}) && !less([2]uint64{r.HiHi, r.HiLo}, v)
			}
			if got != want {
				t.Fatalf("seed %d: %s in %v: %v, want %v (ranges %v)", seed, a, prefixes, got, want, rs)
			}
		}
	}
}

// TestCover: which tests make a condition a candidate, and which conditions always are.
func TestCover(t *testing.T) {
	path := func(s string) ir.Node { return is(event.FieldExecutable, s) }
	number := ir.IntTest{Field: event.FieldPID, Cmp: ir.Eq, Value: 1}
	for _, c := range []struct {
		name          string
		cond          ir.Node
		index         string // fields
		always, never bool
	}{
		{"one test", path("/x"), "process.executable", false, false},
		{"and takes the rarer", and(is(event.FieldEventType, "start"), path("/x")), "process.executable", false, false},
		{"and with a number", and(number, path("/x")), "process.executable", false, false},
		{"or needs all", or(path("/x"), is(event.FieldName, "y")), "process.name process.executable", false, false},
		{"or with a number", or(path("/x"), number), "", true, false},
		{"negated test", not(path("/x")), "", true, false},
		{"and with a negated test", and(not(path("/x")), is(event.FieldName, "y")), "process.name", false, false},
		{"negated or", not(or(not(path("/x")), number)), "process.executable", false, false},
		{"negated and", not(and(not(path("/x")), not(is(event.FieldName, "y")))), "process.name process.executable", false, false},
		{"is true", ir.IsTrue{Arg: path("/x")}, "process.executable", false, false},
		{"not is true", not(ir.IsTrue{Arg: path("/x")}), "", true, false},
		{"any text", ir.StringTest{Field: event.FieldName, Patterns: []ir.Pattern{{Kind: ir.Wildcard, Text: "*"}}}, "", true, false},
		{"true", ir.Const{Value: ir.True}, "", true, false},
		{"false", ir.Const{Value: ir.False}, "", false, true},
		{"null", ir.Const{Value: ir.Null}, "", false, true},
		{"false after folding", and(path("/x"), ir.Const{Value: ir.False}), "", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, rep, err := built(t, set(single("r", c.cond)))
			if err != nil {
				t.Fatal(err)
			}
			r := rep.Rules[0]
			if got := strings.Join(r.Index, " "); got != c.index || r.Always != c.always || r.NeverTrue != c.never {
				t.Errorf("%+v, want index %q, always %v, never %v", r, c.index, c.always, c.never)
			}
		})
	}
}

// TestShared: conditions, tests and texts that are equal are stored once.
func TestShared(t *testing.T) {
	cond := and(is(event.FieldName, "a", "b"), is(event.FieldExecutable, "/x"))
	img, rep, err := built(t, set(single("one", cond), single("two", cond), single("three", is(event.FieldName, "b", "a")),
		single("four", is(event.FieldName, "b"))))
	if err != nil {
		t.Fatal(err)
	}
	if rep.Preds != 3 || rep.Tests != 3 || rep.Atoms != 3 || len(img.Refs) != 4 {
		t.Errorf("%d predicates, %d tests, %d atoms, %d references; want 3, 3, 3, 4", rep.Preds, rep.Tests, rep.Atoms, len(img.Refs))
	}
	// The same condition for another category is another predicate.
	other := single("five", cond)
	other.Stages[0].Category = event.CategoryFile
	if _, rep, err = built(t, set(single("one", cond), other)); err != nil || rep.Preds != 2 || rep.Tests != 2 {
		t.Errorf("%+v, %v", rep, err)
	}
}

// TestSections: the report's sections add up, and the image holds what each rule says.
func TestSections(t *testing.T) {
	r := single("pair", is(event.FieldName, "a"))
	r.Form, r.MaxSpan, r.Severity, r.Action = ir.FormSequence, time.Minute, ir.Critical, ir.ActionKill
	r.Stages = append(r.Stages, ir.Stage{Category: event.CategoryFile, Cond: is(event.FieldFilePath, "/x")})
	r.Until = &ir.Stage{Category: event.CategoryAny, Cond: is(event.FieldEventType, "end")}
	keys := []ir.Key{{Field: event.FieldEntityID}, {Field: event.FieldUserID, Optional: true}}
	r.Stages[0].Keys, r.Stages[1].Keys, r.Until.Keys = keys, keys, keys
	img, rep, err := built(t, set(single("event", is(event.FieldName, "b")), r))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, s := range rep.Sections {
		sum += s.Bytes
	}
	if sum > rep.Bytes || rep.Bytes-sum > 20*len(rep.Sections)+100 {
		t.Errorf("sections of %d bytes in an image of %d", sum, rep.Bytes)
	}
	got := img.Rules[1]
	if got.Flags != image.RuleSequence|image.RuleUntil || got.NStages != 2 || got.Severity != 3 || got.Action != 2 || got.MaxSpan != uint64(time.Minute) {
		t.Errorf("rule %+v", got)
	}
	for s := range uint32(3) {
		st := img.Stages[got.Stages+s]
		if st.NKeys != 2 || img.Keys[st.Keys] != (image.Key{Field: uint16(event.FieldEntityID)}) ||
			img.Keys[st.Keys+1] != (image.Key{Field: uint16(event.FieldUserID), Optional: 1}) {
			t.Errorf("stage %d: %+v", s, st)
		}
	}
	refs := make(map[image.Ref]bool)
	for _, ref := range img.Refs {
		refs[ref] = true
	}
	for _, want := range []image.Ref{{Rule: 0}, {Rule: 1}, {Rule: 1, Stage: 1}, {Rule: 1, Stage: image.StageUntil}} {
		if !refs[want] {
			t.Errorf("no reference to %+v", want)
		}
	}
}

// TestSameBytes: the order of the rules decides, nothing else does.
func TestSameBytes(t *testing.T) {
	var rules []ir.Rule
	for i := range 40 {
		rules = append(rules, single(fmt.Sprint(i), or(is(event.FieldName, fmt.Sprint("n", i%7)), is(event.FieldExecutable, fmt.Sprint("/", i)),
			is(event.FieldArgs, "x"), ir.IntIn{Field: event.FieldPID, Values: []int64{int64(i), 3, 2}})))
	}
	first, _, err := Build(set(rules...), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		again, _, err := Build(set(rules...), Options{})
		if err != nil || !bytes.Equal(first, again) {
			t.Fatalf("two compilations differ (%v)", err)
		}
	}
}
