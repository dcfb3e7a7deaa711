package main

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"strings"
	"time"

	"github.com/rolegate/rolegate/internal/cases"
)

// testReport prints results as they come, or at the end, in the form that was asked for.
type testReport struct {
	*program
	verbose                 bool
	began                   time.Time
	passed, failed, skipped int
	failures                []failure
	junit                   []junitCase // only for that form
}

// failure is one in the JSON form.
type failure struct {
	Name  string `json:"name"`
	File  string `json:"file,omitempty"`
	Line  int    `json:"line,omitempty"`
	Want  any    `json:"want"`
	Got   any    `json:"got"`
	Error string `json:"error,omitempty"`
}

func (p *program) newTestReport(verbose bool) *testReport {
	return &testReport{program: p, verbose: verbose, began: p.now(), failures: []failure{}}
}

func (t *testReport) ran() int { return t.passed + t.failed + t.skipped }

// add takes one result.
func (t *testReport) add(r cases.Result) error {
	switch {
	case r.Skipped:
		t.skipped++
	case r.Passed:
		t.passed++
	default:
		t.failed++
	}
	switch t.format {
	case "json":
		if !r.Passed && !r.Skipped {
			t.failures = append(t.failures, failureOf(r))
		}
		return nil
	case "junit":
		t.junit = append(t.junit, junitCaseOf(r))
		return nil
	case "github":
		return t.annotate(r)
	default:
		t.line(r)
		return nil
	}
}

func failureOf(r cases.Result) failure {
	f := failure{Name: r.Name, File: r.File, Line: r.Line, Want: r.Want, Got: r.Got}
	if r.Err != nil {
		f.Error = r.Err.Error()
	}
	return f
}

// line prints a failure, and with -v whatever was run.
func (t *testReport) line(r cases.Result) {
	paint := t.paint(t.stdout)
	switch {
	case r.Skipped:
		if t.verbose {
			fmt.Fprintf(t.stdout, "%s %s\n", paint.faint("· skip"), r.Name)
		}
	case r.Passed:
		if t.verbose {
			fmt.Fprintf(t.stdout, "%s %s\n", paint.green("✓ pass"), r.Name)
		}
	default:
		fmt.Fprintf(t.stdout, "%s %s   %s\n", paint.red("✗ fail"), paint.bold(r.Name), paint.faint(fmt.Sprintf("%s:%d", r.File, r.Line)))
		if r.Err != nil {
			fmt.Fprintf(t.stdout, "         %v\n", r.Err)
			return
		}
		for _, l := range r.Differences() {
			fmt.Fprintf(t.stdout, "         %s\n", l)
		}
	}
}

// annotate prints what GitHub shows beside the line of a failure.
func (t *testReport) annotate(r cases.Result) error {
	if r.Passed || r.Skipped {
		return nil
	}
	message := strings.Join(r.Differences(), "\n")
	if r.Err != nil {
		message = r.Err.Error()
	}
	escape := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	_, err := fmt.Fprintf(t.stdout, "::error file=%s,line=%d,title=%s::%s\n",
		property.Replace(r.File), r.Line, property.Replace(r.Name), escape.Replace(message))
	return err
}

// end prints what comes last.
func (t *testReport) end() error {
	switch t.format {
	case "json":
		return json.NewEncoder(t.stdout).Encode(struct {
			SchemaVersion int       `json:"schema_version"`
			Passed        int       `json:"passed"`
			Failed        int       `json:"failed"`
			Skipped       int       `json:"skipped"`
			Failures      []failure `json:"failures"`
		}{1, t.passed, t.failed, t.skipped, t.failures})
	case "junit":
		return t.writeJUnit()
	default:
		paint, summary := t.paint(t.stdout), fmt.Sprintf("%d passed, %d failed, %d skipped", t.passed, t.failed, t.skipped)
		if t.failed > 0 {
			summary = paint.red(summary)
		} else {
			summary = paint.green(summary)
		}
		_, err := fmt.Fprintf(t.stdout, "%s in %s\n", summary, t.now().Sub(t.began).Round(time.Millisecond))
		return err
	}
}

// junitCase is one test in JUnit's form.
type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Time    string        `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
	Skipped *struct{}     `xml:"skipped"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

func junitCaseOf(r cases.Result) junitCase {
	c := junitCase{Name: r.Name, Class: r.File, File: r.File, Line: r.Line, Time: fmt.Sprintf("%.6f", r.Took.Seconds())}
	switch {
	case r.Skipped:
		c.Skipped = &struct{}{}
	case r.Err != nil:
		c.Failure = &junitFailure{Message: r.Err.Error()}
	case !r.Passed:
		c.Failure = &junitFailure{Message: "not what was expected", Text: strings.Join(r.Differences(), "\n")}
	}
	return c
}

func (t *testReport) writeJUnit() error {
	suite := struct {
		XMLName  xml.Name    `xml:"testsuite"`
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Cases    []junitCase `xml:"testcase"`
	}{Name: "rolegate", Tests: t.ran(), Failures: t.failed, Skipped: t.skipped, Cases: t.junit}
	text, err := xml.MarshalIndent(suite, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.stdout, "%s%s\n", xml.Header, text)
	return err
}
