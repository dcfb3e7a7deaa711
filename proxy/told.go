package proxy

import (
	"bytes"
	"context"
)

// Teller puts answers into the bytes that a surface sends. It is compared, so it is a
// pointer or another comparable value.
type Teller interface {
	// Tell makes the message of an answer, of which Subject, Route, Tenant and Roles are
	// left out: what a surface needs of them is in the reply. It is a function of the
	// answer, and holds the answer's ID, if at all, as it stands.
	Tell(a Answer) []byte
}

// told is the message of a remembered decision. It is said again, under another id, to
// whom it says the same: everything else that a reply depends on is a part of the
// decision or of the gate.
type told struct {
	gate    *Gate
	teller  Teller
	vouched string // [Answer.vouched]
	tenant  string
	message []byte
	ids     []int // where the decision's id stands
	series  series
}

// Tell answers one request as Check does, in the bytes of a surface, which it appends
// to dst. A remembered decision's message is made once; then an answer from memory
// allocates nothing, if dst has room.
func (g *Gate) Tell(ctx context.Context, dst []byte, in *Inbound, t Teller) []byte {
	c := g.check(ctx, in, Aside{}, t)
	if c.told != nil {
		dst = c.told.appendTo(dst, &c.id)
	} else {
		message := t.Tell(c.answer.untied())
		c.keep(message)
		dst = append(dst, message...)
	}
	g.note(c)
	c.release()
	return dst
}

// toldBefore is what was said of the recalled decision, if it can be said now. The
// names to take out are few and the caller's choice: they are never a part of it.
func (c *check) toldBefore() *told {
	t, ok := c.recalled.Kept().(*told)
	if !ok || t.gate != c.gate || t.teller != c.teller || len(c.spoofs) > 0 || t.vouched != c.answer.vouched(c.began) {
		return nil
	}
	c.answer.Tenant = t.tenant
	c.series = t.series
	return t
}

// keep keeps the message of a recalled decision with it.
func (c *check) keep(message []byte) {
	if !c.found || len(c.spoofs) > 0 || c.fault != nil {
		return
	}
	t := &told{
		gate: c.gate, teller: c.teller, vouched: c.answer.vouched(c.began), tenant: c.answer.Tenant,
		message: bytes.Clone(message), series: c.gate.metrics.seriesOf(&c.answer, c.in.Protocol),
	}
	// An id is 128 random bits that nobody knew before: it stands where we wrote it.
	for from := 0; ; {
		at := bytes.Index(message[from:], c.id[:])
		if at < 0 {
			break
		}
		t.ids = append(t.ids, from+at)
		from += at + idBytes
	}
	c.recalled.Keep(t)
}

// appendTo appends the message under another id.
func (t *told) appendTo(dst []byte, id *[idBytes]byte) []byte {
	begin := len(dst)
	dst = append(dst, t.message...)
	for _, at := range t.ids {
		copy(dst[begin+at:], id[:])
	}
	return dst
}

// untied is the answer without what differs between the callers that one remembered
// decision answers.
func (a *Answer) untied() Answer {
	return Answer{Decision: a.Decision, ID: a.ID, Revisions: a.Revisions, Reply: a.Reply, DryRun: a.DryRun}
}
