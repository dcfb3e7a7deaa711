package loader

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/rolegate/rolegate/loader/archive"
	"github.com/rolegate/rolegate/policy"
)

// tracked is one bundle over time: what lies on the disk, what of it was read, and
// what decides.
type tracked struct {
	location
	good     *bundle // decides; nil until it was installed
	next     *bundle // read well, and newer than good; nil when good is the newest
	loadedAt time.Time
	faults   policy.Problems // of what lies on the disk; nil when it was read well
	held     policy.Problems // why next does not decide; nil when it was not tried
	heldErr  error           // the same, when it is no bundle's fault
	changed  bool            // any of the above, or gone, since the set was tried last

	gone    bool      // not on the disk any more
	goneAt  time.Time // since when
	folders []string  // to watch

	read     fingerprint // of the scan whose bundle was read, well or not
	seen     fingerprint // of the last scan
	seenNode inode       // of the archive then
	since    time.Time   // the scans are the same since then
	restless time.Time   // what was seen has not been read since then
	torn     fingerprint // of an archive that could not be unpacked once
	pause    time.Duration
	retryAt  time.Time // not read again before
	rereadAt time.Time // may have changed unseen: to be read again then; zero: no need
}

// newest is the version that ought to decide, nil when none was read well yet.
func (t *tracked) newest() *bundle {
	if t.next != nil {
		return t.next
	}
	return t.good
}

// settled says whether what lies on the disk was read, well or not.
func (t *tracked) settled() bool { return !t.gone && t.read == t.seen && !t.since.IsZero() }

// degraded says whether something newer than what decides is there, or missing.
func (t *tracked) degraded() bool { return t.gone || len(t.faults) > 0 || t.next != nil }

// look takes one look at the bundle, and reads it if it is time to. due is when to
// look again; zero: at the next resync.
func (t *tracked) look(ctx context.Context, cfg Config, now time.Time) (due time.Time) {
	tree, err := scan(ctx, t.location, cfg.Limits)
	if ctx.Err() != nil {
		return time.Time{}
	}
	t.folders = tree.folders
	if tree.stat != t.seen || t.since.IsZero() {
		t.stir(tree, now)
	}
	switch {
	case t.settled() && (t.rereadAt.IsZero() || now.Before(t.rereadAt)):
		return t.rereadAt
	case now.Before(t.retryAt):
		return t.retryAt
	}
	if at := t.quietAt(cfg, tree, now); now.Before(at) {
		return at
	}
	if err != nil {
		return t.fail(t.unreadable(err), now)
	}
	return t.open(ctx, cfg, tree, now)
}

// stir notes that the scans differ. Another archive in the place of the old one is
// complete and is not made to wait for the old one's retries.
func (t *tracked) stir(tree tree, now time.Time) {
	if t.restless.IsZero() {
		t.restless = now
	}
	if !t.packed || tree.node != t.seenNode {
		t.pause, t.retryAt = 0, time.Time{}
	}
	t.seen, t.seenNode, t.since = tree.stat, tree.node, now
}

// quietAt is when the bundle may be read. An archive at once: a torn one gives
// itself away. A folder when it was quiet for a while, or when it never is.
func (t *tracked) quietAt(cfg Config, tree tree, now time.Time) time.Time {
	if t.packed || t.settled() {
		return now
	}
	at := t.since.Add(cfg.Settle)
	// A clock behind that of the file system tells nothing: the age is below zero.
	if age := now.Sub(tree.changed); age >= 0 && age < clockTick && at.Before(now.Add(clockTick-age)) {
		at = now.Add(clockTick - age)
	}
	if limit := t.restless.Add(maxSettle); limit.Before(at) {
		return limit
	}
	return at
}

