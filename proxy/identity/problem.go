package identity

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	Field   string // with dots and indexes: "authenticators[0].jwt.issuers[1].audiences"
	Message string // what is wrong, and what would be right
}

// Error is the field and the message.
func (p Problem) Error() string { return p.Field + ": " + p.Message }
