package proxy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Bounds of a policy's dynamic metadata, far above what a log line can use.
const (
	maxMetadataDepth = 16
	maxMetadataNodes = 1000
)

// errValue speaks of a value that no header or parameter can hold; it does not
// repeat it.
var errValue = errors.New("holds a control character or is not UTF-8")

// maxBody bounds the body that a policy gives a denied client. Envoy's own bound
// (max_denied_response_body_bytes) truncates; this one refuses.
const maxBody = 16 << 10

// carried is what a policy's result holds beside its verdict. The keys are those
// of opa-envoy-plugin, and the role library's tenant and roles.
type carried struct {
	profile       Profile
	tenant        string
	roles         []string
	headers       []Header // allowed: of the request, upstream; denied: of the response
	addToResponse []Header
	removeHeaders []string
	setQuery      []Parameter
	removeQuery   []string
	status        int // 0: the policy names none
	body          string
	hasBody       bool
	metadata      ast.Object
}

// carry reads a result. A key of the wrong type, a header that no policy may set
// or that no message can hold, is an error: the answer is then a denial, for a
// policy that cannot say what it means must not decide. Keys that only the other
// effect knows are not looked at, nor are unknown ones. The error names keys and
// headers, never values.
//
// To policies written for opa-envoy-plugin tenant and roles mean nothing, and a status
// of the wrong kind is an error.
func carry(result ast.Value, allowed bool, profile Profile) (carried, error) {
	o, ok := result.(ast.Object)
	if !ok {
		return carried{}, nil // a bare boolean
	}
	c := carried{profile: profile}
	err := o.Iter(func(k, v *ast.Term) error {
		key, _ := k.Value.(ast.String) // another type is no key that is known
		if err := c.read(string(key), v.Value, allowed); err != nil {
			return fmt.Errorf("the result's %s: %w", string(key), err)
		}
		return nil
	})
	return c, err
}

func (c *carried) read(key string, v ast.Value, allowed bool) (err error) {
	if c.profile == ProfileOPAEnvoy && (key == "tenant" || key == "roles") {
		return nil
	}
	switch key {
	case "tenant":
		if _, none := v.(ast.Null); !none {
			c.tenant, err = text(v)
		}
	case "roles":
		c.roles, err = texts(v)
	case "headers":
		c.headers, err = headers(v)
	case "dynamic_metadata":
		c.metadata, err = metadata(v)
	default:
		if allowed {
			return c.readAllowed(key, v)
		}
		return c.readDenied(key, v)
	}
	return err
}

func (c *carried) readAllowed(key string, v ast.Value) (err error) {
	switch key {
	case "response_headers_to_add":
		c.addToResponse, err = headers(v)
		for i := range c.addToResponse {
			c.addToResponse[i].Append = true // beside what the upstream says
		}
	case "request_headers_to_remove":
		c.removeHeaders, err = names(v)
	case "query_parameters_to_set":
		c.setQuery, err = parameters(v, plainFor(c.profile))
	case "query_parameters_to_remove":
		if c.removeQuery, err = texts(v); !allValid(c.removeQuery) {
			err = errValue
		}
	}
	return err
}

func (c *carried) readDenied(key string, v ast.Value) (err error) {
	switch key {
	case "http_status":
		number, ok := v.(ast.Number)
		if !ok {
			return wrongType(v, "a number")
		}
		if c.status, ok = number.Int(); !ok {
			return errors.New("is not an integer")
		}
		if c.profile == ProfileOPAEnvoy && !sendable(c.status) {
			return errors.New("is not one that Envoy sends")
		}
	case "body":
		c.body, err = text(v)
		c.hasBody = true
		if !utf8.ValidString(c.body) || len(c.body) > maxBody {
			err = fmt.Errorf("is not UTF-8 or longer than %d bytes", maxBody)
		}
	}
	return err
}

