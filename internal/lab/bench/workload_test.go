package main

import (
	"strings"
	"testing"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/protobuf/proto"

	"github.com/rolegate/rolegate/internal/lab/token"
)

// TestWorkload holds what the published figures say of the workload.
func TestWorkload(t *testing.T) {
	idp, err := token.New(issuer, keyID)
	if err != nil {
		t.Fatal(err)
	}
	all, err := ask(idp, 1)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(resources()) * len(actions()); got != 50 {
		t.Errorf("%d routes, want 50", got)
	}
	allows := 0
	for i, q := range all {
		if q.allow {
			allows++
		}
		if i%100 != 0 {
			continue
		}
		raw, err := checkRequest(q)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) != requestBytes {
			t.Errorf("%s %s: %d bytes, want %d", q.method, q.path, len(raw), requestBytes)
		}
		at, err := requestIDAt(raw)
		if err != nil {
			t.Fatal(err)
		}
		number(raw, at, 0xabcdef)
		var m authv3.CheckRequest
		if err := proto.Unmarshal(raw, &m); err != nil {
			t.Fatalf("%s %s: %v", q.method, q.path, err)
		}
		headers := m.GetAttributes().GetRequest().GetHttp().GetHeaderMap().GetHeaders()
		if len(headers) != requestHeaders {
			t.Errorf("%s %s: %d headers, want %d", q.method, q.path, len(headers), requestHeaders)
		}
		if last := headers[len(headers)-1]; !strings.HasSuffix(string(last.GetRawValue()), "-000000abcdef") {
			t.Errorf("x-request-id = %s, want it to end in the number", last.GetRawValue())
		}
	}
	if share := float64(allows) / float64(len(all)); share < 0.60 || share > 0.62 {
		t.Errorf("%.3f of the questions are allowed, want 0.61", share)
	}
}
