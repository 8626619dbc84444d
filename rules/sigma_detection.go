package rules

import (
	"maps"
	"net/netip"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/kestrel-detection/kestrel/eql"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/ir/check"
)

// sigmaField is what a field of Sigma is in EQL.
type sigmaField struct {
	name string // ECS; empty when there is none
	// is and isNot are the values of the field for true and false, for a field of Sigma that is one of these.
	is, isNot string
	why       string // there is none
}

var sigmaFields = map[string]sigmaField{
	"Image":             {name: "process.executable"},
	"CommandLine":       {name: "process.command_line"},
	"CurrentDirectory":  {name: "process.working_directory"},
	"ProcessId":         {name: "process.pid"},
	"User":              {name: "user.name"},
	"ParentImage":       {name: "process.parent.executable"},
	"ParentCommandLine": {name: "process.parent.command_line"},
	"ParentProcessId":   {name: "process.parent.pid"},
	"ParentUser":        {name: "process.parent.user.name"},
	"TargetFilename":    {name: "file.path"},
	"DestinationIp":     {name: "destination.ip"},
	"DestinationPort":   {name: "destination.port"},
	"SourceIp":          {name: "source.ip"},
	"SourcePort":        {name: "source.port"},
	"Protocol":          {name: "network.transport"},
	"Initiated":         {name: "event.action", is: "connection_attempted", isNot: "connection_accepted"},
	"DestinationIsIpv6": {name: "network.type", is: "ipv6", isNot: "ipv4"},
	"SourceIsIpv6":      {name: "network.type", is: "ipv6", isNot: "ipv4"},

	"OriginalFileName":    {why: "a Linux program carries no original name"},
	"Product":             {why: "a Linux program carries no version information"},
	"Company":             {why: "a Linux program carries no version information"},
	"Description":         {why: "a Linux program carries no version information"},
	"FileVersion":         {why: "a Linux program carries no version information"},
	"IntegrityLevel":      {why: "Linux has no integrity levels"},
	"LogonId":             {why: "Kestrel's events have no logon session"},
	"LogonGuid":           {why: "Kestrel's events have no logon session"},
	"TerminalSessionId":   {why: "Kestrel's events have no terminal session"},
	"ProcessGuid":         {why: "Kestrel names processes in another way"},
	"ParentProcessGuid":   {why: "Kestrel names processes in another way"},
	"Hashes":              {why: "Kestrel does not hash files"},
	"md5":                 {why: "Kestrel does not hash files"},
	"sha1":                {why: "Kestrel does not hash files"},
	"sha256":              {why: "Kestrel does not hash files"},
	"CreationUtcTime":     {why: "Kestrel's events have no time of the file"},
	"DestinationHostname": {why: "a connection is made to an address, and no name is known"},
	"SourceHostname":      {why: "a connection comes from an address, and no name is known"},
}

// sigmaModifiers are what may follow a field's name, and what they exclude.
type sigmaModifiers struct {
	match string // contains, startswith, endswith, re, cidr, exists, lt, lte, gt, gte or empty
	all   bool
	cased bool
	flags syntax.Flags
	wide  bool   // two bytes a letter, before it is encoded
	code  string // base64, base64offset or empty
}

var sigmaMatches = []string{"contains", "startswith", "endswith", "re", "cidr", "exists", "lt", "lte", "gt", "gte"}

// sigmaOthers are the modifiers that are known and refused.
var sigmaOthers = []string{"utf16", "utf16be", "windash", "expand", "fieldref"}

// sigmaNames are all that are translated.
var sigmaNames = slices.Concat([]string{"all", "cased", "base64", "base64offset", "wide"}, sigmaMatches)

