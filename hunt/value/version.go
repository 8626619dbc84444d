package value

import (
	"cmp"
	"strings"
)

// CompareVersions orders two versions as Semantic Versioning 2.0.0 (section 11) does, with any number of numeric parts
// and build data ("+...") as the last tie-break. A text that is no version comes after all versions.
func CompareVersions(a, b string) int {
	x, okX := splitVersion(a)
	y, okY := splitVersion(b)
	switch {
	case !okX && !okY:
		return strings.Compare(a, b)
	case !okX:
		return 1
	case !okY:
		return -1
	}
	if c := compareIdentifiers(x.numbers, y.numbers); c != 0 {
		return c
	}
	switch {
	case x.pre == nil && y.pre != nil:
		return 1
	case x.pre != nil && y.pre == nil:
		return -1
	}
	if c := compareIdentifiers(x.pre, y.pre); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

type version struct {
	numbers, pre []string
}

func splitVersion(s string) (version, bool) {
	s, _, _ = strings.Cut(s, "+")
	s, pre, hasPre := strings.Cut(s, "-")
	v := version{numbers: strings.Split(s, ".")}
	for _, n := range v.numbers {
		if !isDigits(n) {
			return version{}, false
		}
	}
	if hasPre {
		v.pre = strings.Split(pre, ".")
	}
	return v, true
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// compareIdentifiers: numbers by value and before words, words by bytes, the shorter list first.
func compareIdentifiers(a, b []string) int {
	for i := range min(len(a), len(b)) {
		x, y := a[i], b[i]
		c := 0
		switch nx, ny := isDigits(x), isDigits(y); {
		case nx && ny:
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if c = cmp.Compare(len(x), len(y)); c == 0 {
				c = strings.Compare(x, y)
			}
		case nx:
			c = -1
		case ny:
			c = 1
		default:
			c = strings.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}
