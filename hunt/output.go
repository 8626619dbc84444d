package hunt

import (
	"errors"
	"maps"
	"slices"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/expr"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// missingID stands for a missing event in a line of ids.
const missingID = "-1"

// AppendIDs appends the ids of a match's events, separated by blanks. A row of the pipe count has none and is an error.
func (m *Match) AppendIDs(dst []byte) ([]byte, error) {
	if len(m.Events) == 0 {
		return dst, errors.New("the rows of the pipe count have no events and so no ids: use the format json")
	}
	for i, e := range m.Events {
		if i > 0 {
			dst = append(dst, ' ')
		}
		if e == nil {
			dst = append(dst, missingID...)
			continue
		}
		dst = append(dst, e.ID()...)
	}
	return dst, nil
}

// AppendJSON appends a match as one JSON object: events, join_keys if there are any, and what pipes added.
func (m *Match) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if len(m.Events) > 0 {
		dst = append(dst, `"events":[`...)
		for i, e := range m.Events {
			if i > 0 {
				dst = append(dst, ',')
			}
			if e == nil {
				dst = append(dst, "null"...)
				continue
			}
			dst = append(dst, e.Raw()...)
		}
		dst = append(dst, ']')
	}
	if len(m.Keys) > 0 {
		dst = append(comma(dst), `"join_keys":`...)
		dst = value.Array(m.Keys).AppendJSON(dst)
	}
	for _, name := range slices.Sorted(maps.Keys(m.Extra)) {
		dst = append(comma(dst), '"')
		dst = append(dst, name...)
		dst = append(dst, '"', ':')
		dst = m.Extra[name].AppendJSON(dst)
	}
	return append(dst, '}')
}

func comma(dst []byte) []byte {
	if dst[len(dst)-1] == '{' {
		return dst
	}
	return append(dst, ',')
}

// Expression checks an expression without a query around it and computes its value. Fields have the value null. With
// errors among the diagnostics there is no value.
func Expression(name, text string, d eql.Dialect, opt Options) (value.Value, eql.Diagnostics, error) {
	x, diags := eql.ParseExpr(name, []byte(text), d)
	if diags.HasErrors() {
		return value.Null, diags, nil
	}
	c := expr.Compiler{
		Options: expr.Options{Dialect: d, CaseSensitive: opt.CaseSensitive, Globals: opt.Globals},
		Source:  eql.NewSource(name, text),
		// Lineage has no events here.
		Lineage: func(*eql.Lineage) int { return 0 },
	}
	compiled := c.Value(x)
	diags = append(diags, c.Diags...)
	if diags.HasErrors() {
		return value.Null, diags, nil
	}
	env := &expr.Env{}
	v := compiled.Eval(env)
	return v, diags, env.Err
}
