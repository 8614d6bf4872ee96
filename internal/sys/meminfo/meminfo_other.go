//go:build !linux && !darwin && !windows

package meminfo

func read() Memory { return Memory{} }

func peakRSS() uint64 { return 0 }

func hugePages() string { return "" }
