// Package keys holds the public keys of one issuer and checks signatures with them.
//
// A key is found by looking its kid up in a map, never by trying several; and it
// verifies only with algorithms of its own kind, so that a public key can never be
// taken for a shared secret.
package keys
