# METADATA
# title: What takes longer than anybody waits
package slow

default decision := false

# METADATA
# title: An allow, if it ever came
# entrypoint: true
decision := {"allowed": true} if {
	input.attributes
	count([1 |
		some a in numbers.range(1, 5000)
		some b in numbers.range(1, 5000)
		a * b < 0
	]) == 0
}
