package extauthz

import (
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// maxNesting bounds the messages within messages that are read from the wire here.
const maxNesting = 32

// shape is what the fields of a message look like on the wire. It says of a message
// that nobody reads whether it could be decoded, without decoding it. It is immutable.
type shape struct {
	fields []fieldShape // by number; none has a high one
}

// fieldShape is one field; the zero value is one that the message does not have.
type fieldShape struct {
	known bool
	wire  protowire.Type
	text  bool   // must be UTF-8
	inner *shape // of a message
}

// shapes makes the shape of a message and of all that it can hold.
type shapes map[protoreflect.FullName]*shape

func (all shapes) of(m protoreflect.MessageDescriptor) *shape {
	if s := all[m.FullName()]; s != nil {
		return s
	}
	s := &shape{}
	all[m.FullName()] = s
	fields := m.Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		for len(s.fields) <= int(f.Number()) {
			s.fields = append(s.fields, fieldShape{})
		}
		s.fields[f.Number()] = all.field(f)
	}
	return s
}

func (all shapes) field(f protoreflect.FieldDescriptor) fieldShape {
	switch f.Kind() {
	case protoreflect.StringKind:
		return fieldShape{known: true, wire: protowire.BytesType, text: true}
	case protoreflect.BytesKind:
		return fieldShape{known: true, wire: protowire.BytesType}
	case protoreflect.MessageKind:
		return fieldShape{known: true, wire: protowire.BytesType, inner: all.of(f.Message())}
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return fieldShape{known: true, wire: protowire.Fixed32Type}
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return fieldShape{known: true, wire: protowire.Fixed64Type}
	case protoreflect.BoolKind, protoreflect.EnumKind, protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Uint32Kind,
		protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Uint64Kind:
		return fieldShape{known: true, wire: protowire.VarintType}
	default:
		return fieldShape{} // a group: nothing that is in use
	}
}

func (s *shape) field(n uint64) fieldShape {
	if n >= uint64(len(s.fields)) {
		return fieldShape{}
	}
	return s.fields[n]
}

// holds says that text is a message of this shape, which the decoder accepts. False
// says nothing: the message may be unusual, or newer than we are.
func (s *shape) holds(text string, nesting int) bool {
	if nesting > maxNesting {
		return false
	}
	fields := fields{rest: text}
	for fields.next() {
		if !s.field(fields.number).holds(&fields, nesting) {
			return false
		}
	}
	return fields.whole()
}

// holds says that the field that was read last is one of this shape.
func (f fieldShape) holds(at *fields, nesting int) bool {
	switch {
	case !f.known || f.wire != at.wire: // a list of numbers may be packed, which is another type
		return false
	case f.text:
		return utf8.ValidString(at.value)
	case f.inner != nil:
		return f.inner.holds(at.value, nesting+1)
	default:
		return true
	}
}

// isASCII says that no byte of s is part of a longer character.
func isASCII(s string) bool {
	const high = 0x8080_8080_8080_8080
	for ; len(s) >= 8; s = s[8:] {
		eight := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
			uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
		if eight&high != 0 {
			return false
		}
	}
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// fields reads the fields of a message one after the other.
type fields struct {
	rest   string
	number uint64
	wire   protowire.Type
	value  string // of a field with a length: what is in it
	broken bool
}

// next reads one field; false at the end, and where there is none to be read. Nearly all
// are of two bytes and a value: those are read here.
func (f *fields) next() bool {
	rest := f.rest
	if len(rest) < 2 || rest[0] >= 0x80 || rest[1] >= 0x80 || rest[0]&7 != byte(protowire.BytesType) {
		return rest != "" && f.nextOfAny()
	}
	size := 2 + int(rest[1])
	if size > len(rest) {
		f.broken = true
		return false
	}
	f.number, f.wire, f.value, f.rest = uint64(rest[0]>>3), protowire.BytesType, rest[2:size], rest[size:]
	return true
}

// nextOfAny reads a field of any type and size.
func (f *fields) nextOfAny() bool {
	tag, ok := f.varint()
	f.number, f.wire, f.value = tag>>3, protowire.Type(tag&7), "" //nolint:gosec // three bits
	if !ok {                                                      // of numbers that are none, no message has a field
		f.broken = true
		return false
	}
	switch f.wire {
	case protowire.VarintType:
		_, ok = f.varint()
	case protowire.BytesType:
		var size uint64
		size, ok = f.varint()
		if ok = ok && size <= uint64(len(f.rest)); ok {
			f.value, f.rest = f.rest[:size], f.rest[size:]
		}
	case protowire.Fixed32Type:
		ok = f.skip(4)
	case protowire.Fixed64Type:
		ok = f.skip(8)
	case protowire.StartGroupType, protowire.EndGroupType: // no field here is one
	}
	f.broken = !ok
	return ok
}

// whole says, after the last field, that nothing was left unread.
func (f *fields) whole() bool { return !f.broken }

func (f *fields) skip(n int) bool {
	if len(f.rest) < n {
		return false
	}
	f.rest = f.rest[n:]
	return true
}

// varint reads a number. Nearly all are of one byte.
func (f *fields) varint() (v uint64, ok bool) {
	if f.rest != "" && f.rest[0] < 0x80 {
		v, f.rest = uint64(f.rest[0]), f.rest[1:]
		return v, true
	}
	return f.longVarint()
}

// longVarint reads at most ten bytes, of which the last holds one bit.
func (f *fields) longVarint() (v uint64, ok bool) {
	for i := range len(f.rest) {
		b := f.rest[i]
		if i == 9 && b > 1 {
			return 0, false
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			f.rest = f.rest[i+1:]
			return v, true
		}
	}
	return 0, false
}
