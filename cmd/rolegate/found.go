package main

import "github.com/rolegate/rolegate/policy"

// found is a problem as commands print it in JSON. Its members are a contract.
type found struct {
	Severity string   `json:"severity"` // error or warning
	Code     string   `json:"code"`
	Subject  string   `json:"subject,omitempty"`
	File     string   `json:"file,omitempty"`
	Line     int      `json:"line,omitempty"`
	Column   int      `json:"column,omitempty"`
	Path     []string `json:"path,omitempty"` // below data
	Message  string   `json:"message"`
	Hint     string   `json:"hint,omitempty"`
}

func foundOf(p policy.Problem) found {
	severity := "error"
	if p.Warning {
		severity = "warning"
	}
	return found{
		Severity: severity, Code: p.Code, Subject: p.Subject, File: p.File, Line: p.Line, Column: p.Column,
		Path: p.Path, Message: p.Message, Hint: p.Hint,
	}
}
