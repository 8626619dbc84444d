package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2/unstable"
)

// parser reads one file into a Config. It walks the syntax tree instead of decoding into the struct: so errors have a
// line, and the reflection of the decoder stays out of the device binary.
type parser struct {
	toml   unstable.Parser
	file   string
	text   []byte
	lookup func(string) (string, bool)
	c      *Config
	lines  [keysMax]int // where a key was set
	tables map[string]int
}

// Parse reads the text of a configuration file. name is what errors call it; lookup finds environment variables.
func Parse(name string, text []byte, lookup func(string) (string, bool)) (*Config, error) {
	text = text[:len(text):len(text)] // positions count from the end of the capacity
	p := parser{file: name, text: text, lookup: lookup, c: Default(), tables: map[string]int{}}
	p.toml.Reset(text)
	table := ""
	for p.toml.NextExpression() {
		var err error
		switch e := p.toml.Expression(); e.Kind {
		case unstable.Table:
			table, err = p.table(e)
		case unstable.ArrayTable:
			path, line := p.path("", e.Key())
			err = p.errorf(line, "[[%s]]: no table is a list", path)
		case unstable.KeyValue:
			err = p.keyValue(table, e)
		}
		if err != nil {
			return nil, err
		}
	}
	if err := p.toml.Error(); err != nil {
		line := 1
		var at *unstable.ParserError
		if errors.As(err, &at) {
			line = p.lineOf(len(text) - cap(at.Highlight))
		}
		return nil, p.errorf(line, "%s", strings.TrimPrefix(err.Error(), "toml: "))
	}
	c := p.c
	if c.Board.Profile == ProfileIoT {
		c.ApplyIoT()
	}
	if c.Alerts.FilePath == "" && slices.Contains(c.Alerts.Outputs, "file") {
		return nil, p.errorf(p.lines[find("alerts.file_path")], "alerts.file_path is empty, and alerts.outputs has \"file\"")
	}
	return c, nil
}

func (p *parser) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", p.file, line, fmt.Sprintf(format, args...))
}

// lineOf is the line of a place in the text, the last for one outside.
func (p *parser) lineOf(offset int) int {
	return 1 + strings.Count(string(p.text[:max(0, min(offset, len(p.text)))]), "\n")
}

// path joins a table and the parts of a key and gives the line of the first part.
func (p *parser) path(table string, parts unstable.Iterator) (path string, line int) {
	path = table
	for parts.Next() {
		n := parts.Node()
		if line == 0 {
			line = p.lineOf(int(n.Raw.Offset))
		}
		if path != "" {
			path += "."
		}
		path += string(n.Data)
	}
	return path, line
}

func inOpenTable(path string) bool {
	return slices.ContainsFunc(openTables, func(t string) bool { return path == t || strings.HasPrefix(path, t+".") })
}

// isTable tells whether some key or open table lies in the table.
func isTable(path string) bool {
	in := func(name string) bool { return strings.HasPrefix(name, path+".") }
	return inOpenTable(path) || slices.ContainsFunc(keys[:], func(k key) bool { return in(k.name) }) || slices.ContainsFunc(openTables, in)
}

func (p *parser) table(e *unstable.Node) (string, error) {
	path, line := p.path("", e.Key())
	if !isTable(path) {
		return "", p.unknown(path, line)
	}
	if first := p.tables[path]; first != 0 {
		return "", p.errorf(line, "table %s was there in line %d", path, first)
	}
	p.tables[path] = line
	return path, nil
}

func (p *parser) keyValue(table string, e *unstable.Node) error {
	path, line := p.path(table, e.Key())
	v := e.Value()
	if inOpenTable(path) {
		p.c.open = append(p.c.open, path)
		return nil
	}
	if v.Kind == unstable.InlineTable && isTable(path) {
		for it := v.Children(); it.Next(); {
			if err := p.keyValue(path, it.Node()); err != nil {
				return err
			}
		}
		return nil
	}
	i := find(path)
	if i < 0 {
		return p.unknown(path, line)
	}
	if first := p.lines[i]; first != 0 {
		return p.errorf(line, "%s was set in line %d", path, first)
	}
	p.lines[i], p.c.set[i] = line, true
	if err := p.assign(&keys[i], v); err != nil {
		return p.errorf(line, "%s %s", path, err)
	}
	return nil
}

// unknown names the key that was meant, probably.
func (p *parser) unknown(path string, line int) error {
	best, bestDistance := "", 1<<30
	_, last := cutLast(path)
	for i := range keys {
		name := keys[i].name
		_, lastName := cutLast(name)
		d := min(distance(path, name), 1+distance(last, lastName))
		if d < bestDistance {
			best, bestDistance = name, d
		}
	}
	return p.errorf(line, "unknown key %s (nearest is %s)", path, best)
}

