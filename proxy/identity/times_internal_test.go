package identity

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/rolegate/rolegate/proxy/identity/token"
)

func TestTimesOf(t *testing.T) {
	for _, tt := range []struct {
		exp, nbf string // JSON; "" is absent
		leeway   int64
		want     times
		err      error
	}{
		{"1767229200", "", 0, times{exp: 1767229200000}, nil},
		{"1767229200", "0", 0, times{exp: 1767229200000, hasNBF: true}, nil},
		{"1767229200", "1767225600", 30_000, times{exp: 1767229230000, nbf: 1767225570000, hasNBF: true}, nil},
		{"10", "10", 60_000, times{exp: 70_000, nbf: -50_000, hasNBF: true}, nil},
		{"0", "null", 0, times{exp: 0}, nil},
		{"1.0019", "1.0011", 0, times{exp: 1001, nbf: 1002, hasNBF: true}, nil},
		{"1.5e3", "15e2", 0, times{exp: 1_500_000, nbf: 1_500_000, hasNBF: true}, nil},
		{"253402300799", "253402300799.0", 0, times{exp: 253402300799000, nbf: 253402300799000, hasNBF: true}, nil},
		{"0.0", "0e5", 0, times{exp: 0, hasNBF: true}, nil},
		{"1.0000001", "1.0000000", 0, times{exp: 1000, nbf: 1000, hasNBF: true}, nil},
		{"-0.1", "", 0, times{}, token.ErrBadTime},
		{"{}", "", 0, times{}, token.ErrBadTime},
		{"253402300799.1", "", 0, times{}, token.ErrBadTime},
		{"253402300800", "", 0, times{}, token.ErrBadTime},
		{"1e999", "", 0, times{}, token.ErrBadTime},
		{"1e-999", "", 0, times{}, nil},
		{"-1", "", 0, times{}, token.ErrBadTime},
		{"9223372036854775807", "", 0, times{}, token.ErrBadTime},
		{`"1"`, "", 0, times{}, token.ErrBadTime},
		{"true", "", 0, times{}, token.ErrBadTime},
		{"null", "", 0, times{}, token.ErrNoExpiry},
		{"", "1", 0, times{}, token.ErrNoExpiry},
		{"1", "-1", 0, times{}, token.ErrBadTime},
		{"1", `"1"`, 0, times{}, token.ErrBadTime},
	} {
		doc := map[string]json.RawMessage{}
		for name, text := range map[string]string{"exp": tt.exp, "nbf": tt.nbf} {
			if text != "" {
				doc[name] = json.RawMessage(text)
			}
		}
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		payload, err := token.Object(raw)
		if err != nil {
			t.Fatal(err)
		}
		got, err := timesOf(payload, tt.leeway)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("timesOf(%s, %d)\n got %+v, %v\nwant %+v, %v", raw, tt.leeway, got, err, tt.want, tt.err)
		}
	}
}
