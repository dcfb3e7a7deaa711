// Package token reads a signed JWT strictly, before any cryptography: its size, its
// three parts, its header and its payload. It knows neither keys nor claims'
// meaning, and imports nothing but the standard library, so that it fuzzes fast.
//
// What it accepts is narrower than the RFCs: one compact JWS of at most [MaxSize]
// bytes whose header and payload are JSON objects without duplicate names. The
// members jku, jwk, x5u and x5c are never looked at, so no token can bring its own
// key.
package token
