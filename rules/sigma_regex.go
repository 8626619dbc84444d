package rules

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// luceneRegex gives a regular expression in Perl's syntax, which may match anywhere in a text, in that of EQL, which
// matches the whole. fold says that letters' case does not count anywhere in it.
func luceneRegex(perl string, flags syntax.Flags) (text string, fold bool, err error) {
	if rest, ok := strings.CutPrefix(perl, "(?i)"); ok {
		perl, flags = rest, flags|syntax.FoldCase
	}
	tree, err := syntax.Parse(perl, syntax.Perl|flags)
	if err != nil {
		var se *syntax.Error
		if errors.As(err, &se) && se.Code == syntax.ErrMissingRepeatArgument || strings.Contains(perl, "(?=") ||
			strings.Contains(perl, "(?!") || strings.Contains(perl, "(?<") {
			return "", false, fmt.Errorf("%w (look-around, back-references and possessive repetitions are refused)", err)
		}
		return "", false, err
	}
	w := luceneWriter{fold: flags&syntax.FoldCase != 0}
	w.edge(tree, true, true)
	if w.err != nil {
		return "", false, w.err
	}
	return w.b.String(), w.fold, nil
}

type luceneWriter struct {
	b    strings.Builder
	fold bool
	err  error
}

// edge writes an expression at the left or right edge of the whole, or both: there anything may stand before or behind it
// where no anchor forbids that.
func (w *luceneWriter) edge(re *syntax.Regexp, left, right bool) {
	open := func(yes bool) {
		if yes {
			w.b.WriteString(".*")
		}
	}
	switch {
	case !anchored(re):
		open(left)
		w.tight(re)
		open(right)
	case re.Op == syntax.OpBeginText && left:
		w.b.WriteString("()")
		open(right)
	case re.Op == syntax.OpEndText && right:
		open(left)
		w.b.WriteString("()")
	case re.Op == syntax.OpCapture:
		w.edge(re.Sub[0], left, right)
	case re.Op == syntax.OpAlternate:
		w.b.WriteByte('(')
		for i, sub := range re.Sub {
			if i > 0 {
				w.b.WriteByte('|')
			}
			w.edge(sub, left, right)
		}
		w.b.WriteByte(')')
	case re.Op == syntax.OpConcat:
		parts := re.Sub
		if left && parts[0].Op == syntax.OpBeginText {
			left, parts = false, parts[1:]
		}
		if right && len(parts) > 0 && parts[len(parts)-1].Op == syntax.OpEndText {
			right, parts = false, parts[:len(parts)-1]
		}
		for i, sub := range parts {
			w.edge(sub, left && i == 0, right && i == len(parts)-1)
		}
	default:
		w.node(re)
	}
}

// anchored tells whether an expression holds an anchor.
func anchored(re *syntax.Regexp) bool {
	return re.Op == syntax.OpBeginText || re.Op == syntax.OpEndText || slices.ContainsFunc(re.Sub, anchored)
}

// tight writes an expression as one thing that can stand beside others.
func (w *luceneWriter) tight(re *syntax.Regexp) {
	if re.Op == syntax.OpAlternate {
		w.group(re)
		return
	}
	w.node(re)
}

func (w *luceneWriter) group(re *syntax.Regexp) {
	w.b.WriteByte('(')
	w.node(re)
	w.b.WriteByte(')')
}

func (w *luceneWriter) node(re *syntax.Regexp) {
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			w.literal(r, re.Flags&syntax.FoldCase != 0)
		}
	case syntax.OpCharClass:
		w.class(re.Rune)
	case syntax.OpAnyChar:
		w.b.WriteByte('.')
	case syntax.OpAnyCharNotNL:
		w.b.WriteString("[^\n]")
	case syntax.OpEmptyMatch:
		w.b.WriteString("()")
	case syntax.OpNoMatch:
		w.b.WriteByte('#')
	case syntax.OpCapture:
		w.group(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			w.tight(sub)
		}
	case syntax.OpAlternate:
		for i, sub := range re.Sub {
			if i > 0 {
				w.b.WriteByte('|')
			}
			w.tight(sub)
		}
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		w.repeat(re)
	case syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		w.fail("word boundaries (\\b, \\B) are refused")
	default:
		w.fail("anchors (^, $) are refused except at the begin and the end, and with the modifier m")
	}
}

func (w *luceneWriter) fail(reason string) {
	if w.err == nil {
		w.err = errors.New(reason)
	}
}

func (w *luceneWriter) repeat(re *syntax.Regexp) {
	sub := re.Sub[0]
	switch {
	case sub.Op == syntax.OpCharClass, sub.Op == syntax.OpAnyChar, sub.Op == syntax.OpAnyCharNotNL, sub.Op == syntax.OpCapture,
		sub.Op == syntax.OpLiteral && len(sub.Rune) == 1:
		w.node(sub)
	default:
		w.group(sub)
	}
	switch re.Op {
	case syntax.OpStar:
		w.b.WriteByte('*')
	case syntax.OpPlus:
		w.b.WriteByte('+')
	case syntax.OpQuest:
		w.b.WriteByte('?')
	default:
		w.b.WriteString("{" + strconv.Itoa(re.Min))
		if re.Max != re.Min {
			w.b.WriteByte(',')
			if re.Max >= 0 {
				w.b.WriteString(strconv.Itoa(re.Max))
			}
		}
		w.b.WriteByte('}')
	}
}

// literal writes a character, and where its case does not count in an expression in which it does, both cases.
func (w *luceneWriter) literal(r rune, fold bool) {
	if fold && w.fold {
		r = unicode.ToLower(r)
	}
	if fold && !w.fold && unicode.SimpleFold(r) != r {
		w.b.WriteByte('[')
		w.char(r)
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			w.char(f)
		}
		w.b.WriteByte(']')
		return
	}
	w.char(r)
}

// char writes a character that stands for itself, in a class or out of it.
func (w *luceneWriter) char(r rune) {
	if r < unicode.MaxASCII && !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsControl(r) && !strings.ContainsRune(" /_,:;=%!'", r) {
		w.b.WriteByte('\\')
	}
	w.b.WriteRune(r)
}

// class writes the ranges of a class, which come in pairs. One that reaches to the last code point is written as what it
// leaves out.
func (w *luceneWriter) class(pairs []rune) {
	switch {
	case len(pairs) == 0:
		w.b.WriteByte('#')
		return
	case len(pairs) == 2 && pairs[0] == 0 && pairs[1] == unicode.MaxRune:
		w.b.WriteByte('.')
		return
	}
	w.b.WriteByte('[')
	if pairs[len(pairs)-1] == unicode.MaxRune {
		var rest []rune
		from := rune(0)
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] > from {
				rest = append(rest, from, pairs[i]-1)
			}
			from = pairs[i+1] + 1
		}
		pairs = rest
		w.b.WriteByte('^')
	}
	for i := 0; i < len(pairs); i += 2 {
		w.char(pairs[i])
		if pairs[i+1] > pairs[i] {
			w.b.WriteByte('-')
			w.char(pairs[i+1])
		}
	}
	w.b.WriteByte(']')
}

// regex is a pattern with wildcards as a regular expression of EQL, for what its operators with wildcards cannot
// say: a star or question mark that stands for itself.
func (p sigmaPattern) regex() string {
	var w luceneWriter
	for _, part := range p {
		switch part.wild {
		case '*':
			w.b.WriteString(".*")
		case '?':
			w.b.WriteByte('.')
		default:
			for _, r := range part.text {
				w.char(r)
			}
		}
	}
	return w.b.String()
}
