package agree

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/kestrel-detection/kestrel/eql"
)

// writer makes queries out of a small vocabulary, so that they meet the events of events_test.go.
type writer struct {
	*rand.Rand
	dialect eql.Dialect
	alias   string // of an earlier step that conditions may refer to
	lineage bool
}

func (w *writer) one(list ...string) string { return list[w.IntN(len(list))] }

func (w *writer) text() string { return w.one(words...) }

func (w *writer) quoted() string { return `"` + w.text() + `"` }

// The fields that queries use. Those of files and connections are absent in other events.
var (
	textFields   = []string{"process.name", "process.executable", "process.command_line", "user.name", "event.action", "file.path", "file.name", "process.parent.name"}
	numberFields = []string{"process.pid", "process.args_count", "process.parent.pid", "destination.port"}
)

func (w *writer) str() string { return w.one(textFields...) }

func (w *writer) num() string { return w.one(numberFields...) }

func (w *writer) cmp() string { return w.one("==", "!=", "<", "<=", ">", ">=") }

func (w *writer) fold() string { return w.one("", "", "~") }

func (w *writer) list(of func() string) string {
	items := make([]string, 1+w.IntN(3))
	for i := range items {
		items[i] = of()
	}
	return "(" + strings.Join(items, ", ") + ")"
}

func (w *writer) wildcard() string {
	return `"` + w.one("*", "a*", "*sh", "b?sh", "/tmp/*", "*a*", "?*", w.text()+"*", "*"+w.text()+"*") + `"`
}

func (w *writer) regex() string {
	return `"` + w.one(".*sh", "/(tmp|bin)/.*", "[a-z]+", "b.sh", "[0-9]{1,3}", "a|sh") + `"`
}

// stringValue is a computed string.
func (w *writer) stringValue() string {
	switch w.IntN(8) {
	case 0:
		return fmt.Sprintf("substring(%s, %d, %d)", w.str(), w.IntN(4)-1, w.IntN(6))
	case 1:
		return fmt.Sprintf("substring(%s, %d)", w.str(), w.IntN(4)-2)
	case 2:
		return fmt.Sprintf("concat(%s, %s)", w.str(), w.one(w.quoted(), w.num(), w.str()))
	case 3:
		return fmt.Sprintf("between%s(%s, %s, %s)", w.fold(), w.str(), w.quoted(), w.quoted())
	case 4:
		return fmt.Sprintf("string(%s)", w.num())
	case 5:
		return "process.args"
	}
	return w.str()
}

// numberValue is a computed number.
func (w *writer) numberValue(depth int) string {
	if depth == 0 {
		return w.one(w.num(), fmt.Sprint(w.IntN(5)))
	}
	switch w.IntN(9) {
	case 0, 1:
		return fmt.Sprintf("(%s %s %s)", w.numberValue(depth-1), w.one("+", "-", "*", "/", "%"), w.numberValue(depth-1))
	case 2:
		return fmt.Sprintf("%s(%s, %s)", w.one("add", "subtract", "multiply", "divide", "modulo"), w.numberValue(depth-1), w.numberValue(depth-1))
	case 3:
		return fmt.Sprintf("length(%s)", w.stringValue())
	case 4:
		return fmt.Sprintf("indexOf%s(%s, %s)", w.fold(), w.stringValue(), w.quoted())
	case 5:
		return fmt.Sprintf("number(%s)", w.one(w.stringValue(), `"7"`))
	case 6:
		return fmt.Sprintf("-%s", w.num())
	}
	return w.num()
}

func (w *writer) test() string {
	switch w.IntN(17) {
	case 0:
		return fmt.Sprintf("%s %s %s", w.str(), w.one("==", "!="), w.quoted())
	case 1:
		return fmt.Sprintf("%s : %s", w.one(w.str(), "process.args"), w.one(w.wildcard(), w.list(w.wildcard)))
	case 2:
		return fmt.Sprintf("%s like%s %s", w.one(w.str(), "process.args"), w.fold(), w.one(w.wildcard(), w.list(w.wildcard)))
	case 3:
		return fmt.Sprintf("%s regex%s %s", w.one(w.str(), "process.args"), w.fold(), w.regex())
	case 4:
		return fmt.Sprintf("%s %sin%s %s", w.one(w.str(), "process.args"), w.one("", "not "), w.fold(), w.list(w.quoted))
	case 5:
		return fmt.Sprintf("%s %s %d", w.num(), w.cmp(), w.IntN(5))
	case 6:
		return fmt.Sprintf("%s %s null", w.one(w.str(), w.num(), "process.args", "destination.ip"), w.one("==", "!="))
	case 7:
		return fmt.Sprintf("null %s (%s)", w.one("==", "!="), w.condition(1))
	case 8:
		return fmt.Sprintf("%s %s %s", w.numberValue(2), w.cmp(), w.numberValue(1))
	case 9:
		return fmt.Sprintf("%s%s(%s, %s)", w.one("startsWith", "endsWith", "stringContains"), w.fold(), w.stringValue(), w.one(w.quoted(), w.stringValue()))
	case 10:
		return fmt.Sprintf("%s %s %s", w.stringValue(), w.one("==", "!=", ":", "like"), w.quoted())
	case 11:
		return fmt.Sprintf(`cidrMatch(destination.ip, %s)`, w.one(`"10.0.0.0/8"`, `"::/0"`, `"10.1.0.0/16", "fe80::/10"`))
	case 12:
		return fmt.Sprintf(`destination.ip == %s`, w.one(`"10.1.2.3"`, `"fe80::1"`))
	case 13:
		return fmt.Sprintf("%s %s %s", w.str(), w.one("<", "<=", ">", ">="), w.quoted())
	case 14:
		return w.one("true", "false", "process.interactive == true", "?no.such.field == 5", "?no.such.field == null")
	case 15:
		if w.lineage {
			return fmt.Sprintf("%s of [%s]", w.one("descendant", "child", "event"), w.bare())
		}
	}
	if w.dialect != eql.Kestrel {
		return fmt.Sprintf("process.args == %s", w.quoted())
	}
	return w.kestrelTest()
}

