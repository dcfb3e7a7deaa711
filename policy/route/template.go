package route

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// template is a value with placeholders. The zero template is absent.
type template struct {
	parts  []part
	escape escaping
	// relative: an `at` that began with "."; the parts are what follows it.
	relative bool
}

// escaping is what happens to the values that a template takes in.
type escaping uint8

const (
	asIs         escaping = iota // resource, action, owner
	segment                      // each value is one segment of a tenant or a place
	dottedTenant                 // a tenant that is one claim or one extension: dots are its structure
)

// part is a literal or a placeholder of a template.
type part struct {
	source source
	text   string // the literal, or the name within the source
	// label is the placeholder without braces, as Match.Missing names it.
	label string
	param param // source fromPath
}

type source uint8

const (
	literal source = iota
	fromPath
	fromHost
	fromSubjectID
	fromClaim
	fromExtension
	fromQuery
	fromHeader
)

// resolve fills the template in. missing names the first placeholder that has no
// value, or an empty one.
func (t *template) resolve(req *Request) (value, missing string) {
	if len(t.parts) != 1 || t.parts[0].param.rest {
		var stack [usualValue]byte
		return t.finish(stack[:0], req)
	}
	// Most templates: what is already a string need not become one.
	only := &t.parts[0]
	if only.source == literal {
		return only.text, ""
	}
	if value = only.value(req); value == "" {
		return "", only.label
	}
	if t.escape == asIs {
		return value, ""
	}
	return escape(value, t.escape == dottedTenant), ""
}

// resolveBelow is the template filled in, below a tenant.
func (t *template) resolveBelow(tenant string, req *Request) (value, missing string) {
	var stack [usualValue]byte
	return t.finish(append(append(stack[:0], tenant...), '.'), req)
}

// usualValue is how many bytes most values fit in; then the string is the only
// allocation.
const usualValue = 128

// finish is buf followed by the template filled in.
func (t *template) finish(buf []byte, req *Request) (value, missing string) {
	for i := range t.parts {
		before := len(buf)
		p := &t.parts[i]
		switch {
		case p.source == literal:
			buf = append(buf, p.text...)
		case p.param.rest:
			for j, s := range p.param.segments(req.Segments) {
				if j > 0 {
					buf = append(buf, '.')
				}
				buf = t.append(buf, s)
			}
		default:
			buf = t.append(buf, p.value(req))
		}
		if len(buf) == before {
			return "", p.label
		}
	}
	return req.Texts.of(buf), ""
}

func (t *template) append(buf []byte, value string) []byte {
	if t.escape == asIs {
		return append(buf, value...)
	}
	return appendEscaped(buf, value, t.escape == dottedTenant)
}

// value is what the request has for a placeholder that is not {name...}; "" when
// it has nothing.
func (p *part) value(req *Request) string {
	var read func(string) (string, bool)
	switch p.source {
	case literal:
		return p.text
	case fromPath:
		return req.Segments[p.param.index]
	case fromHost:
		return req.Host
	case fromSubjectID:
		return req.SubjectID
	case fromClaim:
		read = req.Claim
	case fromExtension:
		read = req.Extension
	case fromQuery:
		read = req.Query
	case fromHeader:
		read = req.Header
	}
	if read == nil {
		return ""
	}
	value, found := read(p.text)
	if !found {
		return ""
	}
	return value
}

// field is the key of a route whose value is a template.
type field string

const (
	fieldResource field = "resource"
	fieldAction   field = "action"
	fieldTenant   field = "tenant"
	fieldAt       field = "at"
	fieldOwner    field = "owner"
)

// callerMayName says whether the field may hold what a caller chooses freely.
func (f field) callerMayName() bool { return f == fieldResource || f == fieldAction }

// fault is what is wrong with one value of the document.
type fault struct{ message, hint string }

// parseTemplate reads the template of a field; params are the placeholders of the
// route's path.
func parseTemplate(f field, text string, params []param) (template, *fault) {
	t := template{}
	rest := text
	if f == fieldTenant || f == fieldAt {
		t.escape = segment
	}
	if f == fieldAt && strings.HasPrefix(text, ".") {
		t.relative = true
		rest = text[1:]
	}
	// shape is the template with every placeholder replaced by a letter, to be
	// checked for what only the author's own text can get wrong.
	var shape strings.Builder
	for rest != "" {
		lit, after, opened := strings.Cut(rest, "{")
		if strings.Contains(lit, "}") {
			return template{}, &fault{fmt.Sprintf("%q has a } without a {", text), ""}
		}
		if lit != "" {
			t.parts = append(t.parts, part{source: literal, text: lit})
			shape.WriteString(lit)
		}
		if !opened {
			break
		}
		name, after, closed := strings.Cut(after, "}")
		if !closed || strings.Contains(name, "{") {
			return template{}, &fault{fmt.Sprintf("%q has a { without a }", text), ""}
		}
		p, wrong := parsePlaceholder(f, name, params)
		if wrong != nil {
			return template{}, wrong
		}
		t.parts = append(t.parts, p)
		shape.WriteByte('x')
		rest = after
	}
	if wrong := checkShape(f, text, shape.String()); wrong != nil {
		return template{}, wrong
	}
	if f == fieldTenant && len(t.parts) == 1 && (t.parts[0].source == fromClaim || t.parts[0].source == fromExtension) {
		t.escape = dottedTenant
	}
	return t, nil
}

