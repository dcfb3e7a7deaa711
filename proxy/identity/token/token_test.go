package token_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/proxy/identity/token"
)

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

func compact(header, payload, signature string) string {
	return b64(header) + "." + b64(payload) + "." + b64(signature)
}

func TestParse(t *testing.T) {
	text := compact(`{"alg":"EdDSA","kid":"","typ":"JWT","jku":"https://evil.example","x5c":[1]}`, `{"iss":"i"}`, "sig")
	got, err := token.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	want := token.Token{
		Algorithm: "EdDSA", HasKeyID: true, Type: "JWT",
		Payload:   map[string]any{"iss": "i"},
		Signed:    text[:strings.LastIndexByte(text, '.')],
		Signature: []byte("sig"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Parse(%q) (-want +got):\n%s", text, diff)
	}
}

// TestParseRefuses has what is wrong with a token, each with its word. The rest of each
// token is sound.
func TestParseRefuses(t *testing.T) {
	const header, payload = `{"alg":"EdDSA","kid":"k","typ":"JWT"}`, `{"iss":"i"}`
	good := compact(header, payload, "sig")
	with := func(member string) string { return compact(`{"alg":"EdDSA",`+member+`}`, payload, "sig") }
	alg := func(v string) string { return compact(`{"alg":`+v+`}`, payload, "sig") }
	for _, tt := range []struct {
		name, text string
		want       error
	}{
		{"nothing", "", token.ErrMalformed},
		{"no dots", b64(header), token.ErrMalformed},
		{"two parts", b64(header) + "." + b64(payload), token.ErrMalformed},
		{"four parts", good + "." + b64("sig"), token.ErrMalformed},
		{"five parts", good + "." + b64("x") + "." + b64("y"), token.ErrEncrypted},
		{"six parts", good + "." + b64("x") + "." + b64("y") + "." + b64("z"), token.ErrMalformed},
		{"no signature", compact(header, payload, ""), token.ErrUnsigned},
		{"signature is no base64url", strings.TrimSuffix(good, b64("sig")) + "s+g=", token.ErrMalformed},
		{"signature with a line end", good + "\n", token.ErrMalformed},
		{"signature with a carriage return", good + "\r", token.ErrMalformed},
		{"signature with stray bits", compact(header, payload, "") + "QR", token.ErrMalformed},
		{"header is no base64url", "e+0." + b64(payload) + "." + b64("sig"), token.ErrMalformed},
		{"header is no object", compact(`[]`, payload, "sig"), token.ErrMalformed},
		{"header with a twin", with(`"alg":"EdDSA"`), token.ErrDuplicate},
		{"payload is no base64url", b64(header) + ".e+0." + b64("sig"), token.ErrMalformed},
		{"payload is no object", compact(header, `[]`, "sig"), token.ErrMalformed},
		{"payload with a twin", compact(header, `{"a":1,"a":1}`, "sig"), token.ErrDuplicate},
		{"encrypted", with(`"enc":"A128GCM"`), token.ErrEncrypted},
		{"encrypted, null", with(`"enc":null`), token.ErrEncrypted},
		{"packed", with(`"zip":"DEF"`), token.ErrEncrypted},
		{"critical", with(`"crit":["exp"]`), token.ErrCritical},
		{"critical, nothing", with(`"crit":[]`), token.ErrCritical},
		{"payload as it is", with(`"b64":false`), token.ErrCritical},
		{"no alg", compact(`{"kid":"k"}`, payload, "sig"), token.ErrMalformed},
		{"alg is null", alg(`null`), token.ErrMalformed},
		{"alg is a list", alg(`["EdDSA"]`), token.ErrMalformed},
		{"alg none", alg(`"none"`), token.ErrUnsigned},
		{"alg none in capitals", alg(`"nOnE"`), token.ErrUnsigned},
		{"kid is null", with(`"kid":null`), token.ErrMalformed},
		{"kid is a number", with(`"kid":1`), token.ErrMalformed},
		{"typ is null", with(`"typ":null`), token.ErrMalformed},
		{"typ is a number", with(`"typ":1`), token.ErrMalformed},
	} {
		got, err := token.Parse(tt.text)
		if !errors.Is(err, tt.want) || got.Algorithm != "" || got.Payload != nil || got.Signature != nil {
			t.Errorf("%s: Parse(%q)\n got %+v, error %v\nwant nothing, error %v", tt.name, tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{good, alg(`"EdDSA"`), with(`"kid":""`), with(`"x":1`)} {
		if _, err := token.Parse(text); err != nil {
			t.Errorf("Parse(%q): got error %v, want it taken", text, err)
		}
	}
	if got := token.ErrUnsigned.Error(); got != "bad credential: unsigned" {
		t.Errorf("got error text %q", got)
	}
}

func TestParseSize(t *testing.T) {
	around := compact(`{"alg":"EdDSA"}`, `{}`, "s")
	fill := strings.Repeat("A", token.MaxSize-len(around))
	head, tail, _ := strings.Cut(around, ".")
	_, sig, _ := strings.Cut(tail, ".")
	// The payload is no JSON: what matters is which of the two is found first.
	fits := head + "." + fill + b64("{}") + "." + sig
	if len(fits) != token.MaxSize {
		t.Fatalf("test makes a token of %d bytes, want %d", len(fits), token.MaxSize)
	}
	if _, err := token.Parse(fits); !errors.Is(err, token.ErrMalformed) {
		t.Errorf("token of MaxSize: got error %v, want %v", err, token.ErrMalformed)
	}
	if _, err := token.Parse(fits + "A"); !errors.Is(err, token.ErrTooLarge) {
		t.Errorf("token of MaxSize+1: got error %v, want %v", err, token.ErrTooLarge)
	}
	if _, err := token.Parse(strings.Repeat(".", 1<<20)); !errors.Is(err, token.ErrTooLarge) {
		t.Errorf("a million dots: got error %v, want %v", err, token.ErrTooLarge)
	}
}

// FuzzParse checks that whatever is accepted is written in the only way there is:
// its parts, encoded again, are the token.
func FuzzParse(f *testing.F) {
	f.Add(compact(`{"alg":"RS256","kid":"a"}`, `{"iss":"i","exp":1}`, "sig"))
	f.Add(compact(`{"alg":"none"}`, `{}`, ""))
	f.Add(compact(`{"alg":"HS256","crit":["b64"],"b64":false}`, `{}`, "s"))
	f.Add("e30.e30.e30")
	f.Add("....")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := token.Parse(text)
		if err != nil {
			if _, ok := errors.AsType[token.Error](err); !ok {
				t.Fatalf("Parse(%q): error %v is not of our words", text, err)
			}
			return
		}
		if again := got.Signed + "." + b64(string(got.Signature)); again != text {
			t.Fatalf("Parse(%q) accepts another writing of %q", text, again)
		}
		if strings.EqualFold(got.Algorithm, "none") || len(got.Signature) == 0 || len(text) > token.MaxSize {
			t.Fatalf("Parse(%q) accepts %+v", text, got)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	text := compact(`{"alg":"EdDSA","kid":"k1","typ":"JWT"}`,
		`{"iss":"https://idp.example","sub":"u-17","aud":"shop","exp":1767229200,"nbf":1767225600,"jti":"t-1",`+
			`"tenant":"acme","email":"u@acme.com","email_verified":true,"roles":["developer","reader"],"permissions":["documents:read"]}`,
		strings.Repeat("s", 64))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := token.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
