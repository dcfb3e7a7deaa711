package policytest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/policy/route"
)

const world = `A member of one tenant holds one role; a bundle of the user's own adds a deny.
-- authz.rego --
package authz

deny contains "frozen" if data.frozen[input.subject.id]
-- data.json --
{"frozen": {"bob": true},
 "rbac": {
  "tenants": {"@root": {}, "acme": {}},
  "roles": {"reader": {"owner": "@root", "key": "reader", "allow": {"documents": {"read": {".": true}}}}},
  "members": {"acme": {"ann": {"grants": {"reader": []}}, "bob": {"grants": {"reader": []}}}}}}
`

func TestTheLibraryAndTheArchiveDecideTogether(t *testing.T) {
	view := policytest.Engine(t, world, policy.Config{Timeout: time.Minute, AuditEvery: 1}).View()
	for id, want := range map[string]string{"ann": "allow allowed", "bob": "deny frozen", "eve": "deny not_member"} {
		d, err := view.Decide(t.Context(), policy.DefaultEntrypoint, policy.Document{
			Subject: policy.Subject{ID: id, Type: "user"},
			Route:   route.Match{Tenant: "acme", Resource: "documents", Action: "read"},
		}, time.UnixMilli(1))
		if got := fmt.Sprint(d.Effect, " ", d.Reason); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", id, got, err, want)
		}
	}
}
