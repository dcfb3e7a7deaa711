package rolegate.validation

import data.rolegate.token

# Documents, and what is not an object in them.
problems contains problem("bad_shape", name, [name], "the document is not an object") if {
	some name in ["catalog", "issuers", "aliases", "roles", "tenants", "members", "api_keys", "revoked"]
	document := data.rbac[name]
	not is_object(document)
}

problems contains problem("bad_shape", key, [name, key], "the entry is not an object") if {
	some name in ["catalog", "issuers", "roles", "tenants", "api_keys"]
	is_object(data.rbac[name])
	some key, entry in data.rbac[name]
	not is_object(entry)
}

# The catalog.
problems contains problem("bad_shape", subject, ["catalog", resource, action], "the declaration is not an object") if {
	some resource, actions in entries(data.rbac.catalog)
	some action, declaration in actions
	not is_object(declaration)
	subject := concat(":", [resource, action])
}

problems contains problem("bad_shape", subject, ["catalog", resource, action, field], message) if {
	some resource, actions in entries(data.rbac.catalog)
	some action, declaration in entries(actions)
	some field, value in declaration
	not declarative(field, value)
	subject := concat(":", [resource, action])
	message := "class is assignable, never or always, managed a boolean, and the rest texts"
}

declarative("class", value) if value in {"assignable", "never", "always"}

declarative("managed", value) if is_boolean(value)

declarative(field, value) if {
	field in {"name", "description", "category"}
	is_string(value)
}

declarative(field, _) if not field in {"class", "managed", "name", "description", "category"}

# Issuers, aliases and API keys.
problems contains problem("bad_shape", iss, ["issuers", iss, field], "authority and tenant are texts") if {
	some iss, issuer in entries(data.rbac.issuers)
	some field in ["authority", "tenant"]
	value := issuer[field]
	not is_string(value)
}

problems contains problem("bad_shape", name, ["aliases", name], "an alias stands for a text") if {
	is_object(data.rbac.aliases)
	some name, value in data.rbac.aliases
	not is_string(value)
}

problems contains problem("bad_shape", hash, ["api_keys", hash, field], message) if {
	some hash, key in entries(data.rbac.api_keys)
	some field in ["id", "kind", "tenant", "expires"]
	value := object.get(key, field, null)
	not fitting(field, value)
	message := "a key has an id, and may have a kind, a tenant and an instant at which it expires"
}

fitting("id", value) if is_string(value)

fitting("kind", value) if value in {null, "user", "m2m", "api_key", "external"}

fitting("tenant", value) if is_string(value)

fitting("tenant", null)

fitting("expires", value) if token.instant(value)

fitting("expires", null)

# Roles.
problems contains problem("bad_shape", id, ["roles", id, field], "a role has an owner and a key, which are texts") if {
	some id, role in roles
	some field in ["owner", "key"]
	not is_string(object.get(role, field, null))
}

problems contains problem("bad_shape", id, ["roles", id, field], "this is a text") if {
	some id, role in roles
	some field in ["name", "description"]
	value := role[field]
	not is_string(value)
}

problems contains problem("bad_shape", id, ["roles", id, "include"], "include has tenants, each true") if {
	some id, role in roles
	include := role.include
	not truths(include)
}

problems contains problem("bad_shape", id, ["roles", id, side], "statements are not objects") if {
	some id, role in roles
	some side in ["allow", "deny"]
	value := role[side]
	not is_object(value)
}

problems contains problem("bad_shape", id, ["roles", id, side, resource], "actions are not an object") if {
	some id, role in roles
	some side in ["allow", "deny"]
	is_object(role[side])
	some resource, actions in role[side]
	not is_object(actions)
}

problems contains problem("bad_shape", id, ["roles", id, side, resource, action], "targets are paths, each true") if {
	some id, role in roles
	some side in ["allow", "deny"]
	is_object(role[side])
	some resource, actions in role[side]
	is_object(actions)
	some action, targets in actions
	not truths(targets)
}

truths(value) if {
	is_object(value)
	every _, entry in value {
		entry == true
	}
}

# Tenants.
problems contains problem("bad_shape", node, ["tenants", node, "base_roles"], "base roles are a list of texts") if {
	some node, tenant in tenants
	list := tenant.base_roles
	not texts(list)
}

problems contains problem("bad_shape", node, ["tenants", node, field], "this is an object") if {
	some node, tenant in tenants
	some field in ["policy", "implicit", "conditional_roles"]
	value := tenant[field]
	not is_object(value)
}

problems contains problem("bad_shape", node, ["tenants", node, "policy", field], message) if {
	some node, tenant in tenants
	is_object(tenant.policy)
	some field, value in tenant.policy
	not ruling(field, value)
	message := "override is a boolean, and roles are lists of texts"
}

ruling("override", value) if is_boolean(value)

ruling(field, value) if {
	field in {"signup_roles", "first_user_roles", "idp_default_roles"}
	texts(value)
}

ruling(field, _) if not field in {"override", "signup_roles", "first_user_roles", "idp_default_roles"}

problems contains problem("bad_shape", node, ["tenants", node, "implicit", fact], "rules are a list of objects") if {
	some node, tenant in tenants
	is_object(tenant.implicit)
	some fact, rules in tenant.implicit
	not list_of_objects(rules)
}

list_of_objects(value) if {
	is_array(value)
	every entry in value {
		is_object(entry)
	}
}

problems contains problem("bad_shape", node, ["tenants", node, "implicit", fact, i], message) if {
	some node, tenant in tenants
	is_object(tenant.implicit)
	some fact, rules in tenant.implicit
	is_array(rules)
	some i, rule in rules
	is_object(rule)
	not implying(rule)
	message := "a rule has a role, and may have a list of further facts in all and a boolean in enabled"
}

implying(rule) if {
	is_string(rule.role)
	texts(object.get(rule, "all", []))
	is_boolean(object.get(rule, "enabled", true))
}

# Revocations.
problems contains problem("bad_shape", "revoked", ["revoked", field], "revocations are objects") if {
	some field in ["tokens", "principals", "grants"]
	value := data.rbac.revoked[field]
	not is_object(value)
}

problems contains problem("bad_shape", "revoked", array.concat(["revoked"], path), message) if {
	walk(data.rbac.revoked, [path, value])
	not is_object(value)
	count(path) > 1
	not until(path, value)
	message := "a revocation ends at an instant, or never, which is 0"
}

problems contains problem("bad_shape", "revoked", array.concat(["revoked"], path), "a revocation is missing") if {
	walk(data.rbac.revoked, [path, value])
	is_object(value)
	count(path) >= deepest_revocation[path[0]]
}

until(path, value) if {
	count(path) == deepest_revocation[path[0]]
	token.instant(value)
}

deepest_revocation := {"tokens": 2, "principals": 3, "grants": 4}