func cutLast(path string) (table, name string) {
	i := strings.LastIndexByte(path, '.')
	return path[:max(i, 0)], path[i+1:]
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}

// assign puts a value into the Config. The error follows the name of the key.
func (p *parser) assign(k *key, v *unstable.Node) error {
	switch dst := k.at(p.c).(type) {
	case *bool:
		if v.Kind != unstable.Bool {
			return wants("true or false", v)
		}
		*dst = v.Data[0] == 't'
	case *int:
		if v.Kind != unstable.Integer {
			return wants("a whole number", v)
		}
		n, err := strconv.ParseInt(string(v.Data), 0, 64)
		if err != nil {
			return fmt.Errorf("is %s (max %d)", v.Data, k.max)
		}
		if err := k.number(n); err != nil {
			return err
		}
		*dst = int(n)
	case *float64:
		if v.Kind != unstable.Integer && v.Kind != unstable.Float {
			return wants("a number", v)
		}
		n, err := strconv.ParseFloat(strings.ReplaceAll(string(v.Data), "_", ""), 64)
		if err != nil || !(n > float64(k.min) && n <= float64(k.max)) {
			return fmt.Errorf("is %s (more than %d, max %d)", v.Data, k.min, k.max)
		}
		*dst = n
	case *string:
		s, err := p.word(k, v)
		if err != nil {
			return err
		}
		*dst = s
	case *time.Duration:
		return p.duration(k, v, dst)
	case *[]string:
		return p.list(k, v, dst)
	}
	return nil
}

func (k *key) number(n int64) error {
	switch {
	case n < int64(k.min):
		return fmt.Errorf("is %d (min %d)", n, k.min)
	case n > int64(k.max):
		return fmt.Errorf("is %d (max %d)", n, k.max)
	case k.pow2 && n&(n-1) != 0:
		return fmt.Errorf("is %d (not a power of two)", n)
	}
	return nil
}

// word reads one string, expanded and one of the words it may be.
func (p *parser) word(k *key, v *unstable.Node) (string, error) {
	if v.Kind != unstable.String {
		return "", wants("a string in quotes", v)
	}
	s, err := expand(string(v.Data), p.lookup)
	if err == nil && k.words != nil && !slices.Contains(k.words, s) {
		err = fmt.Errorf("is %q (one of %s)", s, strings.TrimPrefix(strings.Join(k.words, ", "), ", "))
	}
	return s, err
}

func (p *parser) duration(k *key, v *unstable.Node, dst *time.Duration) error {
	s, err := p.word(k, v)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return fmt.Errorf("is %q (want a time like \"90s\" or \"1h30m\")", s)
	case d < seconds(k.min):
		return fmt.Errorf("is %q (min %v)", s, seconds(k.min))
	case d > seconds(k.max):
		return fmt.Errorf("is %q (max %v)", s, seconds(k.max))
	}
	*dst = d
	return nil
}

func (p *parser) list(k *key, v *unstable.Node, dst *[]string) error {
	if v.Kind != unstable.Array {
		return wants("a list of strings", v)
	}
	list := []string{}
	for it := v.Children(); it.Next(); {
		s, err := p.word(k, it.Node())
		if err != nil {
			return err
		}
		if slices.Contains(list, s) {
			return fmt.Errorf("has %q twice", s)
		}
		list = append(list, s)
	}
	if len(list) < k.min {
		return fmt.Errorf("has %d elements (min %d)", len(list), k.min)
	}
	if len(list) > k.max {
		return fmt.Errorf("has %d elements (max %d)", len(list), k.max)
	}
	*dst = list
	return nil
}

func wants(what string, v *unstable.Node) error {
	switch v.Kind {
	case unstable.String:
		return fmt.Errorf("is %q (want %s)", v.Data, what)
	case unstable.Array:
		return fmt.Errorf("is a list (want %s)", what)
	case unstable.InlineTable:
		return fmt.Errorf("is a table (want %s)", what)
	}
	return fmt.Errorf("is %s (want %s)", v.Data, what)
}

// expand replaces ${NAME} by the environment variable. Any other $ stands for itself.
func expand(s string, lookup func(string) (string, bool)) (string, error) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "${")
		b.WriteString(before)
		if !found {
			return b.String(), nil
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed {
			return "", fmt.Errorf("has ${%s without }", rest)
		}
		value, ok := lookup(name)
		if !ok {
			return "", fmt.Errorf("names the environment variable %s, which is not set", strconv.Quote(name))
		}
		b.WriteString(value)
		s = after
	}
}
