package proc

import "unsafe"

// What one entry and the table itself take, for the sum of the memory budget.
const (
	entryBytes = int(unsafe.Sizeof(entry{}))
	tableBytes = int(unsafe.Sizeof(Table{}))
)
