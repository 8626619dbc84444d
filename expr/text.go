package expr

import (
	"bytes"
	"unicode/utf8"
)

// lower is a byte with ASCII letters in lower case: case is folded for these only, as everywhere in Kestrel.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func compareFold(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if x, y := lower(a[i]), lower(b[i]); x != y {
			return int(x) - int(y)
		}
	}
	return len(a) - len(b)
}

func equal(a, b []byte, fold bool) bool {
	if !fold {
		return bytes.Equal(a, b)
	}
	return len(a) == len(b) && compareFold(a, b) == 0
}

func hasPrefix(t, prefix []byte, fold bool) bool {
	return len(t) >= len(prefix) && equal(t[:len(prefix)], prefix, fold)
}

func hasSuffix(t, suffix []byte, fold bool) bool {
	return len(t) >= len(suffix) && equal(t[len(t)-len(suffix):], suffix, fold)
}

// lowered is a text in lower case, in the buffer; nil when it does not fit.
func (sc *Scratch) lowered(t []byte) []byte {
	b := sc.room(len(t))
	if b == nil {
		return nil
	}
	for i, c := range t {
		b[i] = lower(c)
	}
	return b
}

// contains says whether part is in t; ok is false when there was no room to find out.
func (sc *Scratch) contains(t, part []byte, fold bool) (found, ok bool) {
	if len(part) > len(t) {
		return false, true
	}
	mark := sc.used
	if fold {
		if t, part = sc.lowered(t), sc.lowered(part); t == nil || part == nil {
			sc.used = mark
			return false, false
		}
	}
	found = bytes.Contains(t, part)
	sc.used = mark
	return found, true
}

// offset is where in t its n-th code point begins, counted from 0; the length of t when there are fewer.
func offset(t []byte, n int64) int {
	at := 0
	for ; n > 0 && at < len(t); n-- {
		if t[at] < utf8.RuneSelf {
			at++
			continue
		}
		_, size := utf8.DecodeRune(t[at:])
		at += size
	}
	return at
}

// count is the number of code points in t. utf8.RuneCount would make a string of t where it is not ASCII.
func count(t []byte) int64 {
	n := int64(0)
	for at := 0; at < len(t); n++ {
		if t[at] < utf8.RuneSelf {
			at++
			continue
		}
		_, size := utf8.DecodeRune(t[at:])
		at += size
	}
	return n
}

// indexOf is the first place of part in t at or behind the code point start.
func (sc *Scratch) indexOf(t, part []byte, start int64, fold bool) value {
	from := offset(t, start)
	mark := sc.used
	if fold {
		if t, part = sc.lowered(t), sc.lowered(part); t == nil || part == nil {
			sc.used = mark
			return value{}
		}
	}
	i := bytes.Index(t[from:], part)
	sc.used = mark
	if i < 0 {
		return value{}
	}
	return integer(count(t[:from+i]))
}

// between is what stands in t between left, where it first stands, and right, where it stands next or, if greedy, last.
// When one of them is not there it is null.
func (sc *Scratch) between(t, left, right []byte, greedy, fold bool) value {
	in := t
	mark := sc.used
	if fold {
		in, left, right = sc.lowered(t), sc.lowered(left), sc.lowered(right)
		if in == nil || left == nil || right == nil {
			sc.used = mark
			return value{}
		}
	}
	from, to := bytes.Index(in, left), -1
	if from >= 0 {
		from += len(left)
		if greedy {
			to = bytes.LastIndex(in[from:], right)
		} else {
			to = bytes.Index(in[from:], right)
		}
	}
	sc.used = mark
	if to < 0 {
		return value{}
	}
	return text(t[from : from+to])
}

// substring is the part of t from the code point start up to end. Negative positions count from the end of t; what lies
// outside is cut.
func substring(t []byte, start, end int64, toEnd bool) value {
	n := count(t)
	if start < 0 {
		start += n
	}
	if toEnd {
		end = n
	} else if end < 0 {
		end += n
	}
	start, end = max(start, 0), min(end, n)
	if start >= end {
		return text(t[:0])
	}
	from := offset(t, start)
	return text(t[from : from+offset(t[from:], end-start)])
}

// concat puts values together, as they are written.
func (sc *Scratch) concat(args []value) value {
	for i := range args {
		if args[i] = sc.written(&args[i]); args[i].kind == kindNull {
			return value{}
		}
	}
	if len(args) == 1 {
		return args[0]
	}
	n := 0
	for i := range args {
		n += len(args[i].text)
	}
	b := sc.room(n)
	if b == nil {
		return value{}
	}
	at := 0
	for i := range args {
		at += copy(b[at:], args[i].text)
	}
	return text(b)
}

// match says whether a pattern of the matcher holds.
func (s *Set) match(m *Matcher, t []byte, sc *Scratch) bool {
	for i := range s.patterns[m.Patterns : m.Patterns+m.NPatterns] {
		p := &s.patterns[m.Patterns+uint32(i)]
		span := s.texts[p.Text]
		c, fold, found := s.text[span.Start:span.Start+span.Len], p.Fold != 0, false
		switch p.Kind {
		case PatternExact:
			found = equal(t, c, fold)
		case PatternPrefix:
			found = hasPrefix(t, c, fold)
		case PatternSuffix:
			found = hasSuffix(t, c, fold)
		case PatternContains:
			found = bytes.Contains(t, c)
		}
		if found {
			return true
		}
	}
	if m.Automaton == 0 {
		return false
	}
	sc.hits.Reset()
	s.automata[m.Automaton-1].Scan(t, sc.automata[m.Automaton-1], sc.hits)
	return len(sc.hits.List()) > 0
}
