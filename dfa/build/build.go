// Package build compiles the patterns of one event field to the table that package dfa runs. It is for the host: it
// allocates as it likes and the device does not link it. The same patterns in the same order give the same bytes.
//
// Every pattern is brought to the simplest form that means the same, so the wildcard `a*`, the regex `a.*` and the
// prefix `a` cost the same. What stays a wildcard or a regex becomes a program that runs only when its rarest required
// literal was seen, as far as the pattern has one.
package build

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/dfa"
)

// Kind says how a pattern's text is to be read.
type Kind uint8

const (
	Exact    Kind = iota // the value is the text
	Prefix               // the value begins with the text
	Suffix               // the value ends with the text
	Contains             // the text is in the value
	Wildcard             // `*` is any run of code points, empty and over line ends too, `?` is one code point
	Regex                // Lucene's regular expressions with all optional operators; the whole value must match
)

// Pattern is one string test.
type Pattern struct {
	Kind Kind
	Text string // UTF-8
	Fold bool   // ASCII letters match in either case
}

// MemoryDefault is a table's size when Options leaves it open: the command line of all public Linux rules with most of
// its visited states dense.
const MemoryDefault = 512 << 10

// Options of a table.
type Options struct {
	// MemoryMax is the size in bytes up to which states are made faster by dense rows, and regexes by determinising
	// them; 0 is MemoryDefault. What the patterns need at the least is not refused; Report.Bytes has the size.
	MemoryMax int
	// NulIsSpace makes byte 0 of a value read as a space everywhere: a command line is stored as arguments that end in
	// NUL. A pattern with a NUL in it then holds for no value.
	NulIsSpace bool
	// Automata looks for literals with automata, at some cost in time and memory: then no value, whatever is in it, makes
	// a byte cost more. Patterns that are too much alike for anything else get them anyway.
	Automata bool
}

// Error says which pattern cannot be compiled.
type Error struct {
	Index int
	Text  string
	Err   error
}

