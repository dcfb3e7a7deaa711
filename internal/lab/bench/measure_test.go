package main

import (
	"context"
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/rolegate/rolegate/internal/lab/alwaysok"
	"github.com/rolegate/rolegate/internal/lab/load"
	"github.com/rolegate/rolegate/internal/lab/token"
)

var update = flag.Bool("update", false, "rewrite testdata")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   spread
	}{
		{nil, spread{}},
		{[]float64{3}, spread{3, 3, 3}},
		{[]float64{3, 1, 2}, spread{2, 1, 3}},
		{[]float64{4, 1, 2, 3}, spread{2.5, 1, 4}},
	} {
		if got := spreadOf(c.values); got != c.want {
			t.Errorf("spreadOf(%v) = %v, want %v", c.values, got, c.want)
		}
	}
}

// TestAllows holds the short reading of an answer against the whole one.
func TestAllows(t *testing.T) {
	for _, code := range []codes.Code{codes.OK, codes.PermissionDenied, codes.Unavailable, codes.Unauthenticated} {
		r := &authv3.CheckResponse{Status: &rpcstatus.Status{Code: int32(code)}}
		raw, err := proto.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := allows(raw), code == codes.OK; got != want {
			t.Errorf("allows of status %s (% x) = %t, want %t", code, raw, got, want)
		}
	}
	if allows(nil) {
		t.Error("allows of an empty answer, want false: nothing was decided")
	}
}

// TestOutcome tells a decision that came too late from one that is wrong.
func TestOutcome(t *testing.T) {
	denied := func(code typev3.StatusCode) []byte {
		raw, err := proto.Marshal(&authv3.CheckResponse{
			Status: &rpcstatus.Status{Code: int32(codes.PermissionDenied)},
			HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
				Status: &typev3.HttpStatus{Code: code},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	for _, c := range []struct {
		allow  bool
		answer []byte
		want   string
	}{
		{false, denied(typev3.StatusCode_Forbidden), outcomeDeny},
		{true, denied(typev3.StatusCode_Forbidden), outcomeWrong},
		{true, denied(typev3.StatusCode_ServiceUnavailable), outcomeLate},
		{true, []byte{0x0a, 0x00}, outcomeAllow},
		{false, []byte{0x0a, 0x00}, outcomeWrong},
		{false, nil, outcomeDeny},
	} {
		if got := outcome(question{allow: c.allow}, c.answer, nil, false); got != c.want {
			t.Errorf("outcome of % x where allow=%t is %s, want %s", c.answer, c.allow, got, c.want)
		}
	}
}

// TestMeasure asks an always-OK server in this process.
func TestMeasure(t *testing.T) {
	s := &server{name: "always-OK", pid: os.Getpid(), blind: true, client: serve(t)}
	if err := s.warm(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := measured(t, s)
	if err != nil {
		t.Fatal(err)
	}
	if r.report.Requests == 0 || r.report.Outcomes[outcomeAllow] != r.report.Requests {
		t.Errorf("measured %s, want only allows", r.report)
	}
	if r.cpu <= 0 {
		t.Errorf("CPU time = %s, want some", r.cpu)
	}
}

// TestMeasureRefusesWrongAnswers: whoever allows everything must not pass for a server
// that decides.
func TestMeasureRefusesWrongAnswers(t *testing.T) {
	s := &server{name: "always-OK", pid: os.Getpid(), client: serve(t)}
	if err := s.warm(t.Context()); err == nil || !strings.Contains(err.Error(), "wrong") {
		t.Errorf("warm = %v, want an error of a wrong answer", err)
	}
	if _, err := measured(t, s); err == nil || !strings.Contains(err.Error(), "wrong") {
		t.Errorf("measure = %v, want an error of wrong answers", err)
	}
}

// measured measures for as long as it takes to ask anything: on a busy machine a time may
// pass without.
func measured(t *testing.T, s *server) (round, error) {
	t.Helper()
	for each := 50 * time.Millisecond; ; each *= 2 {
		if r, err := s.measure(t.Context(), 2, each); err != nil || r.report.Requests > 0 || each > patience {
			return r, err
		}
	}
}

func TestReport(t *testing.T) {
	base := fake("always-OK", 40*time.Microsecond, 200*time.Microsecond)
	hit := fake("rolegate hit", 20*time.Microsecond, 150*time.Microsecond)
	var b strings.Builder
	if err := directReport(&b, []*server{base, hit}, 16); err != nil {
		t.Fatal(err)
	}
	if err := envoyReport(&b, []*server{base, hit}, 16); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "report.txt")
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// fake is a server of two rounds, the second twice as slow.
func fake(name string, cpu, latency time.Duration) *server {
	s := &server{name: name}
	for n := range 2 {
		r := load.Closed(done(), 1, nil)
		r.Took, r.Requests = time.Second, 1000
		r.Outcomes = map[string]int64{outcomeAllow: 610, outcomeDeny: 390}
		_ = r.Latency.RecordValue(int64(latency) << n)
		s.rounds = append(s.rounds, round{report: r, cpu: 1000 * cpu << n})
	}
	return s
}

func done() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// serve runs an always-OK server for one test and answers a client of it.
func serve(t *testing.T) *client {
	t.Helper()
	idp, err := token.New(issuer, keyID)
	if err != nil {
		t.Fatal(err)
	}
	all, err := ask(idp, 1)
	if err != nil {
		t.Fatal(err)
	}
	corpus, err := requests(all[:100])
	if err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error)
	go func() { ended <- alwaysok.Serve(ctx, l, alwaysok.Plain()) }()
	c, err := dial(l.Addr().String(), corpus)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.close(); err != nil {
			t.Error(err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return c
}
