package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

const (
	// headLimit bounds how long a client may take to send a request's head.
	headLimit = 10 * time.Second
	// httpDrainLimit bounds how long requests under way may take to end.
	httpDrainLimit = 10 * time.Second
)

// httpWay serves a handler at an address.
type httpWay struct {
	name     string // of what is served, in errors and logs
	addr     string
	handler  http.Handler
	log      *zap.Logger
	listener net.Listener
}

// Listen implements [way]. A second call does nothing.
func (h *httpWay) Listen(ctx context.Context) error {
	if h.listener != nil {
		return nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", h.addr)
	if err != nil {
		return fmt.Errorf("listen for %s at %s: %w", h.name, h.addr, err)
	}
	h.listener = l
	return nil
}

// url is where the handler is reached, once it listens.
func (h *httpWay) url() string { return "http://" + h.listener.Addr().String() }

// Run implements [way].
func (h *httpWay) Run(ctx context.Context) error {
	if err := h.Listen(ctx); err != nil {
		return err
	}
	server := &http.Server{Handler: h.handler, ReadHeaderTimeout: headLimit, ErrorLog: zap.NewStdLog(h.log.Named(h.name))}
	served := make(chan error, 1)
	go func() { served <- server.Serve(h.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve %s: %w", h.name, err)
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), httpDrainLimit)
	defer cancel()
	if err := server.Shutdown(limit); err != nil {
		_ = server.Close() // what did not end in time is cut off
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", h.name, err)
	}
	return nil
}
