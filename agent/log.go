package agent

import (
	"fmt"
	"io"
	"strings"
	"sync"
)

// Level of a message.
type Level uint8

// The levels.
const (
	LevelDebug Level = iota
	LevelInfo
	LevelWarn
	LevelError
	levels
)

var levelNames = [levels]string{"debug", "info", "warn", "error"}

// ParseLevel finds a level by the name that the configuration has for it.
func ParseLevel(name string) (Level, bool) {
	for l, n := range levelNames {
		if n == strings.ToLower(name) {
			return Level(l), true
		}
	}
	return LevelInfo, false
}

// Log writes the agent's own messages, one line each. Any goroutine may use it.
type Log struct {
	mu  sync.Mutex
	w   io.Writer
	min Level
}

// NewLog writes messages of a level and above to w.
func NewLog(w io.Writer, min Level) *Log { return &Log{w: w, min: min} }

func (l *Log) printf(level Level, format string, args ...any) {
	if level < l.min {
		return
	}
	prefix := "kestrel: "
	if level != LevelInfo {
		prefix += levelNames[level] + ": "
	}
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", " | ")
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.w, prefix+text)
}

// Debugf is for who looks for a fault in Kestrel.
func (l *Log) Debugf(format string, args ...any) { l.printf(LevelDebug, format, args...) }

// Infof is for what an operator wants to know.
func (l *Log) Infof(format string, args ...any) { l.printf(LevelInfo, format, args...) }

// Warnf is for what is not as asked.
func (l *Log) Warnf(format string, args ...any) { l.printf(LevelWarn, format, args...) }

// Errorf is for what failed.
func (l *Log) Errorf(format string, args ...any) { l.printf(LevelError, format, args...) }
