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
