package eql

// kind is the kind of a token.
type kind uint8

const (
	tEOF    kind = iota
	tBad         // already reported by the lexer
	tIdent       // name
	tQuoted      // `name`
	tTilde       // name~ that is no keyword
	tString      // any form of string
	tInt
	tFloat
	tVar // $name

	tLParen
	tRParen
	tLBrack
	tRBrack
	tMissing // ![
	tComma
	tDot
	tPipe
	tQuestion
	tColon
	tEq // ==
	tNe
	tLt
	tLe
	tGt
	tGe
	tPlus
	tMinus
	tStar
	tSlash
	tPercent

	tAssign // = : part of maxspan= and, in Endgame, an equality
	tAndAnd // && || ! are lexed only to say what to write instead
	tOrOr
	tBang

	tAnd
	tAny
	tBy
	tFalse
	tIn
	tInFold
	tJoin
	tLike
	tLikeFold
	tMaxspan
	tNot
	tNull
	tOf
	tOr
	tRegex
	tRegexFold
	tSample
	tSequence
	tTrue
	tUntil
	tWhere
	tWith
)

// token is a piece of the source. A broken token was reported by the lexer, so
// the parser does not report what follows from it.
type token struct {
	start, end int32
	kind       kind
	broken     bool
}

func (t token) span() Span { return Span{int(t.start), int(t.end)} }

// keyword returns the kind of a reserved word, or tIdent. Endgame knows fewer.
func keyword(word string, d Dialect) kind {
	switch word {
	case "and":
		return tAnd
	case "by":
		return tBy
	case "false":
		return tFalse
	case "in":
		return tIn
	case "join":
		return tJoin
	case "not":
		return tNot
	case "null":
		return tNull
	case "of":
		return tOf
	case "or":
		return tOr
	case "sequence":
		return tSequence
	case "true":
		return tTrue
	case "until":
		return tUntil
	case "where":
		return tWhere
	case "with":
		return tWith
	case "any":
		return tAny
	case "maxspan":
		return tMaxspan
	}
	if d == Endgame {
		return tIdent
	}
	switch word {
	case "like":
		return tLike
	case "regex":
		return tRegex
	case "sample":
		return tSample
	}
	return tIdent
}

// isKeyword says whether a token of this kind is a reserved word.
func (k kind) isKeyword() bool { return k >= tAnd }

func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isNameStart(c byte) bool { return isLetter(c) || c == '_' || c == '@' }

func isNamePart(c byte) bool { return isLetter(c) || c == '_' || isDigit(c) }

// isPlainName says whether a name can be written without backquotes.
func isPlainName(s string, d Dialect) bool {
	if s == "" || !isNameStart(s[0]) {
		return false
	}
	for i := 1; i < len(s); i++ {
		if !isNamePart(s[i]) {
			return false
		}
	}
	return keyword(s, d) == tIdent
}
