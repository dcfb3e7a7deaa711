package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/rolegate/rolegate/internal/lab/envoy"
	"github.com/rolegate/rolegate/internal/lab/sidecar"
	"github.com/rolegate/rolegate/internal/lab/token"
)

// bed is what a measurement stands on: the servers that are compared, and every
// process that has to end with it.
type bed struct {
	options
	dir     string
	servers []*server
	running []func() error // ends of processes and connections, in the order of their start
}

func newBed(ctx context.Context, o options) (*bed, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	b := &bed{options: o, dir: dir}
	if b.binary == "" {
		if b.binary, err = sidecar.Build(ctx, dir); err != nil {
			return nil, errors.Join(err, b.close())
		}
	}
	return b, nil
}

// close ends what runs, last first.
func (b *bed) close() error {
	var errs []error
	for _, end := range slices.Backward(b.running) {
		errs = append(errs, end())
	}
	return errors.Join(append(errs, os.RemoveAll(b.dir))...)
}

// prepare starts the servers: always-OK, rolegate whose every answer is a hit, and
// rolegate that remembers no decision. Every question has been asked of each.
func (b *bed) prepare(ctx context.Context, out io.Writer) error {
	idp, err := token.New(issuer, keyID)
	if err != nil {
		return err
	}
	if err := writeInputs(b.dir, idp); err != nil {
		return err
	}
	all, err := ask(idp, b.seed)
	if err != nil {
		return err
	}
	corpus, err := requests(all)
	if err != nil {
		return err
	}
	if err := b.addRolegate(ctx, "rolegate hit", "", 2, corpus); err != nil {
		return err
	}
	if err := b.addRolegate(ctx, "rolegate miss", withoutCache, 0, corpus); err != nil {
		return err
	}
	// It says what rolegate says, so it can only start now; but it is the first.
	answer, err := oneAllow(ctx, b.servers[0].client)
	if err != nil {
		return err
	}
	if err := b.addAlwaysOK(ctx, answer, corpus); err != nil {
		return err
	}
	b.servers = append(b.servers[2:], b.servers[:2]...)
	for _, s := range b.servers {
		if err := s.warm(ctx); err != nil {
			return err
		}
	}
	return workloadReport(out, answer)
}

func (b *bed) addRolegate(ctx context.Context, name, extra string, warming int, corpus []request) error {
	s, address, err := startRolegate(ctx, b.binary, b.dir, extra)
	if err != nil {
		return err
	}
	b.running = append(b.running, s.Stop)
	return b.add(&server{name: name, address: address, pid: s.PID(), warming: warming}, corpus)
}

func (b *bed) addAlwaysOK(ctx context.Context, answer []byte, corpus []request) error {
	p, address, err := startAlwaysOK(ctx, b.dir, answer)
	if err != nil {
		return err
	}
	b.running = append(b.running, p.Stop)
	return b.add(&server{name: "always-OK", address: address, pid: p.PID(), blind: true}, corpus)
}

func (b *bed) add(s *server, corpus []request) error {
	c, err := dial(s.address, corpus)
	if err != nil {
		return err
	}
	b.running = append(b.running, c.close)
	s.client = c
	b.servers = append(b.servers, s)
	return nil
}

// behindEnvoy measures always-OK and the hits again, each behind an Envoy of its own.
func (b *bed) behindEnvoy(ctx context.Context, out io.Writer) error {
	servers, envoys := b.servers[:2], map[*server]*envoy.Envoy{}
	for _, s := range servers {
		s.rounds = nil
		e, err := startEnvoy(ctx, s.address)
		if err != nil {
			return err
		}
		b.running = append(b.running, e.Stop)
		envoys[s] = e
		// Connections, and what is remembered.
		if _, err := s.throughEnvoy(ctx, e, b.inFlight, b.each/2); err != nil {
			return fmt.Errorf("%s behind Envoy: %w", s.name, err)
		}
	}
	err := alternate(b.rounds, servers, func(s *server) (round, error) {
		return s.throughEnvoy(ctx, envoys[s], b.inFlight, b.each)
	})
	if err != nil {
		return err
	}
	return envoyReport(out, servers, b.inFlight)
}