// selection translates the value of a key of detection.
func (s *sigma) selection(key, n *yaml.Node) *sigmaNode {
	never := &sigmaNode{op: sigmaOr}
	switch n.Kind {
	case yaml.MappingNode:
		return s.items(n)
	case yaml.SequenceNode:
		if len(n.Content) == 0 {
			break
		}
		any := &sigmaNode{op: sigmaOr}
		for _, e := range n.Content {
			if e.Kind != yaml.MappingNode {
				s.fail(e, "selection %s: keywords (%s) are refused: Kestrel's events have fields and no text as a whole", key.Value, yamlWhat(e))
				return never
			}
			any.args = append(any.args, s.items(e))
		}
		return any
	case yaml.ScalarNode:
		if n.Tag != "!!null" {
			s.fail(n, "selection %s: keywords (%s) are refused: Kestrel's events have fields and no text as a whole", key.Value, yamlWhat(n))
			return never
		}
	}
	s.fail(n, "selection %s is %s, want fields and their values", key.Value, yamlWhat(n))
	return never
}

// items translates a mapping: all of its items have to hold.
func (s *sigma) items(n *yaml.Node) *sigmaNode {
	all := &sigmaNode{op: sigmaAnd}
	if len(n.Content) == 0 {
		s.fail(n, "a selection is %s, want fields and their values", yamlWhat(n))
	}
	s.entries(n)
	for _, e := range yamlEntries(n) {
		i := sigmaItem{s: s, key: e.key}
		if i.head() {
			all.args = append(all.args, i.values(e.value))
		}
	}
	return all
}

// sigmaItem is a field with its modifiers and values.
type sigmaItem struct {
	s     *sigma
	key   *yaml.Node
	field sigmaField
	kind  event.Kind
	mods  sigmaModifiers
}

// head reads the key: the field and its modifiers.
func (i *sigmaItem) head() bool {
	parts := strings.Split(i.key.Value, "|")
	name := parts[0]
	var ok bool
	i.field, ok = sigmaFields[name]
	switch {
	case name == "":
		i.s.fail(i.key, "keywords (%s) are refused: Kestrel's events have fields and no text as a whole", i.key.Value)
		return false
	case !ok:
		i.s.fail(i.key, "field %s has no counterpart", name).Hint = check.DidYouMean(name,
			slices.Sorted(maps.Keys(sigmaFields)))
		return false
	case i.field.why != "":
		i.s.fail(i.key, "field %s is refused: %s", name, i.field.why)
		return false
	}
	known := event.FieldByName(i.field.name)
	if !known.ID.CarriedBy(i.s.category.class) {
		i.s.fail(i.key, "field %s: events of %s have no %s", name, i.s.name, i.field.name)
		return false
	}
	i.kind = known.Kind
	for _, m := range parts[1:] {
		if !i.modifier(m) {
			return false
		}
	}
	if i.mods.match == "" && i.mods.flags != 0 {
		i.s.fail(i.key, "the modifiers i, m and s belong to re")
		return false
	}
	return i.encodable()
}

func (i *sigmaItem) modifier(m string) bool {
	switch {
	case i.field.is != "":
		i.s.fail(i.key, "field %s takes true or false and no modifier", strings.Split(i.key.Value, "|")[0])
		return false
	case m == "all":
		i.mods.all = true
	case m == "cased":
		i.mods.cased = true
	case m == "wide" || m == "utf16le" || m == "base64" || m == "base64offset":
		return i.encoding(m)
	case i.mods.match == "re" && m == "i":
		i.mods.flags |= syntax.FoldCase
	case i.mods.match == "re" && m == "s":
		i.mods.flags |= syntax.DotNL
	case slices.Contains(sigmaOthers, m) || i.mods.match == "re" && m == "m":
		i.s.fail(i.key, "modifier %s is refused", m)
		return false
	case !slices.Contains(sigmaMatches, m):
		i.s.fail(i.key, "unknown modifier %s", m).Hint = check.DidYouMean(m, sigmaNames)
		return false
	case i.mods.match != "":
		i.s.fail(i.key, "modifiers %s and %s exclude each other", i.mods.match, m)
		return false
	default:
		i.mods.match = m
	}
	return true
}

