" Vim syntax file
" Language: Kestrel EQL (*.eql)

if exists("b:current_syntax")
  finish
endif

syn case match
syn keyword eqlStatement any as by fork join maxspan runs sample sequence until where with
syn keyword eqlOperator and contains endswith in like not of or regex startswith
syn keyword eqlConstant false null true
syn match   eqlLineage "\<\%(child\|descendant\|event\)\s\+of\>"
syn match   eqlPipe "|\s*\%(head\|tail\|count\|unique\|unique_count\|filter\|sort\)\>"
syn match   eqlCategory "\<\h\w*\ze\s\+where\>"
syn match   eqlField "?\=[[:alpha:]_@]\w*\%(\.[[:alpha:]_@]\w*\)\+"
syn match   eqlField "?\=`\%([^`]\|``\)*`"
syn match   eqlGlobal "\$\h\w*"
syn match   eqlNumber "\<\d\+\%(\.\d*\)\=\%([eE][+-]\=\d\+\)\=\%(ms\|[smhd]\)\=\>"
syn match   eqlMissing "!\["

syn case ignore
syn match   eqlFunction "\<\%(add\|between\|cidrMatch\|concat\|divide\|endsWith\|indexOf\|length\|modulo\|multiply\|number\|startsWith\|string\|stringContains\|substring\|subtract\)\~\=\ze\s*("
syn case match

syn match   eqlEscape "\\\%(u{\x\{2,8}}\|[btnfr\"'\\]\)" contained
syn region  eqlString start=+"+ skip=+\\.+ end=+"+ oneline contains=eqlEscape
syn region  eqlRaw start=+"""+ end=+"""+ oneline
syn match   eqlComment "//.*$"
syn match   eqlComment "#.*$"
syn region  eqlComment start="/\*" end="\*/"

hi def link eqlStatement Statement
hi def link eqlOperator Operator
hi def link eqlConstant Constant
hi def link eqlLineage Operator
hi def link eqlPipe Statement
hi def link eqlCategory Type
hi def link eqlField Identifier
hi def link eqlGlobal PreProc
hi def link eqlNumber Number
hi def link eqlMissing Statement
hi def link eqlFunction Function
hi def link eqlEscape SpecialChar
hi def link eqlString String
hi def link eqlRaw String
hi def link eqlComment Comment

let b:current_syntax = "eql"
