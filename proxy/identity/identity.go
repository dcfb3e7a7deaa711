package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/rolegate/rolegate/policy"
	"github.com/rolegate/rolegate/proxy"
)

// defaultPoll is how often key files are looked at: a stat costs microseconds, and
// until the look a removed key still verifies.
const defaultPoll = time.Second

// Identity tells who asks. It may be used concurrently; before [Identity.Load] or
// [Identity.Run] it has no keys, and every token is bad.
type Identity struct {
	authenticators []proxy.Authenticator
	files          []*watchedFile
	remotes        []*remote
	headers        []string // that are believed, in lower case
	memories       []*memory
	poll           time.Duration
	metrics        *metrics
	log            *zap.Logger
	looking        sync.Mutex // held while the files are looked at
}

// watchedFile is a key file with what logs say of it.
type watchedFile struct {
	*keyFile
	issuers []string // whose keys it holds
	problem string   // that was logged last; "": none
}

// New checks the configuration; its error names every field that is wrong and what
// would be right. reg may be nil.
func New(cfg Config, reg prometheus.Registerer, log *zap.Logger) (*Identity, error) {
	id := &Identity{poll: cfg.Poll, metrics: newMetrics(), log: log.Named("identity")}
	if id.poll == 0 {
		id.poll = defaultPoll
	}
	b := builder{cfg: cfg, id: id}
	b.build()
	if err := errors.Join(b.problems...); err != nil {
		return nil, err
	}
	if err := id.metrics.register(reg); err != nil {
		return nil, err
	}
	if len(id.headers) > 0 {
		id.log.Warn("headers are believed: whoever can speak as one of the listed peers can be anybody", zap.Strings("headers", id.headers))
	}
	return id, nil
}

// Headers are the names, in lower case, of headers that are believed of trusted peers: no
// copy of one that a client sent may reach the upstream.
func (id *Identity) Headers() []string { return id.headers }

// Authenticate implements [proxy.Authenticator]: the first authenticator that finds
// its credential decides. An error is a bad credential, as one word
// ([token.Error]).
func (id *Identity) Authenticate(ctx context.Context, view policy.View, c proxy.Credentials) (policy.Subject, error) {
	for _, a := range id.authenticators {
		subject, err := a.Authenticate(ctx, view, c)
		if err != nil || subject.ID != "" {
			return subject, err
		}
	}
	return policy.Subject{}, nil
}

// Load looks at every key file, and fetches every key set, now. The error names the
// files that have no keys in use; a file that went bad after it was good is only logged,
// and so is a set that cannot be fetched: an issuer that is down must not keep a server
// from starting that has others to answer for. Its tokens are refused meanwhile.
func (id *Identity) Load(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	id.looking.Lock()
	defer id.looking.Unlock()
	id.look()
	id.fetch(ctx)
	var problems []error
	for _, f := range id.files {
		if f.inUse() == nil {
			problems = append(problems, fmt.Errorf("key file %s of issuer %s: %w", f.path, strings.Join(f.issuers, ", "), f.err))
		}
	}
	return errors.Join(problems...)
}

// fetch fetches every key set that was not fetched yet, all at once.
func (id *Identity) fetch(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for _, r := range id.remotes {
		if r.held.Load() == nil {
			all.Go(func() { r.refresh(ctx) })
		}
	}
}

// Run looks at the key files, and fetches the key sets, until ctx is done; then it
// returns nil.
func (id *Identity) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	for _, r := range id.remotes {
		all.Go(func() { r.run(ctx) })
	}
	ticks := time.NewTicker(id.poll)
	defer ticks.Stop()
	for {
		id.looking.Lock()
		id.look()
		id.looking.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
	}
}

// look has every file looked at once.
func (id *Identity) look() {
	now := time.Now()
	anyChanged := false
	for _, f := range id.files {
		changed, err := f.look(now)
		id.report(f, changed, err)
		anyChanged = anyChanged || changed
	}
	if anyChanged {
		id.sweep()
	}
}

// sweep forgets what keys that are no longer in use verified.
func (id *Identity) sweep() {
	now := time.Now()
	for _, m := range id.memories {
		m.sweep(now)
	}
}

func (id *Identity) report(f *watchedFile, changed bool, err error) {
	log := id.log.With(zap.Strings("issuers", f.issuers), zap.String("file", f.path))
	if err != nil {
		id.metrics.unreadable.Inc()
		if f.problem == "" {
			id.metrics.broken.Inc()
		}
		if f.problem != err.Error() {
			f.problem = err.Error()
			log.Error("key file is of no use", zap.Error(err), zap.Bool("keeps_last_good", f.inUse() != nil))
		}
		return
	}
	if f.problem != "" {
		id.metrics.broken.Dec()
		if !changed {
			log.Info("key file is well again")
		}
	}
	f.problem = ""
	if !changed {
		return
	}
	id.metrics.refreshed.Inc()
	tellKeys(log, f.inUse())
}
