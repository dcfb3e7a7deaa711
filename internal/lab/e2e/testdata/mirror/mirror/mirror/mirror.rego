# METADATA
# title: What a policy sees
# description: Denies every request and tells the client what the policy was told of it.
package mirror

# METADATA
# title: The answer
# entrypoint: true
decision := {"allowed": false, "body": json.marshal(input.attributes), "headers": {"content-type": "application/json"}} if input.attributes

# A policy must answer an empty input to be taken at all.
decision := false if not input.attributes

# METADATA
# title: Another answer
# entrypoint: true
other := {"allowed": false, "http_status": 402, "body": "other"}
