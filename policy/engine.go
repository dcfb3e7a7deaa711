package policy

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"golang.org/x/sync/singleflight"

	"github.com/rolegate/rolegate/policy/footprint"
	"github.com/rolegate/rolegate/policy/route"
)

// defaultTimeout bounds one evaluation. A decision takes well under a millisecond;
// Envoy's own default for the whole check is 200 ms.
const defaultTimeout = 150 * time.Millisecond

// keyBytes is room for the key of a question to the role library; longer ones grow.
const keyBytes = 512

// Config is how an engine remembers and how long it may think. The zero value works.
type Config struct {
	Entries      int           // remembered decisions; 0 means 100,000; below 0: none
	MaxAge       time.Duration // a decision is remembered at most this long; 0 means 5 minutes
	SkipNegative bool          // denials are not remembered
	Timeout      time.Duration // one evaluation; 0 means 150 ms
	// Concurrency is how many evaluations run at a time; 0 means 4 for each processor.
	// What finds none of them free waits for QueueWait, 0 means 50 ms, and ends with
	// [ErrOverloaded]. Answers from memory do not count.
	Concurrency int
	QueueWait   time.Duration
	// AuditEvery makes one decision in this many be evaluated again on the whole input;
	// 0 means 1,000; below 0: none.
	AuditEvery int
	// Mismatch is told of an audit that found a difference; nil: nobody is.
	Mismatch func(Mismatch)
	// Overdue is told, from a goroutine of its own, of an evaluation that still runs a
	// second after its time limit, because it calls what does not notice; nil: nobody is.
	// It keeps its slot until it ends.
	Overdue func(entrypoint string)
}

// ErrNotReady means that no snapshot was installed yet.
var ErrNotReady = errors.New("no bundle is active yet")

// Engine answers from the snapshot that was installed last. It is safe for
// concurrent use.
type Engine struct {
	cfg     Config
	current atomic.Pointer[installed]
	install sync.Mutex // orders installs, so that generations only rise
	memory  *memory
	slots   *slots
	flights singleflight.Group
	running sync.WaitGroup // evaluations; waited for by Close
	counts  counters
	// eval is (*Snapshot).eval; tests hold it to look at callers that wait.
	eval func(s *Snapshot, ctx context.Context, q *query, in ast.Value, now time.Time) (ast.Value, error)
}

// installed is a snapshot with the number under which it answers.
type installed struct {
	*Snapshot
	generation uint64
	asked      *query // what a request is asked
}

// counters of an engine, since it was made.
type counters struct {
	hits, misses, waits, asked, audits, mismatches atomic.Uint64
	clock, nondeterministic, distrusted            atomic.Uint64 // bypassed, by reason
}

// bypass counts a decision that may not be remembered.
func (c *counters) bypass(label string) {
	switch label {
	case BypassClock:
		c.clock.Add(1)
	case BypassAudit:
		c.distrusted.Add(1)
	default:
		c.nondeterministic.Add(1)
	}
}

// Stats are counts since the engine was made.
type Stats struct {
	Hits       uint64 // answered from memory
	Misses     uint64 // evaluated, could have been remembered
	Waits      uint64 // answered by another caller's evaluation
	Bypassed   uint64 // evaluated, may not be remembered
	Audits     uint64 // decided again on the whole input
	Mismatches uint64 // of those, how many differed; must stay 0
	Shed       uint64 // not evaluated: too many were
	Overdue    uint64 // evaluations that ran on for a second after their time limit
	Running    uint64 // evaluations now
	// BypassedBy is Bypassed by label, those of [Reuse] and [BypassAudit].
	BypassedBy map[string]uint64
	Memory     MemoryStats
}

// NewEngine makes an engine without a snapshot: it denies until the first Install.
// Close ends it.
func NewEngine(cfg Config) (*Engine, error) {
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.AuditEvery == 0 {
		cfg.AuditEvery = defaultAuditEvery
	}
	m, err := newMemory(cfg)
	if err != nil {
		return nil, err
	}
	return &Engine{cfg: cfg, memory: m, slots: newSlots(cfg), eval: (*Snapshot).eval}, nil
}

// Close waits for running evaluations and ends the cache. Nothing may be asked
// afterwards: close the engine after every server has stopped.
func (e *Engine) Close() {
	e.running.Wait()
	e.memory.close()
}

// Install makes s the snapshot of every request that begins after it returns, and
// answers its generation, from 1. Requests under way keep the one they pinned.
func (e *Engine) Install(s *Snapshot) uint64 {
	e.install.Lock()
	defer e.install.Unlock()
	next := &installed{Snapshot: s, generation: 1}
	if q, err := s.query(context.Background(), s.entrypoint); err == nil {
		q.analysis() // now, so that no request waits for it
		next.asked = q
	}
	if last := e.current.Load(); last != nil {
		next.generation = last.generation + 1
	}
	e.current.Store(next)
	return next.generation
}

