package reference_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/rolegate/rolegate/internal/lab/reference"
)

// FuzzShapes: whatever the shapes of data and questions, the reference answers and never panics; an
// answer that allows has a principal or is public.
func FuzzShapes(f *testing.F) {
	for _, text := range []string{
		`{"rbac":null,"question":null}`,
		`{"rbac":{"tenants":{"@root":null,"a":[]},"roles":{"r":7},"members":{"a":{"p":[]}}},"question":{"principal":"p","tenant":"a","action":"x","time":"1"}}`,
		`{"rbac":{"tenants":{"a":{"policy":[],"implicit":{"conn:c":{}},"conditional_roles":{"r":{"op":"not","of":{"op":"and","of":[[]]}}}}},"members":{"a":{"p":{"grants":[["r"]],"attrs":[]}}}},"question":{"principal":"p","tenant":"a","action":"x","time":1e999,"claims":{"sso":{"c":[]},"exp":1e400,"nbf":-1}}}`,
		`{"rbac":{"tenants":{"a":{}},"roles":{"a.r":{"owner":"a","key":"r","allow":{"x":[]},"windows":[[1],[2,"3"],4]}},"members":{"a":{"p":{"grants":{"a.r":[[null,1]]}}}}},"question":{"principal":"p","tenant":"a","resource":[],"action":"x","time":1,"roles_any":{}}}`,
		`{"rbac":{"catalog":[],"issuers":{"i":[]},"aliases":{"a":[]},"revoked":{"grants":[],"tokens":{"j":"0"}}},"question":{"principal":["p"],"tenant":{},"claims":{"iss":"i","jti":[]}}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var c struct {
			RBAC, Authz, Question, Old map[string]any
		}
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.UseNumber()
		if decoder.Decode(&c) != nil {
			return
		}
		data := reference.Data{RBAC: c.RBAC, Authz: c.Authz}
		report := reference.Decide(data, c.Question)
		principal, _ := c.Question["principal"].(string)
		if report.Allow && principal == "" && report.Reason != "public" {
			t.Errorf("nobody is allowed: %+v\ncase: %s", report, text)
		}
		if report.Allow != (report.Reason == "allowed" || report.Reason == "public") && len(data.Authz) == 0 {
			t.Errorf("allow and reason differ: %+v\ncase: %s", report, text)
		}
		reference.Assignment(data, c.Question)
		reference.Search(data, c.Question)
		reference.Signup(data, c.Question)
		reference.Validate(c.RBAC)
		reference.ValidateChange(c.Old, c.RBAC)
	})
}
