package agent

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/kestrel-detection/kestrel/sink"
)

// namedSink is a sink with the name that people know it by.
type namedSink struct {
	Sink
	name    string
	failing bool // the last attempt failed, and that was said
}

// note says when an output begins to fail and when it works again.
func (s *namedSink) note(log *Log, err error) {
	switch {
	case err != nil && !s.failing:
		s.failing = true
		log.Errorf("output %s: %v; alerts are kept as far as there is room, and it is tried again", s.name, err)
	case err == nil && s.failing:
		s.failing = false
		log.Infof("output %s works again; %d alerts were lost", s.name, s.Counters().Lost)
	}
}

// openSinks opens the outputs that the configuration names.
func openSinks(o Options) ([]*namedSink, error) {
	var sinks []*namedSink
	a := &o.Config.Alerts
	for _, name := range a.Outputs {
		buf := make([]byte, sink.BufferBytesMin)
		var s Sink
		var err error
		label := name
		switch name {
		case "stdout":
			s, err = sink.OpenStdout(unix.Stdout, o.JSON, buf)
		case "file":
			every, ok := sink.ParsePeriod(a.Type)
			if !ok {
				return nil, fmt.Errorf("alerts.type %q (size, daily or hourly)", a.Type)
			}
			label += " " + a.FilePath
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
		sinks = append(sinks, &namedSink{Sink: s, name: label})
	}
	if len(sinks) == 0 {
		return nil, fmt.Errorf("alerts.outputs has none that this version can write to (stdout, file)")
	}
	return sinks, nil
}
