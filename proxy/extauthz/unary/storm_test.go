package unary_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// storm is one client of TestStorm: one goroutine asks, another hears.
type storm struct {
	*peer
	random *rand.Rand

	mu        sync.Mutex // of the framer's writing, and below
	want      map[uint32]answer
	withdrawn map[uint32]bool
}

// answerInTime answers "wait" when it is taken back, and the others soon: at once, or later.
func answerInTime(ctx context.Context, dst []byte, message string) []byte {
	switch kind, _, _ := strings.Cut(message, " "); kind {
	case "wait":
		<-ctx.Done()
	case "later":
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(len(message)%7) * 100 * time.Microsecond):
		}
	case "sub": // who asks a context that is made of this one waits, too
		ctx, cancel := context.WithTimeout(ctx, time.Duration(len(message)%3)*time.Millisecond)
		<-ctx.Done()
		cancel()
	}
	return append(append(dst, "said "...), message...)
}

// ask sends one request of any kind, in any pieces.
func (s *storm) ask(id uint32, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kind := []string{"quick", "quick", "quick", "later", "sub", "wait", "empty", "oversized"}[s.random.IntN(8)]
	message := kind + " " + name + " " + strings.Repeat("m", s.random.IntN(3000))
	body := framed(message)
	s.want[id] = said(message)
	switch kind {
	case "empty":
		body = nil
		s.want[id] = answer{Status: "200", GRPC: "13"}
	case "oversized":
		body = framed(strings.Repeat("x", 33<<10))[:10]
		s.want[id] = answer{Status: "200", GRPC: "8"}
	}
	block := s.encode(fields("x-request-id", name)...)
	cut := s.random.IntN(len(block)-1) + 1
	if err := s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block[:cut], PadLength: uint8(s.random.IntN(20))}); err != nil {
		return err
	}
	if err := s.WriteContinuation(id, true, block[cut:]); err != nil {
		return err
	}
	for s.random.IntN(2) == 0 && len(body) > 0 {
		cut := s.random.IntN(len(body))
		if err := s.WriteDataPadded(id, false, body[:cut], make([]byte, s.random.IntN(9))); err != nil {
			return err
		}
		body = body[cut:]
	}
	if err := s.WriteData(id, true, body); err != nil {
		return err
	}
	if kind == "wait" || s.random.IntN(10) == 0 {
		s.withdrawn[id] = true
		return s.WriteRSTStream(id, http2.ErrCodeCancel)
	}
	return nil
}

// hear hears until the connection ends, and gives the server room bit by bit.
func (s *storm) hear() *heard {
	s.stingy = true
	return <-s.listener(func(_ *heard, f http2.Frame) bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch f := f.(type) {
		case *http2.DataFrame:
			if n := uint32(len(f.Data())); n > 0 { // a client that does not end its windows
				_ = s.WriteWindowUpdate(0, n)
				_ = s.WriteWindowUpdate(f.StreamID, n)
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = s.WritePing(true, f.Data)
			}
		}
		return false
	})
}

// TestStorm: whatever else is asked, taken back or wrong, and though the server stops in the
// middle, each request is answered by its own answer, or its client knows that it is not.
func TestStorm(t *testing.T) {
	const seeds = 2
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cfg := config()
			cfg.Answer, cfg.MaxStreams = answerInTime, 50
			server, addr := serve(t, cfg)
			var asking, hearing sync.WaitGroup
			stopping := make(chan struct{})
			for n := range 6 {
				s := &storm{
					peer: dial(t, addr, http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(30 + 100*n)}), random: rand.New(rand.NewPCG(seed, uint64(n))),
					want: map[uint32]answer{}, withdrawn: map[uint32]bool{},
				}
				hearing.Go(func() { s.check(t, s.hear()) })
				asking.Go(func() {
					for i := range uint32(2000) {
						select {
						case <-stopping:
							if i%100 == 0 { // a while longer
								return
							}
						default:
						}
						if s.ask(2*i+1, fmt.Sprintf("%d of %d", i, n)) != nil {
							return // the server has closed the connection
						}
						if s.random.IntN(20) == 0 {
							time.Sleep(time.Millisecond)
						}
					}
				})
			}
			time.Sleep(150 * time.Millisecond)
			close(stopping)
			ctx, cancel := context.WithTimeout(t.Context(), deadline)
			defer cancel()
			server.Stop(ctx)
			if ctx.Err() != nil {
				t.Error("the connections did not end by themselves")
			}
			asking.Wait()
			hearing.Wait()
		})
	}
}

// check judges what a client has heard.
func (s *storm) check(t *testing.T, h *heard) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	last := uint32(0)
	for _, g := range h.goAway {
		if last = g.LastStreamID; g.ErrCode != http2.ErrCodeNo {
			t.Errorf("got goodbye %v", g.ErrCode)
		}
	}
	answered, refused := 0, 0
	for id, got := range h.answers {
		want, asked := s.want[id]
		switch {
		case !asked:
			t.Errorf("stream %d: got %.100v, which nobody asked for", id, got)
		case got.Reset == http2.ErrCodeRefusedStream && got.Status == "":
			refused++
		case s.withdrawn[id] && got.GRPC == "": // a part, at most
		case got.Reset == http2.ErrCodeNo && got == want:
			answered++
		default:
			t.Errorf("stream %d: got %.100v, want %.100v", id, got, want)
		}
	}
	for id := range s.want {
		if got, heard := h.answers[id]; (!heard || got.GRPC == "" && got.Reset == 0) && id <= last && !s.withdrawn[id] {
			t.Errorf("stream %d: no answer, and the last goodbye was after %d; want %.100v", id, last, s.want[id])
		}
	}
	t.Logf("of %d requests %d were answered, %d refused, %d taken back; the goodbye was after %d", len(s.want), answered, refused, len(s.withdrawn), last)
}
