// Package demo is the bundle that `rolegate dev` writes and serves: two tenants and
// a nested one, eight roles, each feature of the role model once. Its README says
// who may do what, and why.
package demo

import (
	"embed"
	"io/fs"
)

//go:embed README.md .manifest .dev rbac routes
var files embed.FS

// Files is the bundle, as it stands on disk. Beside it, below .dev, is what the demo
// needs and no bundle holds: the people whom `rolegate dev token` knows.
func Files() fs.FS { return files }
