package importer_test

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"testing"

	"github.com/rolegate/rolegate/loader/importer"
)

// What a million members cost is this, a hundred times.
func BenchmarkMembers(b *testing.B) {
	const policy = `{"policy":{"roles":[{"role_id":"editor","permissions":[{"resource_id":"documents","actions":["read"]}]}],"resources":[{"resource_id":"documents","actions":["read"]}]}}`
	const members = 10_000
	var text bytes.Buffer
	text.WriteString(policy + "\n")
	for i := range members {
		j := i * 7919 % members
		fmt.Fprintf(&text, `{"organization_id":"org-%d","member_id":"member-live-%08d-aaaa-bbbb-cccc","email_address":"user%d@acme%d.example","status":"active",`+
			`"name":"User Number %d","created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-01T00:00:00Z","is_breakglass":false,"trusted_metadata":{},"untrusted_metadata":{},`+
			`"roles":[{"role_id":"stytch_member","sources":[{"type":"direct_assignment","details":{}}]},{"role_id":"editor","sources":[{"type":"direct_assignment","details":{}}]}]}`+"\n",
			j%50, j, j, j%50, j)
	}
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		result, err := importer.Run(b.Context(), importer.Config{
			Vendor: "stytch", Dir: filepath.Join(b.TempDir(), fmt.Sprint("bundle", n)), SortBytes: 1 << 20,
			Files: []importer.File{{Name: "members", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text.Bytes())), nil }}},
		})
		if err != nil {
			b.Fatal(err)
		}
		if result.Count.Members.Mapped != members {
			b.Fatalf("got %d members", result.Count.Members.Mapped)
		}
	}
}
