// Package eql is the EQL front end: lexer, parser, syntax tree, printer and
// diagnostics for the three dialects that Kestrel reads.
//
//	bytes ──lex──▶ tokens ──parse──▶ *Query ──Check──▶ ir
//	                  ╰────── Diagnostics ──────╯
//
// The package knows syntax only. Fields, types and functions are names to it;
// their meaning belongs to package ir. It runs on the host: the device binary
// does not link it.
//
// Memory: a Query owns its nodes and keeps the source text alive through
// Query.Source; nothing is shared between two calls of Parse. Goroutines: Parse
// and the functions over a tree hold no global state, so any number may run at
// once; a tree may be read by many goroutines as long as none writes it. When
// full: a source, a nesting or a list beyond its limit is an error with a
// position, and after MaxDiagnostics errors the parser stops with one last
// "too many errors".
package eql

import "fmt"

// MaxSourceBytes bounds one query. The largest public rule is below 64 KiB;
// 1 MiB leaves room for generated lists and keeps token offsets in 32 bits.
const MaxSourceBytes = 1 << 20

// MaxDepth bounds the nesting of an expression, both while it is parsed and in
// the tree that comes out, so every recursive pass over a tree is safe. People
// write less than 20 levels, generators less than 100.
const MaxDepth = 500

// MaxListLen bounds the elements of one list or argument list. It is above the
// largest indicator list worth compiling into a rule.
const MaxListLen = 65536

// MaxDiagnostics bounds the messages of one source: nobody reads more, and the
// later ones are mostly echoes of the earlier.
const MaxDiagnostics = 50

// The conversion of token offsets to 32 bits relies on this.
const _ = uint(1<<31 - 1 - MaxSourceBytes)

// Dialect selects the language that Parse accepts.
type Dialect uint8

const (
	// Kestrel is Elastic EQL plus the additions of Kestrel and of Elastic's
	// endpoint rules. It is the default.
	Kestrel Dialect = iota
	// Elastic is the EQL of Elasticsearch, nothing more.
	Elastic
	// Endgame is the original EQL.
	Endgame
)

// String returns the name used on the command line.
func (d Dialect) String() string {
	switch d {
	case Kestrel:
		return "kestrel"
	case Elastic:
		return "elastic"
	case Endgame:
		return "endgame"
	}
	return fmt.Sprintf("dialect(%d)", uint8(d))
}

// ParseDialect is the inverse of Dialect.String.
func ParseDialect(name string) (Dialect, error) {
	for d := Kestrel; d <= Endgame; d++ {
		if d.String() == name {
			return d, nil
		}
	}
	return Kestrel, fmt.Errorf("unknown EQL dialect %q (kestrel, elastic or endgame)", name)
}

// Parse reads one query. The name appears in diagnostics and is usually a file
// name. The query is never nil: with errors it holds what could be understood,
// with *Bad where an expression was lost, and nothing of a source that is too
// large, not UTF-8 or nested too deeply. Diagnostics come in source order; the
// query is usable for compilation only when they hold no error.
func Parse(name string, src []byte, d Dialect) (*Query, Diagnostics) {
	p := newParser(name, src, d)
	q := p.query()
	q.Source = p.src
	q.Dialect = d
	return q, p.diags.sorted()
}

// ParseExpr reads a bare condition, such as the body of a manifest suppression.
// The expression is never nil.
func ParseExpr(name string, src []byte, d Dialect) (Expr, Diagnostics) {
	p := newParser(name, src, d)
	x := p.bareExpr()
	return x, p.diags.sorted()
}
