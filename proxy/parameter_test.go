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

// TestWhatAProfileWritesIntoAQuery: the bytes of names and of values. None of them ends the
// query or begins another parameter; policies for opa-envoy-plugin encode their own.
func TestWhatAProfileWritesIntoAQuery(t *testing.T) {
	own, lax := plainFor(ProfileRolegate), plainFor(ProfileOPAEnvoy)
	for i := range 256 {
		s := "x" + string([]byte{byte(i)}) + "x"
		visible := i > ' ' && i < 0x7f && i != '&' && i != '#' && i != ';'
		for what, c := range map[string]struct{ got, want bool }{
			"rolegate, a name":   {own(s, false), plainParameter(s)},
			"rolegate, a value":  {own(s, true), plainParameter(s)},
			"opa-envoy, a name":  {lax(s, false), visible && i != '='},
			"opa-envoy, a value": {lax(s, true), visible},
		} {
			if c.got != c.want {
				t.Errorf("%s: %q: got %t, want %t", what, s, c.got, c.want)
			}
		}
	}
}
