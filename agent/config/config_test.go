package config

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

func none(string) (string, bool) { return "", false }

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("c.toml", []byte(text), none)
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return c
}

// forget drops what says where values came from.
func forget(c *Config) Config {
	v := *c
	v.set, v.open = [keysMax]bool{}, nil
	return v
}

func TestTables(t *testing.T) {
	c := Default()
	seen := map[any]string{}
	fields := 0
	for i := range keys {
		k := &keys[i]
		if k.name == "" || find(k.name) != i {
			t.Fatalf("key %d %q is empty or there twice", i, k.name)
		}
		p := k.at(c)
		if other := seen[p]; other != "" {
			t.Errorf("%s and %s are the same place", k.name, other)
		}
		seen[p] = k.name
		ok := true
		switch v := p.(type) {
		case *bool:
		case *string:
			ok = k.words == nil || slices.Contains(k.words, *v)
		case *int:
			ok = k.number(int64(*v)) == nil
		case *float64:
			ok = *v > float64(k.min) && *v <= float64(k.max)
		case *time.Duration:
			ok = *v >= seconds(k.min) && *v <= seconds(k.max)
		case *[]string:
			ok = len(*v) >= k.min && len(*v) <= k.max
		default:
			t.Errorf("%s: type %T", k.name, p)
		}
		if !ok {
			t.Errorf("the default of %s is not allowed", k.name)
		}
	}
	var count func(v reflect.Type)
	count = func(v reflect.Type) {
		for i := range v.NumField() {
			if f := v.Field(i); f.Type.Kind() == reflect.Struct {
				count(f.Type)
			} else if f.IsExported() {
				fields++
			}
		}
	}
	if count(reflect.TypeFor[Config]()); fields != keysMax {
		t.Errorf("%d fields and %d keys", fields, keysMax)
	}
	for _, u := range notYet {
		i := find(u.key)
		if i < 0 {
			t.Errorf("notYet: no key %s", u.key)
			continue
		}
		for _, v := range u.values {
			if !slices.Contains(keys[i].words, v) {
				t.Errorf("notYet: %s is never %q", u.key, v)
			}
		}
	}
	for _, v := range iotValues {
		if i := find(v.key); i < 0 || keys[i].number(int64(v.value)) != nil {
			t.Errorf("iotValues: %s = %d", v.key, v.value)
		}
	}
}

var commented = regexp.MustCompile(`(?m)^#([a-z_]+ = )`)

// The example shows every key once, with its default.
func TestExample(t *testing.T) {
	text, err := os.ReadFile("config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, string(text))
	if !reflect.DeepEqual(c, Default()) {
		t.Error("the example as it is changes something")
	}
	c = parse(t, commented.ReplaceAllString(string(text), "$1"))
	if got, want := forget(c), forget(Default()); !reflect.DeepEqual(got, want) {
		// An empty list is no list.
		got.Security.TrustedKeys = nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the example says\n%+v\nthe defaults are\n%+v", got, want)
		}
	}
	for i, set := range c.set {
		if !set {
			t.Errorf("%s is not in the example", keys[i].name)
		}
	}
}

const every = `
general = { mode = "offline", log_level = "debug", workers = 3 } # an inline table
engine.channel_size = 0x1_000
[nfa]
max_partial_matches = 1_000
[ebpf]
enabled = false
event_types = [
  "process", # first
  "file",
]
[alerts]
outputs = ["file", "stdout"]
file_path = "${DIR}/a-${N}.json"
syslog.port = 1514
[alerts.serial]
baud = 9600
[replay]
time_compression_ratio = 2.5
[ota]
interval = "36h"
[integration.siem.splunk]
url = "https://example"
`

func TestParse(t *testing.T) {
	env := map[string]string{"DIR": "/data", "N": "7"}
	c, err := Parse("c.toml", []byte(every), func(n string) (string, bool) { v, ok := env[n]; return v, ok })
	if err != nil {
		t.Fatal(err)
	}
	want := forget(Default())
	want.General.Mode, want.General.LogLevel, want.General.Workers = "offline", "debug", 3
	want.Engine.ChannelSize, want.NFA.MaxPartialMatches, want.EBPF.Enabled = 4096, 1000, false
	want.EBPF.EventTypes, want.Alerts.Outputs = []string{"process", "file"}, []string{"file", "stdout"}
	want.Alerts.FilePath, want.Alerts.Syslog.Port, want.Alerts.Serial.Baud = "/data/a-7.json", 1514, 9600
	want.Replay.TimeCompressionRatio, want.OTA.Interval = 2.5, 36*time.Hour
	if got := forget(c); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
	wantNot := []string{"alerts.syslog.port", "alerts.serial.baud", "replay.time_compression_ratio", "ota.interval",
		"integration.siem.splunk.url"}
	if got := c.Unsupported(); !slices.Equal(got, wantNot) {
		t.Errorf("unsupported %v, want %v", got, wantNot)
	}
}

