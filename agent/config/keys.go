package config

import (
	"slices"
	"time"
)

// key is one key of the file. Which fields count depends on what at points to.
type key struct {
	name     string            // with its table
	at       func(*Config) any // *string, *[]string, *bool, *int, *float64, *time.Duration
	min, max int               // of a number; elements of a list; seconds of a time
	words    []string          // the values that a string or an element may have; nil: any
	pow2     bool              // a power of two
}

// keysMax is the number of keys.
const keysMax = 60

const (
	countMax = 100_000_000 // states, matches, events: more is a slip of the pen, and it is memory
	listMax  = 64
	hostMB   = 1 << 20 // 1 TB
)

var facilities = []string{"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7"}

var keys = [keysMax]key{
	{name: "general.mode", at: func(c *Config) any { return &c.General.Mode }, words: []string{"detect", "enforce", "offline"}},
	{name: "general.log_level", at: func(c *Config) any { return &c.General.LogLevel }, words: []string{"debug", "info", "warn", "error"}},
	{name: "general.workers", at: func(c *Config) any { return &c.General.Workers }, max: 256},
	{name: "general.max_memory_mb", at: func(c *Config) any { return &c.General.MaxMemoryMB }, max: hostMB},
	{name: "general.data_dir", at: func(c *Config) any { return &c.General.DataDir }},

	{name: "engine.event_bus_partitions", at: func(c *Config) any { return &c.Engine.EventBusPartitions }, max: 256},
	{name: "engine.channel_size", at: func(c *Config) any { return &c.Engine.ChannelSize }, min: 16, max: 1 << 20},
	{name: "engine.batch_size", at: func(c *Config) any { return &c.Engine.BatchSize }, min: 1, max: 4096},
	{name: "engine.event_timeout_ms", at: func(c *Config) any { return &c.Engine.EventTimeoutMS }, max: 3_600_000},

	{name: "nfa.max_partial_matches", at: func(c *Config) any { return &c.NFA.MaxPartialMatches }, min: 1, max: countMax},
	{name: "nfa.max_matches_per_entity", at: func(c *Config) any { return &c.NFA.MaxMatchesPerEntity }, min: 1, max: countMax},
	{name: "nfa.ttl_check_interval_sec", at: func(c *Config) any { return &c.NFA.TTLCheckIntervalSec }, min: 1, max: 86400},
	{name: "nfa.lru_capacity", at: func(c *Config) any { return &c.NFA.LRUCapacity }, min: 1, max: countMax},

	{name: "ebpf.enabled", at: func(c *Config) any { return &c.EBPF.Enabled }},
	{name: "ebpf.program_path", at: func(c *Config) any { return &c.EBPF.ProgramPath }},
	{name: "ebpf.ringbuf_size", at: func(c *Config) any { return &c.EBPF.RingbufSize }, min: 1, max: 1 << 16, pow2: true},
	{name: "ebpf.event_types", at: func(c *Config) any { return &c.EBPF.EventTypes }, min: 1, max: 4,
		words: []string{"process", "file", "network", "dns"}},
	{name: "ebpf.interest_pushdown", at: func(c *Config) any { return &c.EBPF.InterestPushdown }},

	{name: "wasm.enabled", at: func(c *Config) any { return &c.Wasm.Enabled }},
	{name: "wasm.instance_pool_size", at: func(c *Config) any { return &c.Wasm.InstancePoolSize }, min: 1, max: 1024},
	{name: "wasm.memory_limit_mb", at: func(c *Config) any { return &c.Wasm.MemoryLimitMB }, min: 1, max: 4096},
	{name: "wasm.fuel_limit", at: func(c *Config) any { return &c.Wasm.FuelLimit }, min: 1000, max: 1_000_000_000_000},

	{name: "lua.enabled", at: func(c *Config) any { return &c.Lua.Enabled }},
	{name: "lua.jit_enabled", at: func(c *Config) any { return &c.Lua.JITEnabled }},
	{name: "lua.memory_limit_mb", at: func(c *Config) any { return &c.Lua.MemoryLimitMB }, min: 1, max: 4096},

	{name: "alerts.outputs", at: func(c *Config) any { return &c.Alerts.Outputs }, min: 1, max: 5,
		words: []string{"stdout", "file", "syslog", "udp", "serial"}},
	{name: "alerts.file_path", at: func(c *Config) any { return &c.Alerts.FilePath }},
	{name: "alerts.type", at: func(c *Config) any { return &c.Alerts.Type }, words: []string{"daily", "hourly", "size"}},
	{name: "alerts.retention_days", at: func(c *Config) any { return &c.Alerts.RetentionDays }, max: 36500},
	{name: "alerts.max_file_size_mb", at: func(c *Config) any { return &c.Alerts.MaxFileSizeMB }, max: hostMB},
	{name: "alerts.syslog.host", at: func(c *Config) any { return &c.Alerts.Syslog.Host }},
	{name: "alerts.syslog.port", at: func(c *Config) any { return &c.Alerts.Syslog.Port }, min: 1, max: 65535},
	{name: "alerts.syslog.protocol", at: func(c *Config) any { return &c.Alerts.Syslog.Protocol }, words: []string{"udp", "tcp"}},
	{name: "alerts.syslog.facility", at: func(c *Config) any { return &c.Alerts.Syslog.Facility }, words: facilities},
	{name: "alerts.udp.address", at: func(c *Config) any { return &c.Alerts.UDP.Address }},
	{name: "alerts.udp.framing", at: func(c *Config) any { return &c.Alerts.UDP.Framing }, words: []string{"cobs"}},
	{name: "alerts.udp.ack", at: func(c *Config) any { return &c.Alerts.UDP.Ack }},
	{name: "alerts.serial.device", at: func(c *Config) any { return &c.Alerts.Serial.Device }},
	{name: "alerts.serial.baud", at: func(c *Config) any { return &c.Alerts.Serial.Baud }, min: 1200, max: 4_000_000},
	{name: "alerts.serial.framing", at: func(c *Config) any { return &c.Alerts.Serial.Framing }, words: []string{"cobs"}},
	{name: "alerts.serial.ack", at: func(c *Config) any { return &c.Alerts.Serial.Ack }},

	{name: "performance.enable_profiling", at: func(c *Config) any { return &c.Performance.EnableProfiling }},
	{name: "performance.metrics_enabled", at: func(c *Config) any { return &c.Performance.MetricsEnabled }},
	{name: "performance.metrics_host", at: func(c *Config) any { return &c.Performance.MetricsHost }},
	{name: "performance.metrics_port", at: func(c *Config) any { return &c.Performance.MetricsPort }, min: 1, max: 65535},
	{name: "performance.report_interval_sec", at: func(c *Config) any { return &c.Performance.ReportIntervalSec }, max: 86400},

	{name: "security.verify_rule_signatures", at: func(c *Config) any { return &c.Security.VerifyRuleSignatures }},
	{name: "security.allow_external_rules", at: func(c *Config) any { return &c.Security.AllowExternalRules }},
	{name: "security.trusted_keys", at: func(c *Config) any { return &c.Security.TrustedKeys }, max: listMax},
	{name: "security.block_decision_cache_size", at: func(c *Config) any { return &c.Security.BlockDecisionCacheSize }, max: 1 << 20},
	{name: "security.block_rate_limit", at: func(c *Config) any { return &c.Security.BlockRateLimit }, min: 1, max: 1_000_000},

	{name: "replay.deterministic_mode", at: func(c *Config) any { return &c.Replay.DeterministicMode }},
	{name: "replay.event_buffer_size", at: func(c *Config) any { return &c.Replay.EventBufferSize }, min: 1, max: 1 << 20},
	{name: "replay.time_compression_ratio", at: func(c *Config) any { return &c.Replay.TimeCompressionRatio }, max: 1_000_000},

	{name: "ota.slots_dir", at: func(c *Config) any { return &c.OTA.SlotsDir }},
	{name: "ota.source", at: func(c *Config) any { return &c.OTA.Source }},
	{name: "ota.interval", at: func(c *Config) any { return &c.OTA.Interval }, min: 10, max: 365 * 86400},
	{name: "ota.confirm_after", at: func(c *Config) any { return &c.OTA.ConfirmAfter }, min: 1, max: 7 * 86400},

	{name: "board.profile", at: func(c *Config) any { return &c.Board.Profile }, words: []string{"", ProfileIoT}},
	{name: "board.caps.max_memory_mb", at: func(c *Config) any { return &c.Board.Caps.MaxMemoryMB }, max: hostMB},
}

