package upstream_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/internal/lab/upstream"
)

func TestEchoTellsWhatItGot(t *testing.T) {
	echo := &upstream.Echo{}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPut, "http://api.example.com/a%20b?x=1", http.NoBody)
	r.Header = http.Header{"X-User": {"a", "b"}, "x_user": {"c"}}
	w := httptest.NewRecorder()
	echo.ServeHTTP(w, r)
	var got upstream.Seen
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, w.Body)
	}
	want := upstream.Seen{
		Method: http.MethodPut, Target: "http://api.example.com/a%20b?x=1", Host: "api.example.com",
		Header: map[string][]string{"x-user": {"a", "b"}, "x_user": {"c"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("seen (-want +got):\n%s", diff)
	}
	if got := echo.Served(); got != 1 {
		t.Errorf("Served = %d, want 1", got)
	}
}
