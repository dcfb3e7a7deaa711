package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// echo is the demo's upstream: it answers what it got, so that one can see what an
// upstream behind the proxy is told of the caller.
func echo(w http.ResponseWriter, r *http.Request) {
	headers := map[string]string{}
	for name, values := range r.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	if token, ok := headers["authorization"]; ok {
		// A token on a screen is a token in a screenshot.
		headers["authorization"] = fmt.Sprintf("(%d bytes)", len(token))
	}
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	_ = enc.Encode(struct { // the client left: nobody to tell
		Method  string            `json:"method"`
		Path    string            `json:"path"`
		Query   string            `json:"query,omitempty"`
		Host    string            `json:"host"`
		Headers map[string]string `json:"headers"`
	}{r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Host, headers})
}
