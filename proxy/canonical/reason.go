package canonical

import "fmt"

// Reason is one stable word for why a part was refused. It may be logged and
// counted: it never holds anything of the request.
type Reason string

// The reasons. Their words do not change: dashboards and tests name them.
const (
	Empty          Reason = "empty"           // nothing where something must be
	NotAbsolute    Reason = "not_absolute"    // a target that does not begin with "/": "admin", "*", "host:443"
	AbsoluteForm   Reason = "absolute_form"   // a target with a scheme: "http://host/path"
	Fragment       Reason = "fragment"        // "#" in a target
	EncodedSlash   Reason = "encoded_slash"   // %2F in a path
	Backslash      Reason = "backslash"       // "\" or %5C in a path
	EncodedPercent Reason = "encoded_percent" // %25 in a path: a second decoding would find something else
	BadEscape      Reason = "bad_escape"      // "%" without two hexadecimal digits
	NUL            Reason = "nul"             // a zero byte, raw or encoded
	Control        Reason = "control"         // another control character (Unicode Cc), raw or encoded
	Unencoded      Reason = "unencoded"       // a raw space or a raw byte beyond ASCII
	BadUTF8        Reason = "bad_utf8"        // not UTF-8 once decoded
	DotSegment     Reason = "dot_segment"     // "." or "..", before or after decoding, with or without ";parameters"
	EmptySegment   Reason = "empty_segment"   // "//", or nothing but ";parameters" between slashes
	Semicolon      Reason = "semicolon"       // a raw ";" in a query: some backends split there, some do not
	BadChar        Reason = "bad_char"        // a character that a host name or a method cannot hold
	BadPort        Reason = "bad_port"        // what follows the colon of a host is not a port
	BadAddress     Reason = "bad_address"     // brackets around something that is not an IPv6 address
	EmptyLabel     Reason = "empty_label"     // a host with two dots in a row, or a leading one
	TooLong        Reason = "too_long"        // longer than a host name or a method may be
)

// Error says which part was refused and why. Its text never repeats the part:
// it may hold secrets, and be as long as the caller likes.
type Error struct {
	Part   string // "path", "host", "query" or "method"
	Reason Reason
	Offset int // in bytes, of what is wrong or of the segment that is
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s refused: %s at byte %d", e.Part, e.Reason, e.Offset)
}
