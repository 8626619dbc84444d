package engine

import (
	"encoding/binary"
	"math/bits"

	"github.com/kestrel-detection/kestrel/image"
)

// alertID is the id of an alert: a 128-bit hash of the image's digest, the rule and the ids of the events. Equal input
// gives equal ids, so an alert can be recognised when it is replayed or sent twice.
type alertID struct{ a, b uint64 }

const idMul = 0xd6e8feb86659fd93

func (h alertID) mix(v uint64) alertID {
	hi, lo := bits.Mul64(h.a^v, idMul)
	return alertID{hi ^ h.b, lo + bits.RotateLeft64(v, 29)}
}

func idOf(img *image.Image, rule uint32) alertID {
	h := alertID{binary.LittleEndian.Uint64(img.Digest[:]), binary.LittleEndian.Uint64(img.Digest[8:])}
	return h.mix(uint64(rule) + 1)
}

func (h alertID) event(id uint64) alertID { return h.mix(id) }

func (h alertID) bytes() (out [16]byte) {
	h = h.mix(idMul).mix(h.a)
	binary.LittleEndian.PutUint64(out[:], h.a)
	binary.LittleEndian.PutUint64(out[8:], h.b)
	return out
}
