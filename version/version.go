// Package version says what a binary is. Version and Commit are set by the linker (see the Makefile).
package version

import (
	"runtime"
	"strconv"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/image"
)

// Version and Commit are what the linker was told.
var (
	Version = "0.1.0-dev"
	Commit  = "unknown"
)

// Tags are the build tags that decide what is in the binary.
const Tags = "none"

// Lines is what `version` prints.
func Lines(name string) string {
	return name + " " + Version + "\ncommit " + Commit + "\ntags " + Tags + "\nimage format " + strconv.Itoa(image.FormatVersion) +
		"\nschema " + strconv.Itoa(event.SchemaVersion) + "\n" + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH + "\n"
}

// JSON is the same for scripts.
func JSON(name string) string {
	q := strconv.Quote
	return "{\"name\":" + q(name) + ",\"version\":" + q(Version) + ",\"commit\":" + q(Commit) + ",\"tags\":" + q(Tags) +
		",\"image_format\":" + strconv.Itoa(image.FormatVersion) + ",\"schema\":" + strconv.Itoa(event.SchemaVersion) +
		",\"go\":" + q(runtime.Version()) + ",\"platform\":" + q(runtime.GOOS+"/"+runtime.GOARCH) + "}\n"
}
