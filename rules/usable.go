package rules

import (
	"slices"

	"github.com/kestrel-detection/kestrel/image/build"
	"github.com/kestrel-detection/kestrel/ir"
)

// Compile makes the rule image of a package without errors. Rules that the image writer refuses become problems.
func (p *Package) Compile() ([]byte, *build.Report, error) {
	if err := p.Err(); err != nil {
		return nil, nil, err
	}
	img, rep, err := build.Build(&p.Set, build.Options{Small: p.Small})
	if err != nil && p.blame() {
		err = p.Err()
	}
	return img, rep, err
}

// CompileUsable makes the rule image of what can be compiled. A rule with errors is taken out of the package, its errors
// become warnings; left is how many there were. An error that is not about one rule still refuses the whole.
func (p *Package) CompileUsable() (img []byte, rep *build.Report, left int, err error) {
	left = p.leaveOut()
	img, rep, err = p.Compile()
	if err != nil {
		if n := p.leaveOut(); n > 0 {
			left += n
			img, rep, err = p.Compile()
		}
	}
	return img, rep, left, err
}

// blame finds the rules that the image writer refuses: each is compiled alone. It tells whether there is one.
func (p *Package) blame() bool {
	found := false
	for i := range p.Set.Rules {
		one := ir.Ruleset{Name: p.Set.Name, Version: p.Set.Version, Rules: p.Set.Rules[i : i+1]}
		_, _, err := build.Build(&one, build.Options{})
		if err == nil {
			continue
		}
		found = true
		q := Problem{Rule: p.Set.Rules[i].ID, Msg: err.Error()}
		if i < len(p.declared) {
			d := &p.declared[i]
			q.File, q.Line, q.Col, q.EndLine, q.EndCol, q.unit = d.file, d.line, d.col, d.line, d.col, d.unit
		}
		p.Problems = append(p.Problems, q)
	}
	return found
}

// leaveOut takes the rules with errors out of the set and makes warnings of the errors. It returns how many rules that
// are; most of them were not in the set for their errors.
func (p *Package) leaveOut() int {
	bad := make(map[int]bool)
	for i := range p.Problems {
		q := &p.Problems[i]
		if q.Warning || q.unit == 0 {
			continue
		}
		bad[q.unit] = true
		q.Warning, q.leftOut, q.Msg = true, true, "left out: "+q.Msg
	}
	if len(bad) == 0 {
		return 0
	}
	kept := 0
	for i := range p.declared {
		if !bad[p.declared[i].unit] {
			p.Set.Rules[kept], p.Queries[kept], p.declared[kept] = p.Set.Rules[i], p.Queries[i], p.declared[i]
			kept++
		}
	}
	p.Set.Rules, p.Queries, p.declared = p.Set.Rules[:kept], p.Queries[:kept], p.declared[:kept]
	if kept == 0 && !p.HasErrors() {
		p.Problems = append(p.Problems, Problem{File: p.name, Msg: "there is no rule that can be used"})
	}
	return len(bad)
}

// Only is the package with one of its rules, nil when there is none of that id.
func (p *Package) Only(id string) *Package {
	i := slices.IndexFunc(p.Set.Rules, func(r ir.Rule) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	one := *p
	one.Queries, one.declared = p.Queries[i:i+1], p.declared[i:i+1]
	one.Set.Rules = p.Set.Rules[i : i+1]
	return &one
}

// LeftOut tells whether the problem is why a rule was left out.
func (p Problem) LeftOut() bool { return p.leftOut }
