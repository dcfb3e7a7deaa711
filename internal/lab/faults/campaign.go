package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"
)

// Config is a campaign.
type Config struct {
	Binary   string // rolegate
	Bundles  fs.FS  // what it is asked by; the world is added
	Dir      string // for its files, its own; the path must be short, for a socket is in it
	Requests int64  // at least
	Faults   int    // at least; each kind in turn, in a random order
	Askers   int    // who ask all the time
	Seed     uint64
}

// Report is what came of it.
type Report struct {
	Requests, Passed int64 // asked; that reached the application
	Wrong            int64 // that should not have
	Shown            []string
	Worlds           int64 // that were in force
	Took             time.Duration
	Kinds            []Kind
}

// Kind is one kind of fault, or "" for the time between faults.
type Kind struct {
	Name     string
	Faults   int
	Outcomes map[string]int64 // of the requests that ended meanwhile
	Took     time.Duration
}

// backOff is how long who got no answer waits: a refusal costs nothing, and there would
// be a million of them.
const backOff = 20 * time.Millisecond

// isLost says whether a request got no decision, or the wrong one.
func isLost(outcome string) bool {
	switch outcome {
	case "200", "400", "401", "403", "413", canceled, "truncated":
		return false
	default:
		return true
	}
}

// Lost is how many got no decision, or the wrong one.
func (k Kind) Lost() (n int64) {
	for outcome, count := range k.Outcomes {
		if isLost(outcome) {
			n += count
		}
	}
	return n
}

// Refused is how many were denied what every world that was in force grants.
func (k Kind) Refused() int64 { return k.Outcomes[wronglyDenied] }

// Total is how many requests ended.
func (k Kind) Total() (n int64) {
	for _, count := range k.Outcomes {
		n += count
	}
	return n
}

// campaign is a run under way.
type campaign struct {
	cfg      Config
	bed      *bed
	requests atomic.Int64

	mu    sync.Mutex
	now   string // the fault under way
	kinds map[string]*Kind
}

// Run breaks things until there were enough requests and faults. An error means that
// something did not come back.
func Run(ctx context.Context, cfg Config) (report Report, err error) {
	began := time.Now()
	c := &campaign{cfg: cfg, kinds: map[string]*Kind{"": {}}}
	c.bed, err = newBed(ctx, cfg)
	defer func() { err = errors.Join(err, c.bed.close()) }()
	if err != nil {
		return report, err
	}
	load, stop := context.WithCancel(ctx)
	var askers sync.WaitGroup
	for i := range cfg.Askers {
		r := rand.New(rand.NewPCG(cfg.Seed, uint64(i)+1))
		askers.Go(func() {
			for load.Err() == nil {
				got := c.bed.ask(ctx, c.bed.any(r)).outcome
				c.count(got)
				if isLost(got) {
					rest(load, backOff)
				}
			}
		})
	}
	err = c.breakAll(ctx)
	stop()
	askers.Wait()
	check := c.bed.checker
	report = Report{
		Requests: c.requests.Load(), Passed: check.passed.Load(), Wrong: check.wrong.Load(), Shown: check.shown,
		Worlds: check.written.Load(), Took: time.Since(began),
	}
	for _, name := range slices.Sorted(maps.Keys(c.kinds)) {
		report.Kinds = append(report.Kinds, *c.kinds[name])
	}
	if err != nil {
		err = fmt.Errorf("%w\nrolegate:\n%s\nEnvoy:\n%s", err, tail(c.bed.gate.Stderr()), tail(c.bed.envoy.Log()))
	}
	return report, err
}

// breakAll does one fault after the other, with a little time between them.
func (c *campaign) breakAll(ctx context.Context) error {
	r := rand.New(rand.NewPCG(c.cfg.Seed, 0))
	for done := 0; done < c.cfg.Faults || c.requests.Load() < c.cfg.Requests; {
		list := all()
		r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for _, f := range list {
			began := time.Now()
			c.begin(f.name)
			err := f.do(ctx, c, r)
			c.begin("")
			c.mu.Lock()
			c.kinds[f.name].Faults++
			c.kinds[f.name].Took += time.Since(began)
			c.mu.Unlock()
			if err := errors.Join(f.wrap(err), ctx.Err()); err != nil {
				return err
			}
			done++
			if done >= c.cfg.Faults && c.requests.Load() >= c.cfg.Requests {
				break
			}
			rest(ctx, lookEvery)
		}
	}
	return nil
}

func (c *campaign) begin(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = name
	if c.kinds[name] == nil {
		c.kinds[name] = &Kind{Name: name, Outcomes: map[string]int64{}}
	}
}

// count notes the outcome of a request, with the fault under way.
func (c *campaign) count(outcome string) {
	c.requests.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.kinds[c.now]
	if k.Outcomes == nil {
		k.Outcomes = map[string]int64{}
	}
	k.Outcomes[outcome]++
}

// Print writes a table.
func (r Report) Print(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "fault\ttimes\ttook each\trequests\tlost\tlost %\toutcomes")
	for _, k := range r.Kinds {
		name, each := k.Name, k.Took
		if name == "" {
			name = "(between)"
		} else {
			each /= time.Duration(max(1, k.Faults))
		}
		var outcomes []string
		for _, outcome := range slices.Sorted(maps.Keys(k.Outcomes)) {
			outcomes = append(outcomes, fmt.Sprintf("%s=%d", outcome, k.Outcomes[outcome]))
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%d\t%d\t%.2f\t%s\n", name, k.Faults, each.Round(time.Millisecond),
			k.Total(), k.Lost(), 100*float64(k.Lost())/float64(max(1, k.Total())), strings.Join(outcomes, " "))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d requests in %s, %d reached the application, %d wrongly; %d worlds\n",
		r.Requests, r.Took.Round(time.Second), r.Passed, r.Wrong, r.Worlds)
	return err
}

// tail is the last 8 KiB.
func tail(s string) string {
	const most = 8 << 10
	if len(s) > most {
		return "…" + s[len(s)-most:]
	}
	return s
}