// values translates the values: any of them has to match, or all with that modifier.
func (i *sigmaItem) values(n *yaml.Node) *sigmaNode {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	joined := &sigmaNode{op: sigmaOr}
	if i.mods.all {
		joined.op = sigmaAnd
	}
	if len(list) == 0 {
		i.s.fail(n, "%s is an empty list", i.key.Value)
	}
	var tests sigmaTests
	for _, v := range list {
		if v.Kind != yaml.ScalarNode {
			i.s.fail(v, "%s is %s, want a value or a list of values", i.key.Value, yamlWhat(v))
			continue
		}
		if i.mods.code != "" {
			if op, variants, ok := i.encoded(v); ok {
				tests = append(tests, sigmaTest{op: op, values: variants, at: v})
			}
			continue
		}
		op, value, ok := i.value(v)
		if !ok {
			continue
		}
		if i.mods.all || value == "" || !tests.join(op, value) {
			tests = append(tests, sigmaTest{op: op, values: []string{value}, at: v})
		}
	}
	for _, t := range tests {
		leaf := &sigmaNode{text: t.text(i.field.name), field: i.field.name, at: t.at}
		if t.values[0] == "" {
			leaf.field = "" // a test for null is never null
		}
		joined.args = append(joined.args, leaf)
	}
	return joined
}

// sigmaTest is a test of a field as EQL writes it. values is one empty string when the operator says all.
type sigmaTest struct {
	op     string
	values []string
	at     *yaml.Node
}

type sigmaTests []sigmaTest

// join adds a value to a test that has the operator already and takes a list.
func (l sigmaTests) join(op, value string) bool {
	for k := range l {
		if l[k].op == op && op[0] != '<' && op[0] != '>' {
			if !slices.Contains(l[k].values, value) {
				l[k].values = append(l[k].values, value)
			}
			return true
		}
	}
	return false
}

func (t *sigmaTest) text(field string) string {
	list := strings.Join(t.values, ", ")
	switch {
	case list == "":
		return field + " " + t.op
	case t.op == "cidrMatch":
		return "cidrMatch(" + field + ", " + list + ")"
	case t.op == "in" && len(t.values) == 1:
		return field + " == " + list
	case t.op == "in" || len(t.values) > 1:
		return field + " " + t.op + " (" + list + ")"
	}
	return field + " " + t.op + " " + list
}

