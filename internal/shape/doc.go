// Package shape holds the tests of the shape of the tree: what the design and the house style promise, checked instead of
// hoped for. It has no code of its own.
//
//	arrows_test.go    which package imports which, and which third-party module stands where
//	device_test.go    what the firmware binary must not link
//	hot_test.go       what the packages between source and sink must not use: fmt, clocks, iterated maps, floats
//	object_test.go    what their object code must not call: the allocator
//	comment_test.go   package comments and comments of exported names
//	length_test.go    length of files and functions, and where unsafe may stand
//	golden_test.go    every constant of package limits
//	text_test.go      words and paths that belong to somebody's desk
//
// Each gate is a function from a tree to its violations, so that it also runs over a canary: a small tree or package that
// breaks the rule, and must be caught. Each table of exceptions gives reasons, and an exception that nothing needs any
// more is a violation as well.
//
// The tests read the tree around them and ask the go command; they need nothing else and write nothing, except that
// TestGolden rewrites its file when -update is given.
package shape
