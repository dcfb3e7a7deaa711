package unary_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/rolegate/rolegate/proxy/extauthz/unary"
)

// TestContext: the context of an answer is as Go's contexts are, at each time of its
// request, though nobody may ever wait for it.
func TestContext(t *testing.T) {
	for name, c := range map[string]struct {
		timeout string
		answer  func(ctx context.Context) error
	}{
		"without a deadline": {"", func(ctx context.Context) error {
			if at, ok := ctx.Deadline(); ok || !at.IsZero() {
				return fmt.Errorf("got a deadline, %v", at)
			}
			time.Sleep(time.Hour)
			return isErr(ctx, nil)
		}},
		"without a deadline, and somebody waits": {"", func(ctx context.Context) error {
			_ = ctx.Done()
			time.Sleep(time.Hour)
			return errors.Join(isErr(ctx, nil), isDone(ctx, false))
		}},
		"a deadline that is not looked at until it has passed": {"1S", func(ctx context.Context) error {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != time.Second {
				return fmt.Errorf("got %v, %v until the deadline, want a second", ok, time.Until(at))
			}
			time.Sleep(time.Second - 1)
			before := isErr(ctx, nil)
			time.Sleep(time.Nanosecond)
			return errors.Join(before, isErr(ctx, context.DeadlineExceeded), isDone(ctx, true), isErr(ctx, context.DeadlineExceeded))
		}},
		"a deadline that is waited for": {"1S", func(ctx context.Context) error {
			began := time.Now()
			<-ctx.Done()
			if took := time.Since(began); took != time.Second {
				return fmt.Errorf("it ended after %v, want a second", took)
			}
			return isErr(ctx, context.DeadlineExceeded)
		}},
		"one that is made of it": {"1S", func(ctx context.Context) error {
			derived, cancel := context.WithCancel(context.WithValue(ctx, key{}, "value"))
			defer cancel()
			before := isErr(derived, nil)
			if got := derived.Value(key{}); got != "value" {
				return fmt.Errorf("got the value %v", got)
			}
			<-derived.Done()
			return errors.Join(before, isErr(derived, context.DeadlineExceeded))
		}},
		"when the connection is ended": {"", func(ctx context.Context) error { // for its age
			time.Sleep(5 * time.Hour)
			return errors.Join(isErr(ctx, context.Canceled), isDone(ctx, true))
		}},
		"when the connection is ended, and somebody waits": {"", func(ctx context.Context) error {
			<-ctx.Done()
			return isErr(ctx, context.Canceled)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				cfg.MaxAge, cfg.AgeGrace = 2*time.Hour, 2*time.Hour
				answered := make(chan context.Context, 1)
				var last error
				cfg.Answer = func(ctx context.Context, dst []byte, message string) []byte {
					if got := ctx.Value(key{}); got != nil {
						t.Errorf("got the value %v, which nobody gave", got)
					}
					if err := c.answer(ctx); err != nil {
						t.Error(err)
					}
					last = ctx.Err()
					answered <- ctx
					return say(ctx, dst, message)
				}
				p, all, stop := bubble(t, cfg)
				var more []string
				if c.timeout != "" {
					more = []string{"grpc-timeout", c.timeout}
				}
				p.headers(1, false, fields(more...)...)
				p.must(p.WriteData(1, true, framed("x")))
				ctx := <-answered
				synctest.Wait() // it has been answered
				before := ctx.Err()
				if before == nil || last != nil && !errors.Is(before, last) {
					t.Errorf("the context of an answer that was given: got %v, and %v before", before, last)
				}
				if err := errors.Join(isDone(ctx, true), isErr(ctx, before)); err != nil {
					t.Error(err)
				}
				stop(time.Second)
				<-all
			})
		})
	}
}

// bubble is a server and its client, within a bubble of time. all is what the client has
// heard when the connection has ended.
func bubble(t *testing.T, cfg unary.Config, settings ...http2.Setting) (p *peer, all <-chan *heard, stop func(time.Duration)) {
	t.Helper()
	client, stop := piped(t, cfg)
	p = pipedPeer(t, client)
	all = p.listener(func(*heard, http2.Frame) bool { return false })
	p.write([]byte(http2.ClientPreface))
	p.must(p.WriteSettings(settings...))
	return p, all, stop
}

// key is of a value in a context.
type key struct{}

func isErr(ctx context.Context, want error) error {
	if got := ctx.Err(); !errors.Is(got, want) {
		return fmt.Errorf("the context's error: got %w, want %w", got, want)
	}
	return nil
}

func isDone(ctx context.Context, want bool) error {
	waits := ctx.Done()
	if ctx.Done() != waits {
		return errors.New("who waits a second time waits for something else")
	}
	synctest.Wait()
	got := false
	select {
	case <-waits:
		got = true
	default:
	}
	if got != want {
		return fmt.Errorf("the context has ended: got %v, want %v", got, want)
	}
	return nil
}

// TestOneReads: a connection is read by one goroutine at a time, however often it is said
// that an answer takes longer, and though answers were given meanwhile.
func TestOneReads(t *testing.T) {
	cfg := config()
	cfg.Answer = func(ctx context.Context, dst []byte, message string) []byte {
		for range 3 {
			_ = ctx.Done()
		}
		return say(ctx, dst, message)
	}
	_, addr := serve(t, cfg)
	p := dial(t, addr)
	for round := range uint32(50) {
		var ids []uint32
		for i := range uint32(40) {
			id := 2*(40*round+i) + 1
			p.ask(id, fmt.Sprint("message ", id))
			ids = append(ids, id)
		}
		answers := p.until(doneOrOver(ids...)).answers
		for _, id := range ids {
			if got, want := answers[id], said(fmt.Sprint("message ", id)); got != want {
				t.Fatalf("stream %d: got %+v, want %+v", id, got, want)
			}
		}
	}
}

// doneOrOver is done, or that the connection has ended.
func doneOrOver(ids ...uint32) func(*heard, http2.Frame) bool {
	all := done(ids...)
	return func(h *heard, f http2.Frame) bool { return f == nil || all(h, f) }
}

// TestAnswersAreApart: an answer that was begun and takes longer holds nothing of those that
// are given meanwhile, nor they of it.
func TestAnswersAreApart(t *testing.T) {
	cfg := config()
	release := make(chan struct{})
	cfg.Answer = func(ctx context.Context, dst []byte, message string) []byte {
		dst = say(ctx, dst, message)
		if strings.HasPrefix(message, "slow") {
			_ = ctx.Done()
			<-release
		}
		return dst
	}
	_, addr := serve(t, cfg)
	p := dial(t, addr)
	want := map[uint32]answer{}
	ask := func(id uint32, message string) {
		p.ask(id, message)
		want[id] = said(message)
	}
	ask(1, strings.Repeat("first", 100))
	for id := uint32(3); id < 23; id += 4 {
		ask(id, fmt.Sprint("slow, of stream ", id))
		ask(id+2, fmt.Sprint("soon, of stream ", id+2))
	}
	answers := p.until(done(1, 5, 9, 13, 17, 21)).answers
	close(release)
	maps.Copy(answers, p.until(done(3, 7, 11, 15, 19)).answers)
	for id := range want {
		if answers[id] != want[id] {
			t.Errorf("stream %d: got %.100v, want %.100v", id, answers[id], want[id])
		}
	}
}
