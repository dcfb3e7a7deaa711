package envoy.authz

import rego.v1

default allow := false

http := input.attributes.request.http

# A public path stays public, whatever stands in its headers.
allow if input.parsed_path[0] == "public"

allow := {"allowed": true, "headers": {"x-user": claims.sub}, "response_headers_to_add": {"x-decided": "yes"}} if {
	input.parsed_path[0] == "people"
	claims.sub
}

allow := {
	"allowed": false, "http_status": 401, "body": "log in",
	"headers": {"www-authenticate": "Basic", "set-cookie": ["a=1", "b=2"]},
} if {
	input.parsed_path[0] == "people"
	not claims.sub
}

# Only what a body says counts.
allow if {
	input.parsed_path == ["orders"]
	input.parsed_body.amount < 100
	not input.truncated_body
}

allow := {"allowed": true, "headers": {"x-user": 1}} if input.parsed_path[0] == "broken"

allow := "yes" if input.parsed_path[0] == "word"

allow := {"allowed": false, "http_status": 200, "body": "cached"} if input.parsed_path[0] == "cached"

claims := payload if {
	[_, encoded] := split(http.headers.authorization, " ")
	[_, payload, _] := io.jwt.decode(encoded)
}
