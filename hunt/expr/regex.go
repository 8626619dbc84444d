package expr

import (
	"net/netip"
	"regexp"
	"strings"

	"github.com/kestrel-detection/kestrel/dfa/build"
	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/hunt/value"
)

// seenMax bounds what is remembered of one regular expression: the same values come again and again, and the reference
// that decides is slow.
const seenMax = 4096

func (c *Compiler) checkRegex(at eql.Expr, text string, fold bool) {
	if err := build.CheckRegex(text, fold); err != nil {
		c.errorf(at.Range(), "", "regular expression %q: %v", text, err)
	}
}

// regex matches the whole of s with a regular expression of Lucene.
func (n *textMatch) regex(s, pattern string) bool {
	key := pattern + "\x00" + s
	if held, ok := n.seen[key]; ok {
		return held
	}
	p := build.Pattern{Kind: build.Regex, Text: pattern, Fold: n.fold}
	held := build.Match(p, build.Options{}, []byte(s))
	if len(n.seen) >= seenMax {
		clear(n.seen)
	}
	n.seen[key] = held
	return held
}

// compileMatch makes a regular expression of the Endgame function match: the whole string, line ends are characters.
func compileMatch(text string, fold bool) (*regexp.Regexp, error) {
	flags := "(?s)"
	if fold {
		flags = "(?si)"
	}
	return regexp.Compile(flags + `\A(?:` + text + `)\z`)
}

func isAddress(s string) bool {
	if strings.Contains(s, "/") {
		_, ok := value.ParseNetwork(s)
		return ok
	}
	_, err := netip.ParseAddr(s)
	return err == nil
}
