package kernel

import (
	"fmt"
	"os"
	"strings"
)

// sets holds every set compiled into this binary that this machine can run,
// slowest first. The generic set is always there and is the oracle of the
// others.
var sets = []*Set{genericSet()}

// register adds a set; architecture files call it from init in ascending order
// of preference, after checking the CPU's features.
func register(s *Set) { sets = append(sets, s) }

// Sets returns every set that this machine can run, slowest first.
func Sets() []*Set { return sets }

// Choose returns the set named by want, or the fastest one where want is "".
func Choose(want string) (*Set, error) {
	if want == "" {
		return sets[len(sets)-1], nil
	}
	names := make([]string, len(sets))
	for i, s := range sets {
		if s.Name == want {
			return s, nil
		}
		names[i] = s.Name
	}
	return nil, fmt.Errorf("kernel: no kernel set %q on this machine; it can run %s", want, strings.Join(names, ", "))
}

// Default is Choose of the environment variable CRIA_CPU.
func Default() (*Set, error) {
	s, err := Choose(os.Getenv("CRIA_CPU"))
	if err != nil {
		return nil, fmt.Errorf("CRIA_CPU: %w", err)
	}
	return s, nil
}
