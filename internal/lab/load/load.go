// Package load asks the same question over and over and says what it got.
package load

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const (
	// Latencies are kept in nanoseconds from 1 µs to 1 minute, to three digits.
	lowest  = int64(time.Microsecond)
	highest = int64(time.Minute)
	digits  = 3
)

// Ask makes one request and names its outcome ("200", "reset"). worker counts from
// 0; n counts that worker's requests.
type Ask func(ctx context.Context, worker, n int) (outcome string)

// Report is what a load got.
type Report struct {
	Took     time.Duration
	Requests int64
	Outcomes map[string]int64
	Latency  *hdrhistogram.Histogram // nanoseconds, of all requests
}

// Closed has each worker ask, wait for the answer and ask again, until ctx is done.
// A request that was under way then is finished and counted: ask gets a context that
// outlives ctx.
func Closed(ctx context.Context, workers int, ask Ask) Report {
	began := time.Now()
	each := make([]Report, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { each[w] = one(ctx, w, ask) })
	}
	wg.Wait()
	return sum(time.Since(began), each)
}

func one(ctx context.Context, worker int, ask Ask) Report {
	r := empty()
	for n := 0; ctx.Err() == nil; n++ {
		began := time.Now()
		outcome := ask(context.WithoutCancel(ctx), worker, n)
		// Out of range is the highest: an answer of a minute is nothing to measure.
		_ = r.Latency.RecordValue(min(max(int64(time.Since(began)), lowest), highest))
		r.Outcomes[outcome]++
		r.Requests++
	}
	return r
}

func empty() Report {
	return Report{Outcomes: map[string]int64{}, Latency: hdrhistogram.New(lowest, highest, digits)}
}

func sum(took time.Duration, each []Report) Report {
	all := empty()
	all.Took = took
	for _, r := range each {
		all.Add(r)
	}
	return all
}

// Add adds another report, as if both were one load.
func (r *Report) Add(o Report) {
	r.Took += o.Took
	r.Requests += o.Requests
	r.Latency.Merge(o.Latency)
	for outcome, n := range o.Outcomes {
		r.Outcomes[outcome] += n
	}
}

// PerSecond is the rate over the whole load.
func (r Report) PerSecond() float64 {
	if r.Took <= 0 {
		return 0
	}
	return float64(r.Requests) / r.Took.Seconds()
}

// Percentile is a latency: Percentile(99) is that of the slowest of a hundred.
func (r Report) Percentile(p float64) time.Duration {
	return time.Duration(r.Latency.ValueAtPercentile(p))
}

// String lists the outcomes: "200=991 503=9 in 1.2s".
func (r Report) String() string {
	var b strings.Builder
	for _, outcome := range slices.Sorted(maps.Keys(r.Outcomes)) {
		fmt.Fprintf(&b, "%s=%d ", outcome, r.Outcomes[outcome])
	}
	fmt.Fprintf(&b, "in %s", r.Took.Round(time.Millisecond))
	return b.String()
}