// openTables are read by the gateway from the same file: what stands in them is not known here and has no effect.
var openTables = []string{"integration.siem", "integration.soar", "integration.threat_intel"}

// iotValues replace the defaults on a small device.
var iotValues = []struct {
	key   string
	value int
}{
	{"general.workers", 2},
	{"general.max_memory_mb", 16},
	{"engine.channel_size", 1000},
	{"nfa.max_partial_matches", 1000},
	{"nfa.lru_capacity", 100},
	{"wasm.instance_pool_size", 5},
	{"wasm.memory_limit_mb", 16},
	{"lua.memory_limit_mb", 16},
}

// notYet are the keys, or the values of a key, that are accepted and that this version does not act on. A row goes when
// what it names is built.
var notYet = []struct {
	key    string
	values []string // nil: the whole key
}{
	{"general.mode", []string{"enforce"}},
	{"general.data_dir", nil},
	{"engine.event_bus_partitions", nil},
	{"engine.batch_size", nil},
	{"engine.event_timeout_ms", nil},
	{"nfa.max_matches_per_entity", nil},
	{"nfa.ttl_check_interval_sec", nil},
	{"ebpf.program_path", nil},
	{"ebpf.interest_pushdown", nil},
	{"wasm.enabled", nil},
	{"wasm.instance_pool_size", nil},
	{"wasm.memory_limit_mb", nil},
	{"wasm.fuel_limit", nil},
	{"lua.enabled", nil},
	{"lua.jit_enabled", nil}, // stays: there is no compiler to switch on
	{"lua.memory_limit_mb", nil},
	{"alerts.outputs", []string{"syslog", "udp", "serial"}},
	{"alerts.syslog.host", nil},
	{"alerts.syslog.port", nil},
	{"alerts.syslog.protocol", nil},
	{"alerts.syslog.facility", nil},
	{"alerts.udp.address", nil},
	{"alerts.udp.framing", nil},
	{"alerts.udp.ack", nil},
	{"alerts.serial.device", nil},
	{"alerts.serial.baud", nil},
	{"alerts.serial.framing", nil},
	{"alerts.serial.ack", nil},
	{"performance.enable_profiling", nil},
	{"performance.metrics_enabled", nil},
	{"performance.metrics_host", nil},
	{"performance.metrics_port", nil},
	{"security.verify_rule_signatures", nil},
	{"security.allow_external_rules", nil},
	{"security.trusted_keys", nil},
	{"security.block_decision_cache_size", nil},
	{"security.block_rate_limit", nil},
	{"replay.deterministic_mode", nil},
	{"replay.event_buffer_size", nil},
	{"replay.time_compression_ratio", nil},
	{"ota.slots_dir", nil},
	{"ota.source", nil},
	{"ota.interval", nil},
	{"ota.confirm_after", nil},
}

// find is the index of a key, -1 for none.
func find(name string) int {
	return slices.IndexFunc(keys[:], func(k key) bool { return k.name == name })
}

// holds tells whether a key of strings has the value v.
func (k *key) holds(c *Config, v string) bool {
	switch p := k.at(c).(type) {
	case *string:
		return *p == v
	case *[]string:
		return slices.Contains(*p, v)
	}
	return false
}

// seconds bounds a time.
func seconds(n int) time.Duration { return time.Duration(n) * time.Second }
