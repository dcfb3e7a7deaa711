# METADATA
# title: Rolegate
# description: >-
#   The role library. A question comes in as input.subject and input.route, role data lies under
#   data.rbac, and data.authz may add to both. The sentences N1 to N35 stand in docs/roles.md.
package rolegate

# METADATA
# title: The instant of the question, in milliseconds since 1970
# description: >-
#   The only place where the library reads the clock. Cut as text, because dividing numbers of this size
#   costs four times as much.
now := to_number(substring(nanoseconds, 0, count(nanoseconds) - 6)) if {
	nanoseconds := format_int(time.now_ns(), 10)
}
