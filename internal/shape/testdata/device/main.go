// Program device links what a device must not.
package main

import (
	_ "encoding/json"
	_ "regexp"

	_ "github.com/kestrel-detection/kestrel/dfa/build"
)

func main() {}
