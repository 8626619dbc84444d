package eql

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// Span is a half-open range of byte offsets in a source.
type Span struct {
	Start, End int
}

// Range returns the span itself; nodes inherit it by embedding Span.
func (s Span) Range() Span { return s }

// Position is a place for people: Line and Col count from 1, Col in code points.
type Position struct {
	File      string
	Line, Col int
}

// String returns file:line:col, without the file when it has no name.
func (p Position) String() string {
	if p.File == "" {
		return fmt.Sprintf("%d:%d", p.Line, p.Col)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Source is the text of one query with its line index.
type Source struct {
	Name string
	Text string
	// lines holds the offset at which each line starts; lines[0] is 0.
	lines []int
}

// NewSource indexes text. A line ends with \n.
func NewSource(name, text string) *Source {
	lines := make([]int, 1, 1+strings.Count(text, "\n"))
	for i := 0; i < len(text); i++ {
		if text[i] == '\n' {
			lines = append(lines, i+1)
		}
	}
	return &Source{Name: name, Text: text, lines: lines}
}

// Position converts a byte offset; an offset beyond the text is taken as its end.
func (s *Source) Position(offset int) Position {
	offset = max(0, min(offset, len(s.Text)))
	line := sort.SearchInts(s.lines, offset+1) - 1
	col := utf8.RuneCountInString(s.Text[s.lines[line]:offset]) + 1
	return Position{File: s.Name, Line: line + 1, Col: col}
}

// Line returns line n, counted from 1, without its line end.
func (s *Source) Line(n int) string {
	if n < 1 || n > len(s.lines) {
		return ""
	}
	end := len(s.Text)
	if n < len(s.lines) {
		end = s.lines[n] - 1
	}
	return strings.TrimSuffix(s.Text[s.lines[n-1]:end], "\r")
}

// Severity says whether a diagnostic stops the compilation.
type Severity uint8

const (
	// Error means that the query cannot be used.
	Error Severity = iota
	// Warning means that the query is accepted but may not say what was meant.
	Warning
)

// String returns "error" or "warning".
func (s Severity) String() string {
	if s == Warning {
		return "warning"
	}
	return "error"
}

// Diagnostic is one message about a source.
type Diagnostic struct {
	Span     Span
	Pos      Position // of Span.Start
	Severity Severity
	Msg      string // what was found and what was expected, lower case
	Hint     string // what to write instead; may be empty

	source *Source
}

// Errorf makes an error about a span of this source. Later stages use it so
// that their messages look like those of the parser.
func (s *Source) Errorf(at Span, hint, format string, args ...any) Diagnostic {
	return Diagnostic{
		Span: at, Pos: s.Position(at.Start), Severity: Error,
		Msg: fmt.Sprintf(format, args...), Hint: hint, source: s,
	}
}

// Warnf is Errorf with the severity of a warning.
func (s *Source) Warnf(at Span, hint, format string, args ...any) Diagnostic {
	d := s.Errorf(at, hint, format, args...)
	d.Severity = Warning
	return d
}

// String renders one line: file:line:col: message (hint).
func (d Diagnostic) String() string {
	var b strings.Builder
	b.WriteString(d.Pos.String())
	b.WriteString(": ")
	if d.Severity == Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(d.Msg)
	if d.Hint != "" {
		b.WriteString(" (")
		b.WriteString(d.Hint)
		b.WriteString(")")
	}
	return b.String()
}

// Widths of the excerpt in Detail: enough for a terminal line on both sides of
// the caret, whatever the length of the source line.
const (
	excerptBefore = 60
	excerptAfter  = 60
)

// Detail renders the message, the source line and a caret under the span.
func (d Diagnostic) Detail() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s: %s\n", d.Pos, d.Severity, d.Msg)
	if d.source != nil {
		d.excerpt(&b)
	}
	if d.Hint != "" {
		fmt.Fprintf(&b, "  hint: %s\n", d.Hint)
	}
	return b.String()
}

func (d Diagnostic) excerpt(b *strings.Builder) {
	line := []rune(d.source.Line(d.Pos.Line))
	for i, r := range line {
		if r < ' ' || r == 0x7f { // a tab or control character would move the caret
			line[i] = ' '
		}
	}
	from := min(d.Pos.Col-1, len(line))
	width := utf8.RuneCountInString(d.source.Text[min(d.Span.Start, d.Span.End):d.Span.End])
	to := min(max(from+width, from+1), max(len(line), from+1))
	left, right := max(0, from-excerptBefore), min(len(line), max(to, from)+excerptAfter)
	to = min(to, right+1)
	head, tail := "", ""
	if left > 0 {
		head = "..."
	}
	if right < len(line) {
		tail = "..."
	}
	number := fmt.Sprintf("%4d", d.Pos.Line)
	fmt.Fprintf(b, " %s | %s%s%s\n", number, head, string(line[left:right]), tail)
	fmt.Fprintf(b, " %s | %s%s\n", strings.Repeat(" ", len(number)),
		strings.Repeat(" ", len(head)+from-left), strings.Repeat("^", max(1, min(to-from, excerptAfter))))
}

// Diagnostics are the messages about one source, in source order.
type Diagnostics []Diagnostic

// HasErrors says whether any of them is an error.
func (ds Diagnostics) HasErrors() bool {
	for i := range ds {
		if ds[i].Severity == Error {
			return true
		}
	}
	return false
}

// Err returns an error that lists the errors, one a line, or nil.
func (ds Diagnostics) Err() error {
	if !ds.HasErrors() {
		return nil
	}
	return diagnosticsError(ds)
}

// String renders one line per diagnostic.
func (ds Diagnostics) String() string {
	lines := make([]string, len(ds))
	for i := range ds {
		lines[i] = ds[i].String()
	}
	return strings.Join(lines, "\n")
}

type diagnosticsError Diagnostics

func (e diagnosticsError) Error() string {
	lines := make([]string, 0, len(e))
	for i := range e {
		if e[i].Severity == Error {
			lines = append(lines, e[i].String())
		}
	}
	return strings.Join(lines, "\n")
}

// diagSink collects diagnostics up to the limit.
type diagSink struct {
	src  *Source
	list Diagnostics
	full bool
}

// add keeps a diagnostic and says whether more are welcome.
func (s *diagSink) add(d Diagnostic) bool {
	if s.full {
		return false
	}
	if len(s.list) >= MaxDiagnostics {
		s.full = true
		return false
	}
	s.list = append(s.list, d)
	return true
}

// sorted returns the diagnostics in source order, closed by the note that some
// are missing. Lexer and parser report in two passes, hence the sort.
func (s *diagSink) sorted() Diagnostics {
	sort.SliceStable(s.list, func(i, j int) bool { return s.list[i].Span.Start < s.list[j].Span.Start })
	if s.full {
		last := s.list[len(s.list)-1]
		s.list = append(s.list, s.src.Errorf(last.Span, "", "too many errors, the rest of the query was not checked"))
		s.full = false
	}
	return s.list
}