func TestUnsupported(t *testing.T) {
	if got := Default().Unsupported(); got != nil {
		t.Errorf("of the defaults: %v", got)
	}
	c := parse(t, "[alerts]\noutputs = [\"udp\", \"stdout\", \"syslog\"]\n[general]\nmode = \"enforce\"\n[lua]\njit_enabled = true")
	want := []string{`general.mode = "enforce"`, "lua.jit_enabled", `alerts.outputs = "syslog"`, `alerts.outputs = "udp"`}
	if got := c.Unsupported(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	c = parse(t, "[general]\nmode = \"detect\"\nworkers = 1\nmax_memory_mb = 8\nlog_level = \"warn\"\n\n"+
		"[engine]\nchannel_size = 100\n[nfa]\nmax_partial_matches = 1\nlru_capacity = 1\n"+
		"[ebpf]\nenabled = true\nringbuf_size = 8\nevent_types = [\"dns\"]\n"+
		"[alerts]\noutputs = [\"file\"]\nfile_path = \"a\"\ntype = \"size\"\nretention_days = 1\nmax_file_size_mb = 1\n"+
		"[performance]\nreport_interval_sec = 1\n[board]\nprofile = \"iot\"\n[board.caps]\nmax_memory_mb = 1\n")
	if got := c.Unsupported(); got != nil {
		t.Errorf("of what this version acts on: %v", got)
	}
}

func TestIoT(t *testing.T) {
	c := parse(t, "[board]\nprofile = \"iot\"\n[nfa]\nlru_capacity = 777")
	want := forget(Default())
	want.Board.Profile, want.General.Workers, want.General.MaxMemoryMB, want.Engine.ChannelSize = "iot", 2, 16, 1000
	want.NFA.MaxPartialMatches, want.NFA.LRUCapacity, want.Wasm.InstancePoolSize = 1000, 777, 5
	want.Wasm.MemoryLimitMB, want.Lua.MemoryLimitMB = 16, 16
	if got := forget(c); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v\nwant\n%+v", got, want)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[general]\n\nmod = 1", `c.toml:3: unknown key general.mod (nearest is general.mode)`},
		{"[genral]\nmode = \"detect\"", `c.toml:1: unknown key genral (nearest is `},
		{"[nfa]\nchannel_size = 10", `c.toml:2: unknown key nfa.channel_size (nearest is engine.channel_size)`},
		{"x = 1", `c.toml:1: unknown key x (`},
		{"alerts = { outputs = [\"stdout\"], fil_path = \"\" }", `c.toml:1: unknown key alerts.fil_path (nearest is alerts.file_path)`},
		{"general = 1", `c.toml:1: unknown key general (`},
		{"[integration]\nx = 1", `c.toml:2: unknown key integration.x (`},
		{"[[alerts]]", `c.toml:1: [[alerts]]: no table is a list`},
		{"[nfa]\n[ebpf]\n[nfa]", `c.toml:3: table nfa was there in line 1`},
		{"nfa.lru_capacity = 1\n[nfa]\nlru_capacity = 1", `c.toml:3: nfa.lru_capacity was set in line 1`},
		{"[engine]\nbatch_size = 0", `c.toml:2: engine.batch_size is 0 (min 1)`},
		{"[engine]\nbatch_size = -1", `c.toml:2: engine.batch_size is -1 (min 1)`},
		{"[engine]\nbatch_size = 4097", `c.toml:2: engine.batch_size is 4097 (max 4096)`},
		{"[engine]\nbatch_size = 99999999999999999999", `c.toml:2: engine.batch_size is 99999999999999999999 (max 4096)`},
		{"[engine]\nbatch_size = 010", `c.toml:2: `},
		{"[engine]\nbatch_size = \"1\"", `c.toml:2: engine.batch_size is "1" (want a whole number)`},
		{"[engine]\nbatch_size = 1.5", `c.toml:2: engine.batch_size is 1.5 (want a whole number)`},
		{"[ebpf]\nringbuf_size = 3", `c.toml:2: ebpf.ringbuf_size is 3 (not a power of two)`},
		{"[ebpf]\nringbuf_size = 131072", `c.toml:2: ebpf.ringbuf_size is 131072 (max 65536)`},
		{"[ebpf]\nenabled = 1", `c.toml:2: ebpf.enabled is 1 (want true or false)`},
		{"[ebpf]\nevent_types = []", `c.toml:2: ebpf.event_types has 0 elements (min 1)`},
		{"[ebpf]\nevent_types = [\"dns\", \"dns\"]", `c.toml:2: ebpf.event_types has "dns" twice`},
		{"[ebpf]\nevent_types = [1]", `c.toml:2: ebpf.event_types is 1 (want a string in quotes)`},
		{"[ebpf]\nevent_types = \"dns\"", `c.toml:2: ebpf.event_types is "dns" (want a list of strings)`},
		{"[security]\ntrusted_keys = [" + manyKeys(listMax+1) + "]", `c.toml:2: security.trusted_keys has 65 elements (max 64)`},
		{"[general]\nmode = \"off\"", `c.toml:2: general.mode is "off" (one of detect, enforce, offline)`},
		{"[general]\nmode = [\"detect\"]", `c.toml:2: general.mode is a list (want a string in quotes)`},
		{"[general]\nmode = {}", `c.toml:2: general.mode is a table (want a string in quotes)`},
		{"[general]\ndata_dir = \"${NO_SUCH}/x\"", `c.toml:2: general.data_dir names the environment variable "NO_SUCH", which is not set`},
		{"[general]\ndata_dir = \"${NO\"", `c.toml:2: general.data_dir has ${NO without }`},
		{"[replay]\ntime_compression_ratio = 0.0", `c.toml:2: replay.time_compression_ratio is 0.0 (more than 0, max 1000000)`},
		{"[replay]\ntime_compression_ratio = nan", `c.toml:2: replay.time_compression_ratio is nan (`},
		{"[replay]\ntime_compression_ratio = 1000001", `c.toml:2: replay.time_compression_ratio is 1000001 (`},
		{"[ota]\ninterval = \"soon\"", `c.toml:2: ota.interval is "soon" (want a time like "90s" or "1h30m")`},
		{"[ota]\ninterval = \"9s\"", `c.toml:2: ota.interval is "9s" (min 10s)`},
		{"[ota]\nconfirm_after = \"169h\"", `c.toml:2: ota.confirm_after is "169h" (max 168h0m0s)`},
		{"[alerts]\noutputs = [\"file\"]\nfile_path = \"\"", `c.toml:3: alerts.file_path is empty, and alerts.outputs has "file"`},
		{"[general]\nmode = \"detect", `c.toml:2: `},
		{"[general]\nmode =", `c.toml:2: `},
		{"[general\n", `c.toml:1: `},
		{"[general]\n\nmode = \"\xff\"", `c.toml:3: `},
	} {
		_, err := Parse("c.toml", []byte(c.text), none)
		if err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		} else if strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: more than one line: %q", c.text, err)
		}
	}
}

