package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rolegate/rolegate/internal/lab/load"
)

// server is one of those that are compared.
type server struct {
	name    string
	address string
	pid     int
	client  *client
	warming int  // how often each question is asked before it counts; 0 means once
	blind   bool // allows everything: its answers are not compared with the roles
	rounds  []round
}

// round is what a server did while it was asked for a while.
type round struct {
	report load.Report
	cpu    time.Duration // of the server's process
}

// perCheck is the CPU time of one check.
func (r round) perCheck() float64 { return float64(r.cpu) / float64(r.report.Requests) }

// alternate has each server measured in turn, rounds times: what the machine does
// meanwhile hits all of them.
func alternate(rounds int, servers []*server, measure func(*server) (round, error)) error {
	for n := range rounds {
		for i := range servers {
			s := servers[(i+n)%len(servers)] // nobody always runs after the same one
			r, err := measure(s)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.rounds = append(s.rounds, r)
		}
	}
	return nil
}

func (s *server) measure(ctx context.Context, inFlight int, each time.Duration) (round, error) {
	before, err := cpuTime(s.pid)
	if err != nil {
		return round{}, err
	}
	report := s.load(ctx, inFlight, each)
	after, err := cpuTime(s.pid)
	if err != nil {
		return round{}, err
	}
	decided := report.Outcomes[outcomeAllow] + report.Outcomes[outcomeDeny]
	if bad := report.Requests - decided - report.Outcomes[outcomeLate]; bad > 0 {
		return round{}, fmt.Errorf("%d of %d answers are no decision or a wrong one: %s", bad, report.Requests, report)
	}
	return round{report: report, cpu: after - before}, nil
}

func (s *server) load(ctx context.Context, inFlight int, each time.Duration) load.Report {
	ctx, cancel := context.WithTimeout(ctx, each)
	defer cancel()
	return load.Closed(ctx, inFlight, func(ctx context.Context, worker, _ int) string {
		q, answer, err := s.client.send(ctx, worker, rand.IntN(len(s.client.corpus))) //nolint:gosec // a workload, not a secret
		return outcome(q, answer, err, s.blind)
	})
}

// warm asks every question and checks every answer. Who remembers answers is asked
// twice: what is measured is neither the first answer nor the first from memory.
func (s *server) warm(ctx context.Context) error {
	for n := range max(1, s.warming) * len(s.client.corpus) {
		q, answer, err := s.client.send(ctx, n, n)
		switch got := outcome(q, answer, err, s.blind); got {
		case outcomeAllow, outcomeDeny, outcomeLate:
		default:
			return fmt.Errorf("%s: %s %s is %s, want allow=%t (%w)", s.name, q.method, q.path, got, q.allow, err)
		}
	}
	return nil
}

// spread is a figure over the rounds.
type spread struct{ median, least, most float64 }

func spreadOf(values []float64) spread {
	if len(values) == 0 {
		return spread{}
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := sorted[len(sorted)/2]
	if len(sorted)%2 == 0 {
		mid = (mid + sorted[len(sorted)/2-1]) / 2
	}
	return spread{median: mid, least: sorted[0], most: sorted[len(sorted)-1]}
}

// late counts the answers that came too late, of all.
func (s *server) late() (late, all int64) {
	for _, r := range s.rounds {
		late += r.report.Outcomes[outcomeLate]
		all += r.report.Requests
	}
	return late, all
}

// over is a figure of each round.
func (s *server) over(figure func(round) float64) spread {
	values := make([]float64, len(s.rounds))
	for i, r := range s.rounds {
		values[i] = figure(r)
	}
	return spreadOf(values)
}

// ratio is a figure over the base's of the same round.
func (s *server) ratio(base *server, figure func(round) float64) spread {
	values := make([]float64, 0, len(s.rounds))
	for i := range min(len(s.rounds), len(base.rounds)) {
		values = append(values, figure(s.rounds[i])/figure(base.rounds[i]))
	}
	return spreadOf(values)
}
