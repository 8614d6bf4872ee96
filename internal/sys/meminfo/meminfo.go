// Package meminfo says how much memory the machine has and the process used:
// `cria doctor` and `cria bench` print it, and a model that cannot fit can be
// refused before it is read.
package meminfo

// Memory is the machine's main memory in bytes; 0 means unknown.
type Memory struct {
	Total     uint64 // physical, or the container's limit where that is smaller
	Available uint64 // what a new program can get without swapping
	Limit     uint64 // the container's limit (cgroup); 0 where there is none
}

// Read asks the system.
func Read() Memory { return read() }

// PeakRSS returns the most memory that this process ever had resident, in
// bytes, mapped files included; 0 where the system does not say.
func PeakRSS() uint64 { return peakRSS() }

// HugePages says how the system gives out huge pages for anonymous memory, in
// the system's own word ("always", "madvise", "never"); "" where it has no
// such setting.
func HugePages() string { return hugePages() }
