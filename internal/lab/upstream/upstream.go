// Package upstream is an application behind Envoy that answers with what reached it.
package upstream

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
)

// Seen is a request as the application got it.
type Seen struct {
	Method string              `json:"method"`
	Target string              `json:"target"` // path and query as on the wire
	Host   string              `json:"host"`
	Header map[string][]string `json:"header"` // names in lower case
}

// Echo is an http.Handler that answers every request with a Seen in JSON and counts
// it. The zero value is ready.
type Echo struct {
	served atomic.Int64
	// Hold, when it is not nil, is called with each request before it is answered.
	Hold func(*http.Request)
}

// ServeHTTP implements http.Handler.
func (e *Echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.served.Add(1)
	if e.Hold != nil {
		e.Hold(r)
	}
	seen := Seen{Method: r.Method, Target: r.RequestURI, Host: r.Host, Header: map[string][]string{}}
	for name, values := range r.Header {
		name = strings.ToLower(name)
		seen.Header[name] = append(seen.Header[name], values...)
	}
	w.Header().Set("Content-Type", "application/json")
	// A client that has gone is nobody's fault.
	_ = json.NewEncoder(w).Encode(seen)
}

// Served is how many requests have reached the application.
func (e *Echo) Served() int64 { return e.served.Load() }
