package parsed

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Why a body cannot be read.
var (
	ErrLength    = errors.New("content-length")
	ErrJSON      = errors.New("body: json")
	ErrForm      = errors.New("body: form")
	ErrMultipart = errors.New("body: multipart")
	ErrGRPC      = errors.New("body: grpc")
	ErrTooMuch   = errors.New("body: too deep or too many values")
)

// Request is what a body is read from. Header names are in lower case, and copies of
// one header are joined by commas, as Envoy does.
type Request struct {
	Headers  map[string]string
	Body     string // what Envoy sends of it; "" when it sends bytes
	RawBody  []byte // with pack_as_bytes
	Path     []string
	Services *Services // of gRPC; nil: such bodies are not read
	Values   int       // a body of more values is not read; 0 means 10,000
}

// budget is what may be made of the body.
func (r Request) budget() *budget { return &budget{cmp.Or(r.Values, defaultValues)} }

// Read is the body as a value, nil where it is of no type that is read. truncated: it
// is not all there, and nothing of it was read.
func (r Request) Read() (v any, truncated bool, err error) {
	if r.Headers["x-envoy-auth-partial-body"] == "true" {
		return nil, true, nil
	}
	// What a header holds, and not what it is: as opa-envoy-plugin does.
	switch kind := r.Headers["content-type"]; {
	case strings.Contains(kind, "application/json"):
		return r.text(func(s string) (any, error) { return readJSON(s, r.budget()) })
	case strings.Contains(kind, "application/grpc"):
		return r.message()
	case strings.Contains(kind, "application/x-www-form-urlencoded"):
		return r.text(func(s string) (any, error) { return readForm(s, r.budget()) })
	case strings.Contains(kind, "multipart/form-data"):
		return r.text(func(s string) (any, error) { return readMultipart(kind, s, r.budget()) })
	default:
		return nil, false, nil
	}
}

// text reads a body of text, in whichever form it came.
func (r Request) text(read func(string) (any, error)) (any, bool, error) {
	body := r.Body
	if body == "" {
		body = string(r.RawBody)
	}
	if body == "" {
		return nil, false, nil
	}
	if length, ok := r.Headers["content-length"]; ok {
		n, err := strconv.ParseInt(length, 10, 64)
		if err != nil {
			return nil, false, ErrLength
		}
		if n > int64(len(body)) {
			return nil, true, nil
		}
	}
	v, err := read(body)
	return v, false, err
}

func readForm(body string, left *budget) (any, error) {
	if !left.take(strings.Count(body, "&") + 1) {
		return nil, ErrTooMuch
	}
	values, err := url.ParseQuery(body)
	if err != nil {
		return nil, ErrForm
	}
	form := make(map[string]any, len(values))
	for name, list := range values {
		each := make([]any, len(list))
		for i, v := range list {
			each[i] = wellFormed(v)
		}
		form[wellFormed(name)] = each
	}
	return form, nil
}

func readMultipart(contentType, body string, left *budget) (any, error) {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, ErrMultipart
	}
	boundary, ok := params["boundary"]
	if !ok {
		return nil, nil //nolint:nilnil // nothing that can be read
	}
	form := map[string]any{}
	reader := multipart.NewReader(strings.NewReader(body), boundary)
	for {
		part, err := reader.NextPart()
		if err == io.EOF { //nolint:errorlint // one that is wrapped is an end too early
			return form, nil
		}
		if err != nil {
			return nil, ErrMultipart
		}
		if !left.take(1) {
			return nil, ErrTooMuch
		}
		name := wellFormed(part.FormName())
		if name == "" {
			continue
		}
		v, err := readPart(part, left)
		if err != nil {
			return nil, err
		}
		list, _ := form[name].([]any)
		form[name] = append(list, v)
	}
}

func readPart(part *multipart.Part, left *budget) (any, error) {
	text, err := io.ReadAll(part)
	if err != nil {
		return nil, ErrMultipart
	}
	if strings.Contains(part.Header.Get("Content-Type"), "application/json") {
		return readJSON(string(text), left)
	}
	return wellFormed(string(text)), nil
}

// wellFormed replaces each byte that is not UTF-8, as JSON does.
func wellFormed(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}
