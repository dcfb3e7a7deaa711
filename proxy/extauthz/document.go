package extauthz

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/open-policy-agent/opa/v1/ast"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/structpb"
)

// Bounds of what a policy is given. Metadata comes from filters before us and may
// hold what a client wrote; everything else of a request is flat.
const (
	maxDepth = 64
	maxNodes = 10_000
)

// errTooLarge is why a request cannot be given to a policy, in logs.
var errTooLarge = errors.New("attributes too deep or too many")

func version() ast.Value {
	return ast.NewObject(member("ext_authz", ast.String("v3")), member("encoding", ast.String("protojson")))
}

// joined gives raw headers the joined form as well, so that policies written for it
// see what Envoy would have sent them.
func joined(raw []*corev3.HeaderValue) ast.Object {
	headers := ast.NewObject()
	for name, value := range joinedTexts(raw) {
		headers.Insert(ast.StringTerm(name), ast.StringTerm(value))
	}
	return headers
}

func joinedTexts(raw []*corev3.HeaderValue) map[string]string {
	values := make(map[string]string, len(raw))
	for _, h := range raw {
		name, value := strings.ToLower(h.GetKey()), printable(rawValue(h))
		if before, ok := values[name]; ok {
			value = before + "," + value
		}
		values[name] = value
	}
	return values
}

// printable replaces each byte that is not UTF-8 by "!", as Envoy does.
func printable(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			b.WriteByte('!')
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// walk turns a message into a value as opa-envoy-plugin does: JSON names, populated
// fields only, 64-bit integers and enums as numbers, bytes in base64; a Struct is
// plain JSON, and every other message, a Timestamp too, an object of its fields.
type walk struct {
	left     int  // values that may still be made
	short    bool // numbers are written in the shortest way: 1e+06
	exceeded bool
}

// enter counts one value and says whether it may be made.
func (w *walk) enter(depth int) bool {
	w.left--
	if depth > maxDepth || w.left < 0 {
		w.exceeded = true
	}
	return !w.exceeded
}

func (w *walk) message(m protoreflect.Message, depth int) ast.Object {
	o := ast.NewObject()
	if !w.enter(depth) {
		return o
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		o.Insert(ast.InternedTerm(f.JSONName()), ast.NewTerm(w.field(f, v, depth+1)))
		return !w.exceeded
	})
	if raw := rawOnly(m); len(raw) > 0 {
		o.Insert(ast.InternedTerm("headers"), ast.NewTerm(joined(raw)))
	}
	return o
}

// rawOnly answers the raw headers of a message that has some and no others.
func rawOnly(m protoreflect.Message) []*corev3.HeaderValue {
	http, _ := m.Interface().(*authv3.AttributeContext_HttpRequest) // nil: any other message, which has none
	if len(http.GetHeaders()) > 0 {
		return nil
	}
	return http.GetHeaderMap().GetHeaders()
}

func (w *walk) field(f protoreflect.FieldDescriptor, v protoreflect.Value, depth int) ast.Value {
	switch {
	case f.IsMap():
		o := ast.NewObject()
		v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			o.Insert(ast.StringTerm(k.String()), ast.NewTerm(w.single(f.MapValue(), v, depth+1)))
			return !w.exceeded
		})
		return o
	case f.IsList():
		list := v.List()
		terms := make([]*ast.Term, 0, list.Len())
		for i := 0; i < list.Len() && !w.exceeded; i++ {
			terms = append(terms, ast.NewTerm(w.single(f, list.Get(i), depth+1)))
		}
		return ast.NewArray(terms...)
	default:
		return w.single(f, v, depth)
	}
}

func (w *walk) single(f protoreflect.FieldDescriptor, v protoreflect.Value, depth int) ast.Value {
	if !w.enter(depth) {
		return ast.NullValue
	}
	switch f.Kind() {
	case protoreflect.BoolKind:
		return ast.Boolean(v.Bool())
	case protoreflect.StringKind:
		return ast.String(v.String())
	case protoreflect.BytesKind:
		return ast.String(base64.StdEncoding.EncodeToString(v.Bytes()))
	case protoreflect.EnumKind:
		return ast.Number(strconv.Itoa(int(v.Enum())))
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return w.number(v.Float())
	case protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.Fixed32Kind, protoreflect.Fixed64Kind:
		return ast.Number(strconv.FormatUint(v.Uint(), 10))
	case protoreflect.MessageKind, protoreflect.GroupKind:
		if s, ok := v.Message().Interface().(*structpb.Struct); ok {
			return w.structure(s, depth)
		}
		return w.message(v.Message(), depth)
	default: // the signed integers
		return ast.Number(strconv.FormatInt(v.Int(), 10))
	}
}

// structure is plain JSON: what a Struct stands for.
func (w *walk) structure(s *structpb.Struct, depth int) ast.Value {
	o := ast.NewObject()
	for name, v := range s.GetFields() {
		o.Insert(ast.StringTerm(name), ast.NewTerm(w.value(v, depth+1)))
	}
	return o
}

func (w *walk) value(v *structpb.Value, depth int) ast.Value {
	if !w.enter(depth) {
		return ast.NullValue
	}
	switch kind := v.GetKind().(type) {
	case *structpb.Value_BoolValue:
		return ast.Boolean(kind.BoolValue)
	case *structpb.Value_NumberValue:
		return w.number(kind.NumberValue)
	case *structpb.Value_StringValue:
		return ast.String(kind.StringValue)
	case *structpb.Value_StructValue:
		return w.structure(kind.StructValue, depth)
	case *structpb.Value_ListValue:
		values := kind.ListValue.GetValues()
		terms := make([]*ast.Term, 0, len(values))
		for _, element := range values {
			terms = append(terms, ast.NewTerm(w.value(element, depth+1)))
		}
		return ast.NewArray(terms...)
	default:
		return ast.NullValue
	}
}

// number writes a float as JSON does. What JSON cannot say is a text, as in the JSON of
// protobuf.
func (w *walk) number(f float64) ast.Value {
	switch {
	case math.IsNaN(f):
		return ast.String("NaN")
	case math.IsInf(f, 1):
		return ast.String("Infinity")
	case math.IsInf(f, -1):
		return ast.String("-Infinity")
	case w.short:
		return ast.Number(strconv.FormatFloat(f, 'g', -1, 64))
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return ast.Number(strconv.FormatFloat(f, format, -1, 64))
}

func member(key string, v ast.Value) [2]*ast.Term {
	return [2]*ast.Term{ast.InternedTerm(key), ast.NewTerm(v)}
}
