package dfa_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/kestrel-detection/kestrel/dfa"
	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/evlog"
	"github.com/kestrel-detection/kestrel/event/proc"
	"github.com/kestrel-detection/kestrel/image"
	"github.com/kestrel-detection/kestrel/testdata"
)

// BenchmarkImage scans the values of the recorded capture, each different one once a round, with the automata of a rule
// image that KESTREL_IMAGE names; the elements of an array are values of their own.
func BenchmarkImage(b *testing.B) {
	name := os.Getenv("KESTREL_IMAGE")
	if name == "" {
		b.Skip("KESTREL_IMAGE names no rule image")
	}
	file, err := os.ReadFile(name)
	if err != nil {
		b.Fatal(err)
	}
	img, err := image.Load(file)
	if err != nil {
		b.Fatal(err)
	}
	values := captured(b, img)
	hits := dfa.NewHits(img.Atoms())
	for i, list := range values {
		if len(list) == 0 {
			continue
		}
		b.Run(event.FieldByID(event.FieldID(img.Fields[i].Field)).Name, func(b *testing.B) {
			set, k, marks := img.Automata[i], 0, 0
			sc := set.NewScratch()
			for b.Loop() {
				hits.Reset()
				set.Scan(list[k], sc, hits)
				marks += len(hits.List())
				if k++; k == len(list) {
					k = 0
				}
			}
			b.ReportMetric(float64(marks)/float64(b.N), "marks/op")
			b.ReportMetric(float64(set.Atoms()), "atoms")
		})
	}
}

// captured returns the values of the image's text fields in the capture.
func captured(b *testing.B, img *image.Image) [][][]byte {
	r, err := evlog.NewReader(bytes.NewReader(testdata.Capture()))
	if err != nil {
		b.Fatal(err)
	}
	table, err := proc.New(proc.Config{Entries: 4096, LimboBlocks: 4})
	if err != nil {
		b.Fatal(err)
	}
	values := make([][][]byte, len(img.Fields))
	seen := make([]map[string]bool, len(img.Fields))
	for i := range seen {
		seen[i] = map[string]bool{}
	}
	for rec, err := r.Next(); err == nil; rec, err = r.Next() {
		var ev event.Event
		if !table.Apply(bytes.Clone(rec), &ev) {
			continue
		}
		for i := range img.Fields {
			f := event.FieldID(img.Fields[i].Field)
			if f.Kind() != event.KindString && f.Kind() != event.KindStrings {
				continue
			}
			v, ok := ev.Bytes(f)
			if !ok || seen[i][string(v)] {
				continue
			}
			seen[i][string(v)] = true
			if f.Kind() == event.KindString {
				values[i] = append(values[i], bytes.Clone(v))
			} else {
				values[i] = append(values[i], bytes.Split(bytes.Clone(v), []byte{0})...)
			}
		}
		table.Release()
	}
	return values
}
