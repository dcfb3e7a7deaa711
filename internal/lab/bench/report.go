package main

import (
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"
)

// machine says what the figures were made on, without naming it.
func machine() string {
	return fmt.Sprintf("%d cores, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// workloadReport says what was asked and what an allow says.
func workloadReport(w io.Writer, answer []byte) error {
	headers, metadata, err := responseSize(answer)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, `machine: %s
workload: CheckRequest of %d bytes, %d headers, unique x-request-id; %d routes, %d tenants of %d users, %d of them with a token, %d questions
answer of an allow: %d bytes, %d header changes, %d metadata fields
`, machine(), requestBytes, requestHeaders, len(resources())*len(actions()), tenants, usersPerTenant, sessions, questions,
		len(answer), headers, metadata)
	return nil
}

// directReport is the table of servers asked without Envoy. The first server is the
// one that the others are compared with.
func directReport(w io.Writer, servers []*server, inFlight int) error {
	base := servers[0]
	fmt.Fprintf(w, "\nAsked over gRPC, %d in flight, %d rounds\n\n", inFlight, len(base.rounds))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "server\tCPU/check\t× always-OK\t(least–most)\tp50\t×\tp99\t×\tchecks/s\tallowed\t")
	for _, s := range servers {
		cpu, ratio := s.over(round.perCheck), s.ratio(base, round.perCheck)
		fmt.Fprintf(t, "%s\t%s\t%.2f\t(%.2f–%.2f)\t%s\t%.2f\t%s\t%.2f\t%.0f\t%.0f %%\t\n",
			s.name, short(cpu.median), ratio.median, ratio.least, ratio.most,
			short(s.over(p50).median), s.ratio(base, p50).median,
			short(s.over(p99).median), s.ratio(base, p99).median,
			s.over(rate).median, 100*s.over(share).median)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range servers {
		if late, all := s.late(); late > 0 {
			fmt.Fprintf(w, "\n%s: %d of %d checks had no answer in time and were refused with 503\n", s.name, late, all)
		}
	}
	return nil
}

// envoyReport is the table of servers asked by Envoy.
func envoyReport(w io.Writer, servers []*server, inFlight int) error {
	base := servers[0]
	fmt.Fprintf(w, "\nBehind Envoy, %d clients, %d rounds\n\n", inFlight, len(base.rounds))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "server\trequests/s\t× always-OK\t(least–most)\tp50\tp99\t")
	for _, s := range servers {
		ratio := s.ratio(base, rate)
		fmt.Fprintf(t, "%s\t%.0f\t%.2f\t(%.2f–%.2f)\t%s\t%s\t\n", s.name, s.over(rate).median,
			ratio.median, ratio.least, ratio.most, short(s.over(p50).median), short(s.over(p99).median))
	}
	return t.Flush()
}

// The figures of a round.
func p50(r round) float64  { return float64(r.report.Percentile(50)) }
func p99(r round) float64  { return float64(r.report.Percentile(99)) }
func rate(r round) float64 { return r.report.PerSecond() }
func share(r round) float64 {
	return float64(r.report.Outcomes[outcomeAllow]) / float64(r.report.Requests)
}

// short is a duration of so many nanoseconds, to three digits.
func short(ns float64) string {
	d := time.Duration(ns)
	switch {
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	default:
		return d.Round(100 * time.Nanosecond).String()
	}
}
