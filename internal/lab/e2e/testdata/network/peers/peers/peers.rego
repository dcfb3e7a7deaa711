# METADATA
# title: Who may connect to what
# description: Connections by the peer's SPIFFE id and the name that it asks for. Requests are nobody's here.
package peers

# METADATA
# title: The answer
# entrypoint: true
default decision := {"allowed": false, "reason": "no_permission"}

decision := {"allowed": true, "reason": "peer"} if {
	input.route.error == "no_http_request"
	input.attributes.tlsSession.sni == "db.example.org"
	input.source_principal == "spiffe://example.org/ns/shop/sa/orders"
}
