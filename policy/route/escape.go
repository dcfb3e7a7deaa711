package route

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape writes a value as one segment of a tenant's key or of a place, as the
// data must write it too: ".", "%", "@", "*", "$", white space, control
// characters and what is not UTF-8 become upper-case percent escapes of their
// bytes. Two values never have one escape.
func Escape(value string) string { return escape(value, false) }

// escape is Escape; keepDots leaves dots alone, for a tenant that comes whole
// from one verified claim.
func escape(value string, keepDots bool) string {
	extra := 0
	for i, r := range value {
		if mustEscape(r, value[i:], keepDots) {
			extra += 2 * runeLen(value[i:])
		}
	}
	if extra == 0 {
		return value
	}
	buf := make([]byte, 0, len(value)+extra)
	return string(appendEscaped(buf, value, keepDots))
}

func appendEscaped(buf []byte, value string, keepDots bool) []byte {
	const hex = "0123456789ABCDEF"
	for i, r := range value {
		size := runeLen(value[i:])
		if !mustEscape(r, value[i:], keepDots) {
			buf = append(buf, value[i:i+size]...)
			continue
		}
		for _, b := range []byte(value[i : i+size]) {
			buf = append(buf, '%', hex[b>>4], hex[b&15])
		}
	}
	return buf
}

// mustEscape says whether r, which rest begins with, may not stand raw.
func mustEscape(r rune, rest string, keepDots bool) bool {
	switch r {
	case '.':
		return !keepDots
	case '%', '@', '*', '$':
		return true
	case utf8.RuneError:
		return runeLen(rest) == 1 // a broken byte, not U+FFFD itself
	}
	return unicode.IsSpace(r) || unicode.IsControl(r)
}

func runeLen(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	_, size := utf8.DecodeRuneInString(s)
	return size
}

// wellFormed says whether path is a node's key as N1 has it.
func wellFormed(path string) bool {
	if path == rootNode {
		return true
	}
	for segment := range strings.SplitSeq(path, ".") {
		if segment == "" || strings.ContainsFunc(segment, notInNode) {
			return false
		}
	}
	return true
}

func notInNode(r rune) bool {
	return r == '$' || r == '@' || r == '*' || unicode.IsSpace(r) || unicode.IsControl(r)
}

// rootNode is the node above every tenant.
const rootNode = "@root"
