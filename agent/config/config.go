// Package config is the configuration of the agent: one TOML file in which every key is optional and every unknown key
// an error. The table in keys.go says what there is; config.example.toml shows it with its defaults.
//
// It runs once at start and once per reload, on one goroutine, and keeps nothing. A Config belongs to who asked for it.
package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// DefaultPath is where the file is looked for when none is named.
const DefaultPath = "/etc/kestrel/config.toml"

// fileBytesMax bounds the file: the example with all its comments is 8 KB, and lists of keys may be long.
const fileBytesMax = 256 << 10

// ProfileIoT is the board profile whose values replace the defaults of all keys that the file does not set.
const ProfileIoT = "iot"

// Config is what the file says, with the defaults for what it does not say. Sizes, times and counts of 0 mean what the
// example file says of them.
type Config struct {
	General     General
	Engine      Engine
	NFA         NFA
	EBPF        EBPF
	Wasm        Wasm
	Lua         Lua
	Alerts      Alerts
	Performance Performance
	Security    Security
	Replay      Replay
	OTA         OTA
	Board       Board

	set  [keysMax]bool // by index of keys: the file sets it
	open []string      // keys of the integration tables that the file sets
}

// General is what concerns the whole agent.
type General struct {
	Mode        string // detect, enforce, offline
	LogLevel    string
	Workers     int // 0: one per core
	MaxMemoryMB int // 0: the board profile's
	DataDir     string
}

// Engine sizes the flow of events.
type Engine struct {
	EventBusPartitions int // 0: one per worker
	ChannelSize        int // events
	BatchSize          int // events
	EventTimeoutMS     int
}

// NFA bounds the pending sequences.
type NFA struct {
	MaxPartialMatches   int
	MaxMatchesPerEntity int
	TTLCheckIntervalSec int
	LRUCapacity         int
}

// EBPF says what the kernel programs capture.
type EBPF struct {
	Enabled          bool
	ProgramPath      string // empty: the programs in the binary
	RingbufSize      int    // pages
	EventTypes       []string
	InterestPushdown bool
}

// Wasm bounds the predicates in Wasm.
type Wasm struct {
	Enabled          bool
	InstancePoolSize int
	MemoryLimitMB    int
	FuelLimit        int
}

// Lua bounds the predicates in Lua.
type Lua struct {
	Enabled       bool
	JITEnabled    bool
	MemoryLimitMB int
}

// Alerts says where alerts go.
type Alerts struct {
	Outputs       []string
	FilePath      string
	Type          string // daily, hourly, size
	RetentionDays int    // 0: for ever
	MaxFileSizeMB int    // 0: no limit
	Syslog        Syslog
	UDP           UDP
	Serial        Serial
}

// Syslog is the output of that name.
type Syslog struct {
	Host     string
	Port     int
	Protocol string
	Facility string
}

// UDP is the output of that name.
type UDP struct {
	Address string
	Framing string
	Ack     bool
}

// Serial is the output of that name.
type Serial struct {
	Device  string
	Baud    int
	Framing string
	Ack     bool
}

// Performance is what the agent tells of itself.
type Performance struct {
	EnableProfiling   bool
	MetricsEnabled    bool
	MetricsHost       string
	MetricsPort       int
	ReportIntervalSec int // 0: no reports
}

// Security is what is trusted and how much may be blocked.
type Security struct {
	VerifyRuleSignatures   bool
	AllowExternalRules     bool
	TrustedKeys            []string
	BlockDecisionCacheSize int
	BlockRateLimit         int // per second
}

// Replay is how logs are replayed.
type Replay struct {
	DeterministicMode    bool
	EventBufferSize      int
	TimeCompressionRatio float64
}

// OTA is where rule updates come from.
type OTA struct {
	SlotsDir     string
	Source       string // URL or device
	Interval     time.Duration
	ConfirmAfter time.Duration
}

// Board is the device.
type Board struct {
	Profile string // empty: found by itself
	Caps    Caps
}

// Caps override what the board profile says.
type Caps struct {
	MaxMemoryMB int // 0: the profile's
}

// Default is the configuration of an empty file.
func Default() *Config {
	return &Config{
		General: General{Mode: "detect", LogLevel: "info", DataDir: "/var/lib/kestrel"},
		Engine:  Engine{ChannelSize: 8192, BatchSize: 100, EventTimeoutMS: 1000},
		NFA:     NFA{MaxPartialMatches: 100000, MaxMatchesPerEntity: 100, TTLCheckIntervalSec: 60, LRUCapacity: 10000},
		EBPF: EBPF{Enabled: true, RingbufSize: 64, EventTypes: []string{"process", "file", "network", "dns"},
			InterestPushdown: true},
		Wasm: Wasm{Enabled: true, InstancePoolSize: 20, MemoryLimitMB: 32, FuelLimit: 10_000_000},
		Lua:  Lua{Enabled: true, MemoryLimitMB: 32},
		Alerts: Alerts{Outputs: []string{"stdout"}, FilePath: "/var/log/kestrel/alerts.json", Type: "daily", RetentionDays: 30,
			MaxFileSizeMB: 10,
			Syslog:        Syslog{Port: 514, Protocol: "udp", Facility: "local0"},
			UDP:           UDP{Framing: "cobs"},
			Serial:        Serial{Baud: 115200, Framing: "cobs"}},
		Performance: Performance{MetricsHost: "127.0.0.1", MetricsPort: 9090, ReportIntervalSec: 60},
		Security:    Security{VerifyRuleSignatures: true, BlockDecisionCacheSize: 1024, BlockRateLimit: 100},
		Replay:      Replay{DeterministicMode: true, EventBufferSize: 1000, TimeCompressionRatio: 1},
		OTA:         OTA{SlotsDir: "/var/lib/kestrel/slots", Interval: time.Hour, ConfirmAfter: 5 * time.Minute},
	}
}

// ApplyIoT gives all keys that the file does not set the values of the small profile.
func (c *Config) ApplyIoT() {
	for _, v := range iotValues {
		i := find(v.key)
		if !c.set[i] {
			*keys[i].at(c).(*int) = v.value
		}
	}
}

// Load reads the configuration. explicit says that somebody named the file: then it must be there, otherwise a missing
// one is an empty one.
func Load(path string, explicit bool) (*Config, error) {
	st, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) && !explicit {
		return Default(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if st.Size() > fileBytesMax {
		return nil, fmt.Errorf("read configuration: %s: %d bytes (max %d)", path, st.Size(), fileBytesMax)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, text, os.LookupEnv)
}

// Unsupported lists what the file sets and this version does not act on yet, for the agent to say once: keys, and
// values in the form key = "value".
func (c *Config) Unsupported() []string {
	var list []string
	for _, u := range notYet {
		i := find(u.key)
		switch {
		case !c.set[i]:
		case u.values == nil:
			list = append(list, u.key)
		default:
			for _, v := range u.values {
				if keys[i].holds(c, v) {
					list = append(list, fmt.Sprintf("%s = %q", u.key, v))
				}
			}
		}
	}
	return append(list, c.open...)
}
