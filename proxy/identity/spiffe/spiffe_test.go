package spiffe_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rolegate/rolegate/proxy/identity/spiffe"
)

func TestPattern(t *testing.T) {
	p, err := spiffe.ParsePattern("spiffe://{domain}/ns/{ns}/sa/{sa}", []string{"a.example", "b.example"})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"domain", "ns", "sa"}, p.Names()); diff != "" {
		t.Errorf("Names (-want +got):\n%s", diff)
	}
	got, ok := p.Match("spiffe://b.example/ns/shop/sa/web")
	if diff := cmp.Diff(spiffe.Values{"domain": "b.example", "ns": "shop", "sa": "web"}, got); diff != "" || !ok {
		t.Errorf("Match (-want +got):\n%s", diff)
	}
	template, err := spiffe.ParseTemplate("{domain}:{ns}/x/{sa}", p.Names())
	if err != nil {
		t.Fatal(err)
	}
	if text := template.Text(got, nil); text != "b.example:shop/x/web" {
		t.Errorf("Text: got %q", text)
	}
	if text := template.Text(got, strings.ToUpper); text != "B.EXAMPLE:SHOP/x/WEB" {
		t.Errorf("Text, escaped: got %q", text)
	}
	for _, long := range []string{strings.Repeat("a", 3000), "a" + strings.Repeat("/a", 1500)} {
		if _, ok := p.Match("spiffe://a.example/ns/shop/sa/" + long); ok {
			t.Errorf("an id of %d bytes matches", len(long))
		}
	}
	if _, ok := (spiffe.Pattern{}).Match("spiffe://a.example"); ok {
		t.Error("the zero pattern matches")
	}
}

func TestLastURI(t *testing.T) {
	for header, want := range map[string]string{
		"URI=a":                           "a",
		" uri = a ;Hash=b":                "a",
		`URI="a,b;c=\"\\"`:                `a,b;c="\`,
		`URI=a,URI=b,By=x;By=y;URI=c`:     "c",
		`Subject="CN=\"x\"" ; URI=a`:      "a",
		`Cert="-----BEGIN%20";URI=a;DNS=`: "a",
	} {
		if got, err := spiffe.LastURI(header); got != want || err != nil {
			t.Errorf("LastURI(%q): got %q %v, want %q", header, got, err, want)
		}
	}
	for header, want := range map[string]error{
		"":                                  spiffe.ErrForwarded,
		"a":                                 spiffe.ErrForwarded,
		"=a":                                spiffe.ErrForwarded,
		`URI="a`:                            spiffe.ErrForwarded,
		`URI="a\`:                           spiffe.ErrForwarded,
		`URI="a"b`:                          spiffe.ErrForwarded,
		"URI=a;":                            spiffe.ErrForwarded,
		"URI=a,":                            spiffe.ErrForwarded,
		"URI=a,,URI=b":                      spiffe.ErrForwarded,
		"By=a,b;URI=c":                      spiffe.ErrForwarded,
		"Hash=a":                            spiffe.ErrNoURI,
		"URI=":                              spiffe.ErrNoURI,
		"URI=a;URI=a":                       spiffe.ErrNoURI,
		"URI=a,Hash=b":                      spiffe.ErrNoURI,
		strings.Repeat("URI=a,", 64) + "U=": spiffe.ErrForwarded,
		"URI=" + strings.Repeat("a", 70000): spiffe.ErrForwarded,
	} {
		if got, err := spiffe.LastURI(header); got != "" || !errors.Is(err, want) {
			t.Errorf("LastURI(%.60q): got %q %v, want %v", header, got, err, want)
		}
	}
}

// FuzzLastURI: whatever a proxy wrote before, what it appends last is what is read.
func FuzzLastURI(f *testing.F) {
	for _, header := range []string{
		"By=spiffe://a/b;Hash=c;Subject=\"CN=\\\"x\\\",O=y\";URI=spiffe://a/ns/b/sa/c", "URI=a,URI=b", `URI="a`, "", ",;=\"\\", "uri =a; Uri=b",
	} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		uri, err := spiffe.LastURI(header)
		if (err == nil) != (uri != "") {
			t.Fatalf("%q: got %q beside error %v", header, uri, err)
		}
		if err != nil && !errors.Is(err, spiffe.ErrForwarded) && !errors.Is(err, spiffe.ErrNoURI) {
			t.Fatalf("%q: error %v is none of ours", header, err)
		}
		appended, errAppended := spiffe.LastURI(header + ",Hash=x;URI=spiffe://a/last")
		if !errors.Is(err, spiffe.ErrForwarded) && len(header) < 60_000 && strings.Count(header, ",") < 60 &&
			(errAppended != nil || appended != "spiffe://a/last") {
			t.Fatalf("%q, and an element more: got %q %v", header, appended, errAppended)
		}
		if errAppended == nil && appended != "spiffe://a/last" {
			t.Fatalf("%q hides what is appended to it: got %q", header, appended)
		}
	})
}