// Stats answers the counts.
func (e *Engine) Stats() Stats {
	c := &e.counts
	by := map[string]uint64{
		BypassClock: c.clock.Load(), BypassNondeterministic: c.nondeterministic.Load(), BypassAudit: c.distrusted.Load(),
	}
	s := Stats{
		Hits: c.hits.Load(), Misses: c.misses.Load(), Waits: c.waits.Load(),
		Audits: c.audits.Load(), Mismatches: c.mismatches.Load(),
		Shed: e.slots.shed.Load(), Overdue: e.slots.overdue.Load(), Running: uint64(len(e.slots.free)),
		BypassedBy: by, Memory: e.memory.stats(),
	}
	for _, n := range by {
		s.Bypassed += n
	}
	return s
}

// View is one snapshot, pinned for one request: identity, routes and the decision
// read the same one. The zero View, and the view of an engine without a snapshot,
// is not ready and denies.
type View struct {
	engine *Engine
	at     *installed
}

// View pins the current snapshot.
func (e *Engine) View() View { return View{engine: e, at: e.current.Load()} }

// Ready says whether there is a snapshot.
func (v View) Ready() bool { return v.at != nil }

// Generation is the number of the pinned snapshot; 0 when there is none.
func (v View) Generation() uint64 {
	if v.at == nil {
		return 0
	}
	return v.at.generation
}

// Snapshot is the pinned one; nil when there is none.
func (v View) Snapshot() *Snapshot {
	if v.at == nil {
		return nil
	}
	return v.at.Snapshot
}

// Routes is the pinned route table; nil when there is no snapshot.
func (v View) Routes() *route.Table {
	if v.at == nil {
		return nil
	}
	return v.at.routes
}

// Alias is what data.rbac.aliases holds for a tenant.
func (v View) Alias(tenant string) (string, bool) {
	if v.at == nil {
		return "", false
	}
	to, ok := v.at.aliases[tenant]
	return to, ok
}

// Revisions is the revision of each bundle; not to be changed.
func (v View) Revisions() map[string]string {
	if v.at == nil {
		return nil
	}
	return v.at.revisions
}

// Entrypoint is what a request is asked; "" when there is no snapshot.
func (v View) Entrypoint() string {
	if v.at == nil {
		return ""
	}
	return v.at.entrypoint
}

// Decide answers one question at one reading of the clock. It answers by ctx's
// deadline even if an evaluation does not end. The decision is a denial with its
// reason set whenever the error is not nil.
func (v View) Decide(ctx context.Context, entrypoint string, in Input, now time.Time) (Decision, error) {
	if v.at == nil {
		return Decision{Reason: ReasonNotReady}, ErrNotReady
	}
	d, err := v.decide(ctx, entrypoint, in, now.Round(0)) // the wall clock alone: it may step back
	if err != nil {
		d = Decision{Reason: ReasonPolicyError, Origin: d.Origin}
		switch {
		case errors.Is(err, ErrOverloaded):
			d.Reason = ReasonOverloaded
		case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
			d.Reason = ReasonTimeout
		}
	}
	d.Generation = v.at.generation
	return d, err
}

func (v View) decide(ctx context.Context, entrypoint string, in Input, now time.Time) (Decision, error) {
	q, err := v.query(ctx, entrypoint)
	if err != nil {
		return Decision{}, err
	}
	if q.distrusted.Load() {
		v.engine.counts.bypass(BypassAudit)
		whole, _ := in.Lookup(ast.Ref{})
		f, err := v.alone(ctx, q, whole, now)
		return f.decision(OriginBypass), err
	}
	values := q.analysis().plan.Read(in)
	d, err := v.answer(ctx, q, values, now)
	if err == nil && v.engine.auditDue() {
		return v.audit(ctx, q, in, d, now)
	}
	return d, err
}

// query is [Snapshot.query], without its lock for what every request asks.
func (v View) query(ctx context.Context, entrypoint string) (*query, error) {
	if q := v.at.asked; q != nil && q.entrypoint == entrypoint {
		return q, nil
	}
	return v.at.query(ctx, entrypoint)
}

// answer decides on what the plan read: from memory, or by evaluating exactly that.
func (v View) answer(ctx context.Context, q *query, values []footprint.Value, now time.Time) (Decision, error) {
	a := q.analysis()
	if a.reuse.Bypass != "" {
		if err := ctx.Err(); err != nil {
			return Decision{}, err // nobody waits for this answer any more
		}
		v.engine.counts.bypass(a.reuse.Label)
		f, err := v.alone(ctx, q, a.plan.Build(values), now)
		return f.decision(OriginBypass), err
	}
	key := v.key(q, values)
	if f, ok := v.engine.memory.get(key, v.at.generation, now); ok {
		v.engine.counts.hits.Add(1)
		return f.decision(OriginHit), nil
	}
	if err := ctx.Err(); err != nil {
		return Decision{}, err
	}
	return v.miss(ctx, q, string(key), a.plan.Build(values), now)
}

// key is everything that an answer depends on beside the clock, as bytes from which
// each part could be read back.
func (v View) key(q *query, values []footprint.Value) []byte {
	return q.analysis().plan.AppendKey(v.appendPrefix(make([]byte, 0, keyBytes), q), values)
}

