package check

import (
	"strings"

	"github.com/kestrel-detection/kestrel/ir"
)

// want is what a parameter takes. Null is taken everywhere.
type want uint8

const (
	wantAny want = iota
	wantText
	wantNumber
	wantWhole
	wantBool
	wantNetwork
)

var wantNames = [...]string{"a value", "text", "a number", "a whole number", "true or false", "a network"}

// param is a parameter of a function.
type param struct {
	name     string
	want     want
	optional bool
}

// function is one function of rules.
type function struct {
	name     string
	doc      string
	fn       ir.Fn
	result   typ
	params   []param
	variadic bool // the last parameter may be given again
	folds    bool // has a form with ~
}

// cidrMatch is no operation of package ir: it becomes ir.IPIn or ir.InNet.
const cidrMatch = ir.Fns

// functions are all functions of rules, by name.
var functions = [...]function{
	{"add", "x + y", ir.FnAdd, typNumber, operands, false, false},
	{"between", "the text between the first left and the next right after it, or with greedy the last", ir.FnBetween,
		typText, []param{{"source", wantText, false}, {"left", wantText, false}, {"right", wantText, false},
			{"greedy", wantBool, true}}, false, true},
	{"cidrMatch", "true when the address is in one of the networks", cidrMatch, typBool,
		[]param{{"source", wantText, false}, {"network", wantNetwork, false}}, true, false},
	{"concat", "the texts of all values, one after the other", ir.FnConcat, typText,
		[]param{{"value", wantAny, false}}, true, false},
	{"divide", "x / y: of two whole numbers the quotient towards zero", ir.FnDiv, typNumber, operands, false, false},
	{"endsWith", "true when the text ends with the other", ir.FnEndsWith, typBool,
		[]param{{"source", wantText, false}, {"suffix", wantText, false}}, false, true},
	{"indexOf", "where the other text first stands at or after start, counted from 0; null when it does not",
		ir.FnIndexOf, typInt, []param{{"source", wantText, false}, {"part", wantText, false}, {"start", wantWhole, true}}, false, true},
	{"length", "the number of code points", ir.FnLength, typInt, []param{{"source", wantText, false}}, false, false},
	{"modulo", "x % y: the remainder, with the sign of x", ir.FnMod, typNumber, operands, false, false},
	{"multiply", "x * y", ir.FnMul, typNumber, operands, false, false},
	{"number", "the number that the text is, read to the base; null when it is none", ir.FnNumber, typNumber,
		[]param{{"source", wantText, false}, {"base", wantWhole, true}}, false, false},
	{"startsWith", "true when the text begins with the other", ir.FnStartsWith, typBool,
		[]param{{"source", wantText, false}, {"prefix", wantText, false}}, false, true},
	{"string", "the value as text", ir.FnString, typText, []param{{"value", wantAny, false}}, false, false},
	{"stringContains", "true when the other text is part of the text", ir.FnStringContains, typBool,
		[]param{{"source", wantText, false}, {"part", wantText, false}}, false, true},
	{"substring", "the code points from start up to, not including, end; from the end of the text when negative",
		ir.FnSubstring, typText, []param{{"source", wantText, false}, {"start", wantWhole, false}, {"end", wantWhole, true}}, false, false},
	{"subtract", "x - y", ir.FnSub, typNumber, operands, false, false},
}

var operands = []param{{"x", wantNumber, false}, {"y", wantNumber, false}}

// otherFunctions are functions of EQL that rules do not have, and what to write instead.
var otherFunctions = map[string]string{
	"arraycontains": "write `field == value` or `field in (..)`: a test of an array holds when it does for any element",
	"arraycount":    "`kestrel hunt --dialect endgame` has it",
	"arraysearch":   "write the test of the array itself: it holds when it does for any element",
	"match":         "write `regex~`",
	"matchlite":     "write `regex~`",
	"safe":          "a value that cannot be computed is null",
	"wildcard":      "write `like~` or `:`",
}

// functionByName finds a function; names have no case.
func functionByName(name string) *function {
	for i := range functions {
		if strings.EqualFold(functions[i].name, name) {
			return &functions[i]
		}
	}
	return nil
}

func functionNames() []string {
	names := make([]string, len(functions))
	for i := range functions {
		names[i] = functions[i].name
	}
	return names
}

// param is the parameter that takes argument i.
func (f *function) param(i int) param { return f.params[min(i, len(f.params)-1)] }

// signature is the function as it is written: substring(source, start[, end]).
func (f *function) signature() string {
	var b strings.Builder
	b.WriteString(f.name + "(")
	for i, p := range f.params {
		switch {
		case p.optional:
			b.WriteString("[, " + p.name + "]")
			continue
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(p.name)
	}
	if f.variadic {
		b.WriteString("[, ...]")
	}
	return b.String() + ")"
}

// FunctionInfo describes a function of rules.
type FunctionInfo struct {
	Name      string
	Signature string // with the names of the parameters, those in brackets may be left out
	Doc       string // what it gives, one line
	Folds     bool   // has a form with ~ that does not tell the case of letters
}

// Functions lists the functions of rules by name.
func Functions() []FunctionInfo {
	list := make([]FunctionInfo, len(functions))
	for i := range functions {
		f := &functions[i]
		list[i] = FunctionInfo{f.name, f.signature(), f.doc, f.folds}
	}
	return list
}
