package rules

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/eql"
)

// Problem is something wrong with a package, at its place.
type Problem struct {
	File            string
	Line, Col       int // 0: the file as a whole
	EndLine, EndCol int // behind the last character; where the place is a point, the point
	Warning         bool
	Rule            string // id; empty when it is not about one rule, or the id is not known
	Msg             string
	Hint            string // what to write instead; may be empty
	Detail          string // the same with the line and a caret, when there is one

	file    string // as the package's file system names it
	leftOut bool
	unit    int // the rule that an error makes unusable, see loader.begin; 0: the whole package
}

// String is file:line:col: message.
func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s += fmt.Sprintf(":%d:%d", p.Line, max(p.Col, 1))
	}
	if p.Warning {
		s += ": warning"
	}
	s += ": " + p.Msg
	if p.Hint != "" {
		s += " (" + p.Hint + ")"
	}
	return s
}

// Excerpt is the line with a caret below, and the hint, a line each; empty when there is no place to show.
func (p Problem) Excerpt() string {
	_, excerpt, _ := strings.Cut(p.Detail, "\n")
	return excerpt
}

// HasErrors tells whether the rule set is unusable.
func (p *Package) HasErrors() bool {
	return slices.ContainsFunc(p.Problems, func(q Problem) bool { return !q.Warning })
}

// Err says in one line what is wrong, nil when nothing is.
func (p *Package) Err() error {
	var first string
	n := 0
	for _, q := range p.Problems {
		if q.Warning {
			continue
		}
		if n++; n == 1 {
			first = q.String()
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return errors.New(first)
	}
	return fmt.Errorf("%s (and %d more; kestrel validate lists them)", first, n-1)
}

func (l *loader) place(file string) string { return filepath.Join(l.name, file) }

// add takes a problem of the rule that is being read, if one is.
func (l *loader) add(p Problem) *Problem {
	p.File, p.Rule, p.unit = l.place(p.file), l.rule, l.unit
	l.pkg.Problems = append(l.pkg.Problems, p)
	return &l.pkg.Problems[len(l.pkg.Problems)-1]
}

func (l *loader) problem(file string, line, col int, format string, args ...any) *Problem {
	return l.add(Problem{file: file, Line: line, Col: col, Msg: fmt.Sprintf(format, args...)})
}

func (l *loader) warning(file string, line, col int, format string, args ...any) *Problem {
	p := l.problem(file, line, col, format, args...)
	p.Warning = true
	return p
}

// diagnostics takes those of a text that lies in a file.
func (l *loader) diagnostics(file string, src *eql.Source, ds eql.Diagnostics) {
	for _, d := range ds {
		end := src.Position(max(d.Span.End, d.Span.Start))
		l.add(Problem{file: file, Line: d.Pos.Line, Col: d.Pos.Col, EndLine: end.Line, EndCol: end.Col,
			Warning: d.Severity == eql.Warning, Msg: d.Msg, Hint: d.Hint, Detail: d.Detail()})
	}
}

// source is a file that is known to be there, for the excerpts of problems; nil when it cannot be read.
func (l *loader) source(file string) *eql.Source {
	if s, ok := l.sources[file]; ok {
		return s
	}
	var s *eql.Source
	if text, err := l.read(file); err == nil {
		s = eql.NewSource(l.place(file), string(text))
	}
	l.sources[file] = s
	return s
}

// sortProblems puts the problems of a file together, in the order of the file.
func (l *loader) sortProblems() {
	order := make(map[string]int)
	for _, p := range l.pkg.Problems {
		if _, ok := order[p.File]; !ok {
			order[p.File] = len(order)
		}
	}
	slices.SortStableFunc(l.pkg.Problems, func(a, b Problem) int {
		return cmp.Or(order[a.File]-order[b.File], a.Line-b.Line, a.Col-b.Col)
	})
}

// excerpts completes the problems that were reported with a line and a column only: where they end, and the line itself.
func (l *loader) excerpts() {
	l.sortProblems()
	for i := range l.pkg.Problems {
		p := &l.pkg.Problems[i]
		if p.Line == 0 || p.EndLine != 0 || p.file == "" {
			continue
		}
		p.Col = max(p.Col, 1)
		p.EndLine, p.EndCol = p.Line, p.Col
		src := l.source(p.file)
		if src == nil || p.Line > strings.Count(src.Text, "\n")+1 {
			continue
		}
		start := textOffset(src.Text, p.Line, p.Col)
		at := eql.Span{Start: start, End: start + wordBytes(src.Text[start:])}
		end := src.Position(at.End)
		p.EndLine, p.EndCol = end.Line, end.Col
		d := src.Errorf(at, p.Hint, "%s", p.Msg)
		if p.Warning {
			d = src.Warnf(at, p.Hint, "%s", p.Msg)
		}
		p.Detail = d.Detail()
	}
}

// wordBytes is the length of the quoted text or the word that a line of YAML, JSON or TOML goes on with.
func wordBytes(text string) int {
	line, _, _ := strings.Cut(text, "\n")
	if line == "" {
		return 0
	}
	if q := line[0]; q == '"' || q == '\'' {
		for i := 1; i < len(line); i++ {
			switch line[i] {
			case '\\':
				i++
			case q:
				return i + 1
			}
		}
		return len(line)
	}
	n := strings.IndexAny(line, " \t\r,:[]{}#\"'")
	switch n {
	case -1:
		return len(line)
	case 0:
		return 1
	}
	return n
}

// inFile is a diagnostic of a query as one of the file that the query is a part of.
func inFile(file *eql.Source, d eql.Diagnostic, at eql.Span) eql.Diagnostic {
	if d.Severity == eql.Warning {
		return file.Warnf(at, d.Hint, "%s", d.Msg)
	}
	return file.Errorf(at, d.Hint, "%s", d.Msg)
}

// movedBy puts a diagnostic of a text to its place in the file that the text is a part of. offset gives for each byte of
// the text where it stands in the file.
func movedBy(whole *eql.Source, text string, offset func(int) int) func(eql.Diagnostic) eql.Diagnostic {
	return func(d eql.Diagnostic) eql.Diagnostic {
		d.Msg = openedAt.ReplaceAllStringFunc(d.Msg, func(s string) string {
			var line, col int
			if _, err := fmt.Sscanf(s, openedFormat, &line, &col); err != nil {
				return s
			}
			p := whole.Position(offset(textOffset(text, line, col)))
			return fmt.Sprintf(openedFormat, p.Line, p.Col)
		})
		return inFile(whole, d, eql.Span{Start: offset(d.Span.Start), End: offset(d.Span.End)})
	}
}

// openedAt is the place of a bracket that the parser names in a message.
var openedAt = regexp.MustCompile(`opened at [0-9]+:[0-9]+`)

const openedFormat = "opened at %d:%d"

// textOffset is the byte offset of a place, whose columns count code points.
func textOffset(text string, line, col int) (o int) {
	for ; line > 1 && o < len(text); line-- {
		o += strings.IndexByte(text[o:], '\n') + 1
	}
	for ; col > 1 && o < len(text); col-- {
		_, size := utf8.DecodeRuneInString(text[o:])
		o += size
	}
	return o
}
