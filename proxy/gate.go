package proxy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/route"
	"github.com/rolegate/rolegate/proxy/canonical"
)

// headStart is how much earlier than its caller's deadline a check ends, so that
// the answer is still heard: Envoy resets the stream at the deadline itself.
const headStart = 5 * time.Millisecond

// complainEvery spaces the log lines about answers that had to become denials:
// a broken policy breaks every request, and the decision log has each.
const complainEvery = time.Second

// Engine gives the snapshot that a request is decided on.
type Engine interface {
	View() policy.View
}

// Gate is the one way in for every surface. It is safe for concurrent use.
type Gate struct {
	cfg       Config
	engine    Engine
	identity  Authenticator
	recorders []Recorder
	metrics   *metrics
	clock     func() time.Time
	log       *zap.Logger

	complained atomic.Int64 // clock reading, in ns, of the last complaint
}

// New makes a gate. identity may be nil: every caller is nobody then. reg may be
// nil: nothing is registered then.
func New(
	cfg Config, engine Engine, identity Authenticator, recorders []Recorder,
	reg prometheus.Registerer, clock func() time.Time, log *zap.Logger,
) (*Gate, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(reg)
	if err != nil {
		return nil, fmt.Errorf("register the gate's metrics: %w", err)
	}
	return &Gate{
		cfg: cfg, engine: engine, identity: identity, recorders: recorders,
		metrics: m, clock: clock, log: log.Named("gate"),
	}, nil
}

// Check answers one request, and notes the answer. It always answers: whatever goes
// wrong, an evaluation that panics included, is a denial with its reason.
func (g *Gate) Check(ctx context.Context, in Inbound) Answer {
	c := &check{gate: g, in: in, began: g.clock()}
	c.answer.ID = newID()
	limited := withDeadline(ctx, g.cfg.MaxTime)
	defer limited.end()
	c.run(limited) //nolint:contextcheck // made from ctx
	g.note(c)
	return c.answer
}

// note records and counts the answer, and complains of what a human must mend.
func (g *Gate) note(c *check) {
	a := &c.answer
	took := g.clock().Sub(c.began)
	g.metrics.observe(a, c.in.Protocol, took)
	if c.fault != nil {
		g.complain(a, c.fault)
	}
	if len(g.recorders) == 0 {
		return
	}
	r := Record{
		ID: a.ID, Time: c.began, Protocol: c.in.Protocol, Method: c.in.Method, Host: c.host, Path: c.target.String(),
		Subject: a.Subject.ID, Kind: a.Subject.Type, Route: a.Route, Tenant: a.Tenant,
		Effect: a.Effect, Verdict: a.Verdict(), Reason: a.Reason,
		Generation: a.Generation, Revisions: a.Revisions, Origin: a.Origin, Duration: took,
	}
	if c.why != nil {
		r.Error = c.why.Error()
	}
	for _, recorder := range g.recorders {
		recorder.Record(r)
	}
}

// complain logs a fault of the server or of a policy, at most one a second.
func (g *Gate) complain(a *Answer, fault error) {
	level := zapcore.DebugLevel
	now, last := g.clock().UnixNano(), g.complained.Load()
	if (last == 0 || now-last >= int64(complainEvery) || now < last) && g.complained.CompareAndSwap(last, now) {
		level = zapcore.ErrorLevel
	}
	if entry := g.log.Check(level, "a decision had to become a denial"); entry != nil {
		entry.Write(zap.String("decision", a.ID), zap.String("reason", a.Reason),
			zap.Uint64("generation", a.Generation), zap.Error(fault))
	}
}

// check is one request on its way through the gate.
type check struct {
	gate    *Gate
	in      Inbound
	began   time.Time
	host    string // canonical
	target  canonical.Target
	spoofs  spoofs
	badName error
	query   canonical.Values // once asked for
	parsed  bool
	doc     document
	answer  Answer
	why     error // what the decision log says of an answer that is none
	fault   error // why, when a human must hear of it
}

// errPanic stands for a panic in the decision log.
var errPanic = errors.New("a panic while deciding")

// run decides, and turns whatever cannot be told into a denial.
func (c *check) run(ctx context.Context) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		// The stack says where. What was panicked with may hold part of a request.
		c.gate.log.Error("panic while deciding", zap.String("decision", c.answer.ID),
			zap.String("type", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
		c.refuse(policy.ReasonPolicyError, errPanic)
	}()

	view := c.gate.engine.View()
	c.answer.Generation, c.answer.Revisions = view.Generation(), view.Revisions()
	if err := c.read(); err != nil {
		c.refuse(policy.ReasonMalformedRequest, err)
		return
	}
	if !view.Ready() {
		c.refuse(policy.ReasonNotReady, policy.ErrNotReady)
		return
	}
	c.answer.Subject = c.authenticate(ctx, view)
	c.answer.Route = c.resolve(view)
	c.decide(ctx, view)
}

// read takes apart what the caller wrote. Each error is a word or a few, without
// anything of the request.
func (c *check) read() error {
	switch {
	case c.in.Malformed != "":
		return errors.New(c.in.Malformed)
	case c.in.Method == "CONNECT":
		return errors.New("a tunnel") // nobody checks what would go through it
	}
	if err := canonical.Method(c.in.Method); err != nil {
		return err
	}
	target, err := canonical.Path(c.in.Path)
	if err != nil {
		return err
	}
	c.target = target
	if c.in.HeaderNames != nil {
		c.in.HeaderNames(c.headerName)
		if c.badName != nil {
			return c.badName
		}
	}
	if c.in.Host == "" {
		return nil
	}
	c.host, err = canonical.Host(c.in.Host)
	return err
}

