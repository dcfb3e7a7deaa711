package parsed

import (
	"encoding/binary"
	"errors"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Services are gRPC services whose messages can be read. They never change.
type Services struct{ files *protoregistry.Files }

// ReadServices reads a FileDescriptorSet that holds everything it imports
// (protoc --include_imports --descriptor_set_out).
func ReadServices(set []byte) (*Services, error) {
	files := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(set, files); err != nil {
		return nil, fmt.Errorf("read a FileDescriptorSet: %w", err)
	}
	if len(files.GetFile()) == 0 {
		return nil, errors.New("the FileDescriptorSet holds no file")
	}
	known, err := protodesc.NewFiles(files)
	if err != nil {
		return nil, fmt.Errorf("read a FileDescriptorSet: %w", err)
	}
	return &Services{known}, nil
}

// input is the message that a method takes; nil when it is unknown, or takes a stream.
func (s *Services) input(service, method string) protoreflect.MessageDescriptor {
	found, err := s.files.FindDescriptorByName(protoreflect.FullName(service))
	if err != nil {
		return nil
	}
	d, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil
	}
	m := d.Methods().ByName(protoreflect.Name(method))
	if m == nil || m.IsStreamingClient() {
		return nil
	}
	return m.Input()
}

// frameHead is what stands before each message: whether it is compressed, and its size.
const frameHead = 5

// message reads the first message of a gRPC call.
func (r Request) message() (v any, truncated bool, err error) {
	body := r.RawBody
	switch {
	case r.Services == nil || len(body) == 0:
		return nil, false, nil // without pack_as_bytes there is nothing that can be read
	case len(r.Path) != 2 || len(body) < frameHead:
		return nil, false, ErrGRPC
	case body[0] != 0: // compressed
		return nil, false, nil
	}
	size := uint64(binary.BigEndian.Uint32(body[1:frameHead]))
	if body = body[frameHead:]; size > uint64(len(body)) {
		return nil, true, nil
	}
	input := r.Services.input(r.Path[0], r.Path[1])
	if input == nil {
		return nil, false, nil
	}
	m := dynamicpb.NewMessage(input)
	if (proto.UnmarshalOptions{RecursionLimit: maxDepth}).Unmarshal(body[:size], m) != nil {
		return nil, false, ErrGRPC
	}
	text, err := protojson.Marshal(m)
	if err != nil {
		return nil, false, ErrGRPC
	}
	v, err = readJSON(string(text), r.budget())
	return v, false, err
}
