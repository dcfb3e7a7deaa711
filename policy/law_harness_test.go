package policy_test

import (
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/footprint"
)

const (
	// patience bounds what is waited for: a loaded machine is not what the laws are about.
	patience = time.Minute
	// forgetsNothing is room for every question of a law.
	forgetsNothing = 10_000
)

// lawEngine is an engine on a snapshot, with room and time enough. The caller closes it.
func lawEngine(t rapid.TB, cfg policy.Config, s *policy.Snapshot) *policy.Engine {
	t.Helper()
	if cfg.Entries == 0 {
		cfg.Entries = forgetsNothing
	}
	cfg.Timeout, cfg.MaxAge = patience, 24*time.Hour
	e, err := policy.NewEngine(cfg)
	if err != nil {
		t.Fatalf("new engine: %v", err)
	}
	e.Install(s)
	return e
}

// ownPolicy compiles one module that knows no role library.
func ownPolicy(t *testing.T, module string) *policy.Snapshot {
	t.Helper()
	m := ast.MustParseModuleWithOpts(module, ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
	s, err := policy.Compile(t.Context(), policy.Source{Modules: map[string]*ast.Module{"own.rego": m}, Entrypoint: "own/decision"})
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	return s
}

// inquiry is one question of a law.
type inquiry struct {
	in  policy.Whole
	now time.Time
}

func (q inquiry) String() string {
	if q.in.Value == nil {
		return "no input"
	}
	return q.in.Value.String()
}

// fresh is what the policy says to the whole input, evaluated now: no footprint and no
// memory have part in it. nil: it says nothing, which denies.
func fresh(ctx context.Context, v policy.View, q inquiry) ast.Value {
	value, err := v.Eval(ctx, v.Entrypoint(), q.in, q.now)
	if err != nil {
		return nil
	}
	return value
}

// agrees says whether a decision is what a fresh evaluation of the whole input gives.
func agrees(d policy.Decision, err error, want ast.Value) bool {
	if err != nil {
		return d.Effect == policy.Deny && (want == nil || unbounded(want))
	}
	if want == nil {
		return false
	}
	return d.Result != nil && d.Result.Compare(want) == 0 && (d.Effect == policy.Allow) == allows(want)
}

// unbounded says whether a value's bound is no instant as JSON writes integers: worlds write
// some as 1.7e12. An engine may refuse such a value.
func unbounded(v ast.Value) bool {
	o, _ := v.(ast.Object)
	if o == nil {
		return false
	}
	until := o.Get(ast.StringTerm("valid_until"))
	if until == nil {
		return false
	}
	n, ok := until.Value.(ast.Number)
	if !ok {
		return false
	}
	_, whole := n.Int64()
	return !whole
}

func allows(v ast.Value) bool {
	o, ok := v.(ast.Object)
	return ok && ast.Boolean(true).Compare(o.Get(ast.StringTerm("allow")).Value) == 0
}

// remembered asks until the answer comes from memory, which takes answers in on its own
// time; false when none did within the limit. Every answer must be the one that is wanted.
func remembered(ctx context.Context, t rapid.TB, v policy.View, q inquiry, want ast.Value) bool {
	t.Helper()
	for limit := time.Now().Add(patience); ; {
		d, err := v.Decide(ctx, v.Entrypoint(), q.in, q.now)
		if !agrees(d, err, want) {
			t.Fatalf("%s: got %+v, %v, want %v", q, d, err, want)
		}
		if d.Origin == policy.OriginHit {
			return true
		}
		if time.Now().After(limit) {
			return false
		}
		v.Settle()
	}
}

// projection is all that the places of a footprint hold of an input, by their levels. It
// is made without the plan that makes keys.
func projection(paths []footprint.Path, in ast.Value) string {
	var b strings.Builder
	for _, p := range paths {
		var v ast.Value
		if in != nil {
			if found, err := in.Find(p.Ref[1:]); err == nil {
				v = found
			}
		}
		switch {
		case v == nil:
			b.WriteString("absent")
		case p.Level == footprint.Full:
			b.WriteString(v.String())
		case p.Level == footprint.Type:
			b.WriteString(ast.ValueName(v))
		default:
			b.WriteString("there")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// drawRand is a source of choices for generators that stand on math/rand.
func drawRand(t *rapid.T, label string) *rand.Rand {
	return rand.New(rand.NewPCG(rapid.Uint64().Draw(t, label), 0))
}
