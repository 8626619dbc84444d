package rules

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf16"

	"go.yaml.in/yaml/v3"
)

// encoding takes a modifier that encodes the value: it stands before those that say how the result is compared.
func (i *sigmaItem) encoding(m string) bool {
	wide := m == "wide" || m == "utf16le"
	switch {
	case i.mods.match != "":
		i.s.fail(i.key, "modifier %s stands behind %s: a value is encoded before it is compared", m, i.mods.match)
		return false
	case i.mods.code != "" && wide:
		i.s.fail(i.key, "modifier %s stands behind %s: base64 encodes what is wide, not the other way round", m, i.mods.code)
		return false
	case i.mods.code != "":
		i.s.fail(i.key, "modifiers %s and %s exclude each other", i.mods.code, m)
		return false
	case wide:
		i.mods.wide = true
	default:
		i.mods.code = m
	}
	return true
}

// encodable refuses modifiers that an encoded value has no use for.
func (i *sigmaItem) encodable() bool {
	switch {
	case i.mods.code == "" && i.mods.wide:
		i.s.fail(i.key, "modifier wide is refused without base64 or base64offset: no field has letters of two bytes")
	case i.mods.code == "base64offset" && i.mods.match != "contains":
		i.s.fail(i.key, "base64offset takes contains: what was encoded with something before it is found within a text only")
	case i.mods.code != "" && !slices.Contains([]string{"", "contains", "startswith", "endswith"}, i.mods.match):
		i.s.fail(i.key, "modifiers %s and %s exclude each other", i.mods.code, i.mods.match)
	default:
		return true
	}
	return false
}

// encoded translates a value to what it looks like in base64. With base64offset that are three texts: what was encoded may
// begin at any of the three bytes that four letters stand for. The letters that depend on the neighbours are left out.
func (i *sigmaItem) encoded(n *yaml.Node) (op string, variants []string, ok bool) {
	p := parsePattern(n.Value)
	if !p.literal() || len(p) == 0 {
		i.s.fail(n, "%s takes text without wildcards, not %s", i.mods.code, yamlWhat(n))
		return "", nil, false
	}
	raw := p[0].text
	if i.mods.wide {
		var b strings.Builder
		for _, u := range utf16.Encode([]rune(raw)) {
			b.WriteByte(byte(u))
			b.WriteByte(byte(u >> 8))
		}
		raw = b.String()
	}
	offsets := 1
	if i.mods.code == "base64offset" {
		offsets = 3
	}
	for before := range offsets {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat(" ", before) + raw))
		if offsets > 1 {
			// Of the letters of a group those are sure whose six bits lie within the text.
			first, bits := []int{0, 2, 3}[before], 8*(before+len(raw))
			text = text[first : bits/6]
		}
		value := *n
		value.Value = text
		var v string
		if op, v, ok = i.pattern(&value); !ok {
			return "", nil, false
		}
		if text != "" {
			variants = append(variants, v)
		}
	}
	if len(variants) < offsets {
		i.s.fail(n, "%s: %s is too short to be found in base64", i.mods.code, yamlWhat(n))
		return "", nil, false
	}
	return op, variants, true
}