// value translates one value to an operator of EQL and its operand.
func (i *sigmaItem) value(n *yaml.Node) (op, operand string, ok bool) {
	switch {
	case i.mods.match == "exists":
		yes, err := strconv.ParseBool(n.Value)
		if err != nil {
			i.s.fail(n, "exists takes true or false, not %s", yamlWhat(n))
			return "", "", false
		}
		if yes {
			return "!= null", "", true
		}
		return "== null", "", true
	case n.Tag == "!!null":
		if i.mods.match != "" {
			i.s.fail(n, "%s takes text, not null", i.mods.match)
			return "", "", false
		}
		return "== null", "", true
	case i.field.is != "":
		yes, err := strconv.ParseBool(strings.ToLower(n.Value))
		if err != nil {
			i.s.fail(n, "%s is true or false, not %s", i.key.Value, yamlWhat(n))
			return "", "", false
		}
		if yes {
			return "in", quoted(i.field.is), true
		}
		return "in", quoted(i.field.isNot), true
	}
	switch i.mods.match {
	case "re":
		return i.regex(n)
	case "cidr":
		_, err := netip.ParsePrefix(n.Value)
		if i.kind != event.KindIP || err != nil {
			i.s.fail(n, "cidr takes an address field and a network, not %s and %s", i.field.name, yamlWhat(n))
		}
		return "cidrMatch", quoted(n.Value), err == nil
	case "lt", "lte", "gt", "gte":
		v, err := strconv.ParseInt(n.Value, 10, 64)
		if i.kind != event.KindInt || err != nil {
			i.s.fail(n, "%s takes a field of numbers and a number, not %s and %s", i.mods.match, i.field.name, yamlWhat(n))
		}
		return map[string]string{"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}[i.mods.match], strconv.FormatInt(v, 10), err == nil
	}
	return i.pattern(n)
}

func (i *sigmaItem) regex(n *yaml.Node) (op, operand string, ok bool) {
	text, fold, err := luceneRegex(n.Value, i.mods.flags)
	if err != nil {
		i.s.fail(n, "regular expression %q: %v", n.Value, err)
		return "", "", false
	}
	if fold {
		return "regex~", quoted(text), true
	}
	return "regex", quoted(text), true
}

// pattern translates text with wildcards. Letters' case does not count unless the modifier cased says so.
func (i *sigmaItem) pattern(n *yaml.Node) (op, operand string, ok bool) {
	p := parsePattern(n.Value)
	if p.literal() && i.mods.match == "" {
		switch i.kind {
		case event.KindInt:
			v, err := strconv.ParseInt(n.Value, 10, 64)
			if err != nil {
				i.s.fail(n, "%s is a number, not %s", i.key.Value, yamlWhat(n))
				return "", "", false
			}
			return "in", strconv.FormatInt(v, 10), true
		case event.KindIP:
			a, err := netip.ParseAddr(n.Value)
			if err != nil || a.Zone() != "" {
				i.s.fail(n, "%s is an address, not %s (networks take the modifier cidr)", i.key.Value, yamlWhat(n))
				return "", "", false
			}
			return "in", quoted(n.Value), true
		}
	}
	if i.mods.match == "contains" || i.mods.match == "endswith" {
		p = append(sigmaPattern{{wild: '*'}}, p...)
	}
	if i.mods.match == "contains" || i.mods.match == "startswith" {
		p = append(p, sigmaPart{wild: '*'})
	}
	op, operand = p.eql()
	if i.mods.cased {
		op = map[string]string{":": "like", "contains~": "contains", "startswith~": "startswith", "endswith~": "endswith",
			"regex~": "regex"}[op]
	}
	return op, quoted(operand), true
}

func quoted(s string) string { return eql.Format(&eql.String{Value: s}, eql.Kestrel) }

// sigmaPart is a part of a pattern: text, or a wildcard.
type sigmaPart struct {
	text string
	wild byte // * or ?, 0 for text
}

type sigmaPattern []sigmaPart

// parsePattern reads a value of Sigma: * and ? are wildcards, a backslash makes them and itself characters, and before
// anything else is a character.
func parsePattern(v string) (p sigmaPattern) {
	var text strings.Builder
	flush := func() {
		if text.Len() > 0 {
			p = append(p, sigmaPart{text: text.String()})
			text.Reset()
		}
	}
	for i := 0; i < len(v); i++ {
		switch {
		case v[i] == '\\' && i+1 < len(v) && strings.IndexByte(`*?\`, v[i+1]) >= 0:
			i++
			text.WriteByte(v[i])
		case v[i] == '*' || v[i] == '?':
			flush()
			p = append(p, sigmaPart{wild: v[i]})
		default:
			text.WriteByte(v[i])
		}
	}
	flush()
	return p
}

// literal tells a pattern without wildcards.
func (p sigmaPattern) literal() bool {
	return !slices.ContainsFunc(p, func(e sigmaPart) bool { return e.wild != 0 })
}

// eql gives the operator that says a pattern, and its operand.
func (p sigmaPattern) eql() (op, operand string) {
	star := func(e sigmaPart) bool { return e.wild == '*' }
	p = slices.CompactFunc(p, func(a, b sigmaPart) bool { return star(a) && star(b) })
	inner := p
	left := len(inner) > 0 && star(inner[0])
	if left {
		inner = inner[1:]
	}
	right := len(inner) > 0 && star(inner[len(inner)-1])
	if right {
		inner = inner[:len(inner)-1]
	}
	if len(inner) == 1 && inner.literal() {
		switch {
		case left && right:
			return "contains~", inner[0].text
		case left:
			return "endswith~", inner[0].text
		case right:
			return "startswith~", inner[0].text
		}
	}
	var b strings.Builder
	for _, e := range p {
		if e.wild != 0 {
			b.WriteByte(e.wild)
			continue
		}
		if strings.ContainsAny(e.text, "*?") {
			// Operators with wildcards cannot say one that stands for itself.
			return "regex~", p.regex()
		}
		b.WriteString(e.text)
	}
	return ":", b.String()
}
