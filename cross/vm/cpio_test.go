package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
)

// TestCpio compares with an archive that GNU cpio wrote: testdata/README says how.
func TestCpio(t *testing.T) {
	want, err := os.ReadFile("testdata/good.cpio")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	c := &cpioWriter{w: &b}
	for _, e := range []cpioEntry{
		{name: "dir", mode: cpioDir | 0o755},
		{name: "dir/empty", mode: cpioFile | 0o600},
		{name: "dir/five", mode: cpioFile | 0o755, data: []byte("12345")},
		{name: "dir/four", mode: cpioFile | 0o644, data: []byte("1234")},
		{name: "link", mode: cpioLink | 0o777, data: []byte("dir/five")},
		{name: "console", mode: cpioCharDev | 0o600, major: 5, minor: 1},
	} {
		if err := c.add(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("got\n%q\nwant\n%q", b.Bytes(), want)
	}
}

func TestCpioLimits(t *testing.T) {
	var b bytes.Buffer
	c := &cpioWriter{w: &b}
	if err := c.add(cpioEntry{name: strings.Repeat("n", cpioNameMax), mode: cpioFile}); err != nil {
		t.Errorf("name of %d bytes: %v", cpioNameMax, err)
	}
	if err := c.add(cpioEntry{name: strings.Repeat("n", cpioNameMax+1), mode: cpioFile}); err == nil {
		t.Errorf("name of %d bytes is taken", cpioNameMax+1)
	}
	if b.Len()%4 != 0 {
		t.Errorf("%d bytes are no multiple of four", b.Len())
	}
}

// full is a disk with room for n bytes.
type full struct{ n int }

func (f *full) Write(b []byte) (int, error) {
	n := min(len(b), f.n)
	f.n -= n
	if n < len(b) {
		return n, errors.New("full")
	}
	return n, nil
}

func TestCpioWriteError(t *testing.T) {
	for n := range 124 { // a header and the smallest name; the trailer does not fit either
		c := &cpioWriter{w: &full{n}}
		if err := c.add(cpioEntry{name: "n", mode: cpioFile, data: []byte("data")}); err == nil && n < 116 {
			t.Errorf("room for %d bytes: no error", n)
		}
		if err := c.close(); err == nil {
			t.Errorf("room for %d bytes: no error at the end", n)
		}
	}
}
