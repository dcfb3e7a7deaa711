// Package unary serves one unary gRPC method over HTTP/2, in the fewest steps: the
// goroutine that reads a connection answers, too, and what was answered is written when
// there is nothing more to read. An answer that takes longer loses nobody time: as soon as
// somebody waits for its context, another goroutine goes on reading.
//
// Frames and header blocks are those of golang.org/x/net/http2. A connection that begins
// with another method is handed to a complete gRPC server, as if nobody had looked at it.
//
// Sources: RFC 9113 (HTTP/2), RFC 7541 (HPACK), gRPC over HTTP/2.
package unary