func (t *tracked) open(ctx context.Context, cfg Config, tree tree, now time.Time) (due time.Time) {
	files, err := tree.files.read()
	if err == nil {
		err = tree.unchanged(ctx, cfg.Limits)
	}
	switch {
	case errors.Is(err, errChanged):
		return t.again(now)
	case err != nil:
		return t.fail(t.unreadable(err), now)
	}
	t.rereadAt = time.Time{}
	if age := now.Sub(tree.changed); age >= 0 && age < clockTick {
		t.rereadAt = now.Add(firstRetry)
	}
	b, faults := t.parse(cfg, files)
	if len(faults) > 0 {
		return t.fail(faults, now)
	}
	t.settle(b, nil)
	return t.rereadAt
}

// parse makes a bundle of what was read, or answers the one that it is already.
func (t *tracked) parse(cfg Config, files []archive.File) (*bundle, policy.Problems) {
	digest := t.digest(files)
	for _, known := range []*bundle{t.good, t.next} {
		if known != nil && known.digest == digest {
			return known, nil
		}
	}
	return t.location.parse(cfg, digest, files)
}

// again has the bundle read once more, after a pause that doubles.
func (t *tracked) again(now time.Time) (due time.Time) {
	t.pause = min(max(firstRetry, 2*t.pause), lastRetry)
	t.retryAt = now.Add(t.pause)
	return t.retryAt
}

// fail notes faults. What may still be on its way (half an archive, a link whose
// target is being replaced) is told only when a second attempt finds it the same.
func (t *tracked) fail(faults policy.Problems, now time.Time) (due time.Time) {
	passing := slices.ContainsFunc(faults, func(p policy.Problem) bool { return p.Code == codeArchive || p.Code == codeUnreadable })
	if passing && !t.settled() && t.torn != t.seen {
		t.torn = t.seen
		return t.again(now)
	}
	t.rereadAt = time.Time{}
	t.settle(nil, faults)
	return time.Time{}
}

// settle notes what reading came to: a bundle, or faults.
func (t *tracked) settle(b *bundle, faults policy.Problems) {
	t.read = t.seen
	t.restless, t.pause, t.retryAt, t.torn = time.Time{}, 0, time.Time{}, fingerprint{}
	switch {
	case b == nil:
	case b == t.good: // back to what decides
		t.changed = t.changed || t.next != nil
		t.next, t.held, t.heldErr = nil, nil, nil
	case b != t.next:
		t.next, t.held, t.heldErr, t.changed = b, nil, nil, true
	}
	if !slices.EqualFunc(t.faults, faults, sameProblem) {
		t.faults, t.changed = faults, true
	}
}

// vanish notes that the bundle is not on the disk any more. What decides stays: a
// folder that is being replaced is gone for a moment, and a bundle that is missing
// may hold the denies.
func (t *tracked) vanish(now time.Time) {
	if t.gone {
		return
	}
	t.gone, t.goneAt, t.changed = true, now, true
	t.seen, t.read, t.since, t.folders = fingerprint{}, fingerprint{}, time.Time{}, nil
	t.restless, t.pause, t.retryAt, t.rereadAt = time.Time{}, 0, time.Time{}, time.Time{}
}

// install notes that next decides now.
func (t *tracked) install(now time.Time) {
	t.good, t.next, t.held, t.heldErr, t.loadedAt = t.next, nil, nil, nil, now
}

func sameProblem(a, b policy.Problem) bool {
	return a.Code == b.Code && a.Message == b.Message && a.File == b.File && a.Line == b.Line && a.Column == b.Column
}

// digest is the SHA-256 of what was read, in hexadecimal.
func (l location) digest(files []archive.File) string {
	if !l.packed {
		return digestOf(files)
	}
	sum := sha256.Sum256(files[0].Data)
	return hex.EncodeToString(sum[:])
}

// parse makes a bundle of the files that were read there.
func (l location) parse(cfg Config, digest string, files []archive.File) (*bundle, policy.Problems) {
	if l.packed {
		unpacked, err := archive.Read(files[0].Data, cfg.Limits, wanted)
		if err != nil {
			return nil, policy.Problems{{Code: codeArchive, Subject: l.name, File: l.shown(), Message: err.Error()}}
		}
		files = unpacked
	}
	return parse(bundle{name: l.name, prefix: l.prefix, digest: digest, source: l.source(cfg.Limits), old: cfg.V0}, files)
}