func (e *Error) Error() string { return fmt.Sprintf("pattern %d, %q: %v", e.Index, e.Text, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// CheckRegex returns the error Build would have for a regex: a *RegexError if its syntax is wrong.
func CheckRegex(text string, fold bool) error {
	_, err := simplify(Pattern{Regex, text, fold}, Options{})
	return err
}

// Build returns the table for patterns; atom i is patterns[i].
func Build(patterns []Pattern, opt Options) (table []byte, rep Report, err error) {
	if len(patterns) > dfa.AtomsMax {
		return nil, rep, fmt.Errorf("%d patterns (max %d)", len(patterns), dfa.AtomsMax)
	}
	if opt.MemoryMax <= 0 {
		opt.MemoryMax = MemoryDefault
	}
	items := make([]item, len(patterns))
	for i, p := range patterns {
		if items[i], err = simplify(p, opt); err != nil {
			return nil, rep, &Error{i, p.Text, err}
		}
	}
	table, rep, err = newCompiler(items, opt).table()
	if errors.Is(err, errCrowded) {
		opt.Automata = true
		return newCompiler(items, opt).table()
	}
	return table, rep, err
}

// form is what a pattern is in its simplest shape.
type form uint8

const (
	formNever form = iota
	formAlways
	formExact
	formPrefix
	formSuffix
	formInner
	formGlob
	formRegex
	forms
)

var formNames = [forms]string{
	"never", "always", "exact hash", "prefix trie", "suffix trie", "AC-DFA", "glob", "DFA",
}

const gramName = "gram filter"

// item is a pattern in its simplest form. Patterns with equal items share what is compiled for them.
type item struct {
	form   form
	text   string  // literal, in lower case if fold
	fold   bool    // only if it makes a difference
	tokens []token // globs
	tree   *node   // regexes and globs
	regex  *regex  // regexes
	key    string
}

type token struct {
	kind tokenKind
	r    rune
}

type tokenKind uint8

const (
	tokenRune tokenKind = iota
	tokenAny            // `?`
	tokenStar           // `*`
)

// simplify returns p's item.
func simplify(p Pattern, opt Options) (item, error) {
	switch {
	case !utf8.ValidString(p.Text):
		return item{}, fmt.Errorf("text is not valid UTF-8")
	case len(p.Text) > dfa.LiteralBytesMax:
		return item{}, fmt.Errorf("text has %d bytes (max %d)", len(p.Text), dfa.LiteralBytesMax)
	}
	literal := map[Kind]form{Exact: formExact, Prefix: formPrefix, Suffix: formSuffix, Contains: formInner}
	if f, ok := literal[p.Kind]; ok {
		return literalItem(f, p.Text, p.Fold, opt), nil
	}
	var tokens []token
	if p.Kind == Wildcard {
		for _, r := range p.Text {
			switch r {
			case '*':
				tokens = append(tokens, token{kind: tokenStar})
			case '?':
				tokens = append(tokens, token{kind: tokenAny})
			default:
				if p.Fold && r < utf8.RuneSelf {
					r = rune(lower(byte(r)))
				}
				tokens = append(tokens, token{tokenRune, r})
			}
		}
		return tokensItem(tokens, p.Fold, opt)
	}
	tree, err := parseRegex(p.Text, p.Fold)
	if err != nil {
		return item{}, err
	}
	if tokens, ok := treeTokens(tree, p.Fold, nil); ok {
		return tokensItem(tokens, p.Fold, opt)
	}
	return regexItem(tree, p.Fold, opt)
}

func literalItem(f form, text string, fold bool, opt Options) item {
	it := item{form: f, text: text, fold: fold && hasLetters(text)}
	if it.fold {
		it.text = lowered(text)
	}
	if text == "" && f != formExact {
		return constantItem(true)
	}
	if opt.NulIsSpace && strings.IndexByte(text, 0) >= 0 {
		return constantItem(false)
	}
	it.key = fmt.Sprint(it.form, it.fold, it.text)
	return it
}

func constantItem(holds bool) item {
	if holds {
		return item{form: formAlways, key: "always"}
	}
	return item{form: formNever, key: "never"}
}

// treeTokens appends the tokens of a regex that is nothing but characters, `.` and `.*`.
func treeTokens(n *node, fold bool, to []token) ([]token, bool) {
	if r, ok := literalRune(n, fold); ok {
		return append(to, token{tokenRune, r}), true
	}
	switch {
	case n.op == opEmpty:
		return to, true
	case isAny(n):
		return append(to, token{kind: tokenAny}), true
	case isAnyString(n):
		return append(to, token{kind: tokenStar}), true
	case n.op == opConcat:
		ok := true
		for _, sub := range n.subs {
			if to, ok = treeTokens(sub, fold, to); !ok {
				return nil, false
			}
		}
		return to, true
	}
	return nil, false
}

// tokensItem returns the item of a wildcard. Among neighbouring wildcards the order makes no difference, and one `*` is
// as good as many: `?` go first, but after the last `*`, so that they belong to the segment bound to the end.
func tokensItem(in []token, fold bool, opt Options) (item, error) {
	var tokens []token
	for i := 0; i < len(in); {
		star := false
		for ; i < len(in) && in[i].kind != tokenRune; i++ {
			if in[i].kind == tokenAny {
				tokens = append(tokens, in[i])
			}
			star = star || in[i].kind == tokenStar
		}
		if star {
			tokens = append(tokens, token{kind: tokenStar})
		}
		for ; i < len(in) && in[i].kind == tokenRune; i++ {
			tokens = append(tokens, in[i])
		}
	}
	if first := slices.IndexFunc(tokens, func(t token) bool { return t.kind == tokenStar }); first >= 0 {
		for i := len(tokens) - 1; i > first; i-- {
			if tokens[i].kind == tokenStar {
				for ; tokens[i-1].kind == tokenAny; i-- {
					tokens[i-1], tokens[i] = tokens[i], tokens[i-1]
				}
				break
			}
		}
	}
	text, anys, stars := "", 0, 0
	for _, t := range tokens {
		switch t.kind {
		case tokenAny:
			anys++
		case tokenStar:
			stars++
		default:
			text += string(t.r)
		}
	}
	if len(text) > dfa.LiteralBytesMax {
		return item{}, fmt.Errorf("its literals have %d bytes (max %d)", len(text), dfa.LiteralBytesMax)
	}
	first := len(tokens) > 0 && tokens[0].kind == tokenStar
	last := len(tokens) > 0 && tokens[len(tokens)-1].kind == tokenStar
	switch {
	case anys > 0:
	case stars == 0:
		return literalItem(formExact, text, fold, opt), nil
	case stars == 1 && last:
		return literalItem(formPrefix, text, fold, opt), nil
	case stars == 1 && first:
		return literalItem(formSuffix, text, fold, opt), nil
	case stars == 2 && first && last:
		return literalItem(formInner, text, fold, opt), nil
	}
	if opt.NulIsSpace {
		for _, t := range tokens {
			if t.kind == tokenRune && t.r == 0 {
				return constantItem(false), nil
			}
		}
	}
	tree := tokensTree(tokens, fold)
	if midAny(tokens) {
		// The greedy matcher is linear for literals only; a floating `?` makes it a regex.
		return regexItem(tree, fold, opt)
	}
	it := item{form: formGlob, tokens: tokens, tree: tree, fold: fold && hasLetters(text)}
	it.key = fmt.Sprint(it.form, it.fold, it.tokens)
	return it, nil
}

func tokensTree(tokens []token, fold bool) *node {
	tree := &node{op: opConcat}
	for _, t := range tokens {
		n := &node{op: opSet, set: anySet}
		switch t.kind {
		case tokenStar:
			n = anyString()
		case tokenRune:
			n.set = []span{{t.r, t.r}}
			if fold {
				n.set = foldSet(n.set)
			}
		}
		tree.subs = append(tree.subs, n)
	}
	return tree
}

// midAny says whether a `?` stands between two `*`.
func midAny(tokens []token) bool {
	star, any := false, false
	for _, t := range tokens {
		switch t.kind {
		case tokenAny:
			any = star
		case tokenStar:
			if any {
				return true
			}
			star = true
		}
	}
	return false
}

// regex is a compiled regex.
type regex struct {
	words []uint32
	lazy  bool
}

// dfaShare is the part of a table's memory that one determinised regex may take; larger ones are left to the lazy DFA.
const dfaShare = 8

const (
	// dfaStatesMax bounds the time Build spends on one regex.
	dfaStatesMax = 1024
	// dfaEntriesMax keeps a determinised regex within 32 KB, near what stays in the cache of a small core.
	dfaEntriesMax = 16 << 10
)

func regexItem(tree *node, fold bool, opt Options) (it item, err error) {
	defer func() {
		switch e := recover().(type) {
		case nil:
		case tooLarge:
			err = fmt.Errorf("%s", string(e))
		default:
			panic(e)
		}
	}()
	alphabet, err := partition(tree)
	if err != nil {
		return item{}, err
	}
	t := thompson{symbols: alphabet}
	start := t.state()
	f := t.clean(start, t.build(tree, start))
	rx := &regex{words: alphabet.words(opt.NulIsSpace)}
	entries := dfaEntriesMax
	if opt.MemoryMax > 0 {
		entries = min(entries, opt.MemoryMax/dfaShare/2)
	}
	if m := determinise(f, alphabet.count, min(dfaStatesMax, entries/alphabet.count)); m != nil {
		if len(m.accepts) == 1 {
			return constantItem(m.accepts[0]), nil
		}
		rx.words = append(rx.words, m.words()...)
	} else {
		words, err := f.words(alphabet.count)
		if err != nil {
			return item{}, err
		}
		rx.words = append(rx.words, words...)
		rx.lazy = true
	}
	it = item{form: formRegex, tree: tree, fold: fold, regex: rx}
	it.key = fmt.Sprint(it.form, rx.words)
	return it, nil
}
