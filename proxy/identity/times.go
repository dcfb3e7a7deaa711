package identity

import (
	"encoding/json"
	"math/big"
	"strconv"

	"github.com/rolegate/rolegate/proxy/identity/token"
)

// maxSeconds is the end of the year 9999. A later time is no time but a mistake,
// most often milliseconds where seconds belong.
const maxSeconds = 253402300799

// times are exp and nbf in milliseconds since 1970, the leeway included.
type times struct {
	exp    int64
	nbf    int64
	hasNBF bool
}

// timesOf reads the registered claims. The error is a [token.Error].
func timesOf(payload map[string]any, leeway int64) (times, error) {
	if payload["exp"] == nil {
		return times{}, token.ErrNoExpiry
	}
	var t times
	var ok bool
	// Fractions are rounded so that a token holds rather a little shorter.
	if t.exp, ok = millis(payload["exp"], false); !ok {
		return times{}, token.ErrBadTime
	}
	t.exp += leeway
	if payload["nbf"] == nil {
		return t, nil
	}
	if t.nbf, t.hasNBF = millis(payload["nbf"], true); !t.hasNBF {
		return times{}, token.ErrBadTime
	}
	t.nbf -= leeway
	return t, nil
}

// millis turns a NumericDate into milliseconds, exactly.
func millis(v any, up bool) (int64, bool) {
	number, _ := v.(json.Number) // "", which is no number, where it is none
	if seconds, err := strconv.ParseInt(string(number), 10, 64); err == nil {
		return seconds * 1000, 0 <= seconds && seconds <= maxSeconds
	}
	exact, ok := new(big.Rat).SetString(string(number))
	if !ok || exact.Sign() < 0 || exact.Cmp(big.NewRat(maxSeconds, 1)) > 0 {
		return 0, false
	}
	exact.Mul(exact, big.NewRat(1000, 1))
	whole, rest := new(big.Int).QuoRem(exact.Num(), exact.Denom(), new(big.Int))
	if up && rest.Sign() > 0 {
		return whole.Int64() + 1, true
	}
	return whole.Int64(), true
}
