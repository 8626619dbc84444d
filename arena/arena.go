// Package arena is the memory budget of the process. Whoever holds memory for as long as the agent runs either carves it
// from one region outside the Go heap or has it accounted for; when the sum is over the budget the agent refuses to
// start and shows who wanted what.
//
// Memory: a carved slice lives as long as the process, is zero, starts at a cache line and belongs to who carved it. The
// collector does not look into it, so it must hold offsets and not Go pointers. Pages that nobody touches cost nothing.
//
// Goroutine: the one that sets up the agent, until Seal. Afterwards only Table and Sum are left, and any may call them.
//
// When it is full: Carve and Account give an error and go on adding up, so that the table of a later error has
// everything that was asked for until then.
package arena

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

const (
	// Align is where carved memory starts: a cache line, so that two holders never share one.
	Align = 64
	// budgetMax keeps sums of sizes far from overflow.
	budgetMax = 1 << 40
)

type holder struct {
	name  string
	bytes int
	where string
}

// Arena is the budget and its region.
//
// Invariants: used is a multiple of Align and at most len(region); sum adds up holders, refused ones too; while sum is
// within the budget so is used, since the region is as large as the budget.
type Arena struct {
	region  []byte
	used    int
	budget  int
	sum     int
	holders []holder
	sealed  bool
}

// New reserves a region of budgetBytes.
func New(budgetBytes int) (*Arena, error) {
	if budgetBytes <= 0 || budgetBytes > budgetMax {
		return nil, fmt.Errorf("memory budget of %d bytes (min 1, max %d)", budgetBytes, budgetMax)
	}
	size := roundUp(budgetBytes, unix.Getpagesize())
	region, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserve memory budget of %d bytes: %w", size, err)
	}
	// A huge page would make 2 MB resident for the first byte touched. Kernels without huge pages refuse, rightly.
	_ = unix.Madvise(region, unix.MADV_NOHUGEPAGE)
	return &Arena{region: region, budget: budgetBytes}, nil
}

// Carve takes bytes from the region for a holder. The error is the whole table.
func (a *Arena) Carve(name string, bytes int) ([]byte, error) {
	if err := a.hold(name, bytes, roundUp(bytes, Align), "arena"); err != nil {
		return nil, err
	}
	b := a.region[a.used : a.used+bytes : a.used+bytes]
	a.used += roundUp(bytes, Align)
	return b, nil
}

// Account counts memory that a holder has elsewhere: on the Go heap, in the kernel, in mapped files that stay resident.
// The error is the whole table.
func (a *Arena) Account(name string, bytes int) error {
	return a.hold(name, bytes, bytes, "elsewhere")
}

func (a *Arena) hold(name string, asked, bytes int, where string) error {
	if a.sealed {
		bug(name, "takes memory after the arena was sealed")
	}
	if asked < 0 || asked > budgetMax {
		bug(name, fmt.Sprintf("asks for %d bytes (max %d)", asked, budgetMax))
	}
	a.holders = append(a.holders, holder{name, bytes, where})
	a.sum += bytes
	if a.sum > a.budget {
		return fmt.Errorf("memory budget exceeded by %d bytes at %s:\n%s", a.sum-a.budget, name, a.Table())
	}
	return nil
}

// Seal ends the setup: whoever takes memory afterwards is a bug.
func (a *Arena) Seal() { a.sealed = true }

// Sum is what all holders have, and the budget.
func (a *Arena) Sum() (bytes, budget int) { return a.sum, a.budget }

// Table shows every holder with its bytes, in the order of their asking, then the sum and the budget.
func (a *Arena) Table() string {
	width := len("budget")
	for _, h := range a.holders {
		width = max(width, utf8.RuneCountInString(h.name))
	}
	var b strings.Builder
	for _, h := range a.holders {
		fmt.Fprintf(&b, "  %-*s %12d  %s\n", width, h.name, h.bytes, h.where)
	}
	fmt.Fprintf(&b, "  %-*s %12d\n  %-*s %12d\n", width, "sum", a.sum, width, "budget", a.budget)
	return b.String()
}

func bug(name, what string) { panic("BUG: " + name + " " + what) }

func roundUp(n, to int) int { return (n + to - 1) &^ (to - 1) }