// headers reads {name: value or [values]}, or a list of such objects. The first
// value of a name replaces what is there, the others append.
func headers(v ast.Value) (list []Header, err error) {
	add := func(k, v *ast.Term) error {
		name, err := headerName(k.Value)
		if err != nil {
			return err
		}
		values, err := textOrTexts(v.Value)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !allValid(values) {
			return fmt.Errorf("%s: %w", name, errValue)
		}
		for _, value := range values {
			again := slices.ContainsFunc(list, func(h Header) bool { return h.Name == name })
			list = append(list, Header{Name: name, Value: value, Append: again})
		}
		return nil
	}
	if o, ok := v.(ast.Object); ok {
		return list, o.Iter(add)
	}
	objects, err := elements(v, "an object or a list of objects")
	if err != nil {
		return nil, err
	}
	for _, element := range objects {
		o, ok := element.(ast.Object)
		if !ok {
			return nil, wrongType(element, "an object")
		}
		if err := o.Iter(add); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func names(v ast.Value) ([]string, error) {
	values, err := elements(v, "a list of strings")
	if err != nil {
		return nil, err
	}
	if len(values) > maxHeaders {
		return nil, fmt.Errorf("has more than %d names", maxHeaders)
	}
	list := make([]string, 0, len(values))
	for _, value := range values {
		name, err := headerName(value)
		if err != nil {
			return nil, err
		}
		list = append(list, name)
	}
	return list, nil
}

// headerName reads the name of a header that a policy may touch, in lower case.
func headerName(v ast.Value) (string, error) {
	name, err := text(v)
	switch {
	case err != nil:
		return "", err
	case unsettable(spelling(name)):
		return "", fmt.Errorf("no policy may touch the header %.40q", name)
	case !validName(name):
		return "", fmt.Errorf("%.40q cannot be the name of a header", name)
	}
	return strings.ToLower(name), nil
}

// Parameter is a query parameter, decoded.
type Parameter struct{ Name, Value string }

func parameters(v ast.Value, plain func(s string, value bool) bool) (list []Parameter, err error) {
	o, ok := v.(ast.Object)
	if !ok {
		return nil, wrongType(v, "an object")
	}
	err = o.Iter(func(k, v *ast.Term) error {
		name, err := text(k.Value)
		if err != nil {
			return err
		}
		values, err := textOrTexts(v.Value)
		if err != nil {
			return err
		}
		if name == "" || !plain(name, false) {
			return errValue
		}
		for _, value := range values {
			if !plain(value, true) {
				return errValue
			}
			list = append(list, Parameter{Name: name, Value: value})
		}
		return nil
	})
	return list, err
}

// plainParameter says whether a text means itself in a query, encoded or not: Envoy
// writes names and values as they are, so that "ann&admin=1" would be a second
// parameter, and other proxies encode them.
func plainParameter(s string) bool {
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~", c) >= 0:
		default:
			return false
		}
	}
	return true
}

// plainFor is what a profile lets a policy write into a query. Policies for
// opa-envoy-plugin encode what they write; what would make another parameter of it, or
// end the query, is refused all the same.
func plainFor(profile Profile) func(s string, value bool) bool {
	if profile != ProfileOPAEnvoy {
		return func(s string, _ bool) bool { return plainParameter(s) }
	}
	return func(s string, value bool) bool {
		for i := range len(s) {
			if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("&#;", c) >= 0 || c == '=' && !value {
				return false
			}
		}
		return true
	}
}

// metadata checks that an object can become a protobuf Struct of moderate size.
func metadata(v ast.Value) (ast.Object, error) {
	o, ok := v.(ast.Object)
	if !ok {
		return nil, wrongType(v, "an object")
	}
	nodes := maxMetadataNodes
	return o, plainValue(o, maxMetadataDepth, &nodes)
}

func plainValue(v ast.Value, depth int, nodes *int) error {
	*nodes--
	if depth == 0 || *nodes < 0 {
		return fmt.Errorf("is deeper than %d or has more than %d values", maxMetadataDepth, maxMetadataNodes)
	}
	switch v := v.(type) {
	case ast.Null, ast.Boolean:
		return nil
	case ast.Number:
		if _, ok := v.Float64(); !ok {
			return errors.New("holds a number that is too large")
		}
		return nil
	case ast.String:
		if !utf8.ValidString(string(v)) {
			return errors.New("holds a string that is not UTF-8")
		}
		return nil
	case ast.Object:
		return v.Iter(func(k, member *ast.Term) error {
			if _, ok := k.Value.(ast.String); !ok {
				return wrongType(k.Value, "a string as key")
			}
			if err := plainValue(k.Value, depth, nodes); err != nil {
				return err
			}
			return plainValue(member.Value, depth-1, nodes)
		})
	default:
		values, err := elements(v, "plain values")
		if err != nil {
			return err
		}
		for _, element := range values {
			if err := plainValue(element, depth-1, nodes); err != nil {
				return err
			}
		}
		return nil
	}
}

func text(v ast.Value) (string, error) {
	s, ok := v.(ast.String)
	if !ok {
		return "", wrongType(v, "a string")
	}
	return string(s), nil
}

func texts(v ast.Value) ([]string, error) {
	array, ok := v.(*ast.Array)
	if !ok {
		set, ok := v.(ast.Set)
		if !ok {
			return nil, wrongType(v, "a list of strings")
		}
		array = set.Sorted()
	}
	list := make([]string, array.Len())
	for i := range list {
		var err error
		if list[i], err = text(array.Elem(i).Value); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func textOrTexts(v ast.Value) ([]string, error) {
	if s, ok := v.(ast.String); ok {
		return []string{string(s)}, nil
	}
	return texts(v)
}

// elements of an array or, sorted, of a set.
func elements(v ast.Value, want string) ([]ast.Value, error) {
	var list []ast.Value
	add := func(t *ast.Term) { list = append(list, t.Value) }
	switch v := v.(type) {
	case *ast.Array:
		list = make([]ast.Value, 0, v.Len())
		v.Foreach(add)
	case ast.Set:
		list = make([]ast.Value, 0, v.Len())
		v.Foreach(add)
	default:
		return nil, wrongType(v, want)
	}
	return list, nil
}

func allValid(values []string) bool {
	return !slices.ContainsFunc(values, func(s string) bool { return !validValue(s) })
}

func wrongType(v ast.Value, want string) error {
	return fmt.Errorf("is of type %s, want %s", ast.ValueName(v), want)
}