// FuzzMatch: what matches is exactly what the values make of the pattern.
func FuzzMatch(f *testing.F) {
	for _, id := range []string{
		"spiffe://a.example/ns/b/sa/c", "spiffe://b.example/ns/b/sa/c", "spiffe://a.example:1/ns/b/sa/c", "spiffe://a.example/ns/../sa/c",
		"spiffe://A.example/ns/b/sa/c", "spiffe://a.example/ns/b/sa/c/", "spiffe://a.example/ns/%62/sa/c", "spiffe://a.example", "",
	} {
		f.Add(id)
	}
	const form = "spiffe://{domain}/ns/{ns}/sa/{sa}"
	p, err := spiffe.ParsePattern(form, []string{"a.example", "b.example"})
	if err != nil {
		f.Fatal(err)
	}
	back, err := spiffe.ParseTemplate(form, p.Names())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, id string) {
		values, ok := p.Match(id)
		if !ok {
			return
		}
		if got := back.Text(values, nil); got != id {
			t.Fatalf("%q matches as %v, which is %q", id, values, got)
		}
		if d := values["domain"]; d != "a.example" && d != "b.example" || strings.ContainsAny(values["ns"]+values["sa"], "/%?#@:, \x00") {
			t.Fatalf("%q matches as %v", id, values)
		}
	})
}

// FuzzCertificate: whatever stands there, it is a certificate with one URI or an error of
// ours.
func FuzzCertificate(f *testing.F) {
	// Self-signed, of spiffe://a/b.
	f.Add("-----BEGIN%20CERTIFICATE-----%0AMIIBRTCB%2BKADAgECAhQ4Pv%2F9u1i7uyQZMBPzRf6OGWKK4TAFBgMrZXAwDDEKMAgG%0AA1UEAww" +
		"BYTAeFw0yNjExMjUyMzM1NTRaFw0zNjExMjIyMzM1NTRaMAwxCjAIBgNV%0ABAMMAWEwKjAFBgMrZXADIQDzlaCeyfN%2BAlemP4pcIyUV9NL2" +
		"4%2F8twvtaZ%2FPmDLWo%0AYqNsMGowHQYDVR0OBBYEFA1IOPbSbxPwp9pCIugbj8SiKXkSMB8GA1UdIwQYMBaA%0AFA1IOPbSbxPwp9pCIugb" +
		"j8SiKXkSMA8GA1UdEwEB%2FwQFMAMBAf8wFwYDVR0RBBAw%0ADoYMc3BpZmZlOi8vYS9iMAUGAytlcANBADtpeessiabSEaryjVj4j1c9SKKSm" +
		"k6k%0AHLwKMDoPmXHGeHXGYbhS3UhsuLsjd5UWdcOnBsPLWUD6X5fGIzhcYQU%3D%0A-----END%20CERTIFICATE-----%0A")
	f.Add("%")
	f.Add("-----BEGIN CERTIFICATE-----\n\n-----END CERTIFICATE-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		uri, ends, err := spiffe.Certificate(text)
		if err == nil {
			return
		}
		if uri != "" || !ends.IsZero() || !errors.Is(err, spiffe.ErrCertificate) && !errors.Is(err, spiffe.ErrNoURI) {
			t.Fatalf("%q: got %q %v %v", text, uri, ends, err)
		}
	})
}