func manyKeys(n int) string {
	var list []string
	for i := range n {
		list = append(list, `"k`+strings.Repeat("x", i)+`"`)
	}
	return strings.Join(list, ", ")
}

func TestLimitsHold(t *testing.T) {
	for _, text := range []string{"[engine]\nbatch_size = 1", "[engine]\nbatch_size = 4096", "[ebpf]\nringbuf_size = 65536",
		"[security]\ntrusted_keys = [" + manyKeys(listMax) + "]", "[ota]\ninterval = \"10s\"\nconfirm_after = \"168h\"",
		"[general]\ndata_dir = \"a$b $ ${\\u0041}\""} {
		if _, err := Parse("c.toml", []byte(text), func(n string) (string, bool) { return n, n == "A" }); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "none.toml")
	if c, err := Load(missing, false); err != nil || !reflect.DeepEqual(c, Default()) {
		t.Errorf("no default file: %v", err)
	}
	if _, err := Load(missing, true); err == nil || !strings.Contains(err.Error(), missing) {
		t.Errorf("no file, named: %v", err)
	}
	t.Setenv("KESTREL_TEST_MODE", "offline")
	path := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(path, []byte("[general]\nmode = \"${KESTREL_TEST_MODE}\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, explicit := range []bool{false, true} {
		if c, err := Load(path, explicit); err != nil || c.General.Mode != "offline" {
			t.Errorf("explicit %v: %v", explicit, err)
		}
	}
	for size, ok := range map[int]bool{fileBytesMax: true, fileBytesMax + 1: false} {
		text := []byte("#" + strings.Repeat("x", size-1))
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path, true); (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "max 262144") {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if _, err := Load(dir, false); err == nil {
		t.Error("a directory is a configuration")
	}
}
