package extauthz

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"

	"github.com/rolegate/rolegate/proxy"
)

// service is Envoy's service on messages as they come and go: decoding and encoding
// them costs more than an answer from memory.
func (s *Server) service() *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: authv3.Authorization_ServiceDesc.ServiceName,
		HandlerType: (*authv3.AuthorizationServer)(nil),
		Methods: []grpc.MethodDesc{{
			MethodName: "Check",
			Handler: func(_ any, ctx context.Context, receive func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
				return s.checkMessage(ctx, receive)
			},
		}},
		Metadata: authv3.Authorization_ServiceDesc.Metadata,
	}
}

// checkMessage answers one request.
func (s *Server) checkMessage(ctx context.Context, receive func(any) error) (*message, error) {
	w := s.wire()
	if err := receive(w); err != nil {
		return nil, err
	}
	m := &message{}
	m.bytes = s.answer(ctx, m.room[:0], w)
	return m, nil
}

// AppendAnswer appends the response to a CheckRequest to dst, both as they are on the
// wire. It answers whatever it is given.
func (s *Server) AppendAnswer(ctx context.Context, dst []byte, request string) []byte {
	w := s.wire()
	w.message = request
	return s.answer(ctx, dst, w)
}

func (s *Server) wire() *wire {
	if w, ok := s.wires.Get().(*wire); ok {
		return w
	}
	return newWire(s.shape, &s.cfg.Documents)
}

// unreadable is the response to a request that did not come whole, or is too large to be
// looked at. An error of gRPC's would leave the choice to Envoy.
func (s *Server) unreadable(why string) (answer []byte) {
	defer s.answerPanic(nil, &answer)
	return s.tell(context.Background(), nil, &proxy.Inbound{Protocol: proxy.ProtocolGRPC, Malformed: why})
}

// answerPanic makes a panic a denial, appended to dst. It is deferred.
func (s *Server) answerPanic(dst []byte, answer *[]byte) {
	if p := recover(); p != nil {
		s.log.Error("panic", zap.String("method", authv3.Authorization_Check_FullMethodName),
			zap.String("type", fmt.Sprintf("%T", p)), zap.ByteString("stack", debug.Stack()))
		*answer = slices.Concat(dst, s.teller.encode(refusal()))
	}
}

// answer appends the response to w's message to dst. It answers a panic, too: with a
// denial.
func (s *Server) answer(ctx context.Context, dst []byte, w *wire) (answer []byte) {
	defer s.answerPanic(dst, &answer)
	if w.read() {
		answer = s.tell(ctx, dst, &w.in)
		w.reset()
		s.wires.Put(w)
		return answer
	}
	in := proxy.Inbound{Protocol: proxy.ProtocolGRPC, Malformed: malformedMessage}
	if req, err := decode(w.message); err == nil {
		in = inbound(req, &s.cfg.Documents)
	}
	return s.tell(ctx, dst, &in)
}

// tell appends the response to a request to dst.
func (s *Server) tell(ctx context.Context, dst []byte, in *proxy.Inbound) []byte {
	aside := s.cfg.ContextExtensions.aside(in)
	if aside == (proxy.Aside{}) {
		return s.gate.Tell(ctx, dst, in, s.teller)
	}
	return append(dst, s.teller.Tell(s.gate.CheckAside(ctx, *in, aside))...)
}

// teller makes messages of answers.
type teller struct{ log *zap.Logger }

// Tell implements [proxy.Teller].
func (t *teller) Tell(a proxy.Answer) []byte { return t.encode(t.response(a)) }

// response is the response to an answer that has passed the guard.
func (t *teller) response(a proxy.Answer) *authv3.CheckResponse {
	r, fault := guardAs(response(a), meaningOf(a))
	if fault != "" {
		t.log.Error("a response had to become a denial", zap.String("decision", a.ID), zap.String("fault", fault))
	}
	return r
}

// encode encodes a response; one that cannot be is a refusal. Nothing is the bytes of
// an allow: it is never sent (see codec).
func (t *teller) encode(r *authv3.CheckResponse) []byte {
	raw, err := proto.Marshal(r)
	if err == nil {
		return raw
	}
	t.log.Error("a response had to become a denial", zap.String("fault", "it cannot be encoded"))
	raw, _ = proto.Marshal(refusal())
	return raw
}

// messageRoom is enough for the usual response.
const messageRoom = 448

// message is a response on its way to the transport: in one piece of memory.
type message struct {
	bytes mem.SliceBuffer
	list  [1]mem.Buffer
	room  [messageRoom]byte
}

// codec passes the messages of checks on as they are, and has all others encoded and
// decoded as usual.
type codec struct{ encoding.CodecV2 }

// errEmpty stands for an answer that would be an allow that nobody gave.
var errEmpty = errors.New("an empty response")

// Marshal implements [encoding.CodecV2].
func (c codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*message)
	if !ok {
		return c.CodecV2.Marshal(v)
	}
	if len(m.bytes) == 0 {
		return nil, errEmpty
	}
	m.list[0] = &m.bytes
	return m.list[:], nil
}

// Unmarshal implements [encoding.CodecV2]. The message is copied, so that its parts
// stay what they are for as long as anybody holds one.
func (c codec) Unmarshal(data mem.BufferSlice, v any) error {
	w, ok := v.(*wire)
	if !ok {
		return c.CodecV2.Unmarshal(data, v)
	}
	var b strings.Builder
	b.Grow(data.Len())
	for _, part := range data {
		b.Write(part.ReadOnlyData())
	}
	w.message = b.String()
	return nil
}