// appendPrefix appends the part of a key that is not of the request.
func (v View) appendPrefix(b []byte, q *query) []byte {
	return footprint.AppendString(binary.AppendUvarint(b, v.at.generation), q.entrypoint)
}

// miss evaluates once for all callers that ask the same at the same time. A caller
// whose clock reading the shared answer does not cover, or whose leader failed,
// evaluates for itself.
func (v View) miss(ctx context.Context, q *query, key string, doc ast.Value, now time.Time) (Decision, error) {
	leader := false
	v.engine.running.Add(1)
	done := v.engine.flights.DoChan(key, func() (any, error) {
		leader = true
		return v.evaluate(context.WithoutCancel(ctx), q, key, doc, now) // for whoever else waits
	})
	select {
	case <-ctx.Done():
		go func() { // the flight goes on without this caller, and Close waits for it
			<-done
			v.engine.running.Done()
		}()
		return Decision{Origin: OriginMiss}, ctx.Err()
	case r := <-done:
		v.engine.running.Done()
		// leader is read after the flight ended; a follower's own closure never ran.
		if leader {
			v.engine.counts.misses.Add(1)
			f, _ := r.Val.(*finding)
			return f.decision(OriginMiss), r.Err
		}
		if errors.Is(r.Err, ErrOverloaded) {
			return Decision{Origin: OriginWait}, r.Err // to wait once more would be no better
		}
		if f, _ := r.Val.(*finding); r.Err == nil && f.holds(now) {
			v.engine.counts.waits.Add(1)
			return f.decision(OriginWait), nil
		}
	}
	v.engine.counts.misses.Add(1)
	f, err := v.alone(ctx, q, doc, now)
	return f.decision(OriginMiss), err
}

// alone evaluates for one caller, who stops waiting when ctx ends.
func (v View) alone(ctx context.Context, q *query, doc ast.Value, now time.Time) (*finding, error) {
	type outcome struct {
		f   *finding
		err error
	}
	done := make(chan outcome, 1)
	v.engine.running.Go(func() {
		f, err := v.evaluate(ctx, q, "", doc, now)
		done <- outcome{f, err}
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case o := <-done:
		return o.f, o.err
	}
}

// evaluate asks Rego, when it is its turn, on a context that outlives the caller, and
// remembers the answer under key if it may be reused. An empty key is never remembered.
func (v View) evaluate(ctx context.Context, q *query, key string, doc ast.Value, now time.Time) (*finding, error) {
	if err := v.engine.slots.take(ctx); err != nil {
		return nil, err
	}
	defer v.engine.slots.give()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), v.engine.cfg.Timeout)
	defer cancel()
	defer time.AfterFunc(v.engine.cfg.Timeout+overdueAfter, func() { v.engine.overdue(q.entrypoint) }).Stop()
	growStack()
	value, err := v.engine.eval(v.at.Snapshot, ctx, q, doc, now)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		return nil, err
	}
	d, bounded, err := decisionOf(value, v.at.lenient)
	if err != nil {
		return nil, err
	}
	d.Generation = v.at.generation
	f := &finding{key: key, generation: v.at.generation, evaluated: now, answer: d}
	if key != "" && (bounded || !q.analysis().reuse.Clock) {
		v.engine.memory.put(f, now)
	}
	return f, nil
}

// overdue tells of an evaluation that does not end.
func (e *Engine) overdue(entrypoint string) {
	e.slots.overdue.Add(1)
	if e.cfg.Overdue != nil {
		e.cfg.Overdue(entrypoint)
	}
}

// Bypass is why no answer to what requests ask is remembered now, as a label; "" when
// answers are. See [Reuse].
func (v View) Bypass() string {
	switch {
	case v.at == nil || v.at.asked == nil:
		return ""
	case v.at.asked.distrusted.Load():
		return BypassAudit
	default:
		return v.at.asked.analysis().reuse.Label
	}
}

// Eval answers an entry point's whole value on the whole input, evaluated now and
// remembered nowhere: for tools. ErrUndefined: it has none.
func (v View) Eval(ctx context.Context, entrypoint string, in Input, now time.Time) (ast.Value, error) {
	return v.evalOn(ctx, entrypoint, now, func(*query) ast.Value {
		doc, _ := in.Lookup(ast.Ref{})
		return doc
	})
}

// EvalPruned is [View.Eval] on what the entry point's footprint holds of the input, and
// nothing else: as a decision is made. A sound footprint answers the same.
func (v View) EvalPruned(ctx context.Context, entrypoint string, in Input, now time.Time) (ast.Value, error) {
	return v.evalOn(ctx, entrypoint, now, func(q *query) ast.Value {
		plan := q.analysis().plan
		return plan.Build(plan.Read(in))
	})
}

func (v View) evalOn(ctx context.Context, entrypoint string, now time.Time, doc func(*query) ast.Value) (ast.Value, error) {
	if v.at == nil {
		return nil, ErrNotReady
	}
	q, err := v.at.query(ctx, entrypoint)
	if err != nil {
		return nil, err
	}
	return v.at.eval(ctx, q, doc(q), now)
}
