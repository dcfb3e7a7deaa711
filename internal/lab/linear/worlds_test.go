package linear_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/rolegate/rolegate/bundles"
	"github.com/rolegate/rolegate/internal/lab/linear"
	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/route"
)

// The worlds: members of one tenant, each with one role, whose name is the world's. What
// is granted turns from world to world, and for some members from window to window.
const (
	worlds  = 16
	members = 24
	windows = 6
	window  = 100 // milliseconds; each second one is open
	actions = 2
)

// questions is how many there are, but for the clock.
const questions = members * actions

// requestsEachMs is how many are asked before the clock of the trial moves on.
const requestsEachMs = 20

// granted is the oracle's and the data's one common word: whether a member's role of a
// world allows an action.
func granted(world, member, action int) bool {
	return (world*7+member*3+action*5)%3 != 0 != (world%2 == 0 && member%4 == 0)
}

// windowed members hold their grant in windows alone.
func windowed(member int) bool { return member%3 == 0 }

// denied are stopped in some worlds by an explicit deny.
func denied(world, member int) bool { return (world+member)%5 == 0 }

// role is the id of the role that a member has in a world: the answer shows it.
func role(world, member int) string { return fmt.Sprintf("w%d-m%d", world, member) }

func action(i int) string { return [...]string{"read", "write"}[i] }

// expected is the oracle: what a world says to a member at an instant, in plain Go.
func expected(world, member, act int, ms int64) (allow bool, reason string, holds bool) {
	holds = !windowed(member)
	if windowed(member) {
		holds = ms >= 0 && ms < 2*windows*window && ms/window%2 == int64(world%2)
	}
	switch {
	case !holds:
		return false, policy.ReasonNoRoles, false
	case denied(world, member) && act == 1:
		return false, policy.ReasonExplicitDeny, true
	case granted(world, member, act):
		return true, policy.ReasonAllowed, true
	default:
		return false, policy.ReasonNoPermission, true
	}
}

// data is the document of one world. The reason of who has no role carries no name: the
// stamp of the world does, as a deny of a bundle's own would.
func data(world int) map[string]any {
	roles, at := map[string]any{}, map[string]any{}
	for m := range members {
		allow, deny := map[string]any{}, map[string]any{}
		for a := range actions {
			if granted(world, m, a) {
				allow[action(a)] = map[string]any{".": true}
			}
		}
		if denied(world, m) {
			deny[action(1)] = map[string]any{".": true}
		}
		roles[role(world, m)] = map[string]any{
			"owner": "@root", "key": role(world, m), "type": "custom", "level": json.Number("1"), "visibility": "ALL",
			"allow": map[string]any{"doc": allow}, "deny": map[string]any{"doc": deny},
		}
		held := []any{}
		if windowed(m) {
			for i := range windows {
				from := (2*i + world%2) * window
				held = append(held, []any{number(from), number(from + window)})
			}
		}
		at[fmt.Sprint("m", m)] = map[string]any{"grants": map[string]any{role(world, m): held}}
	}
	return map[string]any{"rbac": map[string]any{
		"tenants": map[string]any{"@root": map[string]any{}, "acme": map[string]any{}},
		"roles":   roles, "members": map[string]any{"acme": at},
	}, "lab": map[string]any{"stamp": fmt.Sprint(world)}}
}

func number(n int) json.Number { return json.Number(strconv.Itoa(n)) }

// stamping wraps the library's decision, so that a denial without a role says whose it is.
const stamping = `package linear

decision := object.union(data.rolegate.decision, {"stamp": data.lab.stamp})
`

// snapshots compiles the role library once, over the data of each world.
func snapshots(t *testing.T) []*policy.Snapshot {
	t.Helper()
	modules, err := bundles.CoreModules()
	if err != nil {
		t.Fatal(err)
	}
	modules["linear.rego"] = ast.MustParseModuleWithOpts(stamping, ast.ParserOptions{RegoVersion: ast.RegoV1})
	first, err := policy.Compile(t.Context(), policy.Source{Modules: modules, Data: data(0), Entrypoint: "linear/decision"})
	if err != nil {
		t.Fatalf("compile: %v", err)
	}
	all := make([]*policy.Snapshot, 0, worlds)
	for world := range worlds {
		s, err := first.WithData(t.Context(), data(world))
		if err != nil {
			t.Fatalf("world %d: %v", world, err)
		}
		// Analyzed now, installs are quick, and there are many.
		if _, reuse, err := s.Footprint(t.Context(), s.Entrypoint()); err != nil || reuse.Bypass != "" {
			t.Fatalf("world %d: got %+v, %v, want what may be remembered", world, reuse, err)
		}
		all = append(all, s)
	}
	return all
}

