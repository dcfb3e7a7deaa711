# METADATA
# title: A policy of one's own
# description: Answers what data.cases says for the request's case, whatever it is.
package own

# METADATA
# title: The answer
# entrypoint: true
decision := data.cases[input.route.params.case].answer

# A policy must answer an empty input to be taken at all. It stays undefined for a case
# that data.cases lacks.
decision := false if not input.route.params.case
