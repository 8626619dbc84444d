package rules

import (
	"embed"
	"io/fs"

	"github.com/kestrel-detection/kestrel/eql"
)

//go:embed default/manifest.yaml default/*/*.eql
var defaultFiles embed.FS

// Default reads the default rules from the binary.
func Default() (*Package, error) {
	sub, err := fs.Sub(defaultFiles, "default")
	if err != nil {
		return nil, err
	}
	return LoadFS(sub, "default", eql.Kestrel)
}
