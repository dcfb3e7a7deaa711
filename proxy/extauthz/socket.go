package extauthz

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
)

// socket is a unix socket that is bound beside its path and renamed over it: whoever
// connects finds the old server or the new one, never none. The file is left there at
// the end, for by then it may be the next server's.
type socket struct {
	net.Listener
	path, temp string

	mu  sync.Mutex
	put bool
}

// bindUnix binds a socket. It is put in its place at once, unless a server listens
// there: then that one is asked, until the new one is ready to be ([socket.place]).
func bindUnix(ctx context.Context, path string, mode os.FileMode) (*socket, error) {
	if strings.HasPrefix(path, "@") { // an abstract socket: Linux has no file for it
		l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
		if err != nil {
			return nil, err
		}
		return &socket{Listener: l, put: true}, nil
	}
	if !strings.HasPrefix(path, "/") {
		return nil, errors.New("a socket's address is unix:// and an absolute path")
	}
	temp := path + "." + strconv.Itoa(os.Getpid())
	_ = os.Remove(temp) // that a crash left; what cannot be removed, nothing can be bound to
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", temp)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	s := &socket{Listener: l, path: path, temp: temp}
	if err = os.Chmod(temp, mode); err == nil && !listens(ctx, path) {
		err = s.place()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// listens says whether somebody does: a file that a crash left refuses.
func listens(ctx context.Context, path string) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// place puts the socket where it is looked for. Once is enough.
func (s *socket) place() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.put {
		return nil
	}
	if err := os.Rename(s.temp, s.path); err != nil {
		return fmt.Errorf("put the socket in its place: %w", err)
	}
	s.put = true
	return nil
}

// Close closes the socket, and removes what was not put in its place.
func (s *socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.Listener.Close()
	if !s.put {
		s.put = true // not any more
		err = errors.Join(err, os.Remove(s.temp))
	}
	return err
}
