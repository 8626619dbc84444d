// Package plan is what the host program (cross/vm) and the first process of a guest (cross/vm/init) agree on: the list
// of programs to run, written by the host into the initramfs, and the lines that the guest prints on the console.
//
// A console is a byte stream that anybody in the guest may write to and that ends anywhere when the kernel panics. So
// each program is bracketed by Begin and End, and nothing counts before the Result line, which comes last.
//
//	KESTREL-INIT 6.1.0-50-cloud-amd64       the first process runs; before this line a boot may be tried again
//	KESTREL-BEGIN bpf                       from here on the program's own output
//	KESTREL-END bpf 0 12840                 exit code (-1: could not run, or killed by a signal), milliseconds
//	KESTREL-KERNEL WARNING: ...             what the kernel complained about while the programs ran
//	RESULT 0                                how many programs failed
package plan

import (
	"encoding/json"
	"fmt"
	"os"
)

// The first words of the lines that the guest prints.
const (
	Init   = "KESTREL-INIT"
	Begin  = "KESTREL-BEGIN"
	End    = "KESTREL-END"
	Kernel = "KESTREL-KERNEL"
	Result = "RESULT"
)

// Path is where the plan is in the guest.
const Path = "/plan.json"

// Program is one program to run in the guest.
type Program struct {
	Name string   // one word, for the console
	Path string   // of the program in the guest
	Dir  string   // working directory
	Args []string // without the program's name
	Env  []string // added to the guest's environment
}

// Plan is everything a guest does.
type Plan struct {
	StandIns []string // system programs that init plays: hard links to it, so that /proc names them
	Programs []Program
}

// Encode returns the plan as the guest reads it.
func (p *Plan) Encode() ([]byte, error) {
	b, err := json.MarshalIndent(p, "", "\t")
	if err != nil {
		return nil, fmt.Errorf("encode plan: %w", err)
	}
	return append(b, '\n'), nil
}

// Read reads the plan at a path.
func Read(path string) (*Plan, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read plan: %w", err)
	}
	p := new(Plan)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("read plan %s: %w", path, err)
	}
	return p, nil
}
