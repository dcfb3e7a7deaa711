package policy

import (
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/rolegate/rolegate/policy/route"
)

// values are drawn from few names, so that near misses are frequent.
func values() *rapid.Generator[ast.Value] {
	text := rapid.SampledFrom([]string{"", "a", "b", "ab", "a\x00b", "\x05\x01a", "a.b", "1"})
	return rapid.Deferred(func() *rapid.Generator[ast.Value] {
		return rapid.Custom(func(t *rapid.T) ast.Value {
			switch rapid.IntRange(0, 7).Draw(t, "kind") {
			case 0:
				return ast.Null{}
			case 1:
				return ast.Boolean(rapid.Bool().Draw(t, "bool"))
			case 2:
				return ast.Number(rapid.SampledFrom([]string{"0", "1", "10", "1e1"}).Draw(t, "number"))
			case 3, 4:
				return ast.String(text.Draw(t, "text"))
			case 5:
				var terms []*ast.Term
				for range rapid.IntRange(0, 2).Draw(t, "length") {
					terms = append(terms, ast.NewTerm(values().Draw(t, "element")))
				}
				return ast.NewArray(terms...)
			case 6:
				s := ast.NewSet()
				for range rapid.IntRange(0, 2).Draw(t, "size") {
					s.Add(ast.NewTerm(values().Draw(t, "member")))
				}
				return s
			default:
				o := ast.NewObject()
				for range rapid.IntRange(0, 2).Draw(t, "size") {
					o.Insert(ast.StringTerm(text.Draw(t, "key")), ast.NewTerm(values().Draw(t, "value")))
				}
				return o
			}
		})
	})
}

func TestKeysAreEqualOnlyForEqualQuestions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a1, a2 := values().Draw(t, "subject 1"), values().Draw(t, "subject 2")
		b1, b2 := values().Draw(t, "route 1"), values().Draw(t, "route 2")
		g1, g2 := rapid.Uint64Range(1, 3).Draw(t, "generation 1"), rapid.Uint64Range(1, 3).Draw(t, "generation 2")
		same := g1 == g2 && a1.Compare(a2) == 0 && b1.Compare(b2) == 0
		k1, k2 := keyOf(g1, "e", a1, b1), keyOf(g2, "e", a2, b2)
		if k1 == k2 && !same {
			t.Fatalf("one key for two questions: %v %v of %d and %v %v of %d", a1, b1, g1, a2, b2, g2)
		}
		if again := keyOf(g1, "e", a1, b1); again != k1 {
			t.Fatalf("two keys for one question: %q and %q", k1, again)
		}
	})
}

func TestAnAbsentSubjectIsNotAnEmptyOne(t *testing.T) {
	keys := map[string]string{}
	for name, v := range map[string]ast.Value{"absent": nil, "null": ast.Null{}, "empty": ast.NewObject(), "text": ast.String("")} {
		k := keyOf(1, "e", v, nil)
		if other, ok := keys[k]; ok {
			t.Errorf("%s and %s share a key", name, other)
		}
		keys[k] = name
	}
}

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
