package value

import (
	"strings"
	"unicode/utf8"
)

// Lower makes ASCII letters lower case. EQL's tests that ignore case know no other letters, as in Elasticsearch.
func Lower(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if 'A' <= b[i] && b[i] <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

// IsGlob says whether a pattern has a wildcard.
func IsGlob(pattern string) bool { return strings.ContainsAny(pattern, "*?") }

// Glob matches the whole of s: `*` is any run of code points, also none, `?` is one. With fold ASCII letters match in
// either case. The time is at most the product of the lengths.
func Glob(pattern, s string, fold bool) bool {
	if fold {
		pattern, s = Lower(pattern), Lower(s)
	}
	p, i := 0, 0
	star, from := -1, 0 // the last star, and where in s what follows it was tried last
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, i
			p++
			continue
		case p < len(pattern) && pattern[p] == '?':
			_, n := utf8.DecodeRuneInString(s[i:])
			p, i = p+1, i+n
			continue
		case p < len(pattern) && pattern[p] == s[i]:
			p, i = p+1, i+1
			continue
		case star < 0:
			return false
		}
		_, n := utf8.DecodeRuneInString(s[from:])
		from += n
		p, i = star+1, from
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// Stars is Glob where only `*` is a wildcard, as in Endgame EQL.
func Stars(pattern, s string, fold bool) bool {
	if fold {
		pattern, s = Lower(pattern), Lower(s)
	}
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return s == pattern
	}
	rest, ok := strings.CutPrefix(s, parts[0])
	if !ok {
		return false
	}
	last := len(parts) - 1
	for _, part := range parts[1:last] {
		at := strings.Index(rest, part)
		if at < 0 {
			return false
		}
		rest = rest[at+len(part):]
	}
	return strings.HasSuffix(rest, parts[last])
}
