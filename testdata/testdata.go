// Package testdata holds the recorded capture of a working machine: the event mix of every benchmark, and what
// `kestrel run --demo` shows. record.sh makes it.
package testdata

import _ "embed" // for capture.klog.gz

//go:embed capture.klog.gz
var capture []byte

// Capture is the recorded log, compressed with gzip. It must not be written to.
func Capture() []byte { return capture }