// checkShape refuses literal text that could never be part of a good value.
func checkShape(f field, text, shape string) *fault {
	if shape == "" {
		return &fault{fmt.Sprintf("%q is empty", text), "leave the key out"}
	}
	if f == fieldTenant || f == fieldAt {
		if !wellFormed(shape) {
			return &fault{
				fmt.Sprintf("%q does not name a node", text),
				"segments joined by single dots, without $, @, *, white space or control characters (escape them: % and two digits)",
			}
		}
		return nil
	}
	if strings.ContainsFunc(shape, unicode.IsControl) {
		return &fault{fmt.Sprintf("%q holds a control character", text), ""}
	}
	if f.callerMayName() && strings.Contains(shape, "*") {
		return &fault{fmt.Sprintf("%q holds a *, and a question asks about one %s", text, f), "wildcards belong into roles"}
	}
	return nil
}

// parsePlaceholder reads what stands between braces.
func parsePlaceholder(f field, name string, params []param) (part, *fault) {
	p := part{label: name}
	switch name {
	case "host":
		p.source = fromHost
		return p, nil
	case "subject.id":
		p.source = fromSubjectID
		return p, nil
	}
	if kind, inner, dotted := strings.Cut(name, "."); dotted && kind != "" && !strings.HasSuffix(name, "...") {
		switch kind {
		case "claim":
			p.source = fromClaim
		case "ext":
			p.source = fromExtension
		case "query":
			p.source = fromQuery
		case "header":
			p.source = fromHeader
		default:
			return part{}, unknownPlaceholder(f, name, params)
		}
		p.text = inner
		return p, checkSource(f, p)
	}
	bare, isRest := strings.CutSuffix(name, "...")
	i := slices.IndexFunc(params, func(q param) bool { return q.name == bare })
	if i < 0 {
		return part{}, unknownPlaceholder(f, name, params)
	}
	if isRest && !params[i].rest {
		return part{}, &fault{fmt.Sprintf("{%s} is one segment of the path", bare), fmt.Sprintf("write {%s}", bare)}
	}
	p.source, p.param, p.label = fromPath, params[i], bare
	return p, nil
}

func checkSource(f field, p part) *fault {
	if p.text == "" || strings.ContainsFunc(p.text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return &fault{fmt.Sprintf("{%s} does not say which", p.label), fmt.Sprintf("write {%s.name}", strings.SplitN(p.label, ".", 2)[0])}
	}
	if p.source != fromQuery && p.source != fromHeader {
		return nil
	}
	if !f.callerMayName() {
		return &fault{
			fmt.Sprintf("{%s} may not name the %s: a caller chooses it freely", p.label, f.noun()),
			"only resource and action may take {query.…} and {header.…}",
		}
	}
	if lower := strings.ToLower(p.text); p.source == fromHeader && p.text != lower {
		return &fault{fmt.Sprintf("{%s}: names of headers are in lower case here", p.label), fmt.Sprintf("write {header.%s}", lower)}
	}
	return nil
}

// noun is what the field names, in a sentence.
func (f field) noun() string {
	if f == fieldAt {
		return "place"
	}
	return string(f)
}

func unknownPlaceholder(f field, name string, params []param) *fault {
	known := []string{"host", "subject.id"}
	for _, p := range params {
		known = append(known, p.String())
	}
	kinds := []string{"claim", "ext"}
	if f.callerMayName() {
		kinds = append(kinds, "query", "header")
	}
	message := fmt.Sprintf("unknown placeholder {%s}", name)
	if near := closest(name, known); near != "" {
		return &fault{message, fmt.Sprintf("did you mean {%s}?", near)}
	}
	if kind, inner, dotted := strings.Cut(name, "."); dotted && inner != "" {
		if near := closest(kind, kinds); near != "" {
			return &fault{message, fmt.Sprintf("did you mean {%s.%s}?", near, inner)}
		}
	}
	for _, kind := range kinds {
		known = append(known, kind+".…")
	}
	return &fault{message, "known here: {" + strings.Join(known, "}, {") + "}"}
}
