package extauthz

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/rolegate/rolegate/proxy/certs"
)

// port is where a server is asked. The zero value is not open.
type port struct {
	listener net.Listener
	socket   atomic.Pointer[socket] // the listener, if it is one
	ready    atomic.Bool
	certs    *certs.Certs // nil: no TLS
}

// open listens at addr, host:port or unix:// and a path.
func (p *port) open(ctx context.Context, addr string, mode os.FileMode) (err error) {
	path, unix := strings.CutPrefix(addr, "unix://")
	if !unix {
		p.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		return err
	}
	l, err := bindUnix(ctx, path, mode)
	if err != nil {
		return err
	}
	p.listener = l
	p.socket.Store(l)
	if p.ready.Load() {
		return l.place()
	}
	return nil
}

// Addr is where the server listens; nil before Listen.
func (p *port) Addr() net.Addr {
	if p.listener == nil {
		return nil
	}
	return p.listener.Addr()
}

// setReady says whether the server may be asked. When it may be for the first time, its
// unix socket takes the place of the one before it.
func (p *port) setReady(ready bool, log *zap.Logger) {
	p.ready.Store(ready)
	if l := p.socket.Load(); ready && l != nil {
		if err := l.place(); err != nil {
			// Nobody would ever ask this server: its end is what a human hears of.
			log.Error("cannot take over the socket", zap.Error(errors.Join(err, l.Close())))
		}
	}
}
