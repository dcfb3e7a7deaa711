package identity

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestAttributesAddToThePreset: names of one's own stand beside those of the preset, and in
// their place.
func TestAttributesAddToThePreset(t *testing.T) {
	preset := Claims{Attrs: map[string]string{"plan": "/plan", "region": "/region"}}
	preset.overlay(Claims{Attrs: map[string]string{"region": "/r", "team": "/team"}})
	want := map[string]string{"plan": "/plan", "region": "/r", "team": "/team"}
	if diff := cmp.Diff(want, preset.Attrs); diff != "" {
		t.Errorf("attrs (-want +got):\n%s", diff)
	}
}
