package main

import (
	"fmt"
	"net/http"
	"strings"
)

// try is a request to the demo, and the status it gets.
type try struct {
	who    string // "" sends no token
	method string
	path   string
	status int
	why    string
}

// tries show each feature of the role model at work. The README of the demo bundle
// says the same in a table.
func tries() []try {
	return []try{
		{"bob", http.MethodGet, "/v1/acme/documents", 200, "reader, by his email domain"},
		{"bob", http.MethodPut, "/v1/acme/documents/plan", 403, "nothing lets him write"},
		{"dora", http.MethodPut, "/v1/acme/documents/plan", 200, "editor, granted until 2099"},
		{"carl", http.MethodPut, "/v1/acme/documents/plan", 403, "his grant ended with 2025"},
		{"pia", http.MethodPut, "/v1/acme/documents/plan", 200, "editor, by her department"},
		{"bob", http.MethodDelete, "/v1/acme/vault/k1", 200, "custodian, by his okta group"},
		{"ann", http.MethodDelete, "/v1/acme/vault/k1", 403, "custodian too, but frozen: a deny wins"},
		{"lena", http.MethodPost, "/v1/acme/labs/experiments", 200, "chemist of the nested tenant"},
		{"eve", http.MethodGet, "/v1/globex/documents", 200, "reader, by her connection"},
		{"eve", http.MethodGet, "/v1/acme/documents", 403, "her issuer speaks for globex alone"},
		{"gus", http.MethodGet, "/reports/globex/q3", 200, "auditor, which only globex can be given"},
		{"olivia", http.MethodGet, "/v1/globex/admin/users", 200, "platform admin"},
		{"", http.MethodGet, "/v1/acme/documents", 401, "no token"},
		{"", http.MethodGet, "/healthz", 200, "public"},
	}
}

// lines are the tries as commands to be pasted, whole: what follows is a comment.
// tokenCommand is what prints a token when a name is added.
func lines(tries []try, tokenCommand, url string) []string {
	commands, longest := make([]string, len(tries)), 0
	for i, t := range tries {
		var b strings.Builder
		b.WriteString("curl -i")
		if t.method != http.MethodGet {
			b.WriteString(" -X " + t.method)
		}
		if t.who != "" {
			fmt.Fprintf(&b, ` -H "Authorization: Bearer $(%s %s)"`, tokenCommand, t.who)
		}
		b.WriteString(" " + url + t.path)
		commands[i] = b.String()
		longest = max(longest, b.Len())
	}
	for i, t := range tries {
		commands[i] = fmt.Sprintf("%-*s  # → %d  %s", longest, commands[i], t.status, t.why)
	}
	return commands
}
