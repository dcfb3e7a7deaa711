package proxy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"strings"
	"sync"
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
	clock     func() time.Time // nil: the system's
	log       *zap.Logger

	checks     sync.Pool    // of *check that nobody else can have kept a part of
	complained atomic.Int64 // clock reading, in ns, of the last complaint
}

// New makes a gate. identity may be nil: every caller is nobody then. reg may be
// nil: nothing is registered then. clock may be nil: it is the system's then, which is read
// once less for each request. How long a request may take the system's clock says in any case.
func New(
	cfg Config, engine Engine, identity Authenticator, recorders []Recorder,
	reg prometheus.Registerer, clock func() time.Time, log *zap.Logger,
) (*Gate, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(reg, cfg.DryRun)
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
func (g *Gate) Check(ctx context.Context, in Inbound) Answer { return g.CheckAside(ctx, in, Aside{}) }

// check decides on one request, without noting it.
func (g *Gate) check(ctx context.Context, in *Inbound, aside Aside, t Teller) *check {
	c, ok := g.checks.Get().(*check)
	if !ok {
		c = newCheck(g)
	}
	c.teller, c.aside = t, aside
	c.begin(ctx, in)
	defer c.limited.end()
	c.run(&c.limited) //nolint:contextcheck // made from ctx
	return c
}

// note records and counts the answer, and complains of what a human must mend.
func (g *Gate) note(c *check) {
	a := &c.answer
	took := g.since(c)
	if c.series.decisions == nil {
		c.series = g.metrics.seriesOf(a, c.in.Protocol)
	}
	g.metrics.observe(c.series, &a.Route, took)
	if a.lifted() {
		g.metrics.lifted.Inc()
	}
	if c.fault != nil {
		g.complain(a, c.fault)
	}
	if len(g.recorders) == 0 {
		return
	}
	c.identify()
	r := Record{
		ID: a.ID, Time: c.began, Protocol: c.in.Protocol, Method: c.in.Method, Host: c.host, Path: c.target.String(),
		Subject: a.Subject.ID, Kind: a.Subject.Type, Route: a.Route, Tenant: a.Tenant,
		Effect: a.Effect, Verdict: a.Verdict(), Reason: a.Reason,
		Generation: a.Generation, Revisions: a.Revisions, Origin: a.Origin, Duration: took, DryRun: a.DryRun,
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
	now, last := g.now(time.Now()).UnixNano(), g.complained.Load()
	if (now-last >= int64(complainEvery) || now < last) && g.complained.CompareAndSwap(last, now) {
		level = zapcore.ErrorLevel
	}
	g.log.Log(level, "a decision had to become a denial", zap.String("decision", a.ID), zap.String("reason", a.Reason),
		zap.Uint64("generation", a.Generation), zap.Error(fault))
}

// check is one request on its way through the gate.
type check struct {
	*tools
	in      Inbound
	aside   Aside
	began   time.Time
	id      [idBytes]byte
	limited deadline
	view    policy.View
	host    string // canonical
	target  canonical.Target
	spoofs  spoofs
	badName error
	types   int // how many headers say of what type the body is
	// routeless says that the request has no one reading, so that no route is its own.
	routeless bool
	query     canonical.Values // once asked for
	parsed    bool
	doc       document
	answer    Answer
	why       error // what the decision log says of an answer that is none
	fault     error // why, when a human must hear of it

	teller   Teller // nil: the answer itself is wanted
	recalled policy.Recalled
	found    bool  // recalled is the decision, and the answer is of it
	told     *told // what is said of recalled; nil: it has to be made
	series   series
}

// tools are what one check leaves to the next.
type tools struct {
	gate  *Gate
	room  []string // for the segments of a target
	key   policy.Key
	texts route.Texts
	bound bound
}

// bound are methods of a check as values: each costs an allocation when it is made.
type bound struct {
	headerName                                 func(string) bool
	parameter, header, claim, extension, alias func(string) (string, bool)
}

func newCheck(g *Gate) *check {
	c := &check{tools: &tools{gate: g}}
	c.bound = bound{
		headerName: c.headerName, parameter: c.parameter, header: c.header, claim: c.claim,
		extension: c.extension, alias: c.alias,
	}
	return c
}

// now is what the gate's clock says when the system's says now.
func (g *Gate) now(now time.Time) time.Time {
	if g.clock == nil {
		return now
	}
	return g.clock()
}

// since is how long a check has taken.
func (g *Gate) since(c *check) time.Duration {
	if g.clock == nil {
		return time.Since(c.began)
	}
	return g.clock().Sub(c.began)
}

// begin starts a check that is new, or cleared.
func (c *check) begin(ctx context.Context, in *Inbound) {
	now := time.Now()
	c.in, c.began = *in, c.gate.now(now)
	c.answer.DryRun = c.gate.cfg.DryRun
	c.id = newID()
	c.limited.begin(ctx, now, c.gate.cfg.MaxTime)
}

// release makes the check another request's, if nobody else can hold a part of it: it
// was answered from memory, and nobody waited for its deadline.
func (c *check) release() {
	if !c.found || c.limited.waitedFor() {
		return
	}
	kept := c.tools
	clear(kept.room)
	*c = check{}
	c.tools = kept
	c.gate.checks.Put(c)
}

// identify gives the answer its id, as late as anybody reads it.
func (c *check) identify() {
	if c.answer.ID == "" {
		c.answer.ID = string(c.id[:])
	}
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
		c.refuse(policy.ReasonPolicyError, errPanic)
		// The stack says where. What was panicked with may hold part of a request.
		c.gate.log.Error("panic while deciding", zap.String("decision", c.answer.ID),
			zap.String("type", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
	}()

	view := c.gate.engine.View()
	c.view = view
	c.answer.Generation, c.answer.Revisions = view.Generation(), view.Revisions()
	if !c.aside.Connection {
		if err := c.read(); err != nil {
			c.refuse(policy.ReasonMalformedRequest, err)
			return
		}
	}
	if !view.Ready() {
		c.refuse(policy.ReasonNotReady, policy.ErrNotReady)
		return
	}
	c.answer.Subject = c.authenticate(ctx, view)
	switch {
	case c.aside.Connection:
		c.answer.Route = route.Match{Error: policy.ReasonNoRequest}
	case !c.aside.usual():
		c.answer.Route = c.aside.bind(c.resolve(true))
	case c.recall():
		return
	default:
		c.answer.Route = c.resolve(true)
	}
	c.decide(ctx)
}

// recall answers from memory, where that takes nothing to be made. Parameters of the route
// have to be made, so only who wants the answer itself gets them. found comes last: of a
// check that panics on its way nothing is kept, and it is no other request's afterwards.
func (c *check) recall() bool {
	c.answer.Route = c.resolve(c.teller == nil)
	c.doc.Subject, c.doc.Route, c.doc.rest = c.answer.Subject, c.answer.Route, c.in.Rest
	recalled, ok := c.view.Recall(&c.key, &c.doc, c.began)
	if !ok {
		return false
	}
	c.recalled = recalled
	c.answer.Decision = recalled.Decision()
	if c.told = c.toldBefore(); c.told == nil {
		c.reply()
	}
	c.found = true
	return true
}

// read takes apart what the caller wrote. Each error is a word or a few, without
// anything of the request.
func (c *check) read() error {
	switch {
	case c.gate.cfg.Profile == ProfileOPAEnvoy && !c.gate.cfg.StrictPaths:
		return c.readRaw()
	case c.in.Malformed != "":
		return errors.New(c.in.Malformed)
	case c.in.Method == "CONNECT":
		return errors.New("a tunnel") // nobody checks what would go through it
	}
	if err := canonical.Method(c.in.Method); err != nil {
		return err
	}
	target, err := canonical.PathInto(c.room, c.in.Path)
	if err != nil {
		return err
	}
	c.target, c.room = target, target.Segments
	if err := c.readHeaderNames(); err != nil {
		return err
	}
	if c.types > 0 && c.typesDiffer() {
		return errContentTypes
	}
	if c.in.Host == "" {
		return nil
	}
	c.host, err = canonical.Host(c.in.Host)
	return err
}

func (c *check) readHeaderNames() error {
	if c.in.HeaderNames != nil {
		c.in.HeaderNames(c.bound.headerName)
	}
	return c.badName
}

// headerName looks at one name that the client sent. As a method it costs a third of
// a loop's body.
func (c *check) headerName(name string) bool {
	c.badName = c.spoofs.add(name, c.gate.cfg.ReservedHeaders)
	if c.badName == nil && c.gate.cfg.RefuseMethodOverride && isMethodOverride(spelling(name)) {
		c.badName = errMethodOverride
	}
	if isContentType(name) {
		c.types++
	}
	return c.badName == nil
}

// typesDiffer says whether the body has several types, so that a policy may read one and
// the application another: of two copies, of two spellings, or of copies that were joined.
func (c *check) typesDiffer() bool {
	if c.types > 1 {
		return true
	}
	if c.in.Credentials.Headers == nil {
		return false
	}
	values := c.in.Credentials.Headers.Values(contentType)
	return len(values) > 1 || len(values) == 1 && several(values[0])
}

// authenticate answers who asks. A bad credential is never nobody.
func (c *check) authenticate(ctx context.Context, view policy.View) policy.Subject {
	if c.gate.identity == nil {
		return policy.Subject{}
	}
	subject, err := c.gate.identity.Authenticate(ctx, view, c.in.Credentials)
	if err != nil {
		c.why = err
		c.identify()
		c.gate.log.Debug("bad credential", zap.String("decision", c.answer.ID), zap.Error(err))
		return policy.Subject{Error: policy.ReasonBadCredential}
	}
	// The role library looks at the clock itself. Another policy may look at no more than
	// who asks: what it is told is true now.
	if c.entrypoint() != policy.DefaultEntrypoint {
		if reason := subject.Lapsed(c.began); reason != "" {
			return policy.Subject{Error: reason}
		}
	}
	return subject
}

// entrypoint is what is asked.
func (c *check) entrypoint() string { return cmp.Or(c.aside.Entrypoint, c.view.Entrypoint()) }

// resolve names the question; params: with the parameters of the route.
func (c *check) resolve(params bool) route.Match {
	if c.routeless {
		return noRoute()
	}
	r := route.Request{
		Method: c.in.Method, Host: c.host, Segments: c.target.Segments,
		SubjectID: c.answer.Subject.ID, Alias: c.bound.alias, WithoutParams: !params, Texts: &c.texts,
		Query: c.bound.parameter, Claim: c.bound.claim, Extension: c.bound.extension,
	}
	if c.in.Credentials.Headers != nil {
		r.Header = c.bound.header
	}
	return c.view.Routes().Resolve(r)
}

func (c *check) alias(tenant string) (string, bool) { return c.view.Alias(tenant) }

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
	outer, inner, _ := strings.Cut(name, ".")
	t := claims.Get(ast.StringTerm(outer))
	if t == nil {
		return "", false
	}
	members, _ := t.Value.(ast.Object) // none, if it is of another type
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

func (c *check) decide(ctx context.Context) {
	c.doc = document{Document: policy.Document{Subject: c.answer.Subject, Route: c.answer.Route}, rest: c.in.Rest}
	decision, err := c.view.Decide(ctx, c.entrypoint(), &c.doc, c.began)
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
	c.reply()
}

// reply says what was decided, or that it cannot be said.
func (c *check) reply() {
	c.identify()
	carries, err := carry(c.answer.Result, c.answer.Effect == policy.Allow, c.gate.cfg.Profile)
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
	c.identify()
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
	text, rest := "", strings.ToValidUTF8(err.Error(), "")
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
	return errors.New(strings.ToValidUTF8(text[:min(len(text), most)], ""))
}

// newID is a decision's id: 128 random bits, so that ids of many instances never
// meet and none can be guessed from another.
func newID() (id [idBytes]byte) {
	const digits = "0123456789abcdef"
	high, low := rand.Uint64(), rand.Uint64() // of the runtime's ChaCha8
	for i := range idBytes / 2 {
		id[i], id[idBytes/2+i] = digits[high>>(4*i)&15], digits[low>>(4*i)&15]
	}
	return id
}

// idBytes is how long every id is: 128 bits in hexadecimal digits.
const idBytes = 32
