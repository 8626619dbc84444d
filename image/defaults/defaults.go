// Package defaults holds the default rules as a compiled image, in every binary. The bytes lie in the binary's read-only
// data. `make generate` makes default.kri from rules/default.
package defaults

import _ "embed" // for default.kri

//go:embed default.kri
var image []byte

// Image is the image of the default rules. It must not be written to.
func Image() []byte { return image }
