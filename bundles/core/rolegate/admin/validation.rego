package rolegate.admin

import data.rolegate.validation as sound

# METADATA
# title: The problems of role data, members apart
# description: A set of {"code", "subject", "path", "message"}; needs no input.
# entrypoint: true
validation := sound.problems

# METADATA
# title: The problems of member records
# description: As validation; a loader may look at records itself while they stream by, and skip this.
# entrypoint: true
member_validation := sound.members.problems

# METADATA
# title: The problems of a change of role data (V18)
# description: The input is {"old"}, which is data.rbac as it was before.
# entrypoint: true
change_validation := sound.change_problems
