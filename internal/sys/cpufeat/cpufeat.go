// Package cpufeat says what the processor is: the instruction sets that the
// kernels choose by, its name, and its cache sizes. `cria doctor` and
// `cria bench` print all of it.
//
// Feature detection is golang.org/x/sys/cpu's, which checks the operating
// system's support of wide registers too and obeys GODEBUG=cpu.NAME=off.
package cpufeat

// Feature is one instruction set extension that Cria uses or reports.
type Feature struct {
	Name string // as /proc/cpuinfo spells it
	Has  bool
}

// Caches are the sizes in bytes of the caches that one core sees; 0 means
// unknown. L1d and L2 are one core's, LLC is the last level's whole size. A
// virtual machine reports its host's LLC, of which it may have only a share.
type Caches struct {
	L1d, L2, LLC int
}

// Features lists the extensions that matter for this architecture.
func Features() []Feature { return features() }

// Model returns the processor's name, "" where it cannot be had.
func Model() string { return model() }

// CacheSizes returns the processor's cache sizes.
func CacheSizes() Caches { return caches() }
