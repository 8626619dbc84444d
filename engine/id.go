package engine

import (
	"encoding/binary"
	"math/bits"

	"github.com/kestrel-detection/kestrel/event"
	"github.com/kestrel-detection/kestrel/event/alert"
	"github.com/kestrel-detection/kestrel/image"
)

// alertID is the id of an alert: a 128-bit hash of the image's digest, the rule, the boot it happened in, and the ids,
// times and processes of the events. Equal input gives equal ids, so an alert can be recognised when it is replayed or
// sent twice; event ids begin anew with each run, which is why they alone would not do.
type alertID struct{ a, b uint64 }

const idMul = 0xd6e8feb86659fd93

func (h alertID) mix(v uint64) alertID {
	hi, lo := bits.Mul64(h.a^v, idMul)
	return alertID{hi ^ h.b, lo + bits.RotateLeft64(v, 29)}
}

func idOf(img *image.Image, rule uint32, host *event.Host) alertID {
	h := alertID{binary.LittleEndian.Uint64(img.Digest[:]), binary.LittleEndian.Uint64(img.Digest[8:])}
	if host != nil {
		h = h.mix(host.Seed)
	}
	return h.mix(uint64(rule) + 1)
}

// pending adds an event that waited for the last one.
func (h alertID) pending(ev alert.Evidence) alertID { return h.mix(ev.ID()).mix(ev.Mono()) }

// last adds the event that completed the alert.
func (h alertID) last(ev *event.Event) alertID {
	return h.mix(ev.Own.ID()).mix(ev.Own.Time()).mix(ev.Own.Entity())
}

func (h alertID) bytes() (out [16]byte) {
	h = h.mix(idMul).mix(h.a)
	binary.LittleEndian.PutUint64(out[:], h.a)
	binary.LittleEndian.PutUint64(out[8:], h.b)
	return out
}
