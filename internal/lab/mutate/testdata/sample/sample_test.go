package sample

import (
	"errors"
	"testing"
)

func TestDecide(t *testing.T) {
	for _, c := range []struct {
		name   string
		age    int
		banned bool
		want   Effect
	}{{"ann", 20, false, Allow}, {"ann", 20, true, Deny}, {"ann", 2, false, Deny}, {"root", 20, false, Deny}} {
		if got, err := decide(c.name, c.age, c.banned, nil); err != nil || got.effect != c.want {
			t.Errorf("%v: got %v, %v", c, got, err)
		}
	}
}

func TestAge(t *testing.T) {
	if _, err := decide("ann", -1, false, nil); !errors.Is(err, errAge) {
		t.Error(err)
	}
}

func TestBroken(t *testing.T) { t.Error("whatever") }