// asking makes requests: a member, an action, a clock that moves on and at times steps
// back, and a request id that nobody asked before.
func asking() func(r *rand.Rand) linear.Question {
	var asked atomic.Int64
	return func(r *rand.Rand) linear.Question {
		// Past the last window the clock begins again.
		ms := asked.Add(1) / requestsEachMs % (2*windows*window + 2*window)
		if r.IntN(20) == 0 {
			ms = max(0, ms-r.Int64N(3*window))
		}
		return question(r, r.IntN(questions), ms)
	}
}

func question(r *rand.Rand, id int, ms int64) linear.Question {
	q := linear.Question{
		ID:  id,
		Now: time.UnixMilli(ms),
		Input: policy.Document{
			Subject: policy.Subject{ID: fmt.Sprint("m", id/actions), Type: "user"},
			Route:   route.Match{Tenant: "acme", Resource: "doc", Action: action(id % actions)},
			Rest:    traced(r.Uint64()),
		},
	}
	switch r.IntN(200) {
	case 0:
		q.Limit = time.Nanosecond // over before it begins
	case 1:
		q.Limit = time.Duration(r.IntN(300)) * time.Microsecond
	}
	return q
}

// traced is what differs in every request and must not matter.
func traced(id uint64) func() ast.Object {
	return func() ast.Object {
		headers := ast.NewObject([2]*ast.Term{ast.StringTerm("x-request-id"), ast.StringTerm(strconv.FormatUint(id, 16))})
		http := ast.NewObject([2]*ast.Term{ast.StringTerm("headers"), ast.NewTerm(headers)})
		request := ast.NewObject([2]*ast.Term{ast.StringTerm("http"), ast.NewTerm(http)})
		return ast.NewObject([2]*ast.Term{ast.StringTerm("attributes"), ast.ObjectTerm([2]*ast.Term{ast.StringTerm("request"), ast.NewTerm(request)})})
	}
}

// worldOf tells from an answer whose it is, by what it shows, and whether that world
// would say it.
func worldOf(q linear.Question, d policy.Decision) (int, bool) {
	result, ok := d.Result.(ast.Object)
	if !ok {
		return 0, false
	}
	stamp, _ := result.Get(ast.InternedTerm("stamp")).Value.(ast.String)
	world, err := strconv.Atoi(string(stamp))
	if err != nil {
		return 0, false
	}
	member := q.ID / actions
	allow, reason, holds := expected(world, member, q.ID%actions, q.Now.UnixMilli())
	roles, _ := result.Get(ast.InternedTerm("roles")).Value.(ast.Set)
	if roles == nil || holds != roles.Contains(ast.StringTerm(role(world, member))) || holds != (roles.Len() == 1) {
		return world, false
	}
	return world, (d.Effect == policy.Allow) == allow && d.Reason == reason
}

// newEngine is an engine for a trial, closed with the test.
func newEngine(t *testing.T, cfg policy.Config) *policy.Engine {
	t.Helper()
	cfg.Timeout = time.Minute // a loaded machine is not what the trial is about
	e, err := policy.NewEngine(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// stale decides on a view that is a few requests old, now and then.
func stale(t *testing.T, e *policy.Engine) func(ctx context.Context, v policy.View, q linear.Question) (policy.Decision, error) {
	t.Helper()
	old := e.View()
	n := 0
	return func(ctx context.Context, v policy.View, q linear.Question) (policy.Decision, error) {
		n++
		if n%50 == 0 || !old.Ready() {
			old = v
		}
		return old.Decide(ctx, v.Entrypoint(), q.Input, q.Now)
	}
}
