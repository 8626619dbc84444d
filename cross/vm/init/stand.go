//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// link gives this program a second name.
func link(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.Link("/init", path)
}

// standIn is what this binary does when it is not process 1. Called as cat it prints files, called as sleep it waits for
// so many seconds; under any other name it is true(1), because tests copy that program and call the copy what they like.
func standIn(args []string) int {
	if len(args) == 0 {
		return 0
	}
	var err error
	name := filepath.Base(args[0])
	switch name {
	case "cat":
		err = cat(args[1:])
	case "sleep":
		err = sleep(args[1:])
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}

func sleep(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments, want a number of seconds", len(args))
	}
	d, err := time.ParseDuration(args[0] + "s")
	if err != nil {
		return err
	}
	time.Sleep(d)
	return nil
}

func cat(paths []string) error {
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		_, err = io.Copy(os.Stdout, f)
		f.Close()
		if err != nil {
			return err
		}
	}
	return nil
}
