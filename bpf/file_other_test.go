//go:build !amd64

package bpf

// largefile is O_LARGEFILE, which a 64-bit kernel adds to every open.
const largefile = 0o400000

// legacyOpenings: open and creat are only there on amd64.
func legacyOpenings(string) []opening { return nil }
