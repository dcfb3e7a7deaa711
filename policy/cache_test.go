package policy

import (
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy/route"
)

func TestCachedEqualsUncached(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := []string{"ann", "bob"}
		data := map[string]any{}
		windows := map[string]any{}
		for _, id := range ids {
			var list []any
			for range rapid.IntRange(0, 2).Draw(t, "windows") {
				from := rapid.IntRange(0, 20).Draw(t, "from")
				list = append(list, []any{from, from + rapid.IntRange(1, 10).Draw(t, "length")})
			}
			windows[id] = list
		}
		data["windows"] = windows
		m := ast.MustParseModuleWithOpts(small, ast.ParserOptions{RegoVersion: ast.RegoV1})
		s, err := Compile(t.Context(), Source{Modules: map[string]*ast.Module{"small.rego": m}, Data: data})
		if err != nil {
			t.Fatal(err)
		}
		cached, uncached := engineOf(t, Config{Timeout: time.Minute}, s), engineOf(t, Config{Entries: -1, Timeout: time.Minute}, s)
		defer cached.Close()
		defer uncached.Close()
		for range rapid.IntRange(1, 30).Draw(t, "questions") {
			in := Document{
				Subject: Subject{ID: rapid.SampledFrom(ids).Draw(t, "subject")},
				Route:   route.Match{Action: rapid.SampledFrom([]string{"read", "write"}).Draw(t, "action")},
			}
			now := time.UnixMilli(rapid.Int64Range(0, 32).Draw(t, "now")) // steps back and forth
			got, gotErr := cached.View().Decide(t.Context(), DefaultEntrypoint, in, now)
			want, wantErr := uncached.View().Decide(t.Context(), DefaultEntrypoint, in, now)
			if got.Effect != want.Effect || got.Reason != want.Reason || (gotErr == nil) != (wantErr == nil) {
				t.Fatalf("%s at %v: cached %+v, %v, uncached %+v, %v", in.Subject.ID, now.UnixMilli(), got, gotErr, want, wantErr)
			}
			cached.memory.cache.Wait() // sets are asynchronous; waiting makes hits, which are what is tested
		}
	})
}

func engineOf(t *rapid.T, cfg Config, s *Snapshot) *Engine {
	e, err := NewEngine(cfg)
	if err != nil {
		t.Fatal(err)
	}
	e.Install(s)
	return e
}
