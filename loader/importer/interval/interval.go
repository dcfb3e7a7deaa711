// Package interval reads intervals of ISO 8601 as ForgeRock IDM keeps them in temporal
// constraints: a start and an end, or either of them and a period.
//
//	2026-01-01T00:00:00.000Z/2026-07-01T00:00:00.000Z
//	2026-01-01T00:00+01:00/P6M
//	P1DT12H/2026-07-01T00:00:00-0500
//
// Times have a zone: without one they mean another instant on every server. Periods go
// by the calendar of the time's own zone.
package interval

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Parse reads an interval and answers its first instant, and the first one behind it,
// in milliseconds since 1970. An instant between two milliseconds is the earlier one.
func Parse(text string) (from, until int64, err error) {
	first, second, ok := strings.Cut(text, "/")
	if !ok {
		return 0, 0, errors.New("want a start and an end with a slash between them, as 2026-01-01T00:00:00Z/2026-07-01T00:00:00Z")
	}
	var start, end time.Time
	switch {
	case strings.HasPrefix(first, "P"):
		if end, err = instant(second); err == nil {
			start, err = shifted(end, first, -1)
		}
	case strings.HasPrefix(second, "P"):
		if start, err = instant(first); err == nil {
			end, err = shifted(start, second, 1)
		}
	default:
		if start, err = instant(first); err == nil {
			end, err = instant(second)
		}
	}
	if err != nil {
		return 0, 0, err
	}
	if from, until = start.UnixMilli(), end.UnixMilli(); from >= until {
		return 0, 0, errors.New("it ends when it starts, or before")
	}
	return from, until, nil
}

// instant reads a time with its zone.
func instant(text string) (time.Time, error) {
	for _, layout := range [...]string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	for _, layout := range [...]string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if _, err := time.Parse(layout, text); err == nil {
			return time.Time{}, fmt.Errorf("the time %q has no zone: add Z, or an offset like +01:00", text)
		}
	}
	return time.Time{}, fmt.Errorf("want a time as 2026-01-02T15:04:05Z, got %q", text)
}

// mostOfAPart bounds each number of a period, so that none overflows.
const mostOfAPart = 100_000

// shifted moves a time by a period like P1Y2M3W4DT5H6M7S, by the calendar of the time's
// own zone: a month after the 31st is the last day of the next month.
func shifted(t time.Time, period string, sign int) (time.Time, error) {
	wrong := fmt.Errorf("want a period as P6M or P1DT12H, got %q", period)
	date, clock, hasClock := strings.Cut(strings.TrimPrefix(period, "P"), "T")
	days, err := numbers(date, "YMWD")
	if err != nil {
		return t, wrong
	}
	hours, err := numbers(clock, "HMS")
	if err != nil || hasClock && clock == "" || date == "" && clock == "" {
		return t, wrong
	}
	t = addMonths(t, sign*(12*days[0]+days[1]))
	t = t.AddDate(0, 0, sign*(7*days[2]+days[3]))
	seconds := (hours[0]*60+hours[1])*60 + hours[2]
	return t.Add(time.Duration(sign*seconds) * time.Second), nil
}

func addMonths(t time.Time, months int) time.Time {
	first := time.Date(t.Year(), t.Month(), 1, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), t.Location()).AddDate(0, months, 0)
	last := first.AddDate(0, 1, -1).Day()
	return first.AddDate(0, 0, min(t.Day(), last)-1)
}

// numbers reads whole numbers, each with its letter, in the order of the letters.
func numbers(text, letters string) ([4]int, error) {
	var out [4]int
	next := 0
	for text != "" {
		at := strings.IndexFunc(text, func(r rune) bool { return r < '0' || r > '9' })
		if at <= 0 {
			return out, errors.New("not a number and a letter")
		}
		index := strings.IndexByte(letters[next:], text[at])
		n, err := strconv.Atoi(text[:at])
		if index < 0 || err != nil || n > mostOfAPart {
			return out, errors.New("a letter out of order, or a number too large")
		}
		out[next+index] = n
		next += index + 1
		text = text[at+1:]
	}
	return out, nil
}
