package eql

import (
	"reflect"
	"testing"
)

// sameTree compares two trees without their spans and sources.
func sameTree(a, b Node) bool { return sameValue(reflect.ValueOf(a), reflect.ValueOf(b)) }

var (
	spanType   = reflect.TypeOf(Span{})
	sourceType = reflect.TypeOf(&Source{})
)

func sameValue(a, b reflect.Value) bool {
	if a.IsValid() != b.IsValid() {
		return false
	}
	if !a.IsValid() {
		return true
	}
	if a.Type() != b.Type() {
		return false
	}
	switch {
	case a.Type() == spanType || a.Type() == sourceType:
		return true
	case a.Kind() == reflect.Pointer || a.Kind() == reflect.Interface:
		return a.IsNil() == b.IsNil() && (a.IsNil() || sameValue(a.Elem(), b.Elem()))
	case a.Kind() == reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !sameValue(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case a.Kind() == reflect.Struct:
		for i := range a.NumField() {
			if !sameValue(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

// reparse parses the printed form of a node as what it is.
func reparse(n Node, d Dialect) (Node, Diagnostics, string) {
	text := Format(n, d)
	if _, ok := n.(*Query); ok {
		q, diags := Parse("printed", []byte(text), d)
		return q, diags, text
	}
	x, diags := ParseExpr("printed", []byte(text), d)
	return x, diags, text
}

func roundTrip(t *testing.T, n Node, d Dialect) {
	t.Helper()
	again, diags, text := reparse(n, d)
	if diags.HasErrors() {
		t.Errorf("printed form does not parse in %s:\n%s\n%s", d, text, diags)
	} else if !sameTree(n, again) {
		t.Errorf("printed form parses to another tree in %s:\n%s\n%s", d, text, Format(again, d))
	}
}
