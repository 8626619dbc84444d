// Package hot does what the hot path must not.
package hot

import (
	"fmt"
	"reflect"
	"time"
)

type names map[string]int

type set interface{ ~map[string]int }

// Tick is a type and a constant of package time, which are free.
var Tick <-chan time.Time

const period = time.Second

func setup() error { return fmt.Errorf("setup: %v", period) }

func step(m names, half int) int {
	fmt.Println(reflect.TypeOf(m))
	now := time.Now()
	go clock()
	for _, n := range m {
		half += n
	}
	for range []int{1} {
		half += now.Nanosecond() // a method, which reads no clock
	}
	return half + int(float32(half))
}

func clock() func() time.Time { return time.Now }

func generic[M set](m M) (n int) {
	for range m {
		n++
	}
	return n
}

func use() { _, _, _ = setup(), step(nil, 0), generic(names{}) }
