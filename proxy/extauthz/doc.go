// Package extauthz serves Envoy's external authorization over gRPC
// (envoy.service.auth.v3). A CheckRequest becomes a [proxy.Inbound], the gate
// answers, and the answer becomes a CheckResponse; both translations are functions
// of their arguments.
//
// To Envoy an empty CheckResponse is an allow, and a gRPC error leaves the choice to
// failure_mode_allow. So there is one place that makes responses, it makes one of
// every answer, and a guard looks at each before it leaves.
package extauthz
