package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rolegate/rolegate/internal/lab/upstream"
)

// question is what one request asks.
type question struct {
	member int
	action action
	path   string
	forged string // a credential to use instead of the member's
	bad    bool   // forged is used, though it may be ""
}

// reply is what came of it.
type reply struct {
	outcome string // "200", "503", "canceled", "reset"
	world   int64  // of an allow
}

// The outcomes that have no status.
const (
	canceled = "canceled"
	refused  = "503 by rolegate" // Envoy's own is a plain 503
	reset    = "reset"
	late     = "late"
	// wronglyDenied is a 401 or 403 for what every world that was in force grants.
	wronglyDenied = "denied though granted"
)

// any makes a question: mostly a member's, now and then a forger's.
func (b *bed) any(r *rand.Rand) question {
	q := question{member: r.IntN(members), action: action(r.IntN(2)), path: "/w/" + strconv.Itoa(r.IntN(1000))}
	if r.IntN(16) == 0 {
		q.member, q.bad, q.forged = always, true, b.forged[r.IntN(len(b.forged))]
		q.action = read
	}
	return q
}

// unique makes a question that memory cannot answer.
func (b *bed) unique(r *rand.Rand) question {
	q := b.any(r)
	q.action, q.path = read, "/u/"+strconv.FormatUint(r.Uint64(), 36)
	return q
}

func (a action) method() string {
	if a == write {
		return http.MethodPut
	}
	return http.MethodGet
}

func (b *bed) credential(q question) string {
	if q.bad {
		return q.forged
	}
	return b.tokens[q.member]
}

// ask asks one question.
func (b *bed) ask(ctx context.Context, q question) reply {
	known := &asked{member: q.member, action: q.action, forged: q.bad}
	id := b.checker.begin(known)
	req, err := http.NewRequestWithContext(ctx, q.action.method(), b.envoy.URL()+q.path, http.NoBody)
	if err != nil {
		return reply{outcome: reset}
	}
	req.Header.Set(idHeader, id)
	if c := b.credential(q); c != "" {
		req.Header.Set("Authorization", "Bearer "+c)
	}
	resp, err := b.client.Do(req)
	if err != nil { // it may still arrive, so its id is kept
		return reply{outcome: failure(ctx, err)}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return reply{outcome: failure(ctx, err)}
	}
	defer b.checker.end(id)
	out := reply{outcome: strconv.Itoa(resp.StatusCode)}
	switch resp.StatusCode {
	case http.StatusOK:
		var seen upstream.Seen
		if json.Unmarshal(bytes.TrimSpace(body), &seen) == nil {
			out.world, _ = strconv.ParseInt(strings.Join(seen.Header["x-world"], ""), 10, 64)
		}
	case http.StatusServiceUnavailable:
		if resp.Header.Get("X-Rolegate-Decision-Id") != "" {
			out.outcome = refused
		}
	case http.StatusUnauthorized, http.StatusForbidden:
		if !b.checker.deniable(known) {
			out.outcome = wronglyDenied
		}
	}
	return out
}

func failure(ctx context.Context, err error) string {
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return canceled
	case ctx.Err() != nil, ok && timeout.Timeout():
		return late
	default:
		return reset
	}
}

// truncate sends half of what it announces, and goes.
func (b *bed) truncate(ctx context.Context, q question) string {
	const announced, sent = 4096, 100
	id := b.checker.begin(&asked{member: q.member, action: write, forged: q.bad})
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.envoy.Addr())
	if err != nil {
		return reset
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(requestLimit))
	_, err = fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: app\r\n%s: %s\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
		q.path, idHeader, id, b.credential(q), announced, strings.Repeat("x", sent))
	if err != nil {
		return reset
	}
	return "truncated"
}
