package extauthz

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
)

// ask answers what a new connection to a socket is told of the health of who is there.
func ask(t *testing.T, path string) healthv1.HealthCheckResponse_ServingStatus {
	t.Helper()
	conn, err := grpc.NewClient("unix://"+path, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r, err := healthv1.NewHealthClient(conn).Check(t.Context(), &healthv1.HealthCheckRequest{})
	if err != nil {
		t.Errorf("nobody answers at %s: %v", filepath.Base(path), err)
	}
	return r.GetStatus()
}

// files of the socket's folder.
func files(t *testing.T, path string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// TestSocketIsTakenOver: a second server takes the place of the first when it is ready,
// and not before; the first goes on answering who is connected.
func TestSocketIsTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authz.sock")
	cfg := Config{Addr: "unix://" + path, SocketMode: 0o600}
	first := New(cfg, testGate(t, zap.NewNop()), zap.NewNop())
	_, stopFirst := serve(t, first)
	if got := ask(t, path); got != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("alone and not ready: got %s, want an answer that it does not serve", got)
	}
	first.SetReady(true)

	second := New(cfg, testGate(t, zap.NewNop()), zap.NewNop())
	serve(t, second)
	if got := ask(t, path); got != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("while the second is not ready: got %s, want the first", got)
	}
	second.SetReady(false)
	if got := ask(t, path); got != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("when the second says that it is not ready: got %s, want the first", got)
	}
	second.SetReady(true)
	stopFirst()
	if got := ask(t, path); got != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("after the first ended: got %s, want the second", got)
	}
	second.SetReady(false)
	second.SetReady(true) // again: nothing is left to be put in place
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want a socket of mode 0600", info, err)
	}
	if got := files(t, path); len(got) != 1 {
		t.Errorf("got %q, want the socket alone", got)
	}
}

// TestSocketThatIsNeverReady: a server that ends before it was ready leaves the other's
// socket, and none of its own.
func TestSocketThatIsNeverReady(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authz.sock")
	cfg := Config{Addr: "unix://" + path}
	first := New(cfg, testGate(t, zap.NewNop()), zap.NewNop())
	first.SetReady(true)
	serve(t, first)
	_, stopSecond := serve(t, New(cfg, testGate(t, zap.NewNop()), zap.NewNop()))
	stopSecond()
	if got := ask(t, path); got != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("got %s, want the first", got)
	}
	if got := files(t, path); len(got) != 1 {
		t.Errorf("got %q, want the socket alone", got)
	}
}

// TestSocketReadyBeforeItListens: there is nothing to wait for.
func TestSocketReadyBeforeItListens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authz.sock")
	cfg := Config{Addr: "unix://" + path}
	serve(t, New(cfg, testGate(t, zap.NewNop()), zap.NewNop()))
	second := New(cfg, testGate(t, zap.NewNop()), zap.NewNop())
	second.SetReady(true)
	serve(t, second)
	if got := ask(t, path); got != healthv1.HealthCheckResponse_SERVING {
		t.Errorf("got %s, want the second", got)
	}
}

// TestSocketThatCannotBePlaced: a server that nobody would ever ask ends.
func TestSocketThatCannotBePlaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "authz.sock")
	cfg := Config{Addr: "unix://" + path}
	serve(t, New(cfg, testGate(t, zap.NewNop()), zap.NewNop()))
	second := New(cfg, testGate(t, zap.NewNop()), zap.NewNop())
	if err := second.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- second.Run(context.WithoutCancel(t.Context())) }()
	if err := os.Remove(second.socket.Load().temp); err != nil {
		t.Fatal(err)
	}
	second.SetReady(true)
	if err := <-ended; err == nil {
		t.Error("got no error")
	}
}
