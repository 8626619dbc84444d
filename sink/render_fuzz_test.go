package sink

import (
	"bytes"
	"encoding/json"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/kestrel-detection/kestrel/event/alert"
)

// FuzzRender: whatever alert.Check lets pass becomes valid JSON and a harmless line, each within the room that the sinks
// count on.
func FuzzRender(f *testing.F) {
	for _, a := range all() {
		f.Add([]byte(a))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if alert.Check(b) != alert.ErrNone {
			return
		}
		line := AppendJSON(nil, b)
		if !json.Valid(line) {
			t.Errorf("not JSON: %s", line)
		}
		if max := jsonBytesOverhead + jsonBytesFactor*len(b); len(line) >= max {
			t.Errorf("%d bytes of JSON, room for %d", len(line), max)
		}
		line = AppendLine(nil, b, false)
		if len(line) > lineBytesMax || !utf8.Valid(line) {
			t.Errorf("%d bytes (max %d): %q", len(line), lineBytesMax, line)
		}
		for _, r := range string(bytes.ReplaceAll(line, []byte("\n"), nil)) {
			if !strconv.IsPrint(r) {
				t.Errorf("%U in %q", r, line)
			}
		}
	})
}
