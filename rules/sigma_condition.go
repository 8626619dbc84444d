package rules

import (
	"path"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/kestrel-detection/kestrel/ir/check"
)

// conditionDepthMax bounds the nesting of a condition, for the recursion of its parser. People write three levels.
const conditionDepthMax = 100

// conditionParser reads a condition:
//
//	or      = and { "or" and }
//	and     = not { "and" not }
//	not     = { "not" } primary
//	primary = "(" or ")" | ( "1" | "all" ) "of" ( "them" | pattern ) | selection
type conditionParser struct {
	s      *sigma
	at     *yaml.Node
	tokens [][]int // start and end of each
	next   int
	depth  int
	failed bool
}

var conditionToken = regexp.MustCompile(`[()|]|[^\s()|]+`)

func (p *conditionParser) parse() *sigmaNode {
	p.tokens = conditionToken.FindAllStringIndex(p.at.Value, -1)
	n := p.or()
	if p.next < len(p.tokens) {
		p.fail("%q is not expected here", p.peek())
	}
	return n
}

// peek is the next token, empty at the end.
func (p *conditionParser) peek() string {
	if p.next >= len(p.tokens) {
		return ""
	}
	t := p.tokens[p.next]
	return p.at.Value[t[0]:t[1]]
}

func (p *conditionParser) eat(word string) bool {
	if strings.EqualFold(p.peek(), word) {
		p.next++
		return true
	}
	return false
}

func (p *conditionParser) fail(format string, args ...any) *sigmaNode {
	return p.failHint("", format, args...)
}

// failHint reports the first mistake, at the next token where the place in the file can be told.
func (p *conditionParser) failHint(hint, format string, args ...any) *sigmaNode {
	never := &sigmaNode{op: sigmaOr}
	if p.failed {
		return never
	}
	p.failed = true
	at := *p.at
	if p.next < len(p.tokens) && strings.Contains(p.s.whole.Line(p.at.Line), p.at.Value) {
		column := utf8.RuneCountInString(p.at.Value[:p.tokens[p.next][0]])
		switch p.at.Style {
		case 0:
			at.Column += column
		case yaml.SingleQuotedStyle, yaml.DoubleQuotedStyle:
			at.Column += column + 1
		}
	}
	p.s.fail(&at, "condition: "+format, args...).Hint = hint
	return never
}

func (p *conditionParser) or() *sigmaNode {
	if p.depth++; p.depth > conditionDepthMax {
		return p.fail("nested more than %d deep", conditionDepthMax)
	}
	defer func() { p.depth-- }()
	n := &sigmaNode{op: sigmaOr, args: []*sigmaNode{p.and()}}
	for !p.failed && p.eat("or") {
		n.args = append(n.args, p.and())
	}
	return n.only()
}

func (p *conditionParser) and() *sigmaNode {
	n := &sigmaNode{op: sigmaAnd, args: []*sigmaNode{p.not()}}
	for !p.failed && p.eat("and") {
		n.args = append(n.args, p.not())
	}
	return n.only()
}

func (p *conditionParser) not() *sigmaNode {
	negated := false
	for p.eat("not") {
		negated = !negated
	}
	n := p.primary()
	if negated {
		return &sigmaNode{op: sigmaNot, args: []*sigmaNode{n}}
	}
	return n
}

func (p *conditionParser) primary() *sigmaNode {
	if p.eat("(") {
		n := p.or()
		if !p.failed && !p.eat(")") {
			return p.fail("a parenthesis is not closed")
		}
		return n
	}
	word := p.peek()
	switch {
	case word == "":
		return p.fail("it ends where a selection is expected")
	case word == "|" || strings.EqualFold(word, "near"):
		return p.fail("aggregations (| count, sum, min, max, avg, near) are refused: write a sequence in EQL")
	case word == ")" || strings.EqualFold(word, "and") || strings.EqualFold(word, "or") || strings.EqualFold(word, "of"):
		return p.fail("%q is not expected here", word)
	}
	p.next++
	if !strings.EqualFold(p.peek(), "of") {
		n, ok := p.s.selections[word]
		if !ok {
			p.next--
			return p.failHint(check.DidYouMean(word, p.s.names), "there is no selection %s", word)
		}
		p.end()
		return n
	}
	op := sigmaOr
	switch {
	case strings.EqualFold(word, "all"):
		op = sigmaAnd
	case word != "1" && !strings.EqualFold(word, "any"):
		p.next--
		return p.fail("%q of is refused: 1 of, all of", word)
	}
	p.next++
	return p.of(op)
}

// of joins the selections that a pattern names. Those that begin with _ are not among them.
func (p *conditionParser) of(op sigmaOp) *sigmaNode {
	pattern := p.peek()
	n := &sigmaNode{op: op}
	for _, name := range p.s.names {
		ok := strings.EqualFold(pattern, "them") && !strings.HasPrefix(name, "_")
		if !ok {
			// A pattern that path.Match does not understand matches nothing, which is reported below.
			ok, _ = path.Match(pattern, name)
		}
		if ok {
			n.args = append(n.args, p.s.selections[name])
		}
	}
	if len(n.args) == 0 {
		return p.fail("no selection is named like %q", pattern)
	}
	p.next++
	p.end()
	return n
}

// end tells of an aggregation that follows.
func (p *conditionParser) end() {
	if p.peek() == "|" {
		p.fail("aggregations (| count, sum, min, max, avg, near) are refused: write a sequence in EQL")
	}
}
