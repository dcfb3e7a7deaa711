package canonical

import (
	"net/netip"
	"strings"
)

// maxHost is the longest host name in bytes: DNS cannot hold a longer one, and
// whoever looks up each suffix of a host needs a bound.
const maxHost = 253

// maxMethod is the longest method in bytes. The longest registered one,
// UPDATEREDIRECTREF, has 17.
const maxMethod = 32

// Host reads a Host or :authority value: lower case, without port and without
// the one trailing dot. IPv6 literals keep their brackets and are written in
// their shortest form, "[2001:db8::1]"; zones are refused. Host of a result is
// the result. Every error is an *Error whose Part is "host".
//
// Only letters, digits, "-", "_" and "." may stand in a name: "@", ",", white
// space, "*", escapes and bytes beyond ASCII (an IDN arrives in its xn-- form)
// are refused, and so is an empty value.
func Host(raw string) (string, error) {
	if raw == "" {
		return "", refuseHost(Empty, 0)
	}
	if raw[0] == '[' {
		return hostIPv6(raw)
	}
	name, port, hasPort := strings.Cut(raw, ":")
	if hasPort && !isPort(port) {
		return "", refuseHost(BadPort, len(name)+1)
	}
	name = strings.TrimSuffix(name, ".")
	switch {
	case name == "":
		return "", refuseHost(Empty, 0)
	case len(name) > maxHost:
		return "", refuseHost(TooLong, maxHost)
	}
	labelStart, upper := 0, false
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.':
			if i == labelStart {
				return "", refuseHost(EmptyLabel, i)
			}
			labelStart = i + 1
		case c != '-' && c != '_' && !isAlphanumeric(c):
			return "", refuseHost(BadChar, i)
		default:
			upper = upper || 'A' <= c && c <= 'Z'
		}
	}
	if labelStart == len(name) {
		return "", refuseHost(EmptyLabel, labelStart)
	}
	if !upper {
		return name, nil
	}
	return strings.ToLower(name), nil
}

func hostIPv6(raw string) (string, error) {
	literal, rest, closed := strings.Cut(raw[1:], "]")
	if !closed {
		return "", refuseHost(BadAddress, 0)
	}
	addr, _ := netip.ParseAddr(literal) // the zero address, which is none, on an error
	if !addr.Is6() || addr.Zone() != "" {
		return "", refuseHost(BadAddress, 1)
	}
	if rest != "" && (rest[0] != ':' || !isPort(rest[1:])) {
		return "", refuseHost(BadPort, len(literal)+2)
	}
	return "[" + addr.String() + "]", nil
}

func isPort(s string) bool {
	if s == "" || len(s) > len("65535") {
		return false
	}
	n := 0
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n < 1<<16
}

func refuseHost(reason Reason, offset int) error {
	return &Error{Part: "host", Reason: reason, Offset: offset}
}

// Method refuses what is not a method: a token of RFC 9110, and not longer than
// any method in use. Methods are case-sensitive: "get" is valid, and is not
// "GET". Every error is an *Error whose Part is "method".
func Method(raw string) error {
	if raw == "" {
		return &Error{Part: "method", Reason: Empty}
	}
	if len(raw) > maxMethod {
		return &Error{Part: "method", Reason: TooLong, Offset: maxMethod}
	}
	for i := range len(raw) {
		if !isTokenByte(raw[i]) {
			return &Error{Part: "method", Reason: BadChar, Offset: i}
		}
	}
	return nil
}

func isTokenByte(c byte) bool {
	switch c {
	case '!', '#', '$', '%', '&', '\'', '*', '+', '-', '.', '^', '_', '`', '|', '~':
		return true
	}
	return isAlphanumeric(c)
}
