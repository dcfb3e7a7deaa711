package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rolegate/rolegate/internal/lab/sidecar"
	"github.com/rolegate/rolegate/internal/lab/token"
)

// How rolegate fetches the second issuer's keys.
const (
	refresh   = time.Second // the shortest that it takes
	maxStale  = 3 * time.Second
	fetchTime = 500 * time.Millisecond
)

// trouble is what a provider has.
type trouble int

const (
	well    trouble = iota
	away            // nobody listens
	failing         // answers 500
	hanging         // accepts, and never answers
	troubles
)

// provider is the second issuer: it publishes its keys on a port of its own, changes
// them, and has trouble. Its methods are called by one fault at a time.
type provider struct {
	keys    *keyRecord
	address string
	server  *http.Server // nil while nobody listens

	mu    sync.Mutex // of what follows
	doc   []byte
	state trouble
}

// newProvider finds a port, on which nobody listens yet.
func newProvider(ctx context.Context, keys *keyRecord) (*provider, error) {
	address, err := sidecar.FreePort(ctx)
	return &provider{keys: keys, address: address, state: away}, err
}

// uri is where the keys are published.
func (p *provider) uri() string { return "http://" + p.address + "/jwks.json" }

// publish replaces the set, for those who fetch it from here on.
func (p *provider) publish(issuers ...token.Issuer) error {
	var all []json.RawMessage
	for _, i := range issuers {
		var set struct {
			Keys []json.RawMessage `json:"keys"`
		}
		doc, err := i.JWKS()
		if err == nil {
			err = json.Unmarshal(doc, &set)
		}
		if err != nil {
			return fmt.Errorf("publish a key: %w", err)
		}
		all = append(all, set.Keys...)
	}
	doc, err := json.Marshal(map[string]any{"keys": all})
	p.mu.Lock()
	p.doc = doc
	p.mu.Unlock()
	return err
}

// set has the provider be in trouble, or well again.
func (p *provider) set(ctx context.Context, next trouble) error {
	p.mu.Lock()
	p.state = next
	p.mu.Unlock()
	switch {
	case next == away && p.server != nil:
		server := p.server
		p.server = nil
		return server.Close()
	case next == away || p.server != nil:
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.address)
	if err != nil {
		return fmt.Errorf("have the issuer back: %w", err)
	}
	p.server = &http.Server{Handler: p, ReadHeaderTimeout: patience}
	go func(s *http.Server) { _ = s.Serve(l) }(p.server) // until close
	return nil
}

// ServeHTTP implements [http.Handler].
func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	doc, state := bytes.Clone(p.doc), p.state
	p.mu.Unlock()
	switch state {
	case failing:
		http.Error(w, "no keys today", http.StatusInternalServerError)
	case hanging:
		<-r.Context().Done() // whoever waits gives up, or the server is closed
	case well, away, troubles:
		p.keys.handed.Store(time.Now().UnixNano()) // before anybody can use them
		_, _ = w.Write(doc)
	}
}

func (p *provider) close() error {
	if p.server == nil {
		return nil
	}
	err := p.server.Close()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// credentials are the tokens that are current: one key's, and those of the keys before and
// after it, which nobody publishes.
type credentials struct {
	key          int64 // its number, from 1
	tokens       []string
	before, next string // of the member who may always read; "" for none
}

// wallet holds the second issuer's keys and signs with them.
type wallet struct {
	issuers []token.Issuer // key n is issuers[n-1]
}

// grow makes keys until there are n.
func (w *wallet) grow(n int64) error {
	for int64(len(w.issuers)) < n {
		i, err := token.New(secondIssuer, fmt.Sprintf("r%d", len(w.issuers)+1))
		if err != nil {
			return err
		}
		w.issuers = append(w.issuers, i)
	}
	return nil
}

// issue makes the tokens of a key, and those of its neighbors.
func (w *wallet) issue(key int64) (*credentials, error) {
	if err := w.grow(key + 1); err != nil {
		return nil, err
	}
	c := &credentials{key: key}
	var errs []error
	sign := func(n int64, m int) string {
		signed, err := w.issuers[n-1].Sign(claimsOf(m))
		errs = append(errs, err)
		return signed
	}
	for m := range members {
		c.tokens = append(c.tokens, sign(key, m))
	}
	c.next = sign(key+1, always)
	if key > 1 {
		c.before = sign(key-1, always)
	}
	return c, errors.Join(errs...)
}
