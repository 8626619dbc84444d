package agent

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/sink"
)

// openSinks opens the outputs that the configuration names.
func openSinks(o Options) ([]Sink, error) {
	var sinks []Sink
	a := &o.Config.Alerts
	for _, name := range a.Outputs {
		buf := make([]byte, sink.BufferBytesMin)
		var s Sink
		var err error
		switch name {
		case "stdout":
			s, err = sink.OpenStdout(unix.Stdout, o.JSON, buf)
		case "file":
			every, ok := sink.ParsePeriod(a.Type)
			if !ok {
				return nil, fmt.Errorf("alerts.type %q (size, daily or hourly)", a.Type)
			}
			s, err = sink.OpenFile(sink.FileOptions{
				Path: a.FilePath, Every: every, BytesMax: int64(a.MaxFileSizeMB) << 20, RetentionDays: a.RetentionDays,
			}, buf)
		default:
			// Said as a warning at start; the other outputs work.
			continue
		}
		if err != nil {
			return nil, err
		}
		sinks = append(sinks, s)
	}
	if len(sinks) == 0 {
		return nil, fmt.Errorf("alerts.outputs has none that this version can write to (stdout, file)")
	}
	return sinks, nil
}
