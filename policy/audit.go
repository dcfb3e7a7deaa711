package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// defaultAuditEvery is how many decisions there are to one that is checked: rare
// enough to cost nothing, often enough to find a fault of the analysis within seconds.
const defaultAuditEvery = 1000

// Mismatch is an audit that found that an entry point decides differently on what its
// footprint holds and on the whole input. Its footprint is then wrong.
type Mismatch struct {
	Entrypoint string
	Generation uint64
	Origin     Origin // of the decision that was checked
	Got, Want  string // reasons: what was decided, and what the whole input gives
	// Digests of the values that the footprint holds and of both results: they tell which
	// mismatches are one, and hold nothing of the request that could be read.
	Question, GotResult, WantResult string
}

// auditDue says whether this decision is one that is checked.
func (e *Engine) auditDue() bool {
	every := e.cfg.AuditEvery
	return every > 0 && e.counts.asked.Add(1)%uint64(every) == 0
}

// passAudit counts a decision that is not one of those; false means that this one is,
// and counts nothing.
func (e *Engine) passAudit() bool {
	every := e.cfg.AuditEvery
	if every <= 0 {
		return true
	}
	for {
		n := e.counts.asked.Load()
		if (n+1)%uint64(every) == 0 {
			return false
		}
		if e.counts.asked.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// audit decides again from the whole, unpruned input on the same snapshot and the
// same reading of the clock. A difference denies if either denies, and the entry
// point is not trusted again in this generation.
func (v View) audit(ctx context.Context, q *query, in Input, d Decision, now time.Time) (Decision, error) {
	whole, _ := in.Lookup(ast.Ref{})
	f, err := v.alone(ctx, q, whole, now)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrOverloaded) {
			return d, nil //nolint:nilerr // there was no time to check; the decision itself was made
		}
		return v.distrust(q, in, d, Decision{Reason: ReasonPolicyError})
	}
	v.engine.counts.audits.Add(1)
	if d.Result.Compare(f.answer.Result) != 0 { // who has no error has a result
		return v.distrust(q, in, d, f.answer)
	}
	return d, nil
}

func (v View) distrust(q *query, in Input, got, want Decision) (Decision, error) {
	q.distrusted.Store(true)
	v.engine.counts.mismatches.Add(1)
	if v.engine.cfg.Mismatch != nil {
		v.engine.cfg.Mismatch(Mismatch{
			Entrypoint: q.entrypoint, Generation: v.at.generation, Origin: got.Origin,
			Got: got.Reason, Want: want.Reason,
			Question:  digest(v.key(q, q.analysis().plan.Read(in))),
			GotResult: resultDigest(got), WantResult: resultDigest(want),
		})
	}
	if got.Effect == Deny {
		return got, nil
	}
	want.Origin = got.Origin
	return want, nil
}

// digestBytes is enough to tell any two apart that are ever seen.
const digestBytes = 8

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:digestBytes])
}

// resultDigest is "" for a decision without a result.
func resultDigest(d Decision) string {
	if d.Result == nil {
		return ""
	}
	return digest([]byte(d.Result.String()))
}
