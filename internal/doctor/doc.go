// Package doctor reads what a running Envoy says of its configuration and finds what
// would let requests pass unasked, make an outage look like a denial, or lose requests
// when rolegate restarts. It knows no HTTP: who calls it brings the documents.
package doctor
