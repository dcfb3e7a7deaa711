// Package spiffe reads whom a certificate names: SPIFFE ids, by patterns of them, and the
// header in which a proxy says whose certificate it verified. It imports nothing of ours,
// so that it fuzzes fast.
package spiffe
