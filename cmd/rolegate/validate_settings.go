package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/proxy/certs"
	"github.com/rolegate/rolegate/proxy/identity"
)

// validateSettings tells what is wrong with the settings in a file, with their lines. A
// file that cannot be read is another error than one that is wrong.
func (p *program) validateSettings(ctx context.Context, file string) error {
	s := newSettings(p)
	s.file = file
	err := s.readFile()
	if _, unread := errors.AsType[*fs.PathError](err); unread {
		return err
	}
	if err == nil {
		err = s.judge()
	}
	if err == nil {
		return nil
	}
	_ = p.exit(ctx, err) // prints it
	return errNo
}

// judge asks the packages whose settings can be judged without anything else.
func (s *settings) judge() error {
	_, err := identity.New(s.cfg.Identity, nil, zap.NewNop())
	problems := []error{s.locate(err)}
	for _, l := range [...]struct {
		path string
		tls  certs.Config
	}{{"grpc.tls", s.cfg.GRPC.TLS}, {"http.tls", s.cfg.HTTP.TLS}} {
		if !l.tls.Enabled() {
			continue
		}
		if _, err := certs.New(l.tls, zap.NewNop()); err != nil {
			problems = append(problems, fmt.Errorf("%s:%d: %s: %w", s.name, s.lineOf(l.path), l.path, err))
		}
	}
	return errors.Join(problems...)
}