// headerName looks at one name that the client sent. As a method it costs a third of
// a loop's body.
func (c *check) headerName(name string) bool {
	c.badName = c.spoofs.add(name, c.gate.cfg.ReservedHeaders)
	return c.badName == nil
}

// authenticate answers who asks. A bad credential is never nobody.
func (c *check) authenticate(ctx context.Context, view policy.View) policy.Subject {
	if c.gate.identity == nil {
		return policy.Subject{}
	}
	subject, err := c.gate.identity.Authenticate(ctx, view, c.in.Credentials)
	if err != nil {
		c.why = err
		c.gate.log.Debug("bad credential", zap.String("decision", c.answer.ID), zap.Error(err))
		return policy.Subject{Error: policy.ReasonBadCredential}
	}
	return subject
}

func (c *check) resolve(view policy.View) route.Match {
	r := route.Request{
		Method: c.in.Method, Host: c.host, Segments: c.target.Segments,
		SubjectID: c.answer.Subject.ID, Alias: view.Alias,
	}
	// Each function costs an allocation, so there is none for what is not there.
	if c.target.RawQuery != "" {
		r.Query = c.parameter
	}
	if c.in.Credentials.Headers != nil {
		r.Header = c.header
	}
	if c.answer.Subject.Claims != nil {
		r.Claim = c.claim
	}
	if len(c.in.Extensions) > 0 {
		r.Extension = c.extension
	}
	return view.Routes().Resolve(r)
}

// parameter answers one of the query. A query that has no one reading has none.
func (c *check) parameter(name string) (string, bool) {
	if !c.parsed {
		c.query, _ = canonical.Query(c.target.RawQuery)
		c.parsed = true
	}
	return c.query.Get(name)
}

func (c *check) extension(name string) (string, bool) {
	v, ok := c.in.Extensions[name]
	return v, ok
}

func (c *check) claim(name string) (string, bool) { return claim(c.answer.Subject.Claims, name) }

// claim answers a string claim by its name, or by a path of names with dots between
// them: "attrs.department".
func claim(claims ast.Object, name string) (string, bool) {
	if claims == nil {
		return "", false
	}
	if t := claims.Get(ast.StringTerm(name)); t != nil {
		v, ok := t.Value.(ast.String)
		return string(v), ok
	}
	outer, inner, nested := strings.Cut(name, ".")
	if !nested {
		return "", false
	}
	t := claims.Get(ast.StringTerm(outer))
	if t == nil {
		return "", false
	}
	members, ok := t.Value.(ast.Object)
	if !ok {
		return "", false
	}
	return claim(members, inner)
}

// header answers a header that was sent exactly once. Of two copies an upstream may
// read the other one.
func (c *check) header(name string) (string, bool) {
	values := c.in.Credentials.Headers.Values(strings.ToLower(name))
	if len(values) != 1 {
		return "", false
	}
	return values[0], true
}

func (c *check) decide(ctx context.Context, view policy.View) {
	c.doc = document{Document: policy.Document{Subject: c.answer.Subject, Route: c.answer.Route}, rest: c.in.Rest}
	decision, err := view.Decide(ctx, view.Entrypoint(), &c.doc, c.began)
	switch {
	case c.doc.unread != nil:
		// Decided without what the policy may have asked for.
		c.refuse(policy.ReasonMalformedRequest, c.doc.unread)
		return
	case err != nil:
		err = briefly(err)
		decision.Effect, decision.Result, c.why = policy.Deny, nil, err
		if decision.Reason == policy.ReasonPolicyError {
			c.fault = err
		}
	}
	c.answer.Decision = decision
	carries, err := carry(decision.Result, decision.Effect == policy.Allow)
	if err == nil {
		err = c.gate.cfg.replyTo(&c.answer, carries, c.spoofs, c.began)
	}
	if err != nil {
		c.fault = err
		c.refuse(policy.ReasonPolicyError, err)
	}
}

// refuse makes the answer a denial that carries nothing of a policy's.
func (c *check) refuse(reason string, why error) {
	c.why = why
	c.answer.Effect, c.answer.Reason, c.answer.Result = policy.Deny, reason, nil
	c.answer.ValidUntil = time.Time{}
	_ = c.gate.cfg.replyTo(&c.answer, carried{}, nil, c.began) // three short headers: always within bounds
}

// briefly keeps of an evaluation's error where it was, its code and the builtin
// ("authz/a.rego:3: eval_builtin_error: to_number: …"). What follows, on this line or
// the next, may quote the request.
func briefly(err error) error {
	const parts, most = 3, 200
	text, rest := "", err.Error()
	rest, _, _ = strings.Cut(rest, "\n")
	for i := range parts {
		part, after, more := strings.Cut(rest, ": ")
		if i > 0 {
			text += ": "
		}
		text, rest = text+part, after
		if !more {
			break
		}
	}
	if len(text) > most {
		text = text[:most]
	}
	return errors.New(strings.ToValidUTF8(text, ""))
}

// newID is a decision's id: 128 random bits, so that ids of many instances never
// meet and none can be guessed from another.
func newID() string {
	const hex = "0123456789abcdef"
	var b [32]byte
	high, low := rand.Uint64(), rand.Uint64() // of the runtime's ChaCha8
	for i := range 16 {
		b[i], b[16+i] = hex[high>>(4*i)&15], hex[low>>(4*i)&15]
	}
	return string(b[:])
}
