package extauthz

import (
	"fmt"
	"sync"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/policytest"
	"github.com/rolegate/rolegate/proxy"
)

// TestManyAskAtOnce: what is used for one request after the other never holds two.
func TestManyAskAtOnce(t *testing.T) {
	const callers, each = 8, 400
	engine := policytest.Engine(t, worlds()[1], policy.Config{Timeout: time.Minute, AuditEvery: 50})
	g, err := proxy.New(proxy.Config{MaxTime: time.Minute}, engine, bearers{}, nil, nil, func() time.Time { return time.UnixMilli(1000) }, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	s := New(Config{}, g, zap.NewNop())
	var callersDone sync.WaitGroup
	for caller := range callers {
		callersDone.Go(func() {
			id, tenant := "ann", fmt.Sprintf("t%d", caller)
			if caller%2 == 1 {
				id = fmt.Sprintf("u%d", caller)
			}
			req := checkRequest("/v1/"+tenant+"/documents/d", map[string]string{"authorization": id + "@" + tenant})
			raw, err := proto.Marshal(req)
			if err != nil {
				t.Error(err)
				return
			}
			for range each {
				got := &authv3.CheckResponse{}
				if err := proto.Unmarshal(s.AppendAnswer(t.Context(), nil, string(raw)), got); err != nil {
					t.Error(err)
					return
				}
				said := map[string]string{}
				for _, h := range got.GetOkResponse().GetHeaders() {
					said[h.GetHeader().GetKey()] = h.GetHeader().GetValue()
				}
				allowed := got.GetStatus().GetCode() == 0
				if allowed != (id == "ann") || allowed && (said[proxy.HeaderSubject] != id || said[proxy.HeaderTenant] != tenant) {
					t.Errorf("%s of %s: got %v", id, tenant, got)
					return
				}
			}
		})
	}
	callersDone.Wait()
	if stats := engine.Stats(); stats.Hits == 0 || stats.Mismatches > 0 {
		t.Errorf("got %+v", stats)
	}
}
