# METADATA
# title: What the world says
# description: Looks up what data.world grants, and shows which world that was.
package gate

# METADATA
# title: The answer
# entrypoint: true
decision := {"allowed": true, "headers": {"x-world": format_int(data.world.number, 10)}} if {
	allowed
} else := {"allowed": false}

allowed if {
	input.route.action in {"read", "write"}
	granted
}

# Whoever needs the body needs not ask whether it is whole: of a part there is no body.
allowed if {
	input.route.action == "pay"
	input.parsed_body.amount < 100
	granted
}

# Whoever looks for what must not be there has to ask.
allowed if {
	input.route.action == "note"
	not input.truncated_body
	not contains(input.attributes.request.http.body, "forbidden")
	granted
}

# As before, but every request is a question of its own.
allowed if {
	input.route.params.nonce != ""
	granted
}

# This would be allowed, if it ever ended.
allowed if {
	input.route.action == "slow"
	count([1 |
		some a in numbers.range(1, 5000)
		some b in numbers.range(1, 5000)
		a * b < 0
	]) == 0
}

granted if data.world.grants[input.subject.id][input.route.action]
