package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// connections is what an Envoy with two workers keeps open.
const connections = 2

// rawCodec sends and receives bytes as they are: the client should cost little beside
// the server that is measured.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	b, ok := v.([]byte)
	if !ok {
		return nil, fmt.Errorf("cannot send a %T", v)
	}
	return mem.BufferSlice{mem.SliceBuffer(b)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	b, ok := v.(*[]byte)
	if !ok {
		return fmt.Errorf("cannot receive a %T", v)
	}
	*b = data.Materialize()
	return nil
}

// client asks one server.
type client struct {
	conns  []*grpc.ClientConn
	asked  atomic.Uint64 // numbers the requests
	corpus []request
}

// request is a question in bytes.
type request struct {
	question
	raw []byte
	id  int // where the request id stands in raw
}

func requests(all []question) ([]request, error) {
	corpus := make([]request, len(all))
	for i, q := range all {
		raw, err := checkRequest(q)
		if err != nil {
			return nil, err
		}
		id, err := requestIDAt(raw)
		if err != nil {
			return nil, err
		}
		corpus[i] = request{question: q, raw: raw, id: id}
	}
	return corpus, nil
}

func dial(address string, corpus []request) (*client, error) {
	c := &client{corpus: corpus}
	for range connections {
		conn, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.ForceCodecV2(rawCodec{})))
		if err != nil {
			return nil, fmt.Errorf("connect to %s: %w", address, err)
		}
		c.conns = append(c.conns, conn)
	}
	return c, nil
}

func (c *client) close() error {
	var errs []error
	for _, conn := range c.conns {
		errs = append(errs, conn.Close())
	}
	return errors.Join(errs...)
}

// send asks question n of the corpus under a new request id.
func (c *client) send(ctx context.Context, worker, n int) (question, []byte, error) {
	q := c.corpus[n%len(c.corpus)]
	raw := bytes.Clone(q.raw)
	number(raw, q.id, c.asked.Add(1))
	var answer []byte
	err := c.conns[worker%len(c.conns)].Invoke(ctx, authv3.Authorization_Check_FullMethodName, raw, &answer)
	return q.question, answer, err
}

// The outcomes of a request.
const (
	outcomeAllow = "allow"
	outcomeDeny  = "deny"
	outcomeLate  = "late"  // 503: no decision within the time for one
	outcomeWrong = "wrong" // not what the roles say
)

// outcome reads an answer and compares it with what the roles say; blind tells that
// the server was not asked to decide.
func outcome(q question, answer []byte, err error, blind bool) string {
	if err != nil {
		return status.Code(err).String()
	}
	got := allows(answer)
	switch {
	case !blind && got != q.allow:
		return failure(answer)
	case got:
		return outcomeAllow
	default:
		return outcomeDeny
	}
}

// failure tells an answer that came too late from a wrong one.
func failure(answer []byte) string {
	r, err := decode(answer)
	if err == nil && r.GetDeniedResponse().GetStatus().GetCode() == http.StatusServiceUnavailable {
		return outcomeLate
	}
	return outcomeWrong
}

// allows reads the first field of a CheckResponse, its status, without decoding the
// rest: an empty one is OK. Whatever else stands there is no allow here.
func allows(answer []byte) bool {
	return bytes.HasPrefix(answer, []byte{0x0a, 0x00})
}

// decode is for the few answers that are looked at whole.
func decode(answer []byte) (*authv3.CheckResponse, error) {
	r := &authv3.CheckResponse{}
	if err := proto.Unmarshal(answer, r); err != nil {
		return nil, fmt.Errorf("decode a CheckResponse: %w", err)
	}
	return r, nil
}
