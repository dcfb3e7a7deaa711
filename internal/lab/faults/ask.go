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
	member     int
	action     action
	path       string
	credential string // "": none
	forged     bool   // the credential is nobody's
	key        int64  // see [asked]
	body       *body  // nil: none
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

// as asks as a member, whom the first issuer vouches for.
func (b *bed) as(member int, a action, path string) question {
	return question{member: member, action: a, path: path, credential: b.tokens[member]}
}

// any makes a question: mostly a member's, now and then a forger's, or one with a body.
func (b *bed) any(r *rand.Rand) question {
	q := b.as(r.IntN(members), action(r.IntN(2)), "/w/"+strconv.Itoa(r.IntN(1000)))
	current := b.current.Load()
	switch r.IntN(32) {
	case 0, 1:
		q = question{member: always, action: read, path: q.path, forged: true, credential: b.forged[r.IntN(len(b.forged))]}
	case 2:
		q = b.as(always, read, q.path)
		q.credential, q.key = current.next, current.key+1
	case 3:
		if q = b.as(always, read, q.path); current.before != "" {
			q.credential, q.key = current.before, current.key-1
		}
	case 4, 5:
		q = b.withBody(r)
	}
	if !q.forged && q.key == 0 && r.IntN(2) == 0 {
		q.credential, q.key = current.tokens[q.member], current.key
	}
	return q
}

// unique makes a question that memory cannot answer.
func (b *bed) unique(r *rand.Rand) question {
	q := b.any(r)
	q.action, q.path, q.body = read, "/u/"+strconv.FormatUint(r.Uint64(), 36), nil
	return q
}

// withBody makes a question whose answer is in its body.
func (b *bed) withBody(r *rand.Rand) question {
	place := []struct {
		prefix string
		action action
	}{{"/pay/", pay}, {"/whole/", pay}, {"/note/", note}}[r.IntN(3)]
	q := b.as(r.IntN(members), place.action, place.prefix+strconv.Itoa(r.IntN(10)))
	q.body = anyBody(r, place.action)
	return q
}

func (a action) method() string {
	switch a {
	case write:
		return http.MethodPut
	case pay, note:
		return http.MethodPost
	case read, slow:
	}
	return http.MethodGet
}

// request makes the request of a question.
func (b *bed) request(ctx context.Context, q question) (*http.Request, error) {
	var content io.Reader = http.NoBody
	if q.body != nil {
		content = strings.NewReader(q.body.text)
		if q.body.chunked {
			content = io.MultiReader(content) // whose length nobody knows
		}
	}
	req, err := http.NewRequestWithContext(ctx, q.action.method(), b.envoy.URL()+q.path, content)
	if err != nil {
		return nil, err
	}
	if q.body != nil {
		req.Header.Set("Content-Type", q.body.kind)
		if q.body.lie {
			req.Header.Set("X-Envoy-Auth-Partial-Body", "false")
		}
	}
	if q.credential != "" {
		req.Header.Set("Authorization", "Bearer "+q.credential)
	}
	return req, nil
}

// ask asks one question.
func (b *bed) ask(ctx context.Context, q question) reply {
	req, err := b.request(ctx, q)
	if err != nil {
		return reply{outcome: reset}
	}
	known := &asked{member: q.member, action: q.action, forged: q.forged, key: q.key, body: q.body}
	id := b.checker.begin(known)
	req.Header.Set(idHeader, id)
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
	id := b.checker.begin(&asked{member: q.member, action: q.action, forged: q.forged, key: q.key, body: q.body})
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", b.envoy.Addr())
	if err != nil {
		return reset
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(requestLimit))
	_, err = fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: app\r\n%s: %s\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s",
		q.action.method(), q.path, idHeader, id, q.credential, announced, strings.Repeat("x", sent))
	if err != nil {
		return reset
	}
	return "truncated"
}