// kestrelTest is what the kestrel dialect adds.
func (w *writer) kestrelTest() string {
	if w.alias != "" && w.IntN(3) > 0 {
		switch w.IntN(4) {
		case 0:
			return fmt.Sprintf("%s %s %s.%s", w.num(), w.cmp(), w.alias, w.num())
		case 1:
			return fmt.Sprintf("startsWith%s(%s, %s.%s)", w.fold(), w.str(), w.alias, w.str())
		case 2:
			return fmt.Sprintf("stringContains%s(%s.process.args, %s)", w.fold(), w.alias, w.str())
		}
		return fmt.Sprintf("%s %s %s.%s", w.str(), w.one("==", "!="), w.alias, w.str())
	}
	switch w.IntN(6) {
	case 0:
		return fmt.Sprintf("%s %s %s", w.one(w.str(), "process.args"), w.one("contains", "startswith", "endswith"), w.list(w.quoted))
	case 1:
		return fmt.Sprintf("%s in %s", w.one(w.str(), "process.args"), w.list(w.wildcard))
	case 2:
		return fmt.Sprintf("%s %s %s", w.num(), w.cmp(), w.num())
	case 3:
		return fmt.Sprintf("%s %s %s", w.str(), w.one("==", "!="), w.str())
	case 4:
		return fmt.Sprintf("user.id %s %d", w.one("==", "!=", "<", ">="), w.IntN(4))
	}
	return `destination.ip in ("10.1.0.0/16", "fe80::1")`
}

func (w *writer) condition(depth int) string {
	if depth == 0 || w.IntN(3) == 0 {
		return w.test()
	}
	switch w.IntN(5) {
	case 0, 1:
		return fmt.Sprintf("%s and %s", w.condition(depth-1), w.condition(depth-1))
	case 2, 3:
		return fmt.Sprintf("(%s or %s)", w.condition(depth-1), w.condition(depth-1))
	}
	return fmt.Sprintf("not (%s)", w.condition(depth-1))
}

// bare is an event query without references to others.
func (w *writer) bare() string {
	c := *w
	c.alias, c.lineage = "", false
	return c.event(1)
}

func (w *writer) event(depth int) string {
	return fmt.Sprintf("%s where %s", w.one("process", "process", "file", "network", "any"), w.condition(depth))
}

func (w *writer) key() string {
	return w.one("process.pid", "user.name", "process.name", "process.args", "?file.path", "?user.name", "user.id", "process.entity_id")
}

// sequence is a sequence of any form.
func (w *writer) sequence() string {
	var b strings.Builder
	b.WriteString("sequence")
	if w.IntN(3) > 0 {
		b.WriteString(" by " + w.key())
		if w.IntN(3) == 0 {
			b.WriteString(", " + w.key())
		}
	}
	span := w.IntN(3) > 0
	if span {
		fmt.Fprintf(&b, " with maxspan=%ds", 1+w.IntN(30))
	}
	steps, positive := 2+w.IntN(3), 0
	missing := span && w.IntN(3) == 0
	own := ""
	if w.IntN(4) == 0 {
		own = " by " + w.one("process.pid", "user.name", "process.name")
	}
	for i := range steps {
		last := i == steps-1
		if missing && w.IntN(3) == 0 && (positive > 0 || !last) {
			fmt.Fprintf(&b, "\n  ![%s]%s", w.event(1), own)
			continue
		}
		positive++
		fmt.Fprintf(&b, "\n  [%s]%s", w.event(2), own)
		if w.IntN(5) == 0 {
			fmt.Fprintf(&b, " with runs=%d", 2+w.IntN(3))
		} else if w.dialect == eql.Kestrel && !last && w.IntN(3) == 0 {
			w.alias = fmt.Sprint("e", i)
			b.WriteString(" as " + w.alias)
		}
	}
	if !missing && w.IntN(4) == 0 {
		c := *w
		c.alias, c.lineage = "", false
		fmt.Fprintf(&b, "\nuntil [%s]%s", c.event(1), own)
	}
	return b.String()
}
