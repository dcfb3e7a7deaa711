package unary_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// TestContext: the context of an answer is as Go's contexts are, at each time of its
// request, though nobody may ever wait for it.
func TestContext(t *testing.T) {
	for name, c := range map[string]struct {
		timeout string
		answer  func(t *testing.T, ctx context.Context)
	}{
		"without a deadline": {"", func(t *testing.T, ctx context.Context) {
			if at, ok := ctx.Deadline(); ok || !at.IsZero() {
				t.Errorf("got a deadline, %v", at)
			}
			time.Sleep(time.Hour)
			isErr(t, ctx, nil)
		}},
		"without a deadline, and somebody waits": {"", func(t *testing.T, ctx context.Context) {
			_ = ctx.Done()
			time.Sleep(time.Hour)
			isErr(t, ctx, nil)
			isOpen(t, ctx)
		}},
		"a deadline that is not looked at until it has passed": {"1S", func(t *testing.T, ctx context.Context) {
			if at, ok := ctx.Deadline(); !ok || time.Until(at) != time.Second {
				t.Errorf("got %v, %v until the deadline, want a second", ok, time.Until(at))
			}
			time.Sleep(time.Second - 1)
			isErr(t, ctx, nil)
			time.Sleep(1)
			isErr(t, ctx, context.DeadlineExceeded)
			isClosed(t, ctx)
			isErr(t, ctx, context.DeadlineExceeded)
		}},
		"a deadline that is waited for": {"1S", func(t *testing.T, ctx context.Context) {
			began := time.Now()
			<-ctx.Done()
			if took := time.Since(began); took != time.Second {
				t.Errorf("it ended after %v, want a second", took)
			}
			isErr(t, ctx, context.DeadlineExceeded)
		}},
		"one that is made of it": {"1S", func(t *testing.T, ctx context.Context) {
			derived, cancel := context.WithCancel(context.WithValue(ctx, key{}, "value"))
			defer cancel()
			isErr(t, derived, nil)
			if got := derived.Value(key{}); got != "value" {
				t.Errorf("got the value %v", got)
			}
			<-derived.Done()
			isErr(t, derived, context.DeadlineExceeded)
		}},
		"when the connection is ended": {"", func(t *testing.T, ctx context.Context) { // for its age
			time.Sleep(5 * time.Hour)
			isErr(t, ctx, context.Canceled)
			isClosed(t, ctx)
		}},
		"when the connection is ended, and somebody waits": {"", func(t *testing.T, ctx context.Context) {
			<-ctx.Done()
			isErr(t, ctx, context.Canceled)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config()
				cfg.MaxAge, cfg.AgeGrace = 2*time.Hour, 2*time.Hour
				answered := make(chan context.Context, 1)
				cfg.Answer = func(ctx context.Context, dst []byte, message string) []byte {
					if got := ctx.Value(key{}); got != nil {
						t.Errorf("got the value %v, which nobody gave", got)
					}
					c.answer(t, ctx)
					answered <- ctx
					return say(ctx, dst, message)
				}
				client, stop := piped(t, cfg)
				p := pipedPeer(t, client)
				all := p.listener(func(*heard, http2.Frame) bool { return false })
				p.write([]byte(http2.ClientPreface))
				p.must(p.WriteSettings())
				var more []string
				if c.timeout != "" {
					more = []string{"grpc-timeout", c.timeout}
				}
				p.headers(1, false, fields(more...)...)
				p.must(p.WriteData(1, true, framed("x")))
				ctx := <-answered
				synctest.Wait() // it has been answered
				before := ctx.Err()
				if before == nil {
					t.Error("the context of an answer that was given has not ended")
				}
				isClosed(t, ctx)
				isErr(t, ctx, before)
				stop(time.Second)
				<-all
			})
		})
	}
}

// key is of a value in a context.
type key struct{}

func isErr(t *testing.T, ctx context.Context, want error) {
	t.Helper()
	if got := ctx.Err(); !errors.Is(got, want) {
		t.Errorf("its error: got %v, want %v", got, want)
	}
}

func isClosed(t *testing.T, ctx context.Context) {
	t.Helper()
	synctest.Wait()
	select {
	case <-ctx.Done():
	default:
		t.Error("who waits for it waits, want that it has ended")
	}
}

func isOpen(t *testing.T, ctx context.Context) {
	t.Helper()
	select {
	case <-ctx.Done():
		t.Error("it has ended")
	default:
	}
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
	all := done(slices.Clone(ids)...)
	return func(h *heard, f http2.Frame) bool { return f == nil || all(h, f) }
}
