// Package loader brings bundles in: it watches a directory of them, reads each one
// whole, refuses what it cannot read in exactly one way, builds a snapshot aside
// and installs it in one step. Whatever fails before that leaves the last good
// snapshot in charge.
//
// [Loader] does this for as long as a server runs, [Open] once, for commands; both take
// the same path.
//
// A directory with a manifest, Rego or data at its top is one bundle. Otherwise
// each of its subdirectories and each *.tar.gz in it is one. Names that begin with
// a dot are not looked at. Files are named in messages as they stand below the
// directory: "acme/rbac/data.json", "acme.tar.gz/authz/deny.rego".
package loader
