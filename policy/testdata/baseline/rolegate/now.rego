# METADATA
# title: Rolegate
# description: >-
#   The role library. A question comes in as input.subject and input.route, role data lies under
#   data.rbac, and data.authz may add to both. The sentences N1 to N35 stand in docs/roles.md.
package rolegate

# METADATA
# title: The instant of the question, in milliseconds
# description: The only place where the library reads the clock.
now := floor(time.now_ns() / 1000000)
