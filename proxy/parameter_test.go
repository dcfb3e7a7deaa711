package proxy

import "testing"

func TestOnlyPlainTextsStandInAQuery(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "ann": true, "a-b._~": true,
		"ann&x=1": false, "a=b": false, "a b": false, "a+b": false, "a#b": false, "ü": false, "a%20b": false, "%": false, "%2": false, "%zz": false, "a\nb": false,
	} {
		if got := plainParameter(text); got != want {
			t.Errorf("%q: got %t, want %t", text, got, want)
		}
	}
}
