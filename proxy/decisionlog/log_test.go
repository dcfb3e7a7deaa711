package decisionlog

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/policy/route"
	"github.com/rolegate/rolegate/proxy"
)

func TestMain(m *testing.M) {
	flag.Bool("update", false, "rewrite the lines in testdata")
	goleak.VerifyTestMain(m)
}

func record(id string) proxy.Record {
	return proxy.Record{
		ID: id, Time: time.UnixMilli(1_800_000_000_123).In(time.FixedZone("", 3600)), Protocol: proxy.ProtocolGRPC,
		Method: "GET", Host: "api.example.com", Path: "/v1/acme/documents/a&b", Subject: "ann", Kind: "user",
		Route: route.Match{
			Set: "docs", ID: "doc", Resource: "documents", Action: "read", Tenant: "5f0c", Path: "acme.documents",
			Owner: "ann", RolesAny: []string{"auditor"}, Params: map[string]string{"doc": "a&b"},
		},
		Tenant: "acme", Effect: policy.Allow, Verdict: policy.VerdictAllow, Reason: policy.ReasonAllowed,
		Generation: 7, Revisions: map[string]string{"roles": "r2", "members": "m9"}, Origin: policy.OriginHit,
		Duration: 1500 * time.Nanosecond,
	}
}

// counted is the value of the metric.
func counted(tb testing.TB, l *Log) float64 {
	tb.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(l.dropped)
	families, err := reg.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "rolegate_decision_log_dropped_total" {
		tb.Fatalf("got %v, %v, want one metric", families, err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

func open(t *testing.T, cfg Config) *Log {
	t.Helper()
	l, err := New(cfg, nil, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// written runs the log on the records and answers its lines.
func written(t *testing.T, records ...proxy.Record) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "decisions.jsonl")
	l := open(t, Config{Path: path})
	for _, r := range records {
		l.Record(r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // what is queued is written all the same
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return lines(t, path)
}

func lines(t *testing.T, path string) (list []string) {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for s := bufio.NewScanner(file); s.Scan(); {
		list = append(list, s.Text())
	}
	return list
}

// The lines are a format that other programs read.
func TestLines(t *testing.T) {
	malformed := proxy.Record{
		ID: "2", Time: time.UnixMilli(1_800_000_000_123), Protocol: proxy.ProtocolHTTP, Method: "GET",
		Verdict: policy.VerdictError, Reason: policy.ReasonMalformedRequest, Error: "path refused: nul at byte 3",
	}
	unmatched := record("3")
	unmatched.Route = route.Match{Error: route.NoRoute}
	unmatched.Effect, unmatched.Verdict, unmatched.Reason = policy.Deny, policy.VerdictNoRoute, policy.ReasonNoRoute
	got := strings.Join(written(t, record("1"), malformed, unmatched), "\n") + "\n"
	const golden = "testdata/lines.jsonl"
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLinesAreReadBack(t *testing.T) {
	want := entryOf(record("1"))
	var got Entry
	if err := json.Unmarshal([]byte(written(t, record("1"))[0]), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-written +read):\n%s", diff)
	}
}

// A field of a record that a line lacks is a fault of the log, unless it is left out
// on purpose.
func TestEveryFieldIsWritten(t *testing.T) {
	left := []string{"Effect"} // said by the verdict
	for i := range reflect.TypeFor[proxy.Record]().NumField() {
		var r proxy.Record
		name := reflect.TypeFor[proxy.Record]().Field(i).Name
		before := entryOf(r)
		reflect.ValueOf(&r).Elem().Field(i).Set(reflect.ValueOf(record("1")).Field(i))
		switch name {
		case "Error":
			r.Error = "x"
		case "DryRun":
			r.DryRun = true
		}
		if cmp.Equal(before, entryOf(r)) && !slices.Contains(left, name) {
			t.Errorf("Record.%s is in no line", name)
		}
	}
}

func TestFullQueueDropsAndCounts(t *testing.T) {
	l := open(t, Config{Path: filepath.Join(t.TempDir(), "log"), Queue: 3})
	for range 5 {
		l.Record(record("1"))
	}
	if got := counted(t, l); got != 2 {
		t.Errorf("got %v dropped, want 2 of 5 with a queue of 3", got)
	}
}

// TestRotation moves the file away while the log runs, on a clock of its own.
func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	synctest.Test(t, func(t *testing.T) {
		l := open(t, Config{Path: path})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		l.Record(record("1"))
		synctest.Wait()
		if err := os.Rename(path, path+".1"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * rotateEvery)
		synctest.Wait()
		l.Record(record("2"))
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	})
	for file, id := range map[string]string{path + ".1": "1", path: "2"} {
		if got := lines(t, file); len(got) != 1 || !strings.Contains(got[0], `"id":"`+id+`"`) {
			t.Errorf("%s: got %q, want the one line of decision %s", filepath.Base(file), got, id)
		}
	}
}

// TestFailingDisk writes to a device that is always full.
func TestFailingDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	core, logs := observer.New(zap.ErrorLevel)
	l, err := New(Config{Path: "/dev/full"}, prometheus.NewRegistry(), zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	const n = 1000 // more than one buffer
	for range n {
		l.Record(record("1"))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := counted(t, l); got != n {
		t.Errorf("got %v dropped, want all %d", got, n)
	}
	if logs.Len() != 1 {
		t.Errorf("got %d log lines, want one: %v", logs.Len(), logs.All())
	}
}

// TestDiskThatRecovers: what comes after a failed write is written, and nothing twice.
func TestDiskThatRecovers(t *testing.T) {
	l := open(t, Config{Path: os.DevNull})
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	disk := &flaky{fails: 1}
	l.out = disk
	l.buffer.Reset(disk)
	for _, id := range []string{"1", "2"} {
		l.write(record(id))
		l.flush()
	}
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	got := string(disk.written)
	if strings.Contains(got, `"id":"1"`) || strings.Count(got, `"id":"2"`) != 1 || counted(t, l) != 1 {
		t.Errorf("got %q and %v dropped, want the second line alone and 1", got, counted(t, l))
	}
}

// flaky fails so many times, then writes.
type flaky struct {
	fails   int
	written []byte
}

func (f *flaky) Write(p []byte) (int, error) {
	if f.fails > 0 {
		f.fails--
		return 0, os.ErrDeadlineExceeded
	}
	f.written = append(f.written, p...)
	return len(p), nil
}

func TestBadPathEndsTheProgram(t *testing.T) {
	if err := open(t, Config{Path: filepath.Join(t.TempDir(), "no", "such", "folder")}).Run(t.Context()); err == nil {
		t.Error("got no error")
	}
	if _, err := New(Config{Queue: -1}, nil, zap.NewNop()); err == nil {
		t.Error("a queue of -1 is accepted")
	}
}

// BenchmarkRecord is what a request pays, with a queue that has room.
func BenchmarkRecord(b *testing.B) {
	l, err := New(Config{Path: os.DevNull, Queue: 1 << 10}, nil, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	r := record("1")
	b.ReportAllocs()
	for b.Loop() {
		l.Record(r)
		<-l.queue
	}
}

// BenchmarkWrite is what the writer takes for a line: the rate at which records may
// come without being dropped.
func BenchmarkWrite(b *testing.B) {
	l, err := New(Config{Path: os.DevNull}, nil, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	if err := l.Open(); err != nil {
		b.Fatal(err)
	}
	r := record("1")
	b.ReportAllocs()
	for b.Loop() {
		l.write(r)
	}
	if err := l.end(); err != nil {
		b.Fatal(err)
	}
}
