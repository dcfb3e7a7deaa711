// Package envoy runs a real Envoy for tests and measurements, on configurations
// that are edited copies of the ones that ship: what is tested is what users get.
package envoy
